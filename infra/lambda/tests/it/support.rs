//! Lambda, the skill backend, and the function between them.

pub mod backend;
pub mod lambda;
pub mod wire;

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use backend::Backend;
use lambda::Lambda;

pub const CORRELATION: &str = "dFMb0z+PgpgdDmluhJ1LddFvSqZ/jCc8ptlAKulUj90jSqg==";

/// The program that Lambda starts, as a process of its own.
pub struct Function(Child);

impl Function {
    pub fn start(lambda: &Lambda, skill: &str, key: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootstrap"));
        command.env_clear().env("AWS_LAMBDA_RUNTIME_API", lambda.address.to_string()).env("MACLOUD_SKILL_URL", skill);
        if let Some(key) = key {
            command.env("MACLOUD_FORWARDER_KEY", key);
        }
        Self(command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap())
    }

    /// End it; the lines that it logged.
    pub async fn stop(mut self) -> Vec<Value> {
        self.0.start_kill().unwrap();
        let mut logged = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut logged).await.unwrap();
        logged.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Wait for its own end.
    pub async fn ended(mut self) -> std::process::ExitStatus {
        self.0.wait().await.unwrap()
    }
}

/// All three, with a backend that answers.
pub struct World {
    pub lambda: Lambda,
    pub backend: Backend,
    pub function: Function,
}

impl World {
    pub async fn new() -> Self {
        Self::with_key(None).await
    }

    pub async fn with_key(key: Option<&str>) -> Self {
        let (lambda, backend) = (Lambda::start().await, Backend::start().await);
        let function = Function::start(&lambda, &format!("http://{}", backend.address), key);
        Self { lambda, backend, function }
    }
}

pub fn pause() -> Value {
    json!({"directive": {
        "header": {
            "namespace": "Alexa.PlaybackController", "name": "Pause", "payloadVersion": "3",
            "messageId": "1bd5d003-31b9-476f-ad03-71d471922820", "correlationToken": CORRELATION
        },
        "endpoint": {
            "endpointId": "home_kitchen", "cookie": {},
            "scope": {"type": "BearerToken", "token": "a-secret-token"}
        },
        "payload": {}
    }})
}

pub fn discover() -> Value {
    json!({"directive": {
        "header": {"namespace": "Alexa.Discovery", "name": "Discover", "payloadVersion": "3", "messageId": "m"},
        "payload": {"scope": {"type": "BearerToken", "token": "a-secret-token"}}
    }})
}

pub fn accept_grant() -> Value {
    json!({"directive": {
        "header": {"namespace": "Alexa.Authorization", "name": "AcceptGrant", "payloadVersion": "3", "messageId": "m"},
        "payload": {
            "grant": {"type": "OAuth2.AuthorizationCode", "code": "a-secret-code"},
            "grantee": {"type": "BearerToken", "token": "a-secret-token"}
        }
    }})
}

/// The event that a skill would answer with.
pub fn answer_to(directive: &Value) -> Value {
    let mut event = json!({
        "header": {"namespace": "Alexa", "name": "Response", "messageId": "answer", "payloadVersion": "3"},
        "payload": {"said": "ünchanged  "}
    });
    if let Some(token) = repeated_token(directive) {
        event["header"]["correlationToken"] = token.clone();
    }
    json!({"event": event, "context": {"properties": []}})
}

/// Answers to these two carry none, although a sample of Amazon's has one in the directive.
fn repeated_token(directive: &Value) -> Option<&Value> {
    let header = &directive["directive"]["header"];
    let has_none = header["name"] == "AcceptGrant" || header["name"] == "Discover";
    header.get("correlationToken").filter(|_| !has_none)
}

/// The error's type, after everything that holds for every error event that answers `directive`.
pub fn error_type(directive: &Value, event: &Value) -> String {
    let (asked, header) = (&directive["directive"]["header"], &event["event"]["header"]);
    let granting = asked["name"] == "AcceptGrant";
    assert_eq!(header["namespace"], if granting { "Alexa.Authorization" } else { "Alexa" });
    assert_eq!((header["name"].as_str(), header["payloadVersion"].as_str()), (Some("ErrorResponse"), Some("3")));
    let id = header["messageId"].as_str().unwrap();
    assert!(id.len() == 36 && header["messageId"] != asked["messageId"], "an answer has an id of its own: {id}");
    assert_eq!(header.get("correlationToken"), repeated_token(directive));
    let endpoint = directive["directive"].get("endpoint").map(|endpoint| json!({"endpointId": endpoint["endpointId"]}));
    assert_eq!(event["event"].get("endpoint"), endpoint.as_ref());
    let payload = event["event"]["payload"].as_object().unwrap();
    assert!(payload.len() == 2 && payload["message"].as_str().is_some_and(|message| !message.is_empty()));
    assert_eq!(event.as_object().unwrap().len(), 1);
    payload["type"].as_str().unwrap().to_owned()
}
