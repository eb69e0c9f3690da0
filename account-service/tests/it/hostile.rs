//! Whatever is sent, the answer is below 500.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use macloud_account_service::AccountService;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::harness::{Browser, World, basic, encode_form, on_both_databases, send};

/// Every path that is served, the public ones and the operators', with strange things where it names something.
fn paths() -> Vec<String> {
    let known = [AccountService::paths(), AccountService::operator_paths()].concat();
    let strange = |path: &'static str| {
        let Some((before, _)) = path.split_once('{') else { return vec![path.to_owned()] };
        let fill = |name: &&str| {
            let rest = path[before.len()..].split('/').map(|part| if part.starts_with('{') { name } else { part });
            format!("{before}{}", rest.collect::<Vec<_>>().join("/"))
        };
        IDS.iter().map(fill).collect()
    };
    known.into_iter().flat_map(strange).collect()
}

/// What might stand in a path where it names something.
const IDS: [&str; 8] = ["x", "alexa", "%00", "%ff", "0123456789abcdefghjkmnpqrs", "..%2f", "%C3%BC", "%F0%9F%8E%B5"];

/// Every name that a form or a query is asked for anywhere in the source.
fn names() -> Vec<String> {
    let mut names = BTreeSet::new();
    let mut directories = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            for start in [".value(\"", ".text(\"", ".number(\"", ".account(\""] {
                names.extend(source.split(start).skip(1).map(|after| after.split_once('"').unwrap().0.to_owned()));
            }
        }
    }
    assert!(names.len() > 40, "{names:?}");
    names.into_iter().collect()
}

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
    let name = prop_oneof![9 => prop::sample::select(names()), 1 => any::<String>()];
    let pairs = prop::collection::vec((name, value()), 0..12);
    prop_oneof![
        6 => pairs.prop_map(|pairs| encode_form(&pairs).into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..300),
        1 => json().prop_map(|value| value.to_string().into_bytes()),
        1 => Just(vec![b'&'; 70_000]),
    ]
}

/// What the API for operators might be sent.
fn json() -> impl Strategy<Value = Value> {
    let fields = [
        "email",
        "client_id",
        "name",
        "redirect_uris",
        "jwks",
        "own_scopes",
        "require_dpop",
        "access_token_seconds",
        "overlap_seconds",
        "rotation",
        "public",
    ];
    let leaf = prop_oneof![
        value().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        Just(serde_json::json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": "", "y": null }] })),
    ];
    let thing = prop_oneof![3 => leaf.clone(), 1 => prop::collection::vec(leaf, 0..3).prop_map(Value::from)];
    prop::collection::hash_map(prop::sample::select(fields.to_vec()), thing, 0..5)
        .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

#[derive(Debug, Clone)]
struct Strange {
    method: &'static str,
    path: String,
    query: Vec<u8>,
    body: Vec<u8>,
    content_type: &'static str,
    authorization: Option<String>,
    dpop: Option<String>,
    cookie: Option<String>,
    signed_in: bool,
}

fn strange() -> impl Strategy<Value = Strange> {
    let header = prop_oneof![Just(None), "[ -~]{0,60}".prop_map(Some), Just(Some("Basic YWxleGE6eA==".to_owned()))];
    let content_type =
        prop::sample::select(&["application/x-www-form-urlencoded", "application/json", "", "text/plain; x"][..]);
    let proof = prop_oneof![Just(None), "[ -~]{0,60}".prop_map(Some)];
    (
        prop::sample::select(&["GET", "GET", "POST", "POST", "PUT", "HEAD", "PATCH", "DELETE", "OPTIONS", "TRACE"][..]),
        prop::sample::select(paths()),
        form(),
        form(),
        content_type,
        header,
        proof,
        prop_oneof![3 => Just(None), 1 => "[ -~]{0,80}".prop_map(Some)],
        any::<bool>(),
    )
        .prop_map(|(method, path, query, body, content_type, authorization, dpop, cookie, signed_in)| Strange {
            method,
            path,
            query,
            body,
            content_type,
            authorization,
            dpop,
            cookie,
            signed_in,
        })
}

impl Strange {
    fn is_for_operators(&self) -> bool {
        self.path.starts_with("/admin/")
    }

    fn request(&self, cookie: &str, basic: &str, bearer: &str) -> Option<Request<Body>> {
        let query: String =
            self.query.iter().filter(|b| b.is_ascii_graphic()).map(|b| char::from(*b)).take(4000).collect();
        let mut request = Request::builder().method(self.method).uri(format!("{}?{query}", self.path));
        request = request.header("content-type", self.content_type);
        if self.signed_in && self.is_for_operators() {
            request = request.header("authorization", bearer);
        } else if self.signed_in {
            request = request.header("cookie", cookie).header("authorization", basic);
        } else if let Some(value) = &self.authorization {
            request = request.header("authorization", value);
        }
        if let Some(value) = &self.cookie {
            request = request.header("cookie", format!("__Host-macloud={value}; lang={value}"));
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
        let bearer = format!("Bearer {}", crate::operators::token(world, &["ma_cloud.admin"]).await);
        let (public, operators) = (world.service.router(), world.service.operator_router());
        let handle = tokio::runtime::Handle::current();
        let config = Config { cases: 600, failure_persistence: None, ..Config::default() };
        tokio::task::block_in_place(|| {
            let outcome = TestRunner::new(config).run(&strange(), |strange| {
                let Some(request) = strange.request(&cookie, &basic, &bearer) else { return Ok(()) };
                let router = if strange.is_for_operators() { operators.clone() } else { public.clone() };
                // Beside what is looked at here, every answer must be one that is described.
                let answer = handle.block_on(send(router, request));
                prop_assert!(answer.status.as_u16() < 500, "{} from {:?}", answer.status, strange);
                prop_assert!(!answer.status.is_redirection() || answer.status.as_u16() == 303);
                Ok(())
            });
            outcome.unwrap();
        });
    }

    async fn ids_in_paths_of_signed_in_people_may_be_anything(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let home = crate::members::home_of(world, &mut browser).await;
        let mut tokens = Vec::new();
        for (page, action) in [
            (format!("/homes/{home}"), format!("/homes/{home}/rename")),
            ("/security".into(), "/security/password".into()),
            ("/sessions".into(), "/sessions/others/end".into()),
        ] {
            let page = browser.get(&page).await;
            let action = if page.text.contains(&action) { action } else { continue };
            tokens.push(page.hidden_fields(&action)[0].clone());
        }
        assert!(tokens.len() >= 2);
        let mut posted = 0;
        for path in AccountService::paths().into_iter().filter(|path| path.contains('{')) {
            for id in IDS {
                // What stands before another name is one's own.
                let parts: Vec<&str> = path.split('/').collect();
                let last = parts.iter().rposition(|part| part.starts_with('{')).unwrap();
                let fill = |(at, part): (usize, &&'static str)| match part {
                    part if !part.starts_with('{') => (*part).to_owned(),
                    _ if at < last => home.clone(),
                    _ => id.to_owned(),
                };
                let filled = parts.iter().enumerate().map(fill).collect::<Vec<_>>().join("/");
                for token in &tokens {
                    let fields = [token.clone(), ("name".into(), "x".into()), ("user".into(), "x".into())];
                    let answer = browser.post(&filled, &fields).await;
                    assert!(answer.status.as_u16() < 500, "{filled}: {}", answer.text);
                    posted += usize::from(answer.status == http::StatusCode::NOT_FOUND);
                }
            }
        }
        assert!(posted > 50, "{posted}");
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
