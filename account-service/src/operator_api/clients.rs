//! OAuth clients.

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Change, Look};
use super::problem::Problem;
use super::{Answer, json};
use crate::AccountService;
use crate::admin::{ClientChange, NewClient};
use crate::store::clients::Client;

pub(super) async fn list(call: Look) -> Answer {
    call.query(&[])?;
    let now = call.service.shared.now();
    let clients = call.service.list_clients().await?;
    json(&json!({ "clients": clients.iter().map(|client| client.view(now)).collect::<Vec<_>>() }))
}

pub(super) async fn show(call: Look) -> Answer {
    let client = call.service.show_client(call.client()?).await?;
    json(&view(&call.service, &client)?)
}

pub(super) async fn create(call: Change) -> Answer {
    let service = call.service.clone();
    let new: NewClient = call.json().await?;
    let created = service.create_client(new).await?;
    let mut answer = view(&service, &created.client)?;
    if let Some(secret) = created.client_secret {
        answer["client_secret"] = secret.into();
    }
    Ok((StatusCode::CREATED, json(&answer)?).into_response())
}

pub(super) async fn update(call: Change) -> Answer {
    let (service, id) = (call.service.clone(), call.client()?.to_owned());
    let change: ClientChange = call.json().await?;
    let client = service.update_client(&id, change).await?;
    json(&view(&service, &client)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Overlap {
    overlap_seconds: u32,
}

pub(super) async fn rotate_secret(call: Change) -> Answer {
    let (service, id) = (call.service.clone(), call.client()?.to_owned());
    let Overlap { overlap_seconds } = call.json().await?;
    let secret = service.rotate_client_secret(&id, overlap_seconds).await?;
    let until = service.shared.now() + i64::from(overlap_seconds);
    json(&json!({ "client_secret": secret, "old_secret_until": until }))
}

pub(super) async fn delete(call: Change) -> Answer {
    call.service.delete_client(call.client()?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn view(service: &AccountService, client: &Client) -> Result<Value, Problem> {
    serde_json::to_value(client.view(service.shared.now())).map_err(|_| Problem::unavailable())
}
