//! Signing in through another OpenID provider: a small one of our own that does as tests tell it, also the hostile ways.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use macloud_account_service::{Config, IdentityProvider, SignUp};
use macloud_proto::jose::sha256_base64url;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::harness::{Answer, Browser, Kind, NOW, PASSWORD, World};

const EMAIL: &str = "ada@example.org";
const SECRET: &str = "a secret of the provider's client";

/// A provider on this machine.
#[derive(Clone)]
struct Fake {
    issuer: String,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    key: EcdsaKeyPair,
    kid: String,
    /// By code: what was asked for, and what is to be said.
    codes: HashMap<String, Said>,
    says_issuer: bool,
    fetched_keys: usize,
    away: bool,
}

/// What a redeemed code says.
#[derive(Clone)]
struct Said {
    challenge: String,
    claims: Value,
    bent: Bent,
}

#[derive(Clone, Copy, PartialEq)]
enum Bent {
    Not,
    Unsigned,
    SignedWithSecret,
    SignedWithAnotherKey,
    Empty,
    Redirect,
    Endless,
}

impl Fake {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let inner = Inner {
            key: new_key(),
            kid: "one".into(),
            codes: HashMap::new(),
            says_issuer: false,
            fetched_keys: 0,
            away: false,
        };
        let fake = Self { issuer, inner: Arc::new(Mutex::new(inner)) };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(user_info))
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        fake
    }

    fn settings(&self, id: &str) -> IdentityProvider {
        IdentityProvider {
            id: id.into(),
            name: format!("The {id} provider"),
            issuer: self.issuer.clone(),
            client_id: "cloud".into(),
            client_secret_file: None,
            client_secret: Some(SECRET.into()),
            scopes: vec!["openid".into(), "email".into()],
            trust_verified_email: true,
            dangerous_allow_private_addresses: true,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn rotate_key(&self) {
        let mut inner = self.lock();
        (inner.key, inner.kid) = (new_key(), "two".into());
    }

    /// Sign somebody in there: a code for what `asked` asks for.
    fn code(&self, asked: &Asked, claims: Value, bent: Bent) -> String {
        let mut all = json!({
            "iss": self.issuer, "aud": "cloud", "sub": "ada-there", "iat": NOW, "exp": NOW + 3600, "nonce": asked.value("nonce"),
            "auth_time": NOW, "email": EMAIL, "email_verified": true,
        });
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
            if value.is_null() {
                all.as_object_mut().unwrap().remove(name);
            }
        }
        let code = crate::harness::unique();
        let said = Said { challenge: asked.value("code_challenge"), claims: all, bent };
        self.lock().codes.insert(code.clone(), said);
        code
    }
}

fn new_key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap()
}

async fn metadata(State(fake): State<Fake>) -> Response {
    let issuer = &fake.issuer;
    let inner = fake.lock();
    if inner.away {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    Json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"), "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"), "userinfo_endpoint": format!("{issuer}/userinfo"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
        "authorization_response_iss_parameter_supported": inner.says_issuer,
    }))
    .into_response()
}

async fn keys(State(fake): State<Fake>) -> Response {
    let mut inner = fake.lock();
    inner.fetched_keys += 1;
    let point = inner.key.public_key().as_ref();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
    Json(json!({ "keys": [{ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": inner.kid, "x": x, "y": y }] }))
        .into_response()
}

async fn token(State(fake): State<Fake>, headers: HeaderMap, Form(form): Form<HashMap<String, String>>) -> Response {
    let mut inner = fake.lock();
    // As RFC 6749 wants it: both halves encoded as in a form.
    let expected =
        format!("Basic {}", STANDARD.encode(format!("cloud:{}", SECRET.replace(' ', "+").replace('\'', "%27"))));
    assert_eq!(headers["authorization"], expected.as_str());
    let Some(said) = inner.codes.remove(&form["code"]) else { return refusal() };
    if sha256_base64url(form["code_verifier"].as_bytes()) != said.challenge {
        return refusal();
    }
    let header = |alg: &str| json!({ "alg": alg, "kid": inner.kid }).to_string();
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let body = encode(&said.claims.to_string());
    let signed = |key: &EcdsaKeyPair| {
        let text = format!("{}.{body}", encode(&header("ES256")));
        let signature = key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    };
    let id_token = match said.bent {
        Bent::Not => signed(&inner.key),
        Bent::Unsigned => format!("{}.{body}.", encode(&json!({ "alg": "none" }).to_string())),
        Bent::SignedWithSecret => {
            let text = format!("{}.{body}", encode(&json!({ "alg": "HS256" }).to_string()));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text.as_bytes());
            format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
        }
        Bent::SignedWithAnotherKey => signed(&new_key()),
        Bent::Empty => return Json(json!({ "access_token": "a", "token_type": "Bearer" })).into_response(),
        Bent::Redirect => {
            return (StatusCode::TEMPORARY_REDIRECT, [("location", format!("{}/token", fake.issuer))]).into_response();
        }
        Bent::Endless => return "x".repeat(1 << 20).into_response(),
    };
    Json(json!({ "access_token": "a", "token_type": "Bearer", "id_token": id_token })).into_response()
}

fn refusal() -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response()
}

async fn user_info() -> Response {
    Json(json!({ "sub": "ada-there", "email": "told.later@example.org", "email_verified": true })).into_response()
}

/// What our page asks of the provider.
struct Asked(url::Url);

impl Asked {
    fn of(page: &Answer) -> Self {
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        let link = page.text.split("<a class=\"button\" ").nth(1).unwrap_or_else(|| panic!("{}", page.text));
        Self(crate::harness::attribute(link, "href").parse().unwrap())
    }

    fn value(&self, name: &str) -> String {
        self.0.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }
}

/// On the way to the provider.
async fn leave(browser: &mut Browser<'_>, page: &str, id: &str) -> Asked {
    let page = browser.get(page).await;
    let action = format!("/sign-in/with/{id}");
    Asked::of(&browser.submit(&page, &action, &[]).await)
}

async fn come_back(browser: &mut Browser<'_>, id: &str, asked: &Asked, code: &str) -> Answer {
    let state = asked.value("state");
    browser.get(&format!("/sign-in/from/{id}?code={code}&state={state}")).await
}

/// There and back as somebody.
async fn sign_in(fake: &Fake, browser: &mut Browser<'_>, claims: Value) -> Answer {
    let asked = leave(browser, "/sign-in?next=%2Fapps", "home").await;
    let code = fake.code(&asked, claims, Bent::Not);
    come_back(browser, "home", &asked, &code).await
}

async fn link(fake: &Fake, browser: &mut Browser<'_>, claims: Value) -> Answer {
    let page = browser.get("/security/providers").await;
    let asked = Asked::of(&browser.submit(&page, "/security/providers/link/home", &[]).await);
    let code = fake.code(&asked, claims, Bent::Not);
    come_back(browser, "home", &asked, &code).await
}

async fn with_provider(kind: Kind, change: impl FnOnce(&mut Config), test: impl AsyncFnOnce(&World, &Fake)) {
    let fake = Fake::start().await;
    let settings = |config: &mut Config| {
        config.identity_providers = vec![fake.settings("home")];
        change(config);
    };
    World::with_settings(kind, settings, async |world| test(world, &fake).await).await;
}

/// Runs each test on both databases, with a provider.
macro_rules! with_a_provider {
    ($(async fn $name:ident($world:ident: &World, $fake:ident: &Fake) $body:block)*) => {
        $(
            mod $name {
                use crate::harness::Kind;

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn sqlite() {
                    super::with_provider(Kind::Sqlite, |_| {}, async |world, fake| super::$name(world, fake).await).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn postgres() {
                    super::with_provider(Kind::Postgres, |_| {}, async |world, fake| super::$name(world, fake).await).await;
                }
            }

            async fn $name($world: &World, $fake: &Fake) $body
        )*
    };
}

with_a_provider! {
    async fn somebody_new_gets_an_account_and_comes_back_to_it(world: &World, fake: &Fake) {
        let mut browser = world.browser();
        let landed = sign_in(fake, &mut browser, json!({})).await;
        assert_eq!((landed.status, landed.location()), (StatusCode::SEE_OTHER, "/apps"), "{}", landed.text);
        assert_eq!(sign_in(fake, &mut world.browser(), json!({ "email": "moved@example.org" })).await.location(), "/apps");
        let users = world.service.list_users().await.unwrap();
        assert_eq!(users.iter().map(|user| user.email.as_str()).collect::<Vec<_>>(), [EMAIL], "subjects count, not addresses");
        assert!(!browser.get("/security").await.text.contains("Not confirmed"));
        // No password opens it, not even an empty one.
        for password in ["", "x", PASSWORD] {
            let mut thief = world.browser();
            let page = thief.get("/sign-in").await;
            let refused = thief.submit(&page, "/sign-in", &[("email", EMAIL), ("password", password)]).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
        }
        // The last way stays, until there is another.
        let page = browser.get("/security/providers").await;
        let refused = browser.submit(&page, "/security/providers/unlink", &[]).await;
        assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.text.contains("last way"), "{}", refused.text);
        let security = browser.get("/security").await;
        browser.submit(&security, "/security/password", &[("new_password", PASSWORD)]).await;
        assert_eq!(browser.submit(&page, "/security/providers/unlink", &[]).await.status, StatusCode::SEE_OTHER);
        assert!(browser.get("/security/providers").await.text.contains("None is linked"));
    }

    async fn an_account_that_is_there_is_opened_by_nobodys_address(world: &World, fake: &Fake) {
        let mut owner = world.person(EMAIL).await;
        let refused = sign_in(fake, &mut world.browser(), json!({})).await;
        assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.text.contains("sign in to it"), "{}", refused.text);
        let linked = link(fake, &mut owner, json!({})).await;
        assert!(linked.status == StatusCode::OK && linked.text.contains("can sign you in"), "{}", linked.text);
        assert!(world.mails().iter().any(|mail| mail.contains("was just linked")));
        assert_eq!(sign_in(fake, &mut world.browser(), json!({})).await.location(), "/apps");
        // One person there is one account here.
        let mut eve = world.person("eve@example.org").await;
        let refused = link(fake, &mut eve, json!({})).await;
        assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.text.contains("somebody else"), "{}", refused.text);
    }

    async fn an_address_that_nobody_vouches_for_makes_no_account(world: &World, fake: &Fake) {
        for claims in [json!({ "email_verified": false }), json!({ "email_verified": null }), json!({ "email": "a<ada@example.org>" })] {
            let refused = sign_in(fake, &mut world.browser(), claims).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
        }
        assert!(world.service.list_users().await.unwrap().is_empty());
        // Some tell it only when they are asked again.
        let landed = sign_in(fake, &mut world.browser(), json!({ "email": null })).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.text);
        assert_eq!(world.service.list_users().await.unwrap()[0].email, "told.later@example.org");
    }

    async fn the_second_step_is_asked_here_too(world: &World, fake: &Fake) {
        let mut browser = world.person(EMAIL).await;
        link(fake, &mut browser, json!({})).await;
        let (app, _) = crate::second_step::turn_on(world, &mut browser).await;
        world.advance(30);
        let mut other = world.browser();
        let asked = sign_in(fake, &mut other, json!({})).await;
        assert!(asked.status == StatusCode::OK && asked.text.contains("Second step"), "{}", asked.text);
        assert_eq!(other.get("/homes").await.status, StatusCode::SEE_OTHER);
        let landed = other.submit(&asked, "/sign-in/code", &[("code", &app.shows(world))]).await;
        assert_eq!((landed.status, landed.location()), (StatusCode::SEE_OTHER, "/apps"));
    }

    async fn what_cannot_be_believed_opens_nothing(world: &World, fake: &Fake) {
        sign_in(fake, &mut world.browser(), json!({})).await;
        let lies = [
            (json!({ "nonce": "another" }), Bent::Not),
            (json!({ "nonce": null }), Bent::Not),
            (json!({ "iss": "https://evil.example" }), Bent::Not),
            (json!({ "aud": "another" }), Bent::Not),
            (json!({ "aud": ["cloud", "another"] }), Bent::Not),
            (json!({ "exp": NOW - 1 }), Bent::Not),
            (json!({ "azp": "another" }), Bent::Not),
            (json!({ "iat": NOW + 86_400 }), Bent::Not),
            (json!({ "sub": "ada\u{0}" }), Bent::Not),
            (json!({ "sub": "" }), Bent::Not),
            (json!({ "sub": "a".repeat(256) }), Bent::Not),
            (json!({}), Bent::Unsigned),
            (json!({}), Bent::SignedWithSecret),
            (json!({}), Bent::SignedWithAnotherKey),
            (json!({}), Bent::Empty),
            (json!({}), Bent::Redirect),
            (json!({}), Bent::Endless),
        ];
        for (at, (claims, bent)) in lies.into_iter().enumerate() {
            let mut browser = world.browser();
            let asked = leave(&mut browser, "/sign-in", "home").await;
            let code = fake.code(&asked, claims, bent);
            let refused = come_back(&mut browser, "home", &asked, &code).await;
            assert!(refused.status.is_client_error() || refused.status == StatusCode::SERVICE_UNAVAILABLE, "{at}");
            assert_eq!(browser.get("/homes").await.status, StatusCode::SEE_OTHER, "{at}");
        }
        // The code of somebody else, or another's answer to another question.
        let (mut one, mut two) = (world.browser(), world.browser());
        let asked_one = leave(&mut one, "/sign-in", "home").await;
        let asked_two = leave(&mut two, "/sign-in", "home").await;
        let code = fake.code(&asked_two, json!({}), Bent::Not);
        let injected = come_back(&mut one, "home", &asked_one, &code).await;
        assert_ne!(injected.status, StatusCode::SEE_OTHER, "PKCE binds codes to who asked");
    }

    async fn a_way_back_is_for_its_browser_once_and_not_for_long(world: &World, fake: &Fake) {
        let mut browser = world.browser();
        let asked = leave(&mut browser, "/sign-in", "home").await;
        let code = fake.code(&asked, json!({}), Bent::Not);
        let mut victim = world.browser();
        victim.get("/sign-in").await;
        let forced = come_back(&mut victim, "home", &asked, &code).await;
        assert_eq!(forced.status, StatusCode::UNPROCESSABLE_ENTITY, "nobody is signed in as somebody else");
        let landed = come_back(&mut browser, "home", &asked, &code).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.text);
        let replayed = come_back(&mut browser, "home", &asked, &code).await;
        assert_eq!(replayed.status, StatusCode::UNPROCESSABLE_ENTITY);
        let mut late = world.browser();
        let asked = leave(&mut late, "/sign-in", "home").await;
        let code = fake.code(&asked, json!({}), Bent::Not);
        world.advance(600);
        assert_eq!(come_back(&mut late, "home", &asked, &code).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        let declined = leave(&mut late, "/sign-in", "home").await;
        let back = format!("/sign-in/from/home?error=access_denied&state={}", declined.value("state"));
        let declined = late.get(&back).await;
        assert!(declined.text.contains("You did not sign in"), "{}", declined.text);
        assert_eq!(late.get("/sign-in/from/nobody?code=x&state=y").await.status, StatusCode::NOT_FOUND);
    }

    async fn new_keys_are_found_and_not_asked_for_again_and_again(world: &World, fake: &Fake) {
        assert_eq!(sign_in(fake, &mut world.browser(), json!({})).await.status, StatusCode::SEE_OTHER);
        assert_eq!(fake.lock().fetched_keys, 1);
        fake.rotate_key();
        for _ in 0..3 {
            assert_eq!(sign_in(fake, &mut world.browser(), json!({})).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        assert_eq!(fake.lock().fetched_keys, 1, "just fetched");
        world.advance(60);
        assert_eq!(sign_in(fake, &mut world.browser(), json!({})).await.status, StatusCode::SEE_OTHER);
        assert_eq!(fake.lock().fetched_keys, 2);
        // Away for a while: what is known is enough.
        fake.lock().away = true;
        world.advance(2 * 3600);
        assert_eq!(sign_in(fake, &mut world.browser(), json!({ "exp": NOW + 9000 })).await.status, StatusCode::SEE_OTHER);
    }

    async fn people_show_anew_that_it_is_them_at_their_provider(world: &World, fake: &Fake) {
        let mut browser = world.browser();
        sign_in(fake, &mut browser, json!({})).await;
        world.advance(901);
        let page = browser.get("/security/providers").await;
        assert!(page.text.contains("<h3>The home provider"), "{}", page.text);
        let security = browser.get("/security").await;
        let again = browser.submit(&security, "/security/app", &[]).await.location().to_owned();
        let shown = browser.get(&again).await;
        assert!(!shown.text.contains("name=\"password\""), "only what they have is asked for: {}", shown.text);
        for (signed_in_at, status) in [(json!(NOW), StatusCode::UNPROCESSABLE_ENTITY), (json!(null), StatusCode::UNPROCESSABLE_ENTITY), (json!(NOW + 901), StatusCode::SEE_OTHER)] {
            let asked = leave(&mut browser, &again, "home").await;
            assert_eq!((asked.value("prompt").as_str(), asked.value("max_age").as_str()), ("login", "0"));
            let code = fake.code(&asked, json!({ "auth_time": signed_in_at }), Bent::Not);
            let back = come_back(&mut browser, "home", &asked, &code).await;
            assert_eq!(back.status, status, "{}", back.text);
        }
        let security = browser.get("/security").await;
        assert_eq!(browser.submit(&security, "/security/app", &[]).await.status, StatusCode::OK);
    }
}

with_a_provider! {
    async fn a_provider_that_remembers_the_browser_is_no_recent_sign_in(world: &World, fake: &Fake) {
        let mut browser = world.browser();
        for (told, recent) in [(json!(NOW - 100_000), false), (json!(null), false), (json!(NOW + 100_000), true), (json!(NOW), true)] {
            assert_eq!(sign_in(fake, &mut browser, json!({ "auth_time": told })).await.status, StatusCode::SEE_OTHER);
            assert_eq!(browser.get("/homes").await.status, StatusCode::OK);
            let security = browser.get("/security").await;
            let asked = browser.submit(&security, "/security/app", &[]).await;
            if recent {
                assert_eq!(asked.status, StatusCode::OK, "{told}: {}", asked.text);
            } else {
                assert!(asked.location().ends_with("&again=1"), "{told}: {}", asked.text);
                let page = browser.get(asked.location()).await;
                assert!(page.text.contains("/forgot"), "a code by mail is always a way: {}", page.text);
            }
            // Not "again": nobody is signed in.
            browser = world.browser();
        }
    }

    async fn a_provider_that_is_gone_is_no_way_in(world: &World, fake: &Fake) {
        let mut browser = world.browser();
        sign_in(fake, &mut browser, json!({})).await;
        let (_, list) = crate::passkeys::add(&mut browser, "Phone").await;
        let remove = list.text.split("action=\"").find(|rest| rest.split('"').next().unwrap().ends_with("/remove")).unwrap();
        let remove = remove.split('"').next().unwrap();
        // As if the operator had taken it away.
        world.execute("UPDATE identities SET issuer = 'https://gone.example'".into()).await;
        let refused = browser.submit(&list, remove, &[]).await;
        assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.text.contains("last way"), "{}", refused.text);
        world.execute(format!("UPDATE identities SET issuer = '{}'", fake.issuer)).await;
        assert_eq!(browser.submit(&list, remove, &[]).await.status, StatusCode::SEE_OTHER);
    }

    async fn a_provider_that_was_linked_before_the_first_proof_opens_nothing(world: &World, fake: &Fake) {
        let mut thief = world.browser();
        let page = thief.get("/sign-up").await;
        thief.submit(&page, "/sign-up", &[("email", "victim@example.org"), ("password", PASSWORD)]).await;
        assert_eq!(link(fake, &mut thief, json!({})).await.status, StatusCode::OK);
        let mut owner = world.browser();
        let before = world.mails();
        let page = owner.get("/forgot").await;
        let page = owner.submit(&page, "/forgot", &[("email", "victim@example.org")]).await;
        let mail = world.mails().into_iter().find(|mail| !before.contains(mail)).unwrap();
        let code = mail.split("Subject: ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        let landed = owner.submit(&page, "/reset", &[("code", &code), ("password", "a new long one")]).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.text);
        let mut again = world.browser();
        sign_in(fake, &mut again, json!({})).await;
        assert!(!again.get("/security").await.text.contains("victim@example.org"), "an account of their own");
        assert!(owner.get("/security/providers").await.text.contains("None is linked"));
    }
}

#[tokio::test]
async fn another_provider_does_not_answer_in_this_ones_place() {
    let (honest, evil) = (Fake::start().await, Fake::start().await);
    honest.lock().says_issuer = true;
    let settings = |config: &mut Config| {
        config.identity_providers = vec![honest.settings("home"), evil.settings("evil")];
    };
    World::with_settings(Kind::Sqlite, settings, async |world| {
        let mut browser = world.browser();
        let asked = leave(&mut browser, "/sign-in", "home").await;
        let code = honest.code(&asked, json!({}), Bent::Not);
        // Sent back to the address of the other one.
        let mixed = come_back(&mut browser, "evil", &asked, &code).await;
        assert_eq!(mixed.status, StatusCode::UNPROCESSABLE_ENTITY);
        for issuer in [String::new(), format!("&iss={}", evil.issuer)] {
            let asked = leave(&mut browser, "/sign-in", "home").await;
            let code = honest.code(&asked, json!({}), Bent::Not);
            let state = asked.value("state");
            let answer = browser.get(&format!("/sign-in/from/home?code={code}&state={state}{issuer}")).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
            assert!(honest.lock().codes.contains_key(&code), "the code is not sent anywhere");
        }
        let asked = leave(&mut browser, "/sign-in", "home").await;
        let code = honest.code(&asked, json!({}), Bent::Not);
        let back = format!("/sign-in/from/home?code={code}&state={}&iss={}", asked.value("state"), honest.issuer);
        assert_eq!(browser.get(&back).await.status, StatusCode::SEE_OTHER);
    })
    .await;
}

#[tokio::test]
async fn where_nobody_may_sign_up_a_provider_makes_no_account() {
    let closed = |config: &mut Config| config.limits.sign_up = SignUp::Closed;
    with_provider(Kind::Sqlite, closed, async |world, fake| {
        let refused = sign_in(fake, &mut world.browser(), json!({})).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(world.service.list_users().await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_is_away_is_said_to_be() {
    with_provider(
        Kind::Sqlite,
        |_| {},
        async |world, fake| {
            fake.lock().away = true;
            let mut browser = world.browser();
            let page = browser.get("/sign-in").await;
            let away = browser.submit(&page, "/sign-in/with/home", &[]).await;
            assert!(
                away.status == StatusCode::SERVICE_UNAVAILABLE && away.text.contains("does not answer"),
                "{}",
                away.text
            );
            assert!(away.text.contains("name=\"password\""), "there are other ways");
        },
    )
    .await;
}

#[tokio::test]
async fn a_provider_on_our_own_network_is_not_reached_unless_allowed() {
    let fake = Fake::start().await;
    let settings = |config: &mut Config| {
        let mut settings = fake.settings("home");
        settings.issuer = settings.issuer.replacen("http://127.0.0.1", "https://localhost", 1);
        settings.dangerous_allow_private_addresses = false;
        config.identity_providers = vec![settings];
    };
    World::with_settings(Kind::Sqlite, settings, async |world| {
        let mut browser = world.browser();
        let page = browser.get("/sign-in").await;
        let refused = browser.submit(&page, "/sign-in/with/home", &[]).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    })
    .await;
}
