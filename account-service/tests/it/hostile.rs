//! Whatever is sent, the answer is below 500.

use axum::body::Body;
use axum::http::Request;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::{Browser, World, basic, encode_form, on_both_databases};

const PATHS: [&str; 45] = [
    "/",
    "/oauth/authorize",
    "/oauth/consent",
    "/oauth/token",
    "/oauth/par",
    "/oauth/device_authorization",
    "/oauth/revoke",
    "/oauth/introspect",
    "/oauth/userinfo",
    "/oauth/jwks",
    "/sign-up",
    "/sign-in",
    "/sign-out",
    "/pair",
    "/homes",
    "/homes/x/unlink",
    "/homes/%00/pause",
    "/homes/%00",
    "/homes/x/invite",
    "/homes/x/move",
    "/homes/x/leave",
    "/homes/%00/members/%00/remove",
    "/homes/x/invitations/%ff/revoke",
    "/join",
    "/apps",
    "/apps/alexa/unlink",
    "/apps/%00%ff/unlink",
    "/sessions",
    "/sessions/%00/end",
    "/assets/x",
    "/sign-in/code",
    "/security",
    "/security/password",
    "/security/app",
    "/security/app/confirm",
    "/security/app/off",
    "/security/recovery-codes",
    "/activity",
    "/account/export",
    "/forgot",
    "/reset",
    "/verify",
    "/account/delete",
    "/oauth/logout",
    "/oauth/logout/confirm",
];

const NAMES: [&str; 35] = [
    "grant_type",
    "code",
    "refresh_token",
    "redirect_uri",
    "client_id",
    "client_secret",
    "code_verifier",
    "scope",
    "token",
    "response_type",
    "state",
    "nonce",
    "prompt",
    "max_age",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "email",
    "new_password",
    "ticket",
    "id_token_hint",
    "post_logout_redirect_uri",
    "password",
    "next",
    "decision",
    "user_code",
    "name",
    "form_token",
    "device_code",
    "instance_key",
    "instance_proof",
    "instance_name",
    "client_assertion",
    "client_assertion_type",
];

const VALUES: [&str; 20] = [
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
    "alexa",
    "ma-connector",
    "https://layla.amazon.com/api/skill/link/M1",
    "code",
    "S256",
    "none",
    "login",
    "allow",
    "openid",
    "eyJhbGciOiJFZERTQSJ9.e30.AA",
    "mcc_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "urn:ietf:params:oauth:request_uri:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "BBBB-BBBB",
    "-1",
    "99999999999999999999",
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(&VALUES[..]).prop_map(str::to_owned),
        2 => "\\PC{0,40}",
        1 => any::<String>(),
        1 => Just("\0".to_owned()),
        1 => Just("a".repeat(9000)),
    ]
}

fn form() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![9 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned), 1 => any::<String>()];
    let pairs = prop::collection::vec((name, value()), 0..12);
    prop_oneof![
        6 => pairs.prop_map(|pairs| encode_form(&pairs).into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..300),
        1 => Just(vec![b'&'; 70_000]),
    ]
}

#[derive(Debug, Clone)]
struct Strange {
    method: &'static str,
    path: &'static str,
    query: Vec<u8>,
    body: Vec<u8>,
    content_type: &'static str,
    authorization: Option<String>,
    dpop: Option<String>,
    signed_in: bool,
}

fn strange() -> impl Strategy<Value = Strange> {
    let header = prop_oneof![Just(None), "[ -~]{0,60}".prop_map(Some), Just(Some("Basic YWxleGE6eA==".to_owned()))];
    let content_type =
        prop::sample::select(&["application/x-www-form-urlencoded", "application/json", "", "text/plain; x"][..]);
    let proof = prop_oneof![Just(None), "[ -~]{0,60}".prop_map(Some)];
    (
        prop::sample::select(&["GET", "POST", "PUT", "HEAD"][..]),
        prop::sample::select(&PATHS[..]),
        form(),
        form(),
        content_type,
        header,
        proof,
        any::<bool>(),
    )
        .prop_map(|(method, path, query, body, content_type, authorization, dpop, signed_in)| Strange {
            method,
            path,
            query,
            body,
            content_type,
            authorization,
            dpop,
            signed_in,
        })
}

impl Strange {
    fn request(&self, cookie: &str, basic: &str) -> Option<Request<Body>> {
        let query: String =
            self.query.iter().filter(|b| b.is_ascii_graphic()).map(|b| char::from(*b)).take(4000).collect();
        let mut request = Request::builder().method(self.method).uri(format!("{}?{query}", self.path));
        request = request.header("content-type", self.content_type);
        if self.signed_in {
            request = request.header("cookie", cookie).header("authorization", basic);
        } else if let Some(value) = &self.authorization {
            request = request.header("authorization", value);
        }
        if let Some(value) = &self.dpop {
            request = request.header("dpop", value);
        }
        request.body(Body::from(self.body.clone())).ok()
    }
}

on_both_databases! {
    async fn nothing_a_stranger_sends_is_our_fault(world: &World) {
        let client = world.alexa().await;
        let browser: Browser<'_> = world.person("ada@example.org").await;
        let cookie = format!("__Host-macloud={}", browser.cookie.as_deref().unwrap());
        let basic = basic(&client);
        let handle = tokio::runtime::Handle::current();
        let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
        tokio::task::block_in_place(|| {
            let outcome = TestRunner::new(config).run(&strange(), |strange| {
                let Some(request) = strange.request(&cookie, &basic) else { return Ok(()) };
                let answer = handle.block_on(world.send(request));
                prop_assert!(answer.status.as_u16() < 500, "{} from {:?}", answer.status, strange);
                prop_assert!(!answer.status.is_redirection() || answer.status.as_u16() == 303);
                Ok(())
            });
            outcome.unwrap();
        });
    }

    async fn forms_of_signed_in_people_may_hold_anything(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let page = browser.get("/pair").await;
        let token = page.hidden_fields("/pair")[0].clone();
        let handle = tokio::runtime::Handle::current();
        let config = Config { cases: 100, failure_persistence: None, ..Config::default() };
        let outcome = tokio::task::block_in_place(|| {
            TestRunner::new(config).run(&(value(), value(), value()), |(code, name, decision)| {
                let fields = [token.clone(), ("user_code".into(), code), ("name".into(), name), ("decision".into(), decision)];
                let answer = handle.block_on(browser_post(&browser, &fields));
                prop_assert!(answer.as_u16() < 500);
                Ok(())
            })
        });
        outcome.unwrap();
    }
}

async fn browser_post(browser: &Browser<'_>, fields: &[(String, String)]) -> http::StatusCode {
    let mut again = Browser { cookie: browser.cookie.clone(), ..browser.world.browser() };
    again.post("/pair", fields).await.status
}
