//! What is paid for, as the payment provider tells it: in any order, and more than once.

use macloud_proto::ids::AccountId;

use super::{Db, Result, Tx, parse_id, statements, values};

statements! {
    EVENT = "INSERT INTO billing_events (event_id, counted_at) VALUES ($1, $2) ON CONFLICT (event_id) DO NOTHING";
    MAKE_REFERENCE = "INSERT INTO billing_accounts (account_id, reference) SELECT id, $2 FROM accounts WHERE id = $1 ON CONFLICT (account_id) DO NOTHING";
    REFERENCE = "SELECT reference FROM billing_accounts WHERE account_id = $1";
    /// Once bound, an account stays with its customer: another checkout with its reference makes another customer only
    /// when the first is no longer paid for.
    BIND = "UPDATE billing_accounts SET customer = $2 WHERE reference = $1 \
            AND NOT EXISTS (SELECT 1 FROM billing_accounts other WHERE other.customer = $2 AND other.reference <> $1) RETURNING account_id";
    ADOPT = "UPDATE billing_subscriptions SET account_id = $2 WHERE customer = $1";
    OWNER = "SELECT account_id FROM billing_accounts WHERE customer = $1";
    /// Older events fill in what is not known and change nothing else; an end is final.
    CHANGE = "INSERT INTO billing_subscriptions (subscription, customer, account_id, plan, status, grace_until, changed_at) \
              VALUES ($1, $2, (SELECT account_id FROM billing_accounts WHERE customer = $2), $3, $4, $5, $6) \
              ON CONFLICT (subscription) DO UPDATE SET \
              plan = CASE WHEN excluded.changed_at >= billing_subscriptions.changed_at THEN COALESCE(excluded.plan, billing_subscriptions.plan) \
                     ELSE COALESCE(billing_subscriptions.plan, excluded.plan) END, \
              grace_until = CASE WHEN excluded.changed_at < billing_subscriptions.changed_at THEN billing_subscriptions.grace_until \
                            WHEN excluded.status = 'past_due' THEN COALESCE(billing_subscriptions.grace_until, excluded.grace_until) ELSE NULL END, \
              status = CASE WHEN billing_subscriptions.status = 'ended' THEN 'ended' \
                       WHEN excluded.changed_at >= billing_subscriptions.changed_at THEN excluded.status ELSE billing_subscriptions.status END, \
              changed_at = CASE WHEN excluded.changed_at > billing_subscriptions.changed_at THEN excluded.changed_at ELSE billing_subscriptions.changed_at END";
}

/// How a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Active,
    /// A payment failed: until then it still counts.
    PastDue {
        grace_until: i64,
    },
    Ended,
}

/// What an event says of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) customer: String,
    pub(crate) plan: Option<String>,
    pub(crate) standing: Standing,
    pub(crate) changed_at: i64,
}

/// Whether this event is new.
pub(crate) async fn is_new(tx: &mut Tx, event_id: &str, now: i64) -> Result<bool> {
    Ok(tx.write(EVENT, values![event_id, now]).await? == 1)
}

/// The name under which the payment page knows this account; `fresh` if it has none yet.
pub(crate) async fn reference(db: &Db, account: &AccountId, fresh: &str) -> Result<Option<String>> {
    let known: Option<(String,)> = db.optional(REFERENCE, values![account.as_str()]).await?;
    if let Some((reference,)) = known {
        return Ok(Some(reference));
    }
    db.write(MAKE_REFERENCE, values![account.as_str(), fresh]).await?;
    let made: Option<(String,)> = db.write_one(REFERENCE, values![account.as_str()]).await?;
    Ok(made.map(|(reference,)| reference))
}

/// The account of this reference is this customer. Which account, if there is such a reference.
pub(crate) async fn bind(tx: &mut Tx, reference: &str, customer: &str) -> Result<Option<AccountId>> {
    let row: Option<(String,)> = tx.optional(BIND, values![reference, customer]).await?;
    let Some((account,)) = row else { return Ok(None) };
    tx.write(ADOPT, values![customer, &account]).await?;
    parse_id(&account, "billing_accounts", "account_id").map(Some)
}

/// A subscription is, or has become, like this. Whose it is, if that is known.
pub(crate) async fn change(tx: &mut Tx, subscription: &Subscription) -> Result<Option<AccountId>> {
    let Subscription { id, customer, plan, standing, changed_at } = subscription;
    let (status, grace_until) = match standing {
        Standing::Active => ("active", None),
        Standing::PastDue { grace_until } => ("past_due", Some(*grace_until)),
        Standing::Ended => ("ended", None),
    };
    tx.write(CHANGE, values![id, customer, plan.as_deref(), status, grace_until, *changed_at]).await?;
    let row: Option<(String,)> = tx.optional(OWNER, values![customer]).await?;
    row.map(|(account,)| parse_id(&account, "billing_accounts", "account_id")).transpose()
}
