//! Giving the token back, when the connector is removed: nothing is left at Music Assistant then that could still be used.

use std::time::Duration;

use macloud_service_kit::stop::Stop;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::fields::Fields;
use super::message::ErrorCode;
use super::sign_in::TOKEN_NAME;
use super::token::Token;
use super::{CallError, Condition, MusicAssistant, READ_LIMIT};

/// For all of it.
const LIMIT: Duration = Duration::from_secs(10);

/// What became of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GivenBack {
    /// It does not open anything any more.
    Revoked,
    /// It did not before, either.
    WasRefused,
    /// Somebody has made it by hand, under a name of theirs: they may be using it elsewhere.
    NotOurs,
    /// Music Assistant does not answer, or will not do it.
    Failed,
}

/// Revoke `token`, with which `ma` signs in, if it is the connector's own. `ma` does not run yet.
pub async fn give_back(ma: &MusicAssistant, token: &Token) -> GivenBack {
    tokio::select! {
        given = timeout(LIMIT, ask(ma, token)) => given.unwrap_or(GivenBack::Failed),
        () = ma.run(Stop::new()) => GivenBack::Failed,
    }
}

async fn ask(ma: &MusicAssistant, token: &Token) -> GivenBack {
    let mut conditions = ma.conditions();
    let known = |condition: &Condition| !matches!(condition, Condition::Connecting | Condition::Starting);
    let condition = conditions.wait_for(known).await.map_or(Condition::Connecting, |condition| condition.clone());
    match condition {
        Condition::Ready { .. } => {}
        Condition::TokenDoubted | Condition::TokenRefused => return GivenBack::WasRefused,
        _ => return GivenBack::Failed,
    }
    let Some(id) = token.id() else { return GivenBack::NotOurs };
    match ma.call("auth/tokens", json!({}), READ_LIMIT).await {
        Ok(listed) if is_ours(&listed, &id) => {}
        Ok(_) => return GivenBack::NotOurs,
        Err(_) => return GivenBack::Failed,
    }
    match ma.call("auth/token/revoke", json!({ "token_id": id }), READ_LIMIT).await {
        // The connection ends with the token, sometimes before the answer.
        Ok(_) | Err(CallError::Lost | CallError::Refused(ErrorCode::NOT_FOUND)) => GivenBack::Revoked,
        Err(_) => GivenBack::Failed,
    }
}

/// Whether the token with this id has the connector's name.
fn is_ours(listed: &Value, id: &str) -> bool {
    let text = |token: &Value, name: &str| Fields(token).some_text(&[name]);
    let mut all = listed.as_array().into_iter().flatten();
    all.any(|token| {
        text(token, "token_id").as_deref() == Some(id) && text(token, "name").as_deref() == Some(TOKEN_NAME)
    })
}
