//! Plans: which there are, and who has which.

use serde::Deserialize;
use serde_json::json;

use super::call::{Change, Look};
use super::{Answer, json};

pub(super) async fn list(call: Look) -> Answer {
    call.query(&[])?;
    json(&json!({ "plans": call.service.configured_plans() }))
}

pub(super) async fn show(call: Look) -> Answer {
    json(&call.service.show_plan(call.account()?.as_str()).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Null takes back what an operator gave. It must be said: an empty object is a mistake.
    #[serde(deserialize_with = "Option::deserialize")]
    plan: Option<String>,
}

pub(super) async fn set(call: Change) -> Answer {
    let (service, account) = (call.service.clone(), call.account());
    let Wanted { plan } = call.json().await?;
    let account = account?;
    service.set_plan(account.as_str(), plan.as_deref()).await?;
    json(&service.show_plan(account.as_str()).await?)
}
