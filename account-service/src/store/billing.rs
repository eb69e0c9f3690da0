//! What is paid for, as the payment provider tells it: in any order, and more than once.

use std::collections::BTreeSet;

use macloud_proto::ids::AccountId;

use super::{Db, Result, Tx, parse_id, statements, values};

statements! {
    /// Takes the counter's row lock until the transaction ends. A checkout and its subscription are told of within
    /// milliseconds: without it, each could look for the other before either is there.
    TURN = "UPDATE billing_counter SET last = last + 1 WHERE id = 1";
    EVENT = "INSERT INTO billing_events (event_id, counted_at) VALUES ($1, $2) ON CONFLICT (event_id) DO NOTHING";
    /// Whoever's plan a message about these may change. A missing value finds nobody.
    CONCERNED = "SELECT account_id FROM billing_accounts WHERE reference = $1 OR customer = $2 \
                 UNION SELECT account_id FROM billing_subscriptions WHERE (customer = $2 OR subscription = $3) AND account_id IS NOT NULL";
    MAKE_REFERENCE = "INSERT INTO billing_accounts (account_id, reference) SELECT id, $2 FROM accounts WHERE id = $1 ON CONFLICT (account_id) DO NOTHING";
    REFERENCE = "SELECT reference FROM billing_accounts WHERE account_id = $1";
    OF_REFERENCE = "SELECT account_id FROM billing_accounts WHERE reference = $1";
    /// The customer of an account's newest checkout. One who pays for several accounts stays the first one's.
    BIND = "UPDATE billing_accounts SET customer = $2 WHERE account_id = $1 \
            AND NOT EXISTS (SELECT 1 FROM billing_accounts other WHERE other.customer = $2 AND other.account_id <> $1)";
    ADOPT = "UPDATE billing_subscriptions SET account_id = $2 WHERE customer = $1 AND account_id IS NULL";
    HOLDER = "SELECT account_id FROM billing_subscriptions WHERE subscription = $1 AND account_id IS NOT NULL";
    /// What a checkout was for is that account's, whoever its customer seemed to be. Of one that nothing else is known of
    /// yet, whatever comes is newer.
    CLAIM = "INSERT INTO billing_subscriptions (subscription, customer, account_id, status, changed_at) VALUES ($1, $2, $3, 'past_due', 0) \
             ON CONFLICT (subscription) DO UPDATE SET account_id = excluded.account_id";
    /// Older events fill in what is not known and change nothing else; an end is final. Times are whole seconds, and a
    /// subscription is often made and paid within one: "not paid yet" does not undo "active" of the same second.
    ///
    /// Whose a new one is, its customer says, or else the customer's other subscriptions, if they agree.
    CHANGE = "INSERT INTO billing_subscriptions (subscription, customer, account_id, plan, status, grace_until, changed_at) \
              VALUES ($1, $2, COALESCE((SELECT account_id FROM billing_accounts WHERE customer = $2), \
              (SELECT MIN(account_id) FROM billing_subscriptions WHERE customer = $2 HAVING COUNT(DISTINCT account_id) = 1)), $3, $4, $5, $6) \
              ON CONFLICT (subscription) DO UPDATE SET \
              account_id = COALESCE(billing_subscriptions.account_id, excluded.account_id), \
              plan = CASE WHEN excluded.changed_at >= billing_subscriptions.changed_at THEN COALESCE(excluded.plan, billing_subscriptions.plan) \
                     ELSE COALESCE(billing_subscriptions.plan, excluded.plan) END, \
              grace_until = CASE WHEN excluded.changed_at < billing_subscriptions.changed_at THEN billing_subscriptions.grace_until \
                            WHEN excluded.changed_at = billing_subscriptions.changed_at AND billing_subscriptions.status = 'active' \
                                 AND excluded.grace_until <= excluded.changed_at THEN NULL \
                            WHEN excluded.status = 'past_due' THEN COALESCE(billing_subscriptions.grace_until, excluded.grace_until) ELSE NULL END, \
              status = CASE WHEN billing_subscriptions.status = 'ended' THEN 'ended' \
                       WHEN excluded.changed_at = billing_subscriptions.changed_at AND billing_subscriptions.status = 'active' \
                            AND excluded.grace_until <= excluded.changed_at THEN 'active' \
                       WHEN excluded.changed_at >= billing_subscriptions.changed_at THEN excluded.status ELSE billing_subscriptions.status END, \
              changed_at = CASE WHEN excluded.changed_at > billing_subscriptions.changed_at THEN excluded.changed_at ELSE billing_subscriptions.changed_at END \
              RETURNING account_id";
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

/// What a checkout says: who came with the reference is this customer, and paid for this subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkout {
    pub(crate) reference: String,
    pub(crate) customer: String,
    pub(crate) subscription: Option<String>,
}

/// Whether this event is new. Whoever asks has its turn until the transaction ends.
pub(crate) async fn is_new(tx: &mut Tx, event_id: &str, now: i64) -> Result<bool> {
    tx.write(TURN, values![]).await?;
    Ok(tx.write(EVENT, values![event_id, now]).await? == 1)
}

/// Whoever's plan a message about these may change.
pub(crate) async fn concerned(
    tx: &mut Tx,
    reference: Option<&str>,
    customer: &str,
    subscription: Option<&str>,
) -> Result<BTreeSet<AccountId>> {
    let values = values![reference.unwrap_or_default(), customer, subscription.unwrap_or_default()];
    let rows: Vec<(String,)> = tx.rows(CONCERNED, values).await?;
    rows.iter().map(|(account,)| parse_id(account, "billing_accounts", "account_id")).collect()
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

/// What was paid for in a checkout is its account's. Whose plans may have changed: nobody's, when the reference is unknown
/// or the customer somebody else's.
pub(crate) async fn bind(tx: &mut Tx, checkout: &Checkout) -> Result<BTreeSet<AccountId>> {
    let Checkout { reference, customer, subscription } = checkout;
    let row: Option<(String,)> = tx.optional(OF_REFERENCE, values![reference]).await?;
    let Some((account,)) = row else { return Ok(BTreeSet::new()) };
    let mut changed = BTreeSet::new();
    if let Some(subscription) = subscription {
        let holder: Option<(String,)> = tx.optional(HOLDER, values![subscription]).await?;
        tx.write(CLAIM, values![subscription, customer, &account]).await?;
        changed.extend(holder.map(|(holder,)| holder));
        changed.insert(account.clone());
    }
    if tx.write(BIND, values![&account, customer]).await? == 1 {
        tx.write(ADOPT, values![customer, &account]).await?;
        changed.insert(account);
    }
    changed.iter().map(|account| parse_id(account, "billing_accounts", "account_id")).collect()
}

/// A subscription is, or has become, like this. Whose it is, if that is known.
pub(crate) async fn change(tx: &mut Tx, subscription: &Subscription) -> Result<Option<AccountId>> {
    let Subscription { id, customer, plan, standing, changed_at } = subscription;
    let (status, grace_until) = match standing {
        Standing::Active => ("active", None),
        Standing::PastDue { grace_until } => ("past_due", Some(*grace_until)),
        Standing::Ended => ("ended", None),
    };
    let values = values![id, customer, plan.as_deref(), status, grace_until, *changed_at];
    let row: Option<(Option<String>,)> = tx.optional(CHANGE, values).await?;
    let account = row.and_then(|(account,)| account);
    account.map(|account| parse_id(&account, "billing_subscriptions", "account_id")).transpose()
}
