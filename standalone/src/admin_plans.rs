//! `ma-cloud admin plan` and `ma-cloud admin link-attempts`.

use macloud_account_service::AccountService;
use serde_json::Value;

use crate::admin::about;
use crate::cli::PlanVerb;

/// Plans.
pub(crate) async fn plan(accounts: &AccountService, verb: PlanVerb) -> anyhow::Result<Value> {
    match verb {
        PlanVerb::List => Ok(serde_json::to_value(accounts.list_plans().await?)?),
        PlanVerb::Set { who, plan } => {
            accounts.set_plan(who.text(), Some(plan.as_str()).filter(|plan| *plan != "default")).await?;
            let is_unchecked = plan != "default" && accounts.configured_plans().is_empty();
            let mut answer = about(&who, "plan", plan.into());
            if is_unchecked {
                answer["note"] = NOT_CHECKED.into();
            }
            Ok(answer)
        }
    }
}

/// The plans are settings of `serve`, and not known beside it.
const NOT_CHECKED: &str =
    "only serve knows which plans there are: while it has none of this name, its first one counts, or no limit";

/// What became of attempts to link an app.
pub(crate) async fn link_attempts(accounts: &AccountService, most: u32) -> anyhow::Result<Value> {
    Ok(serde_json::to_value(accounts.list_link_attempts(most).await?)?)
}
