//! `ma-cloud admin plan` and `ma-cloud admin link-attempts`.

use macloud_account_service::AccountService;
use serde_json::{Value, json};

use crate::cli::PlanVerb;

/// Plans.
pub(crate) async fn plan(accounts: &AccountService, verb: PlanVerb) -> anyhow::Result<Value> {
    match verb {
        PlanVerb::List => Ok(serde_json::to_value(accounts.list_plans().await?)?),
        PlanVerb::Set { email, plan } => {
            accounts.set_plan(&email, Some(plan.as_str()).filter(|plan| *plan != "default")).await?;
            Ok(json!({"email": email, "plan": plan}))
        }
    }
}

/// What became of attempts to link an app.
pub(crate) async fn link_attempts(accounts: &AccountService, most: u32) -> anyhow::Result<Value> {
    Ok(serde_json::to_value(accounts.list_link_attempts(most).await?)?)
}
