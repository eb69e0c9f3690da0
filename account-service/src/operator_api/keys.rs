//! Signing keys, and the audit.

use serde_json::json;

use super::call::{Change, Look};
use super::{Answer, json};
use crate::store::audit::AuditQuery;

pub(super) async fn list(call: Look) -> Answer {
    json(&json!({ "keys": call.service.list_signing_keys() }))
}

pub(super) async fn rotate(call: Change) -> Answer {
    json(&json!({ "key_id": call.service.rotate_signing_key().await? }))
}

/// What operators did, newest first.
pub(super) async fn audit(call: Look) -> Answer {
    let query = call.query(&["account", "kind", "actor", "since", "until", "before", "limit"])?;
    let wanted = AuditQuery {
        account: query.account("account")?,
        kind: query.text("kind").map(str::to_owned),
        actor: query.text("actor").map(str::to_owned),
        since: query.number("since")?,
        until: query.number("until")?,
        before: query.number("before")?,
        limit: query.limit()?,
    };
    let entries = call.service.search_audit(&wanted).await?;
    let next = entries.last().filter(|_| entries.len() == wanted.limit as usize).map(|last| last.sequence);
    json(&json!({ "entries": entries, "next": next }))
}
