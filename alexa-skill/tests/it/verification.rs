//! Which requests of the custom part are believed. Every refusal is exactly HTTP 400 without a body.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use macloud_alexa_skill::verify::cert_url::CertUrl;
use macloud_alexa_skill::verify::chain::{Chain, ChainError, Roots};
use macloud_service_kit::clock::Clock as _;
use ring::signature::{RSA_PKCS1_SHA512, RSA_PSS_SHA256};
use serde_json::{Value, json};

use super::support::schemas::{shared_file, shared_text};
use super::support::signing::{
    APPLICATION, Authority, CERT_URL, Leaf, Trouble, intent, post, request, sign, sign_with,
};
use super::support::{NOW, World};

struct Signed {
    authority: Authority,
    world: World,
}

impl Signed {
    async fn new() -> Self {
        let authority = Authority::new().await;
        let world = World::with(authority.config()).await;
        Self { authority, world }
    }

    async fn status(&self, request: Request<Body>) -> StatusCode {
        let (status, body) = self.world.call(request).await;
        assert!(status == StatusCode::OK || (status == StatusCode::BAD_REQUEST && body == Value::Null));
        status
    }

    async fn accepts(&self, request: Request<Body>) -> bool {
        self.status(request).await == StatusCode::OK
    }

    /// Now, by the world's clock.
    fn millis(&self) -> u64 {
        self.world.clock.unix_millis()
    }

    /// A good request, with this chain behind a URL of its own.
    async fn accepts_chain(&self, name: &str, chain: String) -> bool {
        self.authority.put(name, chain);
        let body = help();
        self.accepts(post(&format!("https://s3.amazonaws.com/echo.api/{name}"), &sign(&body), &body)).await
    }
}

fn help() -> Vec<u8> {
    intent("AMAZON.HelpIntent", &[]).to_string().into_bytes()
}

fn at(timestamp: Value, kind: &str) -> Vec<u8> {
    let mut body = request(kind, Value::Null);
    body["request"]["timestamp"] = timestamp;
    body.to_string().into_bytes()
}

#[tokio::test]
async fn a_good_request_is_accepted_and_its_chain_remembered() {
    let signed = Signed::new().await;
    for _ in 0..3 {
        assert!(signed.accepts(post(CERT_URL, &sign(&help()), &help())).await);
    }
    assert_eq!(signed.authority.fetches(), 1);
}

#[tokio::test]
async fn header_names_have_no_case() {
    let signed = Signed::new().await;
    let lower = Request::post("/alexa/v1/custom")
        .header("signaturecertchainurl", CERT_URL)
        .header("signature-256", sign(&help()))
        .body(Body::from(help()));
    assert!(signed.accepts(lower.unwrap()).await);
}

#[tokio::test]
async fn signatures_other_than_rsa_pkcs1_sha256_over_the_exact_bytes_are_refused() {
    let signed = Signed::new().await;
    let body = help();
    let mut longer = body.clone();
    longer.push(b' ');
    let again = serde_json::to_vec_pretty(&serde_json::from_slice::<Value>(&body).unwrap()).unwrap();
    for (what, signature, body) in [
        ("another body", sign(&longer), &body),
        ("one space appended", sign(&body), &longer),
        ("body written anew", sign(&body), &again),
        ("RSA-PSS", sign_with(&RSA_PSS_SHA256, &body), &body),
        ("SHA-512", sign_with(&RSA_PKCS1_SHA512, &body), &body),
        ("not base64", "%%%".to_owned(), &body),
        ("empty", String::new(), &body),
    ] {
        assert!(!signed.accepts(post(CERT_URL, &signature, body)).await, "{what}");
    }
    let without = Request::post("/alexa/v1/custom").header("SignatureCertChainUrl", CERT_URL);
    assert!(!signed.accepts(without.body(Body::from(help())).unwrap()).await);
    let old =
        Request::post("/alexa/v1/custom").header("SignatureCertChainUrl", CERT_URL).header("Signature", sign(&body));
    assert!(!signed.accepts(old.body(Body::from(help())).unwrap()).await, "only the old header");
    let twice = Request::post("/alexa/v1/custom")
        .header("SignatureCertChainUrl", CERT_URL)
        .header("Signature-256", sign(&body))
        .header("Signature-256", sign(&body));
    assert!(!signed.accepts(twice.body(Body::from(help())).unwrap()).await, "two signatures");
    assert!(signed.accepts(post(CERT_URL, &sign(&body), &body)).await);
}

#[tokio::test]
async fn chains_are_held_to_the_rules() {
    let signed = Signed::new().await;
    let authority = &signed.authority;
    let named = |names: Vec<&'static str>| authority.chain(&Leaf { names, ..Leaf::default() });
    let valid = |years| authority.chain(&Leaf { years, ..Leaf::default() });
    let stranger = Authority::new().await;
    for (name, chain, expected) in [
        ("good.pem", authority.chain(&Leaf::default()), true),
        ("extra-names.pem", named(vec!["other.example", "echo-api.amazon.com"]), true),
        ("root-appended.pem", authority.chain_with_root(), true),
        ("expired.pem", valid((2024, 2025)), false),
        ("not-yet.pem", valid((2027, 2028)), false),
        ("other-name.pem", named(vec!["other.amazon.com"]), false),
        ("no-name.pem", named(Vec::new()), false),
        ("wildcard.pem", named(vec!["*.amazon.com"]), false),
        ("self-signed.pem", Authority::self_signed_leaf(), false),
        ("no-intermediate.pem", authority.leaf(&Leaf::default()), false),
        ("untrusted.pem", stranger.chain(&Leaf::default()), false),
        ("through-a-leaf.pem", authority.chain_through_a_leaf(), false),
        ("intermediate-first.pem", authority.intermediate_first(), false),
        ("empty.pem", String::new(), false),
        ("garbage.pem", "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n".into(), false),
        ("too-long.pem", format!("{}{}", "#\n".repeat(40_000), authority.chain(&Leaf::default())), false),
    ] {
        assert_eq!(signed.accepts_chain(name, chain).await, expected, "{name}");
    }
    let missing = post("https://s3.amazonaws.com/echo.api/missing.pem", &sign(&help()), &help());
    assert!(!signed.accepts(missing).await);
}

#[tokio::test]
async fn a_chain_that_was_replaced_behind_its_url_is_fetched_again() {
    let signed = Signed::new().await;
    assert!(signed.accepts(post(CERT_URL, &sign(&help()), &help())).await);
    // A year later the remembered leaf has expired; Alexa publishes another behind the same URL.
    signed.world.clock.advance(Duration::from_secs(800 * 24 * 3600));
    signed.authority.put("echo-api-cert.pem", signed.authority.chain(&Leaf { years: (2028, 2030), ..Leaf::default() }));
    let later = at(json!("2029-01-30T00:00:00Z"), "LaunchRequest");
    assert!(signed.accepts(post(CERT_URL, &sign(&later), &later)).await);
    assert_eq!(signed.authority.fetches(), 2);
}

#[tokio::test]
async fn a_chain_that_is_due_and_cannot_be_fetched_stays_while_it_is_trusted() {
    let signed = Signed::new().await;
    assert!(signed.accepts(post(CERT_URL, &sign(&help()), &help())).await);
    for trouble in [Trouble::Fails, Trouble::Hangs] {
        signed.world.clock.advance(Duration::from_secs(3601));
        signed.authority.trouble(trouble);
        let before = signed.authority.fetches();
        for _ in 0..5 {
            let now = at(json!(signed.millis()), "LaunchRequest");
            assert!(signed.accepts(post(CERT_URL, &sign(&now), &now)).await, "{trouble:?}");
        }
        assert_eq!(signed.authority.fetches(), before + 1, "tried once, and not again by each");
    }
    signed.authority.trouble(Trouble::None);
    signed.world.clock.advance(Duration::from_secs(6));
    let before = signed.authority.fetches();
    for _ in 0..3 {
        let now = at(json!(signed.millis()), "LaunchRequest");
        assert!(signed.accepts(post(CERT_URL, &sign(&now), &now)).await);
    }
    assert_eq!(signed.authority.fetches(), before + 1, "fetched when it can be");
    // Expired, and no other to be had.
    signed.authority.trouble(Trouble::Fails);
    signed.world.clock.advance(Duration::from_secs(800 * 24 * 3600));
    let now = at(json!(signed.millis()), "LaunchRequest");
    assert!(!signed.accepts(post(CERT_URL, &sign(&now), &now)).await);
}

#[tokio::test]
async fn many_requests_at_once_fetch_a_chain_once() {
    let signed = Signed::new().await;
    let accepted = (0..20).map(|_| signed.accepts(post(CERT_URL, &sign(&help()), &help())));
    assert!(futures_util::future::join_all(accepted).await.into_iter().all(|accepted| accepted));
    assert_eq!(signed.authority.fetches(), 1);
}

/// Strangers name chains that are long in coming, and as many as there may be.
#[tokio::test]
async fn strangers_fetches_do_not_stand_in_the_way_of_alexas() {
    let signed = Signed::new().await;
    assert!(signed.accepts(post(CERT_URL, &sign(&help()), &help())).await);
    signed.world.clock.advance(Duration::from_secs(800 * 24 * 3600));
    signed.authority.put("echo-api-cert.pem", signed.authority.chain(&Leaf { years: (2028, 2030), ..Leaf::default() }));
    signed.authority.trouble(Trouble::HangsAbout("slow"));
    let strangers = (0..30).map(|number| {
        let url = format!("https://s3.amazonaws.com/echo.api/slow-{number}.pem");
        let request = post(&url, &sign(&help()), &help());
        signed.accepts(request)
    });
    let strangers = futures_util::future::join_all(strangers);
    let alexa = async {
        super::support::until(|| signed.authority.fetches() == 1 + 8).await;
        let later = at(json!(signed.millis()), "LaunchRequest");
        signed.accepts(post(CERT_URL, &sign(&later), &later)).await
    };
    let (strangers, alexa) = tokio::join!(strangers, alexa);
    assert!(alexa && !strangers.into_iter().any(|accepted| accepted));
}

/// The stranger looks at the new chain first, and his request fails; the look is not lost.
#[tokio::test]
async fn a_bad_request_does_not_use_up_the_look_that_a_good_one_needs() {
    let signed = Signed::new().await;
    assert!(signed.accepts(post(CERT_URL, &sign(&help()), &help())).await);
    signed.world.clock.advance(Duration::from_secs(800 * 24 * 3600));
    signed.authority.put("echo-api-cert.pem", signed.authority.chain(&Leaf { years: (2028, 2030), ..Leaf::default() }));
    let later = at(json!(signed.millis()), "LaunchRequest");
    assert!(!signed.accepts(post(CERT_URL, &sign(b"something else"), &later)).await);
    assert!(signed.accepts(post(CERT_URL, &sign(&later), &later)).await);
    assert_eq!(signed.authority.fetches(), 2);
}

#[tokio::test]
async fn a_flood_of_bad_signatures_does_not_become_a_flood_of_fetches() {
    let signed = Signed::new().await;
    assert!(signed.accepts(post(CERT_URL, &sign(&help()), &help())).await);
    signed.world.clock.advance(Duration::from_secs(60));
    for _ in 0..20 {
        assert!(!signed.accepts(post(CERT_URL, &sign(b"something else"), &help())).await);
    }
    assert_eq!(signed.authority.fetches(), 2, "one look, and no second within seconds");
}

#[tokio::test]
async fn timestamps_may_be_150_seconds_off_either_way() {
    let signed = Signed::new().await;
    for (offset, kind, expected) in [
        (0_i64, "LaunchRequest", true),
        (-149, "LaunchRequest", true),
        (-151, "LaunchRequest", false),
        (149, "LaunchRequest", true),
        (151, "LaunchRequest", false),
        (-3599, "AlexaSkillEvent.SkillDisabled", true),
        (-3601, "AlexaSkillEvent.SkillDisabled", false),
        (151, "AlexaSkillEvent.SkillDisabled", false),
    ] {
        let millis = (i64::try_from(NOW).unwrap() + offset) * 1000;
        let body = at(json!(millis), kind);
        assert_eq!(signed.accepts(post(CERT_URL, &sign(&body), &body)).await, expected, "{offset} {kind}");
    }
    for wrong in [json!("garbage"), Value::Null, json!(""), json!("2026-11-22")] {
        let body = at(wrong, "LaunchRequest");
        assert!(!signed.accepts(post(CERT_URL, &sign(&body), &body)).await);
    }
}

#[tokio::test]
async fn requests_for_other_skills_are_refused() {
    let signed = Signed::new().await;
    for place in ["/session/application/applicationId", "/context/System/application/applicationId"] {
        let mut body = request("LaunchRequest", Value::Null);
        *body.pointer_mut(place).unwrap() = json!("amzn1.ask.skill.another");
        let body = body.to_string().into_bytes();
        assert!(!signed.accepts(post(CERT_URL, &sign(&body), &body)).await, "{place}");
    }
    let mut without_session = request("LaunchRequest", Value::Null);
    without_session.as_object_mut().unwrap().remove("session");
    let body = without_session.to_string().into_bytes();
    assert!(signed.accepts(post(CERT_URL, &sign(&body), &body)).await);
    without_session["context"]["System"].as_object_mut().unwrap().remove("application");
    let body = without_session.to_string().into_bytes();
    assert!(!signed.accepts(post(CERT_URL, &sign(&body), &body)).await);
    assert!(APPLICATION.starts_with("amzn1.ask.skill."));
}

#[tokio::test]
async fn a_signed_body_that_is_no_request_is_refused_too() {
    let signed = Signed::new().await;
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(256 * 1024)).into_bytes();
    for body in [b"".to_vec(), b"{".to_vec(), b"{}".to_vec(), b"[1]".to_vec(), b"\xff\xfe".to_vec(), long] {
        assert!(!signed.accepts(post(CERT_URL, &sign(&body), &body)).await);
    }
}

#[test]
fn certificate_urls_get_the_wanted_verdicts() {
    let Some(text) = shared_text("signed-requests/oracle-verdicts.json") else { return };
    let verdicts: Value = serde_json::from_str(&text).unwrap();
    for case in verdicts["cert_url"].as_array().unwrap() {
        let url = case["url"].as_str().unwrap();
        match case["want"].as_str().unwrap() {
            "accept" => assert!(CertUrl::parse(url).is_some(), "{url}"),
            "reject" => assert!(CertUrl::parse(url).is_none(), "{url}"),
            _ => {}
        }
    }
}

/// Real chains, within their leaves' lives and today.
#[test]
fn real_chains_are_trusted_in_their_time_and_not_today() {
    let Some(folder) = shared_file("signed-requests/real-chains") else { return };
    let roots = Roots::new(&[]).unwrap();
    for name in ["7_2019-20", "8_2020", "9_2021", "10_2021-22", "11_2022-23", "12_2023"] {
        let pem = std::fs::read(folder.join(format!("echo-api-cert-{name}.pem"))).unwrap();
        let chain = Chain::parse(&pem).unwrap();
        // A leaf lives at least nine months, so the first day of some month is within.
        let months = (0..12 * 6).map(|month| JANUARY_2019 + month * 30 * 24 * 3600);
        let trusted = months.filter(|&month| chain.check_trust(&roots, month).is_ok()).count();
        assert!((8..16).contains(&trusted), "{name} is trusted for {trusted} months");
        assert!(matches!(chain.check_trust(&roots, NOW), Err(ChainError::Untrusted(_))), "{name}");
    }
    let old = Chain::parse(&std::fs::read(folder.join("echo-api-2015-expired.pem")).unwrap()).unwrap();
    assert!(old.check_trust(&roots, 1_440_000_000).is_err(), "its roots are not trusted any more");
}

const JANUARY_2019: u64 = 1_546_300_800;

/// The key that the chain vouches for made this signature, over these bytes; only the digest is the old one.
#[tokio::test]
async fn sha1_signatures_are_never_accepted() {
    let signed = Signed::new().await;
    assert!(!signed.accepts(post(CERT_URL, OF_ANOTHER_DIGEST, LAUNCH.as_bytes())).await, "in the new header");
    let old = Request::post("/alexa/v1/custom")
        .header("SignatureCertChainUrl", CERT_URL)
        .header("Signature", OF_ANOTHER_DIGEST)
        .header("Signature-256", OF_ANOTHER_DIGEST);
    assert!(!signed.accepts(old.body(Body::from(LAUNCH)).unwrap()).await, "in both");
    let good = sign(LAUNCH.as_bytes());
    assert!(signed.accepts(post(CERT_URL, &good, LAUNCH.as_bytes())).await, "the digest is all that was wrong");
    // That it is indeed a SHA-1 signature by this key: it verifies as such.
    let key = ring::signature::UnparsedPublicKey::new(
        &ring::signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        super::support::signing::public_key(),
    );
    key.verify(LAUNCH.as_bytes(), &STANDARD.decode(OF_ANOTHER_DIGEST).unwrap()).unwrap();
}

const LAUNCH: &str = r#"{"version":"1.0","context":{"System":{"application":{"applicationId":"amzn1.ask.skill.11111111-2222-3333-4444-555555555555"}}},"request":{"type":"LaunchRequest","requestId":"r","timestamp":"2026-11-22T00:00:00Z","locale":"en-US"}}"#;
/// `openssl dgst -sha1 -sign tests/fixtures/signing/test-only-rsa-key.pem`, over [`LAUNCH`].
const OF_ANOTHER_DIGEST: &str = "YZ9Edm+XpVTTlO2wyr36Xkrg4yuztX77QDB+MwQ9fccy9lCHEOr8tg6es/Di8P6PN252pVnBeLbQHcx4HbCuNszkhmdVbWrqDmV1\
    tNgkIaKRapAl2io3Y6qpm3Nf6rhQ5d5PFWmDVtNxKzV8loLXJbzlNmpOnGFpV3DyKpAxLgQw3ske9OVP+hbHlXHBRKDbL+1L5eK4\
    xLEwucnrDfJiZ8MyRM2KGpf3LJ8e1TyDh9/cZSjnIsJBshGk9pQ5pXOq3MBYRsLgAjp2SRNfXXPU756hYLNWUGRQrXDIcdZFl0MN\
    gy+MbaWKARZWqRiJkJ3X2ZAfNTGASBaPEbBQatSgkQ==";

/// Requests that Alexa really signed, in 2017, with SHA-1 only.
#[test]
fn alexas_own_sha1_signatures_are_not_taken_for_others() {
    for name in ["2017-02-10-ascii", "2017-04-05-utf8", "2017-11-20-leading-space-and-newlines"] {
        let Some(folder) = shared_file(&format!("signed-requests/{name}")) else { return };
        let read = |file: &str| std::fs::read(folder.join(file)).unwrap();
        let (body, pem) = (read("body.bin"), read("cert-chain.pem"));
        let vector: Value = serde_json::from_slice(&read("vector.json")).unwrap();
        let sha1 = STANDARD.decode(vector["headers"]["Signature"].as_str().unwrap()).unwrap();
        let chain = Chain::parse(&pem).unwrap();
        assert_eq!(chain.check_signature(&body, &sha1), Err(ChainError::Signature));
    }
}
