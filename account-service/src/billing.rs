//! Billing: what a payment provider says of subscriptions becomes plans. Off unless it is configured; never a card.
//!
//! The provider is a port ([`Provider`]): it tells a true event from a forged one and says what it means. The one that is there
//! speaks the way of Stripe: signed webhooks with `checkout.session.completed`, `customer.subscription.*` and
//! `invoice.payment_failed`. Its events come more than once and in any order, so each counts once by its id, and what an older one
//! says does not undo a newer one.
//!
//! Deliberately absent: a key to the provider's interface. Whoever takes this service can charge nobody and end nothing; so a
//! subscription is ended where it is paid for, and who deletes their account is told so.

mod stripe;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use axum::http::HeaderMap;
use macloud_proto::ids::{AccountId, base32};
use macloud_service_kit::random;

use crate::plans;
use crate::shared::Shared;
use crate::store::audit::{self, Entry};
use crate::store::billing::{self, Checkout, Subscription};
use crate::store::plans::name_in;
use crate::store::{StoreError, Tx, activity};

pub(crate) use stripe::Stripe;
pub(crate) use webhook::routes;

/// How billing is set up, as it is given on the command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct BillingArgs {
    /// File with the secret that signs the payment provider's webhooks to /billing/v1/webhook. Without it, billing is off.
    #[arg(long, value_name = "FILE", requires = "billing_payment_url")]
    pub billing_webhook_secret_file: Option<PathBuf>,
    /// The payment page that /plan leads to. `client_reference_id` is added to it: a name for the account that says nothing.
    #[arg(long, value_name = "URL")]
    pub billing_payment_url: Option<String>,
    /// Which plan a price stands for, such as `price_1Abc=plus`. May be given several times.
    #[arg(long = "billing-price", value_name = "PRICE=PLAN", value_delimiter = ',')]
    pub billing_prices: Vec<Price>,
    /// After a payment failed, a plan goes on for this many days, 0 to 90.
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(0..=90))]
    pub billing_grace_days: u32,
}

/// Which plan a price stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The provider's id.
    pub price: String,
    /// The plan's name.
    pub plan: String,
}

/// Why a text is no [`Price`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected PRICE=PLAN, such as price_1Abc=plus")]
pub struct InvalidPrice;

impl std::str::FromStr for Price {
    type Err = InvalidPrice;
    fn from_str(text: &str) -> Result<Self, InvalidPrice> {
        let (price, plan) = text.split_once('=').ok_or(InvalidPrice)?;
        let good = !price.is_empty() && plans::is_plan_name(plan);
        if good { Ok(Self { price: price.into(), plan: plan.into() }) } else { Err(InvalidPrice) }
    }
}

impl BillingArgs {
    /// The settings; none while billing is off.
    ///
    /// # Errors
    /// When the file with the secret cannot be read.
    pub fn settings(&self) -> std::io::Result<Option<BillingSettings>> {
        let (Some(path), Some(payment_url)) = (&self.billing_webhook_secret_file, &self.billing_payment_url) else {
            return Ok(None);
        };
        let secret = std::fs::read_to_string(path)?.trim().to_owned();
        if secret.is_empty() {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "the file is empty"));
        }
        Ok(Some(BillingSettings {
            webhook_secret: secret,
            payment_url: payment_url.clone(),
            prices: self.billing_prices.clone(),
            grace_days: self.billing_grace_days,
        }))
    }
}

/// How billing is set up.
#[derive(Clone)]
pub struct BillingSettings {
    /// What signs the provider's webhooks.
    pub webhook_secret: String,
    /// Where people pay.
    pub payment_url: String,
    /// What the prices stand for.
    pub prices: Vec<Price>,
    /// How long a plan goes on after a payment failed.
    pub grace_days: u32,
}

impl std::fmt::Debug for BillingSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BillingSettings").field("payment_url", &self.payment_url).finish_non_exhaustive()
    }
}

/// What a payment provider's message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) news: News,
}

/// What is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Somebody paid who came from our page.
    Checkout(Checkout),
    /// A subscription is, or has become, like this.
    Subscription(Subscription),
    /// Nothing that matters here.
    Nothing,
}

/// Why a message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the signature is missing, wrong, or too old")]
    Signature,
    #[error("the message is not understood")]
    Malformed,
}

/// A payment provider.
pub(crate) trait Provider: Send + Sync {
    /// What a message says that came with these headers at `now`.
    fn read(&self, headers: &HeaderMap, body: &[u8], now: i64) -> Result<Event, Refused>;
    /// Where an account pays that the provider is to know by this reference.
    fn payment_page(&self, reference: &str) -> String;
}

/// Let an event count, once: what it changes, and that the homes of whom it concerns hear of it, or nothing.
pub(crate) async fn count(shared: &Shared, event: &Event) -> Result<(), StoreError> {
    let mut tx = shared.db.begin().await?;
    if !billing::is_new(&mut tx, &event.id, shared.now()).await? {
        return Ok(());
    }
    let before = plans_before(&mut tx, &event.news, shared.now()).await?;
    let accounts = match &event.news {
        News::Checkout(checkout) => bind(&mut tx, checkout).await?,
        News::Subscription(subscription) => billing::change(&mut tx, subscription).await?.into_iter().collect(),
        News::Nothing => BTreeSet::new(),
    };
    for account in &accounts {
        plans::tell_limits(&mut tx, account, shared.now()).await?;
        let plan = name_in(&mut tx, account, shared.now()).await?;
        if before.get(account) != Some(&plan) {
            note_plan(&mut tx, account, plan.as_deref().unwrap_or("default"), shared.now()).await?;
        }
    }
    shared.commit(tx).await?;
    for account in &accounts {
        tracing::info!(account.id = %account, "the payment provider has news of a plan");
    }
    Ok(())
}

/// The plans of whom the news may concern, as they were before.
async fn plans_before(tx: &mut Tx, news: &News, now: i64) -> Result<BTreeMap<AccountId, Option<String>>, StoreError> {
    let concerned = match news {
        News::Checkout(Checkout { reference, customer, subscription }) => {
            billing::concerned(tx, Some(reference), customer, subscription.as_deref()).await?
        }
        News::Subscription(Subscription { id, customer, .. }) => {
            billing::concerned(tx, None, customer, Some(id)).await?
        }
        News::Nothing => BTreeSet::new(),
    };
    let mut plans = BTreeMap::new();
    for account in concerned {
        let plan = name_in(tx, &account, now).await?;
        plans.insert(account, plan);
    }
    Ok(plans)
}

/// Note another plan where one that an operator gives is noted, too.
async fn note_plan(tx: &mut Tx, account: &AccountId, plan: &str, now: i64) -> Result<(), StoreError> {
    activity::note_in(tx, account, activity::Kind::PlanChanged, plan, now).await?;
    let entry = Entry {
        happened_at: now,
        actor_kind: "payment",
        actor: "",
        action: "plan.set",
        account_id: Some(account),
        subject: Some(plan),
        outcome: "done",
    };
    audit::append(tx, &entry).await
}

async fn bind(tx: &mut Tx, checkout: &Checkout) -> Result<BTreeSet<AccountId>, StoreError> {
    let accounts = billing::bind(tx, checkout).await?;
    if accounts.is_empty() {
        tracing::error!("a checkout belongs to no account, or its customer to another: somebody paid and has no plan");
    }
    Ok(accounts)
}

/// Where this person pays. None while billing is off.
pub(crate) async fn payment_page(shared: &Shared, account: &AccountId) -> Result<Option<String>, StoreError> {
    let Some(provider) = &shared.billing else { return Ok(None) };
    let fresh = base32(&random::bytes::<15>());
    let reference = billing::reference(&shared.db, account, &fresh).await?;
    Ok(reference.map(|reference| provider.payment_page(&reference)))
}
