//! Webhooks as Stripe signs and writes them.

use axum::http::HeaderMap;
use ring::hmac;
use serde::Deserialize;

use super::{BillingSettings, Event, News, Provider, Refused};
use crate::form::encode;
use crate::store::billing::{Checkout, Standing, Subscription};

/// The provider's way of speaking.
pub(crate) struct Stripe {
    settings: BillingSettings,
}

impl Stripe {
    pub(crate) const fn new(settings: BillingSettings) -> Self {
        Self { settings }
    }
}

impl Provider for Stripe {
    fn read(&self, headers: &HeaderMap, body: &[u8], now: i64) -> Result<Event, Refused> {
        let mut signatures = headers.get_all("stripe-signature").iter();
        let (Some(signature), None) = (signatures.next(), signatures.next()) else { return Err(Refused::Signature) };
        let signature = signature.to_str().map_err(|_| Refused::Signature)?;
        if !signature_holds(&self.settings.webhook_secret, signature, body, now) {
            return Err(Refused::Signature);
        }
        let message: Message = serde_json::from_slice(body).map_err(|_| Refused::Malformed)?;
        if !is_id(&message.id) {
            return Err(Refused::Malformed);
        }
        let news = self.news(&message)?;
        Ok(Event { id: message.id, news })
    }

    fn payment_page(&self, reference: &str) -> String {
        let url = &self.settings.payment_url;
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}client_reference_id={}", encode(reference))
    }
}

impl Stripe {
    fn news(&self, message: &Message) -> Result<News, Refused> {
        let object = || &message.data.object;
        Ok(match message.kind.as_str() {
            "checkout.session.completed" => {
                let session: Session = parse(object())?;
                let subscription = session.subscription.filter(|id| is_id(id));
                match (session.client_reference_id, session.customer) {
                    (Some(reference), Some(customer)) if is_id(&reference) && is_id(&customer) => {
                        News::Checkout(Checkout { reference, customer, subscription })
                    }
                    // A checkout that did not begin on our page.
                    _ => News::Nothing,
                }
            }
            "customer.subscription.created" | "customer.subscription.updated" | "customer.subscription.deleted" => {
                let subscription: RawSubscription = parse(object())?;
                let ended = message.kind.ends_with("deleted");
                self.subscription(subscription, ended, message.created)?
            }
            "invoice.payment_failed" => {
                let invoice: Invoice = parse(object())?;
                // What was never paid for has no grace.
                let standing = match invoice.billing_reason.as_deref() {
                    Some("subscription_create") => Standing::PastDue { grace_until: message.created },
                    _ => self.grace(message.created),
                };
                match (invoice.subscription(), invoice.customer) {
                    (Some(id), Some(customer)) => self.changed(id, customer, None, standing, message.created)?,
                    // An invoice for something else.
                    _ => News::Nothing,
                }
            }
            _ => News::Nothing,
        })
    }

    fn subscription(&self, raw: RawSubscription, ended: bool, created: i64) -> Result<News, Refused> {
        let standing = match raw.status.as_str() {
            _ if ended => Standing::Ended,
            "active" | "trialing" => Standing::Active,
            "past_due" => self.grace(created),
            "canceled" | "incomplete_expired" => Standing::Ended,
            // Not paid yet, or not any more: no plan, but it may come (back).
            _ => Standing::PastDue { grace_until: created },
        };
        let prices = raw.items.data.iter().filter_map(|item| item.price.as_ref());
        let plan = prices.filter_map(|price| self.settings.prices.iter().find(|known| known.price == price.id)).next();
        if plan.is_none() && !ended {
            tracing::error!("a subscription has no price that --billing-price names a plan for");
        }
        self.changed(raw.id, raw.customer, plan.map(|price| price.plan.clone()), standing, created)
    }

    fn changed(
        &self,
        id: String,
        customer: String,
        plan: Option<String>,
        standing: Standing,
        changed_at: i64,
    ) -> Result<News, Refused> {
        if !is_id(&id) || !is_id(&customer) {
            return Err(Refused::Malformed);
        }
        Ok(News::Subscription(Subscription { id, customer, plan, standing, changed_at }))
    }

    fn grace(&self, created: i64) -> Standing {
        Standing::PastDue { grace_until: created.saturating_add(i64::from(self.settings.grace_days) * 24 * 3600) }
    }
}

/// Whether a `Stripe-Signature` header (`t=SECONDS,v1=HEX,…`) signs this body, made at most five minutes from `now`. Several
/// signatures are given while the secret is being changed: one of them must hold.
fn signature_holds(secret: &str, header: &str, body: &[u8], now: i64) -> bool {
    if header.len() > MOST_HEADER {
        return false;
    }
    let mut time = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            // Twice is no choice but an attempt.
            Some(("t", value)) if time.replace(value).is_some() => return false,
            Some(("v1", value)) => signatures.extend(unhex(value)),
            _ => {}
        }
    }
    let Some(text) = time else { return false };
    // As it stands in the header: that text is what was signed.
    let Some(at) = text.parse::<i64>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit())) else { return false };
    if now.abs_diff(at) > TOLERANCE_SECONDS {
        return false;
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed = [text.as_bytes(), b".", body].concat();
    // In constant time, each.
    signatures.iter().any(|signature| hmac::verify(&key, &signed, signature).is_ok())
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}

/// What an id of theirs, or a reference of ours, can be.
fn is_id(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn parse<T: serde::de::DeserializeOwned>(object: &serde_json::Value) -> Result<T, Refused> {
    T::deserialize(object).map_err(|_| Refused::Malformed)
}

#[derive(Deserialize)]
struct Message {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    created: i64,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: serde_json::Value,
}

#[derive(Deserialize)]
struct Session {
    client_reference_id: Option<String>,
    customer: Option<String>,
    subscription: Option<String>,
}

#[derive(Deserialize)]
struct RawSubscription {
    id: String,
    customer: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    items: Items,
}

#[derive(Deserialize, Default)]
struct Items {
    #[serde(default)]
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    price: Option<PriceId>,
}

#[derive(Deserialize)]
struct PriceId {
    id: String,
}

/// Until 2025 an invoice named its subscription itself; since then, what it is for does.
#[derive(Deserialize)]
struct Invoice {
    subscription: Option<String>,
    parent: Option<InvoiceParent>,
    customer: Option<String>,
    billing_reason: Option<String>,
}

#[derive(Deserialize)]
struct InvoiceParent {
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Deserialize)]
struct SubscriptionDetails {
    subscription: Option<String>,
}

impl Invoice {
    fn subscription(&self) -> Option<String> {
        let details = self.parent.as_ref().and_then(|parent| parent.subscription_details.as_ref());
        self.subscription.clone().or_else(|| details.and_then(|details| details.subscription.clone()))
    }
}

/// As the provider recommends.
const TOLERANCE_SECONDS: u64 = 300;
/// A time and a few signatures.
const MOST_HEADER: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_795_305_600;

    fn sign(secret: &str, time: &str, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, &[time.as_bytes(), b".", body].concat());
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn header(secret: &str, body: &[u8]) -> String {
        format!("t={NOW},v1={}", sign(secret, &NOW.to_string(), body))
    }

    /// Made with another program: printf '1492774577.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test_secret
    #[test]
    fn a_signature_that_another_program_made_holds() {
        let theirs = "t=1492774577,v1=799c4ba7bb339f3c8601adfd112f0e477c930a268be1243d341abb8286501c2f";
        assert!(signature_holds("whsec_test_secret", theirs, b"{\"id\":\"evt_1\"}", 1_492_774_577));
    }

    #[test]
    fn one_of_several_signatures_must_hold_and_be_fresh() {
        let (good, other) = (sign("s", &NOW.to_string(), b"body"), sign("t", &NOW.to_string(), b"body"));
        let holds = |header: &str, now: i64| signature_holds("s", header, b"body", now);
        for header in [
            format!("t={NOW},v1={good}"),
            format!("v1={good},t={NOW}"),
            format!("t={NOW}, v1={other}, v1={good}"),
            format!("t={NOW},v1=nonsense,v0={other},v1={}", good.to_uppercase()),
        ] {
            assert!(holds(&header, NOW) && holds(&header, NOW + 300) && holds(&header, NOW - 300), "{header}");
            assert!(!holds(&header, NOW + 301) && !holds(&header, NOW - 301), "{header}");
        }
        for header in [
            String::new(),
            "t=".into(),
            format!("t={NOW}"),
            format!("v1={good}"),
            format!("t={NOW},v0={good}"),
            format!("t={NOW},v1={other}"),
            format!("t=+{NOW},v1={good}"),
            format!("t={NOW},t={NOW},v1={good}"),
            format!("t={},v1={good}", NOW + 1),
            format!("t={NOW},v1={}", &good[..62]),
            format!("t={NOW},v1={good},{}", "x".repeat(1024)),
        ] {
            assert!(!holds(&header, NOW), "{header}");
        }
        assert!(!signature_holds("s", &header("s", b"body"), b"body ", NOW));
    }

    proptest! {
        #[test]
        fn any_header_is_read_and_none_forges(text in "\\PC{0,300}", body in proptest::collection::vec(any::<u8>(), 0..64), now in any::<i64>()) {
            prop_assert!(!signature_holds("secret", &text, &body, now));
        }

        #[test]
        fn a_changed_byte_breaks_it(body in proptest::collection::vec(any::<u8>(), 1..64), at in any::<prop::sample::Index>(), flip in 1..=255u8) {
            let header = header("secret", &body);
            prop_assert!(signature_holds("secret", &header, &body, NOW));
            let mut changed = body.clone();
            let at = at.index(changed.len());
            changed[at] ^= flip;
            prop_assert!(!signature_holds("secret", &header, &changed, NOW));
        }
    }
}
