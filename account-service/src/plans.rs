//! Plans: how much of the service an account may use. The operator's configuration says which there are; the first is what
//! everybody has who has no other. Without any, nothing is limited but what protects the service itself.
//!
//! Commands are counted twice, for two purposes. The relay counts what it sends to a home and refuses what is too much, at
//! once and exactly. Here the reports of the skill are added up: they are what people see, what is told to a relay that begins
//! to count anew, and what makes several relays agree. Looking (discovery, how a player stands) never counts.

use std::collections::BTreeSet;
use std::str::FromStr;

use macloud_proto::ids::{AccountId, InstanceId, base32};
use macloud_proto::instance_token::{DayLimit, Limits};

use crate::secrets;
use crate::shared::Shared;
use crate::store::changes::{self, Subject};
use crate::store::plans::{self, Notice};
use crate::store::{StoreError, Tx, accounts, activity, instances};
use crate::words;

const DAY: i64 = 24 * 3600;
/// From here on, in percent, people are told that it gets tight.
const NEARLY: i64 = 80;

/// What accounts may use, as it is given on the command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PlanArgs {
    /// A plan, such as `free,commands-per-day=200,commands-per-minute=30,homes=2,members=3`: its name and its limits, each
    /// of which may be left out. May be given several times; the first is everybody's who has no other. Without any plan
    /// nothing is limited.
    #[arg(long = "plan", value_name = "PLAN")]
    pub plans: Vec<Plan>,
}

/// One plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Plan {
    /// Its name: 1 to 32 letters, digits and hyphens.
    pub name: String,
    /// Commands a minute for each home, with a burst of the same size.
    pub commands_per_minute: Option<u32>,
    /// Commands a day for all homes of an account together.
    pub commands_per_day: Option<u32>,
    /// Homes that an account may connect.
    pub homes: Option<u32>,
    /// Other people whom each home may be shared with.
    pub members: Option<u32>,
}

/// Why a text is no [`Plan`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected NAME,LIMIT=NUMBER,… with a name of 1 to 32 letters, digits and hyphens, numbers from 1 to 1000000, and each of \
     commands-per-minute, commands-per-day, homes and members at most once; {0}"
)]
pub struct InvalidPlan(&'static str);

impl FromStr for Plan {
    type Err = InvalidPlan;
    fn from_str(text: &str) -> Result<Self, InvalidPlan> {
        let mut parts = text.split(',').map(str::trim);
        let name = parts.next().unwrap_or_default();
        if !is_plan_name(name) {
            return Err(InvalidPlan("the name is missing or has other characters"));
        }
        let mut plan = Self { name: name.to_owned(), ..Self::default() };
        for part in parts {
            let (limit, number) = part.split_once('=').ok_or(InvalidPlan("a limit has no ="))?;
            let number: u32 = number.parse().map_err(|_| InvalidPlan("a limit is no number"))?;
            if !(1..=1_000_000).contains(&number) {
                return Err(InvalidPlan("a limit is too small or too large"));
            }
            let limit = match limit {
                "commands-per-minute" => &mut plan.commands_per_minute,
                "commands-per-day" => &mut plan.commands_per_day,
                "homes" => &mut plan.homes,
                "members" => &mut plan.members,
                _ => return Err(InvalidPlan("there is no such limit")),
            };
            if limit.replace(number).is_some() {
                return Err(InvalidPlan("a limit is there twice"));
            }
        }
        Ok(plan)
    }
}

/// What a plan may be called.
#[must_use]
pub(crate) fn is_plan_name(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl PlanArgs {
    /// Whether the operator has made a plan.
    pub(crate) fn is_any(&self) -> bool {
        !self.plans.is_empty()
    }

    /// The plan of this name; the first one for a name that is not configured (any more), and a plan without limits when
    /// there is none at all.
    #[must_use]
    pub fn named(&self, name: Option<&str>) -> Plan {
        let named = name.and_then(|name| self.plans.iter().find(|plan| plan.name == name));
        let first = || Plan { name: "unlimited".into(), ..Plan::default() };
        named.or(self.plans.first()).cloned().unwrap_or_else(first)
    }
}

/// A day of the counters, in which so many commands were used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Today {
    pub(crate) used: i64,
    pub(crate) ends_at: i64,
}

/// The plan of an account at this moment.
pub(crate) async fn of_account(shared: &Shared, account: &AccountId) -> Result<Plan, StoreError> {
    let name = plans::name_of(&shared.db, account, shared.now()).await?;
    Ok(shared.config.plans.named(name.as_deref()))
}

/// The same, where something that plans count is about to be added: nobody else adds to this account until the transaction
/// ends.
pub(crate) async fn held(shared: &Shared, tx: &mut Tx, account: &AccountId) -> Result<Plan, StoreError> {
    let name = plans::name_held(tx, account, shared.now()).await?;
    Ok(shared.config.plans.named(name.as_deref()))
}

/// What an account has used today.
pub(crate) async fn today(shared: &Shared, account: &AccountId) -> Result<Today, StoreError> {
    let began = day_of(shared.now());
    Ok(Today { used: plans::used_since(&shared.db, account, began).await?, ends_at: began + DAY })
}

/// What the token of a home of this account says.
pub(crate) async fn limits(shared: &Shared, account: &AccountId) -> Result<Limits, StoreError> {
    let plan = of_account(shared, account).await?;
    let most = shared.config.commands_per_minute;
    let commands_per_minute = plan.commands_per_minute.unwrap_or(most).min(most);
    let day = match plan.commands_per_day {
        None => None,
        Some(commands) => {
            let Today { used, ends_at } = today(shared, account).await?;
            Some(DayLimit {
                shared_by: opaque(shared, account),
                commands,
                used: u32::try_from(used).unwrap_or(u32::MAX),
                ends_at: ends_at.unsigned_abs(),
            })
        }
    };
    Ok(Limits { commands_per_minute, day })
}

/// Whether this person may connect one home more. `Err` says how many the plan allows.
pub(crate) async fn may_connect_home(shared: &Shared, account: &AccountId) -> Result<Result<(), u32>, StoreError> {
    let Some(most) = of_account(shared, account).await?.homes else { return Ok(Ok(())) };
    let homes = instances::of_account(&shared.db, account).await?;
    let owned = homes.iter().filter(|home| home.account_id == *account).count();
    Ok(if owned < most as usize { Ok(()) } else { Err(most) })
}

/// Within the transaction in which a home came to this account: whether its plan has room for it. `Err` says for how many it
/// has. Whoever was allowed to connect one may have been allowed more meanwhile, so this is what counts.
pub(crate) async fn has_room(shared: &Shared, tx: &mut Tx, account: &AccountId) -> Result<Result<(), u32>, StoreError> {
    let Some(most) = held(shared, tx, account).await?.homes else { return Ok(Ok(())) };
    let homes = instances::living_of_account(tx, account).await?.len();
    Ok(if homes <= most as usize { Ok(()) } else { Err(most) })
}

/// After commands were counted for these homes: tell their owners when it gets tight, and the relays when it is over. Each
/// once a day.
pub(crate) async fn after_use(shared: &Shared, homes: BTreeSet<InstanceId>) -> Result<(), StoreError> {
    if shared.config.plans.plans.iter().all(|plan| plan.commands_per_day.is_none()) {
        return Ok(());
    }
    let mut owners = BTreeSet::new();
    for home in homes {
        owners.extend(instances::by_id(&shared.db, &home).await?.map(|home| home.account_id));
    }
    for owner in owners {
        let Some(most) = of_account(shared, &owner).await?.commands_per_day.map(i64::from) else { continue };
        let Today { used, .. } = today(shared, &owner).await?;
        if used >= most {
            used_up(shared, &owner, most).await?;
        } else if used * 100 >= most * NEARLY {
            nearly_used_up(shared, &owner, used, most).await?;
        }
    }
    Ok(())
}

async fn nearly_used_up(shared: &Shared, account: &AccountId, used: i64, most: i64) -> Result<(), StoreError> {
    let now = shared.now();
    // Looked up first: once it is noted that they were told, they must be.
    let Some(known) = accounts::by_id(&shared.db, account).await? else { return Ok(()) };
    let mut tx = shared.db.begin().await?;
    if !plans::notice(&mut tx, account, day_of(now), Notice::Nearly(most)).await? {
        return Ok(());
    }
    shared.commit(tx).await?;
    activity::note(&shared.db, account, activity::Kind::PlanNearlyUsed, &most.to_string(), now).await;
    let numbers = [("used", used.into()), ("most", most.into()), ("address", shared.url("/plan").into())];
    shared.mail.send(&known.email, &words::say("plan-mail-subject"), &words::with("plan-mail-text", numbers));
    Ok(())
}

/// Relays count by themselves; with several of them, each knows only its part.
async fn used_up(shared: &Shared, account: &AccountId, most: i64) -> Result<(), StoreError> {
    let now = shared.now();
    let mut tx = shared.db.begin().await?;
    if !plans::notice(&mut tx, account, day_of(now), Notice::UsedUp(most)).await? {
        return Ok(());
    }
    tell_limits(&mut tx, account, now).await?;
    shared.commit(tx).await?;
    activity::note(&shared.db, account, activity::Kind::PlanUsedUp, &most.to_string(), now).await;
    Ok(())
}

/// Have the homes of this account ask for tokens that say what is true now: within the transaction that made it so.
pub(crate) async fn tell_limits(tx: &mut Tx, account: &AccountId, now: i64) -> Result<(), StoreError> {
    for home in instances::living_of_account(tx, account).await? {
        changes::append(tx, &Subject::LimitsChanged(home), now).await?;
    }
    Ok(())
}

const fn day_of(now: i64) -> i64 {
    now - now.rem_euclid(DAY)
}

/// By this the relay knows which homes share a limit, and nothing else.
fn opaque(shared: &Shared, account: &AccountId) -> String {
    base32(&secrets::hash(&format!("limits\0{}\0{account}", shared.issuer))[..10])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_read_or_refused() {
        let plan: Plan = "free,commands-per-day=200,homes=2,commands-per-minute=30,members=3".parse().unwrap();
        let wanted = Plan {
            name: "free".into(),
            commands_per_minute: Some(30),
            commands_per_day: Some(200),
            homes: Some(2),
            members: Some(3),
        };
        assert_eq!(plan, wanted);
        assert_eq!("plus".parse(), Ok(Plan { name: "plus".into(), ..Plan::default() }));
        for wrong in [
            "",
            ",homes=1",
            "a b",
            "free,homes",
            "free,homes=",
            "free,homes=0",
            "free,homes=-1",
            "free,homes=1000001",
            "free,homes=1,homes=2",
            "free,rooms=1",
            "free,",
        ] {
            assert!(wrong.parse::<Plan>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_first_plan_is_everybodys_and_none_means_no_limits() {
        let args = PlanArgs { plans: vec!["free,homes=1".parse().unwrap(), "plus".parse().unwrap()] };
        assert_eq!(args.named(None).name, "free");
        assert_eq!(args.named(Some("plus")).name, "plus");
        assert_eq!(args.named(Some("gone")).name, "free");
        let none = PlanArgs::default().named(Some("free"));
        assert_eq!((none.commands_per_day, none.homes, none.members), (None, None, None));
    }
}
