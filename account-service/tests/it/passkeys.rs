//! Passkeys: making them, signing in, as a second step, to show anew that it is oneself; and everything that is refused.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::harness::{Answer, Browser, ISSUER, PASSWORD, World, encode_form, on_both_databases, send};

const EMAIL: &str = "ada@example.org";

/// An authenticator in somebody's pocket, with one passkey. Its fields are what tests bend.
pub struct Authenticator {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    user: String,
    counter: u32,
    origin: String,
    verifies_user: bool,
}

impl Authenticator {
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let id = crate::harness::unique().into_bytes();
        Self { key, id, user: String::new(), counter: 1, origin: ISSUER.into(), verifies_user: true }
    }

    /// Answer `navigator.credentials.create`.
    fn make(&mut self, options: &Value) -> String {
        self.user = options["user"]["id"].as_str().unwrap().to_owned();
        let point = self.key.public_key().as_ref();
        let mut data = self.authenticator_data(0x40);
        data.extend([0; 16]);
        data.extend((self.id.len() as u16).to_be_bytes());
        data.extend(&self.id);
        // COSE: an elliptic-curve key, ES256, P-256, x, y.
        data.extend([0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32]);
        data.extend(&point[1..33]);
        data.extend([0x22, 0x58, 32]);
        data.extend(&point[33..]);
        let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
        attestation.extend((data.len() as u16).to_be_bytes());
        attestation.extend(&data);
        let client = self.client_data("webauthn.create", options);
        self.answer(json!({ "clientDataJSON": text(&client), "attestationObject": text(&attestation) }))
    }

    /// Answer `navigator.credentials.get`.
    fn sign(&mut self, options: &Value) -> String {
        self.counter += 1;
        let data = self.authenticator_data(0);
        let client = self.client_data("webauthn.get", options);
        let signed = [data.as_slice(), digest(&SHA256, &client).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        self.answer(json!({
            "clientDataJSON": text(&client), "authenticatorData": text(&data), "signature": text(signature.as_ref()),
            "userHandle": self.user,
        }))
    }

    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let host = ISSUER.strip_prefix("https://").unwrap();
        let user = if self.verifies_user { 5 } else { 1 };
        [digest(&SHA256, host.as_bytes()).as_ref(), &[flags | user], &self.counter.to_be_bytes()].concat()
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let data =
            json!({ "type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": false });
        data.to_string().into_bytes()
    }

    fn answer(&self, response: Value) -> String {
        json!({ "id": text(&self.id), "rawId": text(&self.id), "type": "public-key", "response": response }).to_string()
    }
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a page's form asks the browser for.
fn options(page: &Answer, action: &str) -> Value {
    let forms = page.text.split("<form ").filter(|form| form.contains(&format!("action=\"{action}\"")));
    let form = forms.into_iter().find(|form| form.contains("data-options=")).unwrap_or_else(|| panic!("{}", page.text));
    serde_json::from_str(&crate::harness::attribute(form, "data-options")).unwrap()
}

/// The hidden fields of the form that asks for a passkey, answered.
fn fields(page: &Answer, action: &str, credential: &str) -> Vec<(String, String)> {
    let start = page.text.find("data-passkey=\"get\"").unwrap_or_else(|| panic!("{}", page.text));
    let start = page.text[..start].rfind("<form ").unwrap();
    let form = Answer { status: page.status, headers: page.headers.clone(), text: page.text[start..].to_owned() };
    let mut fields = form.hidden_fields(action);
    fields.retain(|(name, _)| name != "credential");
    fields.push(("credential".into(), credential.to_owned()));
    fields
}

/// Add a passkey to the account that is signed in.
pub async fn add(browser: &mut Browser<'_>, name: &str) -> (Authenticator, Answer) {
    let mut authenticator = Authenticator::new();
    let page = browser.get("/security/passkeys").await;
    let answer = authenticator.make(&options(&page, "/security/passkeys/add"));
    let mut fields = page.hidden_fields("/security/passkeys/add");
    fields.retain(|(name, _)| name != "credential");
    fields.extend([("credential".to_owned(), answer), ("name".to_owned(), name.to_owned())]);
    let added = browser.post("/security/passkeys/add", &fields).await;
    assert_eq!(added.status, StatusCode::OK, "{}", added.text);
    (authenticator, added)
}

pub async fn sign_in(browser: &mut Browser<'_>, authenticator: &mut Authenticator, page: &str) -> Answer {
    let page = browser.get(page).await;
    let answer = authenticator.sign(&options(&page, "/sign-in/passkey"));
    browser.post("/sign-in/passkey", &fields(&page, "/sign-in/passkey", &answer)).await
}

on_both_databases! {
    async fn a_passkey_signs_in_without_address_and_password(world: &World) {
        let mut browser = world.person(EMAIL).await;
        let (mut phone, added) = add(&mut browser, "My <phone>").await;
        assert!(added.text.contains("My &#60;phone&#62;") && !added.text.contains("last used"), "{}", added.text);
        assert!(world.mails().iter().any(|mail| mail.contains("was just added")), "they hear of it");
        let mut other = world.browser();
        let landed = sign_in(&mut other, &mut phone, "/sign-in?next=%2Fapps").await;
        assert_eq!((landed.status, landed.location()), (StatusCode::SEE_OTHER, "/apps"), "{}", landed.text);
        let list = other.get("/security/passkeys").await;
        assert!(list.text.contains("last used"), "{}", list.text);
        // The device cannot be added twice, and a second one can.
        assert!(options(&list, "/security/passkeys/add")["excludeCredentials"][0]["id"].is_string());
        let (mut key, _) = add(&mut browser, "").await;
        assert_eq!(sign_in(&mut world.browser(), &mut key, "/sign-in").await.status, StatusCode::SEE_OTHER);
        let exported = browser.get("/security").await;
        let exported = browser.submit(&exported, "/account/export", &[]).await.json();
        assert_eq!(exported["passkeys"].as_array().unwrap().len(), 2);
    }

    async fn a_passkey_has_the_name_its_owner_gives_and_goes_when_they_say(world: &World) {
        let mut browser = world.person(EMAIL).await;
        let (mut phone, list) = add(&mut browser, "Phone").await;
        let action = list.text.split("action=\"").find(|rest| rest.contains("/rename\"")).unwrap();
        let rename = action.split('"').next().unwrap().to_owned();
        let remove = rename.replace("/rename", "/remove");
        let mut eve = world.person("eve@example.org").await;
        let own = eve.get("/security/passkeys").await;
        let token = own.hidden_fields("/security/passkeys/add")[0].clone();
        assert_eq!(eve.post(&remove, std::slice::from_ref(&token)).await.status, StatusCode::FORBIDDEN, "not that form");
        let security = eve.get("/security").await.hidden_fields("/security/password");
        eve.post(&remove, &security[..1]).await;
        browser.submit(&list, &rename, &[("name", "Old phone")]).await;
        let list = browser.get("/security/passkeys").await;
        assert!(list.text.contains("Old phone"), "and nobody else removed it: {}", list.text);
        browser.submit(&list, &remove, &[]).await;
        let gone = sign_in(&mut world.browser(), &mut phone, "/sign-in").await;
        assert_eq!(gone.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(world.mails().iter().any(|mail| mail.contains("was just removed")));
    }

    async fn what_does_not_fit_is_refused_alike(world: &World) {
        let mut browser = world.person(EMAIL).await;
        let (mut phone, _) = add(&mut browser, "Phone").await;
        let mut stranger = world.browser();
        let page = stranger.get("/sign-in").await;
        let asked = options(&page, "/sign-in/passkey");
        let mut refusals = Vec::new();
        let mut bent: Vec<(&str, String)> = Vec::new();
        phone.origin = "https://cloud.example.evil".into();
        bent.push(("another origin", phone.sign(&asked)));
        phone.origin = ISSUER.into();
        phone.verifies_user = false;
        bent.push(("nobody verified", phone.sign(&asked)));
        phone.verifies_user = true;
        let user = std::mem::replace(&mut phone.user, text(&[7; 16]));
        bent.push(("somebody else's name", phone.sign(&asked)));
        phone.user = user;
        let mut other = asked.clone();
        other["challenge"] = json!(text(&[1; 32]));
        bent.push(("another challenge", phone.sign(&other)));
        bent.push(("an unknown passkey", Authenticator::new().sign(&asked)));
        let mut forged: Value = serde_json::from_str(&phone.sign(&asked)).unwrap();
        forged["response"]["signature"] = json!(text(&[0; 70]));
        bent.push(("another signature", forged.to_string()));
        bent.push(("nonsense", "{}".into()));
        bent.push(("nothing", "x".into()));
        for (what, answer) in bent {
            let refused = stranger.post("/sign-in/passkey", &fields(&page, "/sign-in/passkey", &answer)).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{what}");
            let said = refused.text.split("role=\"alert\" id=\"problem\">").nth(1).unwrap().split('<').next().unwrap();
            refusals.push(said.to_owned());
        }
        refusals.dedup();
        assert_eq!(refusals.len(), 1, "one sentence for all: {refusals:?}");
        assert_eq!(stranger.get("/homes").await.status, StatusCode::SEE_OTHER);
        // A passkey that was copied gives itself away by its counter.
        phone.counter = 50;
        assert_eq!(sign_in(&mut world.browser(), &mut phone, "/sign-in").await.status, StatusCode::SEE_OTHER);
        phone.counter = 20;
        assert_eq!(sign_in(&mut world.browser(), &mut phone, "/sign-in").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn an_answer_counts_once_in_its_browser_and_not_for_long(world: &World) {
        let mut browser = world.person(EMAIL).await;
        let (mut phone, _) = add(&mut browser, "Phone").await;
        let mut right = world.browser();
        let page = right.get("/sign-in").await;
        let answer = phone.sign(&options(&page, "/sign-in/passkey"));
        let answered = fields(&page, "/sign-in/passkey", &answer);
        // Somebody who copied it all, but not the cookie.
        let mut thief = world.browser();
        let own = thief.get("/sign-in").await;
        let mut copied = answered.clone();
        copied[0] = fields(&own, "/sign-in/passkey", "")[0].clone();
        assert_eq!(thief.post("/sign-in/passkey", &copied).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        // Twice, in two processes.
        let cookie = right.cookie.clone().unwrap();
        let node = world.second_node().await;
        let request = || {
            http::Request::post("/sign-in/passkey")
                .header("cookie", format!("__Host-macloud={cookie}"))
                .header("origin", ISSUER)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(encode_form(&answered).into())
                .unwrap()
        };
        let (one, two) = tokio::join!(world.send(request()), send(node.router(), request()));
        let mut outcomes = [one.status, two.status];
        outcomes.sort();
        assert_eq!(outcomes, [StatusCode::SEE_OTHER, StatusCode::UNPROCESSABLE_ENTITY], "{}", two.text);
        node.close().await;
        let mut late = world.browser();
        let page = late.get("/sign-in").await;
        let answer = phone.sign(&options(&page, "/sign-in/passkey"));
        world.advance(600);
        let refused = late.post("/sign-in/passkey", &fields(&page, "/sign-in/passkey", &answer)).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn a_passkey_is_a_second_step_for_its_own_account_only(world: &World) {
        let mut browser = world.person(EMAIL).await;
        let (mut phone, _) = add(&mut browser, "Phone").await;
        crate::second_step::turn_on(world, &mut browser).await;
        let mut eve = world.person("eve@example.org").await;
        let (mut others, _) = add(&mut eve, "Eve's").await;
        let mut other = world.browser();
        let page = other.get("/sign-in?next=%2Fapps").await;
        let page = other.submit(&page, "/sign-in", &[("email", EMAIL), ("password", PASSWORD)]).await;
        let asked = options(&page, "/sign-in/code");
        assert_eq!(asked["allowCredentials"].as_array().unwrap().len(), 1);
        let wrong = others.sign(&asked);
        let page = other.post("/sign-in/code", &fields(&page, "/sign-in/code", &wrong)).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        let right = phone.sign(&options(&page, "/sign-in/code"));
        let landed = other.post("/sign-in/code", &fields(&page, "/sign-in/code", &right)).await;
        assert_eq!((landed.status, landed.location()), (StatusCode::SEE_OTHER, "/apps"), "{}", landed.text);
        // Whoever signs in with a passkey has shown both already.
        assert_eq!(sign_in(&mut world.browser(), &mut phone, "/sign-in").await.status, StatusCode::SEE_OTHER);
    }

    async fn people_show_anew_that_it_is_them_with_what_they_have(world: &World) {
        let mut browser = world.person(EMAIL).await;
        let (mut phone, _) = add(&mut browser, "Phone").await;
        world.advance(901);
        let stale = browser.get("/security/passkeys").await;
        assert!(!stale.text.contains("data-passkey=\"create\""), "nothing is made before it is known who asks");
        let page = browser.get("/security").await;
        let sent = browser.submit(&page, "/security/app", &[]).await;
        let again = sent.location().to_owned();
        assert!(again.ends_with("&again=1"));
        let shown = browser.get(&again).await;
        assert!(shown.text.contains("Show that it is you") && shown.text.contains(EMAIL), "{}", shown.text);
        assert_eq!(options(&shown, "/sign-in/passkey")["allowCredentials"].as_array().unwrap().len(), 1);
        let landed = sign_in(&mut browser, &mut phone, &again).await;
        assert_eq!(landed.location(), "/security");
        let (app, _) = crate::second_step::turn_on(world, &mut browser).await;
        // By the app, too.
        world.advance(901);
        let shown = browser.get(&again).await;
        let wrong = browser.submit(&shown, "/sign-in/app", &[("code", "000000")]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        let landed = browser.submit(&wrong, "/sign-in/app", &[("code", &app.shows(world))]).await;
        assert_eq!((landed.status, landed.location()), (StatusCode::SEE_OTHER, "/security"), "{}", landed.text);
        let page = browser.get("/security").await;
        let changed = browser.submit(&page, "/security/password", &[("new_password", "another long one")]).await;
        assert_eq!(changed.status, StatusCode::OK);
        // For strangers there is no such way.
        let mut stranger = world.browser();
        let form = stranger.get("/sign-in").await.hidden_fields("/sign-in");
        world.advance(30);
        let fields: Vec<_> = form.into_iter().chain([("code".to_owned(), app.shows(world))]).collect();
        assert_eq!(stranger.post("/sign-in/app", &fields).await.status, StatusCode::FORBIDDEN);
    }

    async fn only_pages_that_need_our_script_may_run_it(world: &World) {
        let mut browser = world.person(EMAIL).await;
        for (page, scripts) in [("/security/passkeys", true), ("/security", false), ("/homes", false)] {
            let policy = browser.get(page).await.header("content-security-policy").to_owned();
            assert_eq!(policy.contains("script-src 'self';"), scripts, "{page}: {policy}");
            assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
        }
        let page = world.browser().get("/sign-in").await;
        assert!(page.header("content-security-policy").contains("script-src 'self';"));
        let script = page.text.split("<script src=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let script = world.browser().get(&script).await;
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
        assert!(page.text.contains("hidden>") && !page.text.contains("onclick"));
    }
}
