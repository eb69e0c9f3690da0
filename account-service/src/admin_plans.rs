//! What an operator does about plans, and what they see of attempts to link.

use macloud_proto::ids::AccountId;
use serde::Serialize;

use crate::admin::{Act, AdminError};
use crate::plans::{self, Plan, is_plan_name};
use crate::store::link_attempts::{self, LinkAttempt};
use crate::store::{StoreError, Tx, activity, plans as store};
use crate::{AccountService, link_doctor};

/// The plan of an account.
#[derive(Debug, Clone, Serialize)]
pub struct PlanOfUser {
    /// Whose.
    pub email: String,
    /// Its name; none when it has none of its own and so the first of the configured plans.
    pub plan: Option<String>,
    /// `operator`, `payment` or `default`: why.
    pub by: &'static str,
}

/// What an account may use, and has used.
#[derive(Debug, Clone, Serialize)]
pub struct Allowance {
    /// The plan that it has; the first one when it has none of its own, or one that is not configured any more.
    pub plan: Plan,
    /// `operator`, `payment` or `default`: why.
    pub by: &'static str,
    /// Commands that counted today.
    pub commands_today: i64,
    /// When they count anew, in seconds since 1970.
    pub day_ends_at: i64,
}

/// An attempt to link an app, as an operator sees it.
#[derive(Debug, Clone, Serialize)]
pub struct LinkAttemptReport {
    /// Seconds since 1970.
    pub began_at: i64,
    /// As the app gave it.
    pub client_id: String,
    /// Whether it is registered.
    pub known_client: bool,
    /// The host that the answer was to go to.
    pub host: String,
    /// How far it came: `request`, `sign_in`, `consent`, `code`, `token`, `first_refresh`.
    pub stage: &'static str,
    /// What stopped it, if anything did.
    pub cause: Option<&'static str>,
    /// Whose it was, once somebody had signed in.
    pub email: Option<String>,
}

impl AccountService {
    /// Everybody's plan.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_plans(&self) -> Result<Vec<PlanOfUser>, AdminError> {
        let shared = &self.shared;
        let assigned = store::list(&shared.db, shared.now()).await?;
        self.note(&Act::new("plan.list")).await?;
        let plan_of = |user: store::Assigned| {
            let by = match (&user.plan, user.by_operator) {
                (None, _) => "default",
                (Some(_), true) => "operator",
                (Some(_), false) => "payment",
            };
            PlanOfUser { email: user.email, plan: user.plan, by }
        };
        Ok(assigned.into_iter().map(plan_of).collect())
    }

    /// The plans that there are, the first being everybody's who has no other. None when nothing is limited.
    #[must_use]
    pub fn configured_plans(&self) -> &[Plan] {
        &self.shared.config.plans.plans
    }

    /// What an account, by id or e-mail address, may use.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn show_plan(&self, who: &str) -> Result<Allowance, AdminError> {
        let (shared, act) = (&self.shared, Act::new("plan.show"));
        let account = self.account_of(&act, who).await?;
        let given = store::given_by_operator(&shared.db, &account).await?;
        let own = store::name_of(&shared.db, &account, shared.now()).await?;
        let by = match (&given, &own) {
            (Some(_), _) => "operator",
            (None, Some(_)) => "payment",
            (None, None) => "default",
        };
        let today = plans::today(shared, &account).await?;
        let plan = shared.config.plans.named(own.as_deref());
        Ok(Allowance { plan, by, commands_today: today.used, day_ends_at: today.ends_at })
    }

    /// Give an account a plan, whatever it pays for; `None` takes it back. Counts at once, also for homes that are connected.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn set_plan(&self, who: &str, plan: Option<&str>) -> Result<(), AdminError> {
        let shared = &self.shared;
        let act = Act::new("plan.set").on(plan.unwrap_or("default"));
        if plan.is_some_and(|plan| !is_plan_name(plan)) {
            return Err(self.refused(&act, AdminError::PlanName).await);
        }
        // Beside the service, at the command line, no plans are configured: there, any name may be one.
        let known = self.configured_plans();
        if plan.is_some_and(|plan| !known.is_empty() && known.iter().all(|known| known.name != plan)) {
            return Err(self.refused(&act, AdminError::Unknown("plan")).await);
        }
        let account = self.account_of(&act, who).await?;
        let mut tx = shared.db.begin().await?;
        let outcome = give(&mut tx, &account, plan, shared.now()).await.map_err(AdminError::from);
        self.finish(tx, &act.on_account(&account), outcome).await?;
        activity::note(&shared.db, &account, activity::Kind::PlanChanged, plan.unwrap_or("default"), shared.now())
            .await;
        Ok(())
    }

    /// The newest attempts to link an app, of everybody and nobody.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_link_attempts(&self, most: u32) -> Result<Vec<LinkAttemptReport>, AdminError> {
        link_doctor::write_up(&self.shared).await?;
        let attempts = link_attempts::of_all(&self.shared.db, most.into()).await?;
        self.note(&Act::new("link_attempt.list")).await?;
        Ok(attempts.into_iter().map(report).collect())
    }
}

async fn give(tx: &mut Tx, account: &AccountId, plan: Option<&str>, now: i64) -> Result<(), StoreError> {
    store::set(tx, account, plan, now).await?;
    plans::tell_limits(tx, account, now).await
}

fn report(attempt: LinkAttempt) -> LinkAttemptReport {
    let stage = match (attempt.linked_at, attempt.refreshed_at) {
        (Some(_), Some(_)) => "first_refresh",
        (Some(_), None) => "token",
        (None, _) => attempt.stage.text(),
    };
    LinkAttemptReport {
        began_at: attempt.began_at,
        known_client: attempt.client.is_some(),
        client_id: attempt.client_id,
        host: attempt.host,
        stage,
        cause: attempt.cause.map(link_attempts::Cause::text),
        email: attempt.email,
    }
}
