//! The plan: what it allows, what is used of it, when it begins anew, and what never counts.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::visitor::Visitor;
use super::{Frame, PageError, Place, answer, page, see_other, when};
use crate::plans::{self, Today};
use crate::shared::Shared;
use crate::store::instances;
use crate::{billing, words};

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    frame: Frame,
    /// As the operator calls it; none where there are no plans.
    name: Option<String>,
    allows: String,
    day: Option<Day>,
    used: String,
    per_minute: u32,
    homes: String,
    members: Option<String>,
    payment_page: Option<String>,
}

/// A limited day.
struct Day {
    left: String,
    percent: i64,
    is_over: bool,
    resets: String,
}

/// GET `/plan`.
pub(super) async fn show(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    answer(&shared, try_show(&shared, &headers).await)
}

async fn try_show(shared: &Shared, headers: &HeaderMap) -> Result<Response, PageError> {
    let visitor = Visitor::of(shared, headers).await?;
    let Some(session) = &visitor.session else { return Ok(see_other("/sign-in?next=%2Fplan")) };
    let account = &session.account_id;
    let plan = plans::of_account(shared, account).await?;
    let today = plans::today(shared, account).await?;
    let owned = instances::of_account(&shared.db, account).await?;
    let owned = owned.iter().filter(|home| home.account_id == *account).count();
    let homes = match plan.homes {
        Some(most) => words::with("plan-homes-of", &[("count", (owned as u64).into()), ("most", most.into())]),
        None => words::with("plan-homes", &[("count", (owned as u64).into())]),
    };
    let is_plan = shared.config.plans.is_any();
    let [title, allows] =
        if is_plan { ["plan-title", "plan-allows"] } else { ["plan-title-none", "plan-allows-none"] }.map(words::say);
    let template = PlanPage {
        frame: Frame::new(title, Some(session)).at(Place::Plan),
        name: is_plan.then_some(plan.name),
        allows,
        day: plan.commands_per_day.map(|most| day(today, most.into(), shared.now())),
        used: words::with("plan-used", &[("count", today.used.into())]),
        per_minute: plan
            .commands_per_minute
            .unwrap_or(shared.config.commands_per_minute)
            .min(shared.config.commands_per_minute),
        homes,
        members: plan.members.map(|most| words::with("plan-members", &[("most", most.into())])),
        payment_page: billing::payment_page(shared, account).await?,
    };
    Ok(page(shared, &visitor, StatusCode::OK, &template))
}

fn day(today: Today, most: i64, now: i64) -> Day {
    let used = today.used.min(most);
    let resets = when::duration((today.ends_at - now).unsigned_abs());
    Day {
        left: words::with("plan-left", &[("left", (most - used).into()), ("most", most.into())]),
        percent: used * 100 / most.max(1),
        is_over: used == most,
        resets: words::with("plan-resets", &[("time", resets.into())]),
    }
}
