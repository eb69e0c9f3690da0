//! What `/openapi.json` says is what happens: every answer in every test is held against it, every path and parameter is
//! described, and every described answer can be had.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use macloud_account_service::ClientChange;
use serde_json::{Value, json};

use crate::harness::{
    Answer, Authorization, ISSUER, Kind, REDIRECT, World, basic, encode_form, raw_request, send, text,
};
use crate::pairing::Connector;

/// What the public listener serves, and what the operators' does.
static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../openapi/public.json")).unwrap());
static OPERATORS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../openapi/operators.json")).unwrap());

fn document_of(path: &str) -> &'static Value {
    if path.starts_with("/admin/") { &OPERATORS } else { &DOCUMENT }
}

/// Fail when the document does not know of this answer.
pub fn check(method: &Method, path: &str, answer: &Answer) {
    let Some((template, operations)) = described(path) else { return };
    if answer.status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = answer.header("allow").to_ascii_lowercase();
        let allowed: BTreeSet<&str> = allowed.split(',').filter(|method| *method != "head").collect();
        assert_eq!(allowed, operations.keys().map(String::as_str).collect(), "methods of {template}");
        return;
    }
    let method = if method == Method::HEAD { "get".into() } else { method.as_str().to_ascii_lowercase() };
    let name = format!("{method} {template} -> {}", answer.status.as_u16());
    let response = &operations[&method]["responses"][answer.status.as_str()];
    assert!(response.is_object(), "not described: {name}: {}", answer.text);
    let response = resolve(document_of(path), response);
    for (header, _) in response["headers"].as_object().into_iter().flatten() {
        assert!(answer.headers.contains_key(header), "{name} without {header}");
    }
    let Some(content) = response["content"].as_object() else {
        assert_eq!(answer.text, "", "{name} has a body that is not described");
        return;
    };
    let content_type = answer.header("content-type").split(';').next().unwrap_or_default();
    let schema = content.get(content_type).unwrap_or_else(|| panic!("{name} came as {content_type:?}"));
    if content_type.contains("json") && !answer.text.is_empty() {
        conforms(document_of(path), &name, &schema["schema"], &answer.json());
    }
}

fn conforms(document: &Value, name: &str, schema: &Value, value: &Value) {
    let schema = json!({ "allOf": [schema], "components": document["components"] });
    let validator = jsonschema::validator_for(&schema).unwrap();
    if let Some(error) = validator.iter_errors(value).next() {
        panic!("{name}: {error} in {value}");
    }
}

/// The path item of the document that describes this path.
fn described(path: &str) -> Option<(&'static str, &'static serde_json::Map<String, Value>)> {
    let fits = |template: &str| {
        let (mut ours, mut theirs) = (template.split('/'), path.split('/'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some(our), Some(their)) if our == their || our.starts_with('{') && !their.is_empty() => {}
                _ => return false,
            }
        }
    };
    let paths = document_of(path)["paths"].as_object().unwrap();
    // What is written out goes before what fits a name.
    let (template, item) = paths.get_key_value(path).or_else(|| paths.iter().find(|(template, _)| fits(template)))?;
    Some((template, item.as_object().unwrap()))
}

fn resolve(document: &'static Value, value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} leads nowhere")),
        None => value,
    }
}

/// Every name of a query or form parameter in the document.
fn described_parameters() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for operation in DOCUMENT["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
    {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "query" {
                names.insert(parameter["name"].as_str().unwrap().to_owned());
            }
        }
        let form = &operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"];
        names.extend(form["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned()));
    }
    names
}

/// Every name that the endpoints' code asks a form for.
fn parameters_that_are_read() -> BTreeSet<String> {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/oauth");
    // Read for every form of ours, in `web`.
    let mut names = BTreeSet::from(["form_token".to_owned()]);
    for entry in std::fs::read_dir(directory).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let asked = source.split(".value(\"").skip(1).map(|after| after.split_once('"').unwrap().0.to_owned());
        names.extend(asked);
    }
    names
}

#[test]
fn every_parameter_is_described_and_none_is_made_up() {
    assert_eq!(parameters_that_are_read(), described_parameters());
}

#[tokio::test]
async fn every_path_that_is_no_page_is_described_with_its_methods() {
    World::with(Kind::Sqlite, async |world| {
        let is_page =
            |path: &&str| !["/oauth/", "/.well-known/", "/openapi"].iter().any(|start| path.starts_with(start));
        let served: BTreeSet<&str> =
            macloud_account_service::AccountService::paths().into_iter().filter(|path| !is_page(path)).collect();
        let operators: BTreeSet<&str> = macloud_account_service::AccountService::operator_paths().into_iter().collect();
        let routers = [world.service.router(), world.service.operator_router()];
        for ((document, served), router) in [(&*DOCUMENT, served), (&*OPERATORS, operators)].into_iter().zip(routers) {
            let paths = document["paths"].as_object().unwrap();
            assert_eq!(served, paths.keys().map(String::as_str).collect());
            for path in served {
                // The answer names the methods; `check` compares them.
                let request = Request::builder().method("PURGE").uri(path).body(Body::empty()).unwrap();
                assert_eq!(send(router.clone(), request).await.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn both_documents_are_served_and_every_reference_leads_somewhere() {
    World::with(Kind::Sqlite, async |world| {
        let routers = [world.service.router(), world.service.operator_router()];
        for (document, router) in [&*DOCUMENT, &*OPERATORS].into_iter().zip(routers) {
            let answer = send(router, Request::get("/openapi.json").body(Body::empty()).unwrap()).await;
            // Served as it stands, but for where operators' tokens are: that is another listener.
            let served = answer.text.replace(&format!("\"{ISSUER}/oauth/token\""), "\"/oauth/token\"");
            let served: Value = serde_json::from_str(&served).unwrap();
            assert_eq!((answer.status, &served), (StatusCode::OK, document));
            let mut references = 0;
            for part in answer.text.split("\"$ref\": \"").skip(1) {
                let (reference, _) = part.split_once('"').unwrap();
                assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
                references += 1;
            }
            assert!(references > 50);
            assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        }
    })
    .await;
}

/// What was had so far: which statuses of which operation.
#[derive(Default)]
struct Had(BTreeMap<(String, String), BTreeSet<String>>);

impl Had {
    async fn send(&mut self, world: &World, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().as_str().to_ascii_lowercase(), request.uri().path().to_owned());
        let is_operators = path.starts_with("/admin/");
        let router = if is_operators { world.service.operator_router() } else { world.service.router() };
        // `check` runs in there.
        let answer = send(router, request).await;
        let (template, _) = described(&path).unwrap_or_else(|| panic!("{path} is not described"));
        self.0.entry((method, template.into())).or_default().insert(answer.status.as_str().into());
        answer
    }

    async fn get(&mut self, world: &World, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(world, request.body(Body::empty()).unwrap()).await
    }

    async fn post(&mut self, world: &World, path: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Answer {
        let form: Vec<(String, String)> = form.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        self.send(world, raw_request(path, headers, encode_form(&form))).await
    }

    fn missing(&self, document: &Value) -> Vec<String> {
        let mut missing = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let had = self.0.get(&(method.clone(), path.clone()));
                for status in operation["responses"].as_object().unwrap().keys() {
                    if !had.is_some_and(|had| had.contains(status)) {
                        missing.push(format!("{method} {path} {status}"));
                    }
                }
            }
        }
        missing
    }
}

/// Each described answer, had once. On one thread, so that the wait for a body that never ends takes no time.
#[tokio::test(flavor = "current_thread")]
async fn every_described_answer_can_be_had() {
    World::with_settings(
        Kind::Sqlite,
        |config| {
            config.limits.pushed_requests_per_address = "2/60".parse().unwrap();
            config.limits.pairings_per_address = "1/60".parse().unwrap();
        },
        async |world| {
            let mut had = Had::default();
            have_what_works(world, &mut had).await;
            have_what_pages_do(world, &mut had).await;
            have_refusals(world, &mut had).await;
            have_slow_bodies(world, &mut had).await;
            world.advance(60);
            world.lose_database().await;
            have_outages(world, &mut had).await;
            let mut missing = had.missing(&DOCUMENT);
            missing.retain(|answer| !HAD_ELSEWHERE.contains(&answer.as_str()));
            assert_eq!(missing, Vec::<String>::new());
        },
    )
    .await;
}

async fn have_what_works(world: &World, had: &mut Had) {
    let client = world.alexa().await;
    let header = basic(&client);
    let headers = [("authorization", header.as_str())];
    for path in
        ["/openapi.json", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/oauth/jwks"]
    {
        had.get(world, path, &[]).await;
    }
    let mut person = world.person("ada@example.org").await;
    let asked = Authorization::new("alexa");
    let code = person.allow(&asked).await;
    let form = asked.redemption(&code);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let tokens = had.post(world, "/oauth/token", &headers, &form).await.json();
    let access = format!("Bearer {}", text(&tokens, "access_token"));
    had.get(world, "/oauth/userinfo", &[("authorization", &access)]).await;
    had.post(world, "/oauth/userinfo", &[("authorization", &access)], &[]).await;
    had.post(world, "/oauth/introspect", &headers, &[("token", text(&tokens, "access_token"))]).await;
    // So many refreshes with one token, and no answer used.
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
    for _ in 0..128 {
        assert_eq!(world.post("/oauth/token", &headers, &refresh).await.status, StatusCode::OK);
    }
    had.post(world, "/oauth/token", &headers, &refresh).await;
    had.post(world, "/oauth/revoke", &headers, &[("token", text(&tokens, "refresh_token"))]).await;
    let mut unidentified = Authorization::new("alexa");
    unidentified.scope = "music_assistant.read".into();
    let code = person.allow(&unidentified).await;
    let tokens = world.redeem(&client, &code, &unidentified).await.json();
    let access = format!("Bearer {}", text(&tokens, "access_token"));
    had.get(world, "/oauth/userinfo", &[("authorization", &access)]).await;
    had.post(world, "/oauth/userinfo", &[("authorization", &access)], &[]).await;
    let parameters = asked.parameters();
    let pushed: Vec<(&str, &str)> = parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    had.post(world, "/oauth/par", &headers, &pushed).await;
    world.client("public", true).await;
    for _ in 0..3 {
        let mut pushed = pushed.clone();
        pushed.retain(|(name, _)| *name != "client_id");
        pushed.push(("client_id", "public"));
        had.post(world, "/oauth/par", &[], &pushed).await;
    }
}

async fn have_what_pages_do(world: &World, had: &mut Had) {
    let person = world.person("bob@example.org").await;
    let cookie = format!("__Host-macloud={}", person.cookie.clone().unwrap());
    let headers = [("cookie", cookie.as_str())];
    let asked = Authorization::new("alexa");
    let page = had.get(world, &asked.path(), &headers).await;
    had.get(world, &asked.path(), &[]).await;
    let parameters = asked.parameters();
    let parameters: Vec<(&str, &str)> = parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    had.post(world, "/oauth/authorize", &headers, &parameters).await;
    had.post(world, "/oauth/authorize", &[], &parameters).await;
    let mut fields = page.hidden_fields("/oauth/consent");
    fields.push(("decision".into(), "deny".into()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    had.post(world, "/oauth/consent", &headers, &fields).await;
    had.post(world, "/oauth/consent", &headers, &fields[..fields.len() - 1]).await;
    had.post(world, "/oauth/consent", &[], &fields).await;
    let page = had.get(world, "/oauth/logout", &headers).await;
    had.get(world, "/oauth/logout", &[]).await;
    had.post(world, "/oauth/logout", &[], &[]).await;
    let action = page
        .text
        .split("action=\"")
        .find_map(|part| part.starts_with("/oauth/logout/confirm").then(|| part.split_once('"').unwrap().0));
    let fields = page.hidden_fields(action.unwrap());
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    had.post(world, "/oauth/logout/confirm?post_logout_redirect_uri=x", &headers, &fields).await;
    had.post(world, "/oauth/logout/confirm", &[], &fields).await;
    had.post(world, "/oauth/logout/confirm", &headers, &fields).await;
}

const FORMS: [&str; 7] = [
    "/oauth/token",
    "/oauth/par",
    "/oauth/device_authorization",
    "/oauth/revoke",
    "/oauth/introspect",
    "/oauth/home-assistant",
    "/oauth/leave",
];
/// What a paired home gets on its way through Home Assistant, and when it takes leave: the tests of these have them.
const HAD_ELSEWHERE: [&str; 5] = [
    "post /oauth/home-assistant 200",
    "post /oauth/home-assistant 429",
    "post /oauth/home-assistant 503",
    "post /oauth/leave 200",
    "post /oauth/leave 503",
];
const PAGE_FORMS: [&str; 4] = ["/oauth/authorize", "/oauth/consent", "/oauth/logout", "/oauth/logout/confirm"];

async fn have_refusals(world: &World, had: &mut Had) {
    let long = "&".repeat(70_000);
    for path in FORMS.into_iter().chain(PAGE_FORMS) {
        had.send(world, raw_request(path, &[("content-type", "text/plain")], "x")).await;
        had.send(world, raw_request(path, &[], long.clone())).await;
    }
    for path in FORMS {
        had.post(world, path, &[], &[("client_id", "nobody"), ("grant_type", "refresh_token"), ("token", "x")]).await;
    }
    for path in ["/oauth/authorize", "/oauth/logout"] {
        had.get(world, &format!("{path}?a=1&a=2"), &[]).await;
        let many: String = (0..65).map(|n| format!("p{n}&")).collect();
        had.get(world, &format!("{path}?{many}"), &[]).await;
    }
    had.get(world, "/oauth/userinfo", &[]).await;
    had.post(world, "/oauth/userinfo", &[], &[]).await;
    for _ in 0..2 {
        begin_pairing(world, had).await;
    }
}

async fn begin_pairing(world: &World, had: &mut Had) {
    let home = Connector::new();
    let proof = home.pairing_proof(ISSUER, "macloud-pair+jwt");
    let form = [("client_id", "ma-connector"), ("instance_key", &home.public()), ("instance_proof", &proof)];
    had.post(world, "/oauth/device_authorization", &[], &form).await;
}

/// A body that never comes. Once somebody waits for it, time passes at once; not before, when a database may be waited for.
fn never() -> Body {
    let mut paused = false;
    Body::from_stream(futures_util::stream::poll_fn(move |_| {
        if !std::mem::replace(&mut paused, true) {
            tokio::time::pause();
        }
        std::task::Poll::<Option<Result<bytes::Bytes, std::io::Error>>>::Pending
    }))
}

async fn have_slow_bodies(world: &World, had: &mut Had) {
    for path in FORMS.into_iter().chain(PAGE_FORMS) {
        let answer = had.send(world, raw_request(path, &[], never())).await;
        tokio::time::resume();
        assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT, "{path}");
    }
}

async fn have_outages(world: &World, had: &mut Had) {
    let access = format!("Bearer mca_{}", "A".repeat(43));
    let cookie = format!("__Host-macloud={}", "A".repeat(43));
    let headers = [("authorization", "Basic bm9ib2R5Ong="), ("cookie", cookie.as_str())];
    let form = [("token", "x"), ("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", "nobody")];
    for path in FORMS.into_iter().filter(|path| !path.contains("device") && !path.contains("assistant")) {
        had.post(world, path, &headers, &form).await;
    }
    begin_pairing(world, had).await;
    for path in PAGE_FORMS.into_iter().filter(|path| *path != "/oauth/logout") {
        had.post(world, path, &headers, &form).await;
    }
    for path in ["/oauth/authorize?client_id=nobody", "/oauth/logout"] {
        had.get(world, path, &headers).await;
    }
    had.get(world, "/oauth/userinfo", &[("authorization", &access)]).await;
    had.post(world, "/oauth/userinfo", &[("authorization", &access)], &[]).await;
}

/// The same for the operators' API.
#[tokio::test(flavor = "current_thread")]
async fn every_described_answer_for_operators_can_be_had() {
    World::with(Kind::Sqlite, async |world| {
        let bearer = format!("Bearer {}", crate::operators::token(world, &["ma_cloud.admin"]).await);
        let mut had = Had::default();
        let answer =
            send(world.service.operator_router(), Request::get("/openapi.json").body(Body::empty()).unwrap()).await;
        had.0.entry(("get".into(), "/openapi.json".into())).or_default().insert(answer.status.as_str().into());
        // The operators' listener gives no tokens: whoever reads this there must find the other one.
        let schemes = answer.json()["components"]["securitySchemes"].to_string();
        assert!(schemes.contains(r#""tokenUrl":"https://cloud.example/oauth/token""#), "{schemes}");
        have_what_operators_want(world, &mut had, &bearer).await;
        have_refusals_for_operators(world, &mut had, &bearer).await;
        // A client that may nothing any more; strangers; and nobody at all.
        let change = ClientChange {
            own_scopes: Some(vec![]),
            redirect_uris: Some(vec![REDIRECT.into()]),
            ..ClientChange::default()
        };
        world.service.update_client("robot", change).await.unwrap();
        have_everywhere(world, &mut had, &bearer).await;
        have_everywhere(world, &mut had, "Bearer x").await;
        world.lose_database().await;
        have_everywhere(world, &mut had, &bearer).await;
        assert_eq!(had.missing(&OPERATORS), Vec::<String>::new());
    })
    .await;
}

async fn operate(world: &World, had: &mut Had, bearer: &str, call: (&str, &str), body: Option<Value>) -> Answer {
    let request = Request::builder().method(call.0).uri(call.1).header("authorization", bearer);
    let request = match body {
        Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
        None => request.body(Body::empty()),
    };
    had.send(world, request.unwrap()).await
}

async fn have_what_operators_want(world: &World, had: &mut Had, bearer: &str) {
    let mut person = world.person("ada@example.org").await;
    let paired = Connector::new().pair(world, &mut person, "A").await;
    let found =
        operate(world, had, bearer, ("POST", "/admin/v1/users/find"), Some(json!({ "email": "ada@example.org" })))
            .await;
    let user = format!("/admin/v1/users/{}", text(&found.json(), "id"));
    let home = format!("/admin/v1/homes/{}", text(&paired, "instance_id"));
    let app = json!({ "client_id": "app", "redirect_uris": [REDIRECT] });
    for _ in 0..2 {
        operate(world, had, bearer, ("POST", "/admin/v1/clients"), Some(app.clone())).await;
    }
    let public = json!({ "client_id": "public", "redirect_uris": [REDIRECT], "public": true });
    operate(world, had, bearer, ("POST", "/admin/v1/clients"), Some(public)).await;
    for client in ["app", "public"] {
        let path = format!("/admin/v1/clients/{client}/rotate-secret");
        operate(world, had, bearer, ("POST", &path), Some(json!({ "overlap_seconds": 0 }))).await;
    }
    operate(world, had, bearer, ("PATCH", "/admin/v1/clients/app"), Some(json!({}))).await;
    operate(world, had, bearer, ("GET", &format!("{user}/plan")), None).await;
    operate(world, had, bearer, ("PUT", &format!("{user}/plan")), Some(json!({ "plan": "plus" }))).await;
    for path in ["users", "clients", "homes", "keys", "audit", "plans", "clients/app"] {
        operate(world, had, bearer, ("GET", &format!("/admin/v1/{path}")), None).await;
    }
    for path in [&user, &home] {
        operate(world, had, bearer, ("GET", path), None).await;
    }
    for action in ["suspend", "resume", "end-sessions", "reset-second-step"] {
        operate(world, had, bearer, ("POST", &format!("{user}/{action}")), None).await;
    }
    for action in ["pause", "resume"] {
        operate(world, had, bearer, ("POST", &format!("{home}/{action}")), None).await;
    }
    operate(world, had, bearer, ("POST", "/admin/v1/keys/rotate"), None).await;
    for path in [&home, &user, "/admin/v1/clients/app"] {
        operate(world, had, bearer, ("DELETE", path), None).await;
    }
}

/// Every operation of the operators' API: method, path, whether it takes a body.
fn operations() -> Vec<(String, String, bool)> {
    let paths = OPERATORS["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/admin"));
    let each = paths.flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, operation)| {
            (method.to_ascii_uppercase(), path.clone(), operation["requestBody"].is_object())
        })
    });
    each.collect()
}

fn naming(path: &str, name: &str) -> String {
    match path.split_once('{') {
        Some((before, rest)) => format!("{before}{name}{}", rest.split_once('}').unwrap().1),
        None => path.to_owned(),
    }
}

async fn have_refusals_for_operators(world: &World, had: &mut Had, bearer: &str) {
    let many: String = (0..65).map(|n| format!("p{n}&")).collect();
    for (method, template, takes_body) in operations() {
        let path = naming(&template, "x");
        let good = if path.ends_with("secret") {
            json!({ "overlap_seconds": 0 })
        } else {
            json!({ "email": "x@example.org" })
        };
        let good = match method.as_str() {
            "PATCH" => json!({}),
            "PUT" => json!({ "plan": "plus" }),
            _ => good,
        };
        if template.contains('{') || path.ends_with("find") {
            operate(world, had, bearer, (&method, &path), takes_body.then_some(good)).await;
            operate(world, had, bearer, (&method, &naming(&template, "%ff")), takes_body.then(|| json!({}))).await;
        } else if method == "GET" && !path.ends_with("keys") {
            operate(world, had, bearer, ("GET", &format!("{path}?unknown=1")), None).await;
            operate(world, had, bearer, ("GET", &format!("{path}?{many}")), None).await;
        }
        if takes_body {
            let request = |kind: &str, body: Body| {
                let request = Request::builder().method(method.as_str()).uri(&path).header("authorization", bearer);
                request.header("content-type", kind).body(body).unwrap()
            };
            had.send(world, request("text/plain", Body::from("x"))).await;
            had.send(world, request("application/json", Body::from("{"))).await;
            had.send(world, request("application/json", Body::from(" ".repeat(70_000)))).await;
            had.send(world, request("application/json", never())).await;
            tokio::time::resume();
        }
    }
}

async fn have_everywhere(world: &World, had: &mut Had, bearer: &str) {
    for (method, path, _) in operations() {
        operate(world, had, bearer, (&method, &naming(&path, "x")), None).await;
    }
}

#[tokio::test]
async fn what_is_not_described_would_be_noticed() {
    World::with(Kind::Sqlite, async |world| {
        let answer = send(world.service.router(), Request::get("/oauth/jwks").body(Body::empty()).unwrap()).await;
        let strange =
            |status: StatusCode, body: &str| Answer { status, headers: answer.headers.clone(), text: body.into() };
        let noticed = |answer: Answer| {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                check(&Method::GET, "/oauth/jwks", &answer);
            }));
            outcome.is_err()
        };
        assert!(!noticed(strange(StatusCode::OK, &answer.text)));
        assert!(noticed(strange(StatusCode::CREATED, &answer.text)));
        assert!(noticed(strange(StatusCode::OK, r#"{"keys":[{"kty":"RSA"}]}"#)));
        assert!(noticed(strange(StatusCode::OK, "{}")));
    })
    .await;
}
