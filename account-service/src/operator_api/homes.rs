//! Homes.

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde_json::json;

use super::call::{Change, Look};
use super::{Answer, json};

pub(super) async fn list(call: Look) -> Answer {
    let query = call.query(&["account", "after", "limit"])?;
    let (account, limit) = (query.account("account")?, query.limit()?);
    let after = query.text("after").unwrap_or_default();
    let homes = call.service.page_of_homes(account.as_ref(), after, limit).await?;
    let next = homes.last().filter(|_| homes.len() == limit as usize).map(|last| &last.id);
    json(&json!({ "homes": homes, "next": next }))
}

pub(super) async fn show(call: Look) -> Answer {
    json(&call.service.show_home(&call.id).await?)
}

pub(super) async fn unlink(call: Change) -> Answer {
    call.service.unlink_home(&call.id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn pause(call: Change) -> Answer {
    call.service.set_home_paused(&call.id, true).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn resume(call: Change) -> Answer {
    call.service.set_home_paused(&call.id, false).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
