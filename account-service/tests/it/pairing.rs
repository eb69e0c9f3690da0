//! Homes: pairing, and the tokens with which they dial in.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_account_service::DatabaseSettings;
use macloud_proto::dpop;
use macloud_proto::ids::fingerprint;
use macloud_proto::instance_token::{self, KeySet};
use macloud_proto::jose::{Header, SigningKey, Unverified, thumbprint};
use macloud_service_kit::clock::Clock as _;
use macloud_service_kit::random;
use serde_json::{Value, json};

use crate::harness::{Answer, Browser, ISSUER, Kind, World, on_both_databases, text, unique};

const TOKEN_URL: &str = "https://cloud.example/oauth/token";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A connector, as far as the account service sees it.
pub struct Connector {
    pub key: SigningKey,
}

impl Connector {
    pub fn new() -> Self {
        Self { key: SigningKey::from_seed(&random::bytes()) }
    }

    pub fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.public())
    }

    pub fn pairing_proof(&self, aud: &str, typ: &str) -> String {
        let claims = json!({ "aud": aud, "key": self.public(), "jti": unique() });
        self.key.sign_jws(Header { typ: Some(typ.into()), ..Header::default() }, &claims)
    }

    pub async fn begin(&self, world: &World, name: &str) -> Value {
        let proof = self.pairing_proof(ISSUER, "macloud-pair+jwt");
        let form = [
            ("client_id", "ma-connector"),
            ("scope", "pair"),
            ("instance_key", &self.public()),
            ("instance_name", name),
            ("instance_proof", &proof),
        ];
        let answer = world.post("/oauth/device_authorization", &[], &form).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }

    fn dpop(&self, url: &str, nonce: Option<&str>) -> String {
        let request = dpop::Request { method: "POST", url, access_token: None };
        dpop::prove(&self.key, request, nonce, &unique(), 0)
    }

    /// Ask with a proof; once more with the nonce if one is asked for.
    pub async fn ask(&self, world: &World, form: &[(&str, &str)]) -> Answer {
        self.ask_at(world, "/oauth/token", form).await
    }

    /// The same elsewhere.
    pub async fn ask_at(&self, world: &World, path: &str, form: &[(&str, &str)]) -> Answer {
        let url = format!("{ISSUER}{path}");
        let first = world.post(path, &[("dpop", &self.dpop(&url, None))], form).await;
        if first.status != StatusCode::BAD_REQUEST || first.error() != "use_dpop_nonce" {
            return first;
        }
        let nonce = first.header("dpop-nonce").to_owned();
        world.post(path, &[("dpop", &self.dpop(&url, Some(&nonce)))], form).await
    }

    pub async fn poll(&self, world: &World, begun: &Value) -> Answer {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", text(begun, "device_code")),
            ("client_id", "ma-connector"),
        ];
        self.ask(world, &form).await
    }

    pub fn assertion(&self, instance: &str, now: u64) -> String {
        let claims =
            json!({ "iss": instance, "sub": instance, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": unique() });
        self.sign_assertion(&claims)
    }

    pub fn sign_assertion(&self, claims: &Value) -> String {
        self.key.sign_jws(Header { typ: Some("client-authentication+jwt".into()), ..Header::default() }, claims)
    }

    pub async fn dial_in_token(&self, world: &World, assertion: &str) -> Answer {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion),
            ("scope", "relay"),
        ];
        self.ask(world, &form).await
    }

    /// The whole way; the answer to the last poll.
    pub async fn pair(&self, world: &World, browser: &mut Browser<'_>, name: &str) -> Value {
        let begun = self.begin(world, name).await;
        decide(browser, &begun, "allow").await;
        let answer = self.poll(world, &begun).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }
}

/// Open the complete link and press a button.
pub async fn decide(browser: &mut Browser<'_>, begun: &Value, decision: &str) -> Answer {
    let uri = text(begun, "verification_uri_complete").strip_prefix(ISSUER).unwrap();
    let page = browser.get(uri).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(page.text.contains(text(begun, "fingerprint")));
    browser.submit(&page, "/pair", &[("name", "My house"), ("decision", decision)]).await
}

/// Whether the home's token says that it is paused.
fn says_paused(answer: &Answer) -> bool {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let answer = answer.json();
    let claims: instance_token::Claims = Unverified::parse(text(&answer, "access_token")).unwrap().peek().unwrap();
    assert_eq!(claims.paused, answer["paused"].as_bool().unwrap_or_default());
    claims.paused
}

/// Have every home paused or resumed in the middle of the next token request: when its proof is noted.
async fn in_the_middle(world: &World, paused_at: &str) {
    let change = format!("UPDATE instances SET paused_at = {paused_at}");
    let trigger = match &world.database {
        DatabaseSettings::Sqlite(_) => format!(
            "DROP TRIGGER IF EXISTS middle; CREATE TRIGGER middle AFTER INSERT ON seen_proofs BEGIN {change}; END"
        ),
        DatabaseSettings::Postgres { .. } => format!(
            "CREATE OR REPLACE FUNCTION middle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {change}; RETURN NEW; END $$; \
             CREATE OR REPLACE TRIGGER middle AFTER INSERT ON seen_proofs FOR EACH ROW EXECUTE FUNCTION middle()"
        ),
    };
    world.execute(trigger).await;
}

on_both_databases! {
    async fn a_pause_during_a_token_request_is_in_the_token(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let connector = Connector::new();
        let home = text(&connector.pair(world, &mut browser, "A").await, "instance_id").to_owned();
        let assertion = || connector.assertion(&home, world.clock.unix_seconds());
        assert!(!says_paused(&connector.dial_in_token(world, &assertion()).await));
        in_the_middle(world, "1").await;
        assert!(says_paused(&connector.dial_in_token(world, &assertion()).await));
        in_the_middle(world, "NULL").await;
        assert!(!says_paused(&connector.dial_in_token(world, &assertion()).await));
    }

    async fn a_home_is_paired_and_dials_in(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let connector = Connector::new();
        let begun = connector.begin(world, "Raspberry Pi").await;
        assert_eq!(text(&begun, "fingerprint"), fingerprint(connector.key.public()));
        assert_eq!(text(&begun, "verification_uri"), "https://cloud.example/pair");
        assert_eq!((begun["interval"].as_u64(), begun["expires_in"].as_u64()), (Some(5), Some(900)));
        assert_eq!(connector.poll(world, &begun).await.error(), "authorization_pending");
        decide(&mut browser, &begun, "allow").await;
        let answer = connector.poll(world, &begun).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        let paired = answer.json();
        assert_eq!((text(&paired, "token_type"), text(&paired, "scope")), ("DPoP", "relay"));
        assert_eq!(text(&paired, "home_name"), "My house");
        assert_eq!(text(&paired, "relay_url"), "wss://cloud.example/relay/v1/connect");
        assert_eq!(URL_SAFE_NO_PAD.decode(text(&paired, "skill_key_set")).unwrap(), b"signed key set");
        let instance = text(&paired, "instance_id");
        let answer = connector.dial_in_token(world, &connector.assertion(instance, world.clock.unix_seconds())).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let keys = KeySet::parse(&world.browser().get("/oauth/jwks").await.text).unwrap();
        for token in [text(&paired, "access_token"), text(&answer.json(), "access_token")] {
            let claims = instance_token::verify(token, &keys, ISSUER, world.clock.unix_seconds()).unwrap();
            assert_eq!(claims.sub.as_str(), instance);
            assert_eq!(claims.cnf.jkt, thumbprint(connector.key.public()));
            assert_eq!(claims.exp - claims.iat, 900);
            assert_eq!(claims.limits.commands_per_minute, 600);
        }
        assert!(browser.get("/homes").await.text.contains("My house"));
    }

    async fn a_lost_last_answer_is_given_again(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let connector = Connector::new();
        let begun = connector.begin(world, "").await;
        decide(&mut browser, &begun, "allow").await;
        let lost = connector.poll(world, &begun).await.json();
        let again = connector.poll(world, &begun).await.json();
        for name in ["instance_id", "home_name", "relay_url"] {
            assert_eq!(text(&again, name), text(&lost, name));
        }
        assert_eq!(Connector::new().poll(world, &begun).await.error(), "invalid_dpop_proof");
        // Not once the home is another's, or the time is over.
        let mut other = world.person("bob@example.org").await;
        connector.pair(world, &mut other, "").await;
        assert_eq!(connector.poll(world, &begun).await.error(), "invalid_grant");
        let begun = connector.begin(world, "").await;
        decide(&mut browser, &begun, "allow").await;
        assert_eq!(connector.poll(world, &begun).await.status, StatusCode::OK);
        world.advance(900);
        assert_eq!(connector.poll(world, &begun).await.error(), "invalid_grant");
    }

    async fn declining_and_waiting_too_long_end_a_pairing(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let connector = Connector::new();
        let begun = connector.begin(world, "").await;
        decide(&mut browser, &begun, "deny").await;
        assert_eq!(connector.poll(world, &begun).await.error(), "access_denied");
        let begun = connector.begin(world, "").await;
        world.advance(900);
        assert_eq!(connector.poll(world, &begun).await.error(), "expired_token");
        let uri = text(&begun, "verification_uri_complete").strip_prefix(ISSUER).unwrap();
        assert_eq!(browser.get(uri).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn hasty_connectors_are_slowed_down(world: &World) {
        let connector = Connector::new();
        let begun = connector.begin(world, "").await;
        assert_eq!(connector.poll(world, &begun).await.error(), "authorization_pending");
        assert_eq!(connector.poll(world, &begun).await.error(), "slow_down");
        world.advance(9);
        assert_eq!(connector.poll(world, &begun).await.error(), "slow_down");
        world.advance(15);
        assert_eq!(connector.poll(world, &begun).await.error(), "authorization_pending");
    }

    async fn opening_the_link_decides_nothing_and_a_decision_is_final(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let connector = Connector::new();
        let begun = connector.begin(world, "").await;
        let uri = text(&begun, "verification_uri_complete").strip_prefix(ISSUER).unwrap();
        let page = browser.get(uri).await;
        assert_eq!(connector.poll(world, &begun).await.error(), "authorization_pending");
        let denied = browser.submit(&page, "/pair", &[("decision", "deny")]).await;
        assert_eq!(denied.status, StatusCode::OK);
        let allowed = browser.submit(&page, "/pair", &[("decision", "allow")]).await;
        assert_eq!(allowed.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(connector.poll(world, &begun).await.error(), "access_denied");
    }

    async fn a_typed_code_leads_to_the_same_page(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let connector = Connector::new();
        let begun = connector.begin(world, "Raspberry Pi").await;
        let typed = text(&begun, "user_code").to_lowercase().replace('-', " ");
        let form = browser.get("/pair").await;
        let page = browser.submit(&form, "/pair", &[("user_code", &typed)]).await;
        assert!(page.text.contains(text(&begun, "fingerprint")) && page.text.contains("Raspberry Pi"));
        let done = browser.submit(&page, "/pair", &[("name", " "), ("decision", "allow")]).await;
        assert_eq!(done.status, StatusCode::OK);
        assert_eq!(text(&connector.poll(world, &begun).await.json(), "home_name"), "Raspberry Pi");
    }

    async fn an_allowed_home_is_shown_while_its_connector_has_not_come(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let mut eve = world.person("eve@example.org").await;
        let connector = Connector::new();
        let begun = connector.begin(world, "").await;
        decide(&mut browser, &begun, "allow").await;
        let page = browser.get("/homes").await.text;
        assert!(page.contains("Waiting for your connector") && page.contains("My house"), "{page}");
        assert!(page.contains(text(&begun, "fingerprint")) && !page.contains("No home yet"));
        assert!(eve.get("/homes").await.text.contains("No home yet"));
        let paired = connector.poll(world, &begun).await.json();
        world.advance(180);
        let page = browser.get("/homes").await.text;
        assert!(!page.contains("Waiting for your connector") && page.contains("My house"));
        let page = browser.get(&format!("/homes/{}", text(&paired, "instance_id"))).await.text;
        assert!(page.contains("Last signed in") && page.contains("3 minutes ago"), "{page}");
        // Renewing the link of a home that is there shows that home, once.
        let begun = connector.begin(world, "").await;
        decide(&mut browser, &begun, "allow").await;
        assert_eq!(browser.get("/homes").await.text.matches("<h2 id=").count(), 1);
        // And one whose connector never comes is not waited for for ever.
        let begun = Connector::new().begin(world, "").await;
        decide(&mut browser, &begun, "allow").await;
        world.advance(901);
        assert!(!browser.get("/homes").await.text.contains("Waiting for your connector"));
    }

    async fn a_name_cannot_turn_the_page_around(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let connector = Connector::new();
        let begun = connector.begin(world, "Pi\u{202e}esuoh").await;
        let uri = text(&begun, "verification_uri_complete").strip_prefix(ISSUER).unwrap();
        let page = browser.get(uri).await;
        assert!(page.text.contains("value=\"Piesuoh\""), "{}", page.text);
        browser.submit(&page, "/pair", &[("name", "\u{2066}Beach\u{200b}"), ("decision", "allow")]).await;
        let paired = connector.poll(world, &begun).await.json();
        assert_eq!(text(&paired, "home_name"), "Beach");
        let id = text(&paired, "instance_id");
        let page = browser.get(&format!("/homes/{id}")).await;
        let refused = browser.submit(&page, &format!("/homes/{id}/rename"), &[("name", "\u{202e}\u{200b}")]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        browser.submit(&page, &format!("/homes/{id}/rename"), &[("name", "\u{202e}Shore")]).await;
        let page = browser.get(&format!("/homes/{id}")).await;
        assert!(page.text.contains(">Shore<") && !page.text.contains('\u{202e}'));
    }

    async fn a_stranger_signs_up_on_the_way(world: &World) {
        let connector = Connector::new();
        let begun = connector.begin(world, "Pi").await;
        let mut browser = world.browser();
        let uri = text(&begun, "verification_uri_complete").strip_prefix(ISSUER).unwrap();
        let sign_in = browser.get(uri).await.location().to_owned();
        let page = browser.get(&sign_in).await;
        let link = page.text.split("href=\"/sign-up").nth(1).unwrap().split('"').next().unwrap();
        let form = browser.get(&format!("/sign-up{link}")).await;
        let landed = browser.submit(&form, "/sign-up", &[("email", "new@example.org"), ("password", "long enough")]).await;
        let location = landed.location().to_owned();
        assert_eq!(location, uri);
        let page = browser.get(&location).await;
        browser.submit(&page, "/pair", &[("name", "Pi"), ("decision", "allow")]).await;
        assert_eq!(connector.poll(world, &begun).await.status, StatusCode::OK);
    }

    async fn pairing_again_keeps_the_id_and_another_account_gets_a_new_one(world: &World) {
        let mut ada = world.person("ada@example.org").await;
        let mut eve = world.person("eve@example.org").await;
        let connector = Connector::new();
        let first = connector.pair(world, &mut ada, "A").await;
        let again = connector.pair(world, &mut ada, "B").await;
        assert_eq!(first["instance_id"], again["instance_id"]);
        let begun = connector.begin(world, "C").await;
        let uri = text(&begun, "verification_uri_complete").strip_prefix(ISSUER).unwrap();
        assert!(eve.get(uri).await.text.contains("linked to another account"));
        decide(&mut eve, &begun, "allow").await;
        // Allowed there, but still hers: only the connector's own proof moves it.
        assert!(ada.get("/homes").await.text.contains("My house"));
        let moved = connector.poll(world, &begun).await.json();
        assert_ne!(moved["instance_id"], first["instance_id"]);
        assert!(!ada.get("/homes").await.text.contains("My house"));
        assert!(eve.get("/homes").await.text.contains("My house"));
        let now = world.clock.unix_seconds();
        let old = connector.dial_in_token(world, &connector.assertion(text(&first, "instance_id"), now)).await;
        assert_eq!((old.status, old.error()), (StatusCode::UNAUTHORIZED, "invalid_client".into()));
        let new = connector.dial_in_token(world, &connector.assertion(text(&moved, "instance_id"), now)).await;
        assert_eq!(new.status, StatusCode::OK);
    }

    async fn pairing_needs_the_key_named(world: &World) {
        let (connector, thief) = (Connector::new(), Connector::new());
        let good = connector.pairing_proof(ISSUER, "macloud-pair+jwt");
        let wrong = [
            String::new(),
            "x.y.z".into(),
            thief.pairing_proof(ISSUER, "macloud-pair+jwt"),
            connector.pairing_proof("https://other.example", "macloud-pair+jwt"),
            connector.pairing_proof(ISSUER, "dpop+jwt"),
        ];
        let begin = async |client: &str, key: &str, proof: &str| {
            let form = [("client_id", client), ("instance_key", key), ("instance_proof", proof)];
            world.post("/oauth/device_authorization", &[], &form).await
        };
        for proof in wrong {
            let answer = begin("ma-connector", &connector.public(), &proof).await;
            assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_request".into()));
        }
        for key in ["", "AAAA", &"A".repeat(44)] {
            assert_eq!(begin("ma-connector", key, &good).await.error(), "invalid_request");
        }
        assert_eq!(begin("alexa", &connector.public(), &good).await.status, StatusCode::UNAUTHORIZED);
        // And who polls has to have it too: a stolen device code is not enough.
        let mut browser = world.person("ada@example.org").await;
        let begun = connector.begin(world, "").await;
        decide(&mut browser, &begun, "allow").await;
        assert_eq!(thief.poll(world, &begun).await.error(), "invalid_dpop_proof");
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", text(&begun, "device_code")), ("client_id", "ma-connector")];
        assert_eq!(world.post("/oauth/token", &[], &form).await.error(), "invalid_dpop_proof");
        assert_eq!(connector.poll(world, &begun).await.status, StatusCode::OK);
        for garbage in ["x", "mcd_x"] {
            let form = [form[0], ("device_code", garbage), form[2]];
            assert_eq!(world.post("/oauth/token", &[], &form).await.error(), "invalid_grant");
        }
    }

    async fn nobody_pairs_with_a_key_that_takes_forgeries(world: &World) {
        // The eight points of small order, and the other ways to write them.
        let one = |number: u8| { let mut y = [0; 32]; y[0] = number; y };
        let near_prime = |least: u8| { let mut y = [0xff; 32]; (y[0], y[31]) = (least, 0x7f); y };
        let order_eight = ["JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU", "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o"];
        let order_eight = order_eight.map(|text| <[u8; 32]>::try_from(URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap());
        let ys = [one(0), one(1), near_prime(0xec), near_prime(0xed), near_prime(0xee), order_eight[0], order_eight[1]];
        let with_sign = |y: [u8; 32]| { let mut key = y; key[31] |= 0x80; key };
        let points: Vec<[u8; 32]> = ys.into_iter().flat_map(|y| [y, with_sign(y)]).collect();
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","typ":"macloud-pair+jwt"}"#);
        for key in &points {
            let key = URL_SAFE_NO_PAD.encode(key);
            let claims = json!({ "aud": ISSUER, "key": key, "jti": "forged" });
            let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
            for point in &points {
                let signature = URL_SAFE_NO_PAD.encode([*point, [0; 32]].concat());
                let proof = format!("{signed}.{signature}");
                let form = [("client_id", "ma-connector"), ("instance_key", key.as_str()), ("instance_proof", proof.as_str())];
                let answer = world.post("/oauth/device_authorization", &[], &form).await;
                assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_request".into()), "{key}");
            }
        }
    }

    async fn unlinked_suspended_and_forged_homes_get_no_token(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let (connector, thief) = (Connector::new(), Connector::new());
        let paired = connector.pair(world, &mut browser, "A").await;
        let id = text(&paired, "instance_id");
        let now = world.clock.unix_seconds();
        let refused = async |by: &Connector, assertion: String| {
            let answer = by.dial_in_token(world, &assertion).await;
            assert_eq!((answer.status, answer.error()), (StatusCode::UNAUTHORIZED, "invalid_client".into()), "{}", answer.text);
        };
        let claims = |aud: &str, sub: &str, iat: u64, exp: u64| json!({ "iss": id, "sub": sub, "aud": aud, "iat": iat, "exp": exp, "jti": unique() });
        refused(&thief, thief.assertion(id, now)).await;
        refused(&connector, thief.assertion(id, now)).await;
        refused(&connector, "x.y.z".into()).await;
        refused(&connector, connector.assertion("0123456789abcdefghjkmnpqrs", now)).await;
        refused(&connector, connector.assertion(id, now - 3600)).await;
        refused(&connector, connector.assertion(id, now + 3600)).await;
        refused(&connector, connector.sign_assertion(&claims("https://other.example", id, now, now + 60))).await;
        refused(&connector, connector.sign_assertion(&claims(ISSUER, "alexa", now, now + 60))).await;
        refused(&connector, connector.sign_assertion(&claims(ISSUER, id, now, now + 301))).await;
        refused(&connector, connector.sign_assertion(&claims(ISSUER, id, now, u64::MAX >> 1))).await;
        refused(&connector, connector.sign_assertion(&json!({ "iss": id, "sub": id, "aud": ISSUER, "exp": now + 60 }))).await;
        for near in [now - 59, now + 60] {
            assert_eq!(connector.dial_in_token(world, &connector.assertion(id, near)).await.status, StatusCode::OK);
        }
        let both_audiences = connector.sign_assertion(&json!({ "iss": id, "sub": id, "aud": [TOKEN_URL, ISSUER], "exp": now + 60, "jti": unique() }));
        assert_eq!(connector.dial_in_token(world, &both_audiences).await.status, StatusCode::OK);

        let for_others_too = connector.sign_assertion(&json!({ "iss": id, "sub": id, "aud": [ISSUER, "x"], "exp": now + 60, "jti": unique() }));
        refused(&connector, for_others_too).await;

        world.service.set_user_suspended("ada@example.org", true).await.unwrap();
        // Not `invalid_client`: its owner would be told to pair it again.
        let answer = connector.dial_in_token(world, &connector.assertion(id, now)).await;
        assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "access_denied".into()));
        world.service.set_user_suspended("ada@example.org", false).await.unwrap();
        assert_eq!(connector.dial_in_token(world, &connector.assertion(id, now)).await.status, StatusCode::OK);

        let page = browser.get(&format!("/homes/{id}/unlink")).await;
        browser.submit(&page, &format!("/homes/{id}/unlink"), &[]).await;
        refused(&connector, connector.assertion(id, now)).await;
    }

    async fn proofs_and_assertions_count_once(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let connector = Connector::new();
        let paired = connector.pair(world, &mut browser, "A").await;
        let id = text(&paired, "instance_id");
        let now = world.clock.unix_seconds();
        let assertion = connector.assertion(id, now);
        assert_eq!(connector.dial_in_token(world, &assertion).await.status, StatusCode::OK);
        assert_eq!(connector.dial_in_token(world, &assertion).await.status, StatusCode::BAD_REQUEST);
        // The same proof with a fresh assertion, on another node.
        let form = |assertion: &str| [("grant_type", "client_credentials".to_owned()), ("client_assertion_type", ASSERTION_TYPE.to_owned()), ("client_assertion", assertion.to_owned())];
        let nonce = {
            let form = form(&connector.assertion(id, now));
            let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (*n, v.as_str())).collect();
            world.post("/oauth/token", &[("dpop", &connector.dpop(TOKEN_URL, None))], &form).await.header("dpop-nonce").to_owned()
        };
        let proof = connector.dpop(TOKEN_URL, Some(&nonce));
        let second_node = world.second_node().await;
        let mut seen = Vec::new();
        for router in [world.service.router(), second_node.router()] {
            let form = form(&connector.assertion(id, now));
            let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let request = crate::harness::form_request("/oauth/token", &[("dpop", &proof)], &form);
            seen.push(crate::harness::send(router, request).await.status);
        }
        assert_eq!(seen, [StatusCode::OK, StatusCode::BAD_REQUEST]);
        // An old nonce is asked to be renewed.
        world.advance(400);
        let fresh = form(&connector.assertion(id, now + 400));
        let fresh: Vec<(&str, &str)> = fresh.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let answer = world.post("/oauth/token", &[("dpop", &connector.dpop(TOKEN_URL, Some(&nonce)))], &fresh).await;
        assert_eq!(answer.error(), "use_dpop_nonce");
        second_node.close().await;
    }
}

#[tokio::test]
async fn guessing_codes_is_limited() {
    let limit = |config: &mut macloud_account_service::Config| {
        config.limits.wrong_pairing_codes = "5/600".parse().unwrap();
    };
    World::with_settings(Kind::Sqlite, limit, async |world| {
        let mut browser = world.person("ada@example.org").await;
        let begun = Connector::new().begin(world, "").await;
        for _ in 0..5 {
            assert_eq!(browser.get("/pair?user_code=BBBB-BBBB").await.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        let uri = text(&begun, "verification_uri_complete").strip_prefix(ISSUER).unwrap();
        let answer = browser.get(uri).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.header("retry-after"), "120");
        world.advance(120);
        // Right codes do not count.
        for _ in 0..10 {
            assert_eq!(browser.get(uri).await.status, StatusCode::OK);
        }
    })
    .await;
}
