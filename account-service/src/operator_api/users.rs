//! People.

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde::Deserialize;
use serde_json::json;

use super::call::{Change, Look};
use super::{Answer, json};

pub(super) async fn list(call: Look) -> Answer {
    let query = call.query(&["after", "limit"])?;
    let limit = query.limit()?;
    let users = call.service.page_of_users(query.text("after").unwrap_or_default(), limit).await?;
    let next = users.last().filter(|_| users.len() == limit as usize).map(|last| &last.user.id);
    json(&json!({ "users": users, "next": next }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    email: String,
}

/// In the body, because addresses do not belong into a URL.
pub(super) async fn find(call: Look) -> Answer {
    let service = call.service.clone();
    let wanted: Wanted = call.json().await?;
    json(&service.show_user(&wanted.email).await?)
}

pub(super) async fn show(call: Look) -> Answer {
    json(&call.service.show_user(call.account()?.as_str()).await?)
}

pub(super) async fn delete(call: Change) -> Answer {
    call.service.delete_user(call.account()?.as_str()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn suspend(call: Change) -> Answer {
    set_suspended(call, true).await
}

pub(super) async fn resume(call: Change) -> Answer {
    set_suspended(call, false).await
}

async fn set_suspended(call: Change, suspended: bool) -> Answer {
    call.service.set_user_suspended(call.account()?.as_str(), suspended).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn end_sessions(call: Change) -> Answer {
    let ended = call.service.end_sessions(call.account()?.as_str()).await?;
    json(&json!({ "sessions_ended": ended }))
}

pub(super) async fn reset_second_step(call: Change) -> Answer {
    let was_on = call.service.reset_second_step(call.account()?.as_str()).await?;
    json(&json!({ "second_step_was_on": was_on }))
}
