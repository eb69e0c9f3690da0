//! Which plan an account has, and what it has used.

use macloud_proto::ids::AccountId;

use super::{Db, Result, Tx, statements, values};

statements! {
    /// What the operator said comes first, then what is paid for and not out of its grace.
    NAME = "SELECT COALESCE((SELECT plan FROM account_plans WHERE account_id = $1), \
            (SELECT plan FROM billing_subscriptions WHERE account_id = $1 AND plan IS NOT NULL \
             AND (status = 'active' OR status = 'past_due' AND grace_until > $2) ORDER BY changed_at DESC, subscription LIMIT 1))";
    BY_OPERATOR = "SELECT plan FROM account_plans WHERE account_id = $1";
    HOLD = "UPDATE accounts SET id = id WHERE id = $1";
    SET = "INSERT INTO account_plans (account_id, plan, set_at) VALUES ($1, $2, $3) \
           ON CONFLICT (account_id) DO UPDATE SET plan = excluded.plan, set_at = excluded.set_at";
    UNSET = "DELETE FROM account_plans WHERE account_id = $1";
    PAID = "SELECT COUNT(*) FROM billing_subscriptions WHERE account_id = $1 AND status <> 'ended'";
    LIST = "SELECT a.email, COALESCE((SELECT plan FROM account_plans p WHERE p.account_id = a.id), \
            (SELECT plan FROM billing_subscriptions s WHERE s.account_id = a.id AND s.plan IS NOT NULL \
             AND (s.status = 'active' OR s.status = 'past_due' AND s.grace_until > $1) ORDER BY s.changed_at DESC, s.subscription LIMIT 1)), \
            CAST(CASE WHEN EXISTS (SELECT 1 FROM account_plans p WHERE p.account_id = a.id) THEN 1 ELSE 0 END AS BIGINT) \
            FROM accounts a ORDER BY a.created_at, a.id";
    /// What did something and reached a home of the account, whoever asked for it.
    USED = "SELECT CAST(COALESCE(SUM(u.times), 0) AS BIGINT) FROM uses u JOIN instances i ON i.id = u.instance_id \
            WHERE i.account_id = $1 AND u.last_at >= $2 AND u.hour >= $2 AND u.kind NOT IN ('discovery', 'read') \
            AND u.result IN ('done', 'refused', 'not_possible', 'timed_out')";
    NOTICE = "INSERT INTO plan_notices (account_id, day, notice) SELECT id, $2, $3 FROM accounts WHERE id = $1 \
              ON CONFLICT (account_id, day, notice) DO NOTHING";
}

/// What an account is told about the commands of a day that its plan has: another number is other news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    Nearly(i64),
    UsedUp(i64),
}

/// An account's plan, as an operator sees it.
pub(crate) struct Assigned {
    pub(crate) email: String,
    pub(crate) plan: Option<String>,
    pub(crate) by_operator: bool,
}

/// The name of the account's plan, if it has one of its own.
pub(crate) async fn name_of(db: &Db, account: &AccountId, now: i64) -> Result<Option<String>> {
    let row: Option<(Option<String>,)> = db.optional(NAME, values![account.as_str(), now]).await?;
    Ok(row.and_then(|(plan,)| plan))
}

/// The same, and let nobody else add what plans count to this account until the transaction ends.
pub(crate) async fn name_held(tx: &mut Tx, account: &AccountId, now: i64) -> Result<Option<String>> {
    tx.write(HOLD, values![account.as_str()]).await?;
    name_in(tx, account, now).await
}

/// The same, as it is within a transaction.
pub(crate) async fn name_in(tx: &mut Tx, account: &AccountId, now: i64) -> Result<Option<String>> {
    let row: Option<(Option<String>,)> = tx.optional(NAME, values![account.as_str(), now]).await?;
    Ok(row.and_then(|(plan,)| plan))
}

/// Whether a plan is being paid for, so that payments go on when the account is gone.
pub(crate) async fn is_paid_for(db: &Db, account: &AccountId) -> Result<bool> {
    let row: Option<(i64,)> = db.optional(PAID, values![account.as_str()]).await?;
    Ok(row.is_some_and(|(count,)| count > 0))
}

/// The name of the plan that an operator gave the account, if one did.
pub(crate) async fn given_by_operator(db: &Db, account: &AccountId) -> Result<Option<String>> {
    let row: Option<(String,)> = db.optional(BY_OPERATOR, values![account.as_str()]).await?;
    Ok(row.map(|(plan,)| plan))
}

/// Give the account this plan, or take what was given.
pub(crate) async fn set(tx: &mut Tx, account: &AccountId, plan: Option<&str>, now: i64) -> Result<()> {
    match plan {
        Some(plan) => tx.write(SET, values![account.as_str(), plan, now]).await?,
        None => tx.write(UNSET, values![account.as_str()]).await?,
    };
    Ok(())
}

/// Everybody's, oldest account first.
pub(crate) async fn list(db: &Db, now: i64) -> Result<Vec<Assigned>> {
    let rows: Vec<(String, Option<String>, i64)> = db.rows(LIST, values![now]).await?;
    Ok(rows.into_iter().map(|(email, plan, by)| Assigned { email, plan, by_operator: by == 1 }).collect())
}

/// Commands that counted since then.
pub(crate) async fn used_since(db: &Db, account: &AccountId, began: i64) -> Result<i64> {
    let row: Option<(i64,)> = db.optional(USED, values![account.as_str(), began]).await?;
    Ok(row.map_or(0, |(used,)| used))
}

/// Whether the account has not been told this today. Of any number that ask at once, one is told so.
pub(crate) async fn notice(tx: &mut Tx, account: &AccountId, day: i64, notice: Notice) -> Result<bool> {
    let notice = match notice {
        Notice::Nearly(most) => format!("nearly:{most}"),
        Notice::UsedUp(most) => format!("used_up:{most}"),
    };
    Ok(tx.write(NOTICE, values![account.as_str(), day, &notice]).await? == 1)
}
