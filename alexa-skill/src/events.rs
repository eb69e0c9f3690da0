//! What homes tell without being asked, on its way to Alexa.
//!
//! The way of an event: a relay node hands it over ([`reading`]), the account service says whose home it is and who wants to hear of
//! it, it is opened, and the gateway of each of these accounts is told ([`gateway`]): of a player that has changed, or of endpoints
//! that have come, changed or gone. Only then is it done; what is not comes again, here or at another process, and what was told
//! already is not told again.
//!
//! And the other way round: what Alexa tells of the skill itself ([`skill_event`]).

mod gateway;
mod reading;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use macloud_e2ee::event::{EventError, EventLabel, EventOpener, OpenedEvent};
use macloud_e2ee::keys::SkillSigner;
use macloud_e2ee::vocabulary::{Capabilities, News, Player, PlayerKind, PlayerState, Preset};
use macloud_proto::accounts::v1::accounts_client::AccountsClient;
use macloud_proto::accounts::v1::{EventAudienceAnswer, EventAudienceRequest, EventGrant};
use macloud_proto::bus::v1::HomeEvent;
use macloud_proto::ids::{AccountId, InstanceId, PlayerKey, PresetKey};
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::random;
use macloud_service_kit::stop::Stop;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use serde_json::Value;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Channel;

use crate::answer::discovery::{self, Offer};
use crate::answer::event::{self, Stamp};
use crate::directive::{Endpoint, Thing};
use crate::failure::Failure;
use crate::grant::{EventsConfig, Grants, NotKept};
use crate::request::SkillEvent;
use crate::resolve::Resolver;
use crate::token::AccessToken;
use gateway::{Gateway, Told};

/// Tells Alexa.
pub(crate) struct Events {
    channels: Vec<Channel>,
    accounts: AccountsClient<Channel>,
    gateway: Gateway,
    signer: Arc<SkillSigner>,
    opener: Mutex<EventOpener>,
    /// How the gateways believe that players are.
    told: Mutex<HashMap<(InstanceId, PlayerKey), Player>>,
    /// What the gateways were told of which endpoints there are: a hash of each, or that it is gone.
    listed: Mutex<HashMap<String, Option<u64>>>,
    clock: SharedClock,
    counted: Counter<u64>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handled {
    /// It need not come again, for this reason.
    Done(&'static str),
    /// It must come again.
    Later,
}

impl Events {
    pub(crate) fn new(
        config: EventsConfig,
        channels: Vec<Channel>,
        accounts: Channel,
        signer: Arc<SkillSigner>,
        clock: SharedClock,
    ) -> Self {
        let counted = opentelemetry::global::meter("macloud.skill")
            .u64_counter("macloud.skill.events")
            .with_description("Events from homes by what became of them")
            .build();
        Self {
            channels,
            accounts: AccountsClient::new(accounts.clone()),
            gateway: Gateway::new(config, accounts, clock.clone()),
            signer,
            opener: Mutex::default(),
            told: Mutex::default(),
            listed: Mutex::default(),
            clock,
            counted,
        }
    }

    /// Read at every node until `stop`.
    pub(crate) async fn run(&self, stop: &Stop) {
        let readers = self.channels.iter().map(|channel| reading::read(self, channel.clone()));
        tokio::select! {
            () = stop.soft() => {}
            _ = futures_util::future::join_all(readers) => {}
        }
    }

    /// Whose readers share the events: processes that can open the same ones.
    fn group(&self) -> String {
        let id = self.signer.event_key(0).id;
        id.iter().fold("skill-".to_owned(), |name, byte| format!("{name}{byte:02x}"))
    }

    async fn handle(&self, event: &HomeEvent) -> Handled {
        let handled = self.try_to_tell(event).await;
        let result = match handled {
            Handled::Done(why) => why,
            Handled::Later => "later",
        };
        self.counted.add(1, &[KeyValue::new("result", result)]);
        handled
    }

    async fn try_to_tell(&self, event: &HomeEvent) -> Handled {
        let (Ok(instance), Ok(event_id)) = (event.instance_id.parse(), <[u8; 16]>::try_from(&event.event_id[..]))
        else {
            return Handled::Done("malformed");
        };
        let audience = match self.audience(&instance).await {
            Ok(Some(audience)) if !audience.paused && !audience.grants.is_empty() => audience,
            Ok(_) => return Handled::Done("unheard"),
            Err(()) => return Handled::Later,
        };
        let Ok(identity) = <[u8; 32]>::try_from(&audience.identity_key[..]) else { return Handled::Done("malformed") };
        let label = EventLabel { event_id: &event_id, key: &event.key };
        let opened = {
            let mut opener = self.opener.lock().unwrap_or_else(PoisonError::into_inner);
            opener.open(&self.signer, &instance, &identity, &label, &event.sealed, self.clock.unix_seconds())
        };
        let OpenedEvent { news, position } = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // Nothing of the sort is to be expected from a home that is honest, but for what comes again.
                if error != EventError::Outdated {
                    tracing::debug!(instance.id = %instance, %error, "an event was not opened");
                }
                return Handled::Done(label_of(error));
            }
        };
        let to = Audience { instance: &instance, grants: &audience.grants, told_at: position.told_at };
        let handled = match news {
            News::Player { key, can, state } => self.tell_player(&to, key, can, state).await,
            News::Players { players, presets, gone, gone_presets } => {
                self.tell_players(&to, players, presets, gone, gone_presets).await
            }
        };
        if handled != Handled::Later {
            self.opener.lock().unwrap_or_else(PoisonError::into_inner).settle(&instance, &event.key, position);
        }
        handled
    }

    /// How a player is now.
    async fn tell_player(&self, to: &Audience<'_>, key: PlayerKey, can: Capabilities, state: PlayerState) -> Handled {
        let player =
            Player { key, name: String::new(), kind: PlayerKind::Speaker, manufacturer: None, model: None, can, state };
        let place = (to.instance.clone(), player.key.clone());
        let endpoint = Endpoint { instance: to.instance.clone(), thing: Thing::Player(player.key.clone()) }.to_string();
        let before = self.told().get(&place).cloned();
        let report = |token: &str| event::change_report(&to.stamp(), &endpoint, token, &player, before.as_ref());
        // With any token there is as much to tell, or nothing.
        if report("").is_none() {
            return Handled::Done("unchanged");
        }
        match self.tell_all(to, &|token: &str| report(token).unwrap_or_default()).await {
            Told::Later => return Handled::Later,
            Told::Nobody => return Handled::Done("unheard"),
            Told::Taken => {}
        }
        let mut told = self.told();
        if told.len() >= MAX_TOLD {
            // What is not remembered is told as a whole.
            told.clear();
        }
        told.insert(place, player);
        Handled::Done("told")
    }

    /// Which endpoints there are now, as far as Alexa has not been told, and which are not any more.
    async fn tell_players(
        &self,
        to: &Audience<'_>,
        players: Vec<Player>,
        presets: Vec<Preset>,
        gone: Vec<PlayerKey>,
        gone_presets: Vec<PresetKey>,
    ) -> Handled {
        // Of an account's other homes nothing is known here: names that these have too are told apart when Alexa asks for all.
        let offer = Offer { instance: to.instance.clone(), home: String::new(), players, presets };
        let parts: Vec<Vec<Listed>> =
            discovery::in_parts(offer).into_iter().map(|part| part.into_iter().map(Listed::from).collect()).collect();
        let things = gone.into_iter().map(Thing::Player).chain(gone_presets.into_iter().map(Thing::Scene));
        let gone = things.map(|thing| Endpoint { instance: to.instance.clone(), thing }.to_string());
        let mut gone: Vec<String> = gone.filter(|id| parts.iter().flatten().all(|there| there.id != *id)).collect();
        let changed: Vec<Vec<Listed>> = {
            let listed = self.listed();
            gone.retain(|id| listed.get(id) != Some(&None));
            let is_news = |there: &Listed| listed.get(&there.id) != Some(&Some(there.hash));
            let parts = parts.into_iter().map(|part| part.into_iter().filter(is_news).collect::<Vec<_>>());
            parts.filter(|part| !part.is_empty()).collect()
        };
        if changed.is_empty() && gone.is_empty() {
            return Handled::Done("unchanged");
        }
        let mut heard = Told::Nobody;
        for part in changed {
            let endpoints: Vec<Value> = part.iter().map(|there| there.endpoint.clone()).collect();
            match self.tell_all(to, &|token: &str| event::added_or_updated(&to.stamp(), token, &endpoints)).await {
                // What was told before that need not be told again then.
                Told::Later => return Handled::Later,
                Told::Nobody => {}
                Told::Taken => {
                    heard = Told::Taken;
                    self.remember(part.into_iter().map(|there| (there.id, Some(there.hash))));
                }
            }
        }
        if !gone.is_empty() {
            match self.tell_all(to, &|token: &str| event::deleted(&to.stamp(), token, &gone)).await {
                Told::Later => return Handled::Later,
                Told::Nobody => {}
                Told::Taken => {
                    heard = Told::Taken;
                    self.remember(gone.into_iter().map(|id| (id, None)));
                }
            }
        }
        Handled::Done(if heard == Told::Taken { "told" } else { "unheard" })
    }

    fn remember(&self, told: impl Iterator<Item = (String, Option<u64>)>) {
        let mut listed = self.listed();
        if listed.len() >= MAX_LISTED {
            // What is not remembered is told once more.
            listed.clear();
        }
        listed.extend(told);
    }

    /// Whether somebody has taken it, and nobody wants it later.
    async fn tell_all(&self, to: &Audience<'_>, report: &impl Fn(&str) -> Value) -> Told {
        let mut heard = Told::Nobody;
        for grant in to.grants {
            match self.gateway.tell(grant, report).await {
                Told::Later => heard = Told::Later,
                Told::Taken if heard == Told::Nobody => heard = Told::Taken,
                Told::Taken | Told::Nobody => {}
            }
        }
        heard
    }

    /// Whose home it is, and who wants to hear of it. Nothing, when there is no such home.
    async fn audience(&self, instance: &InstanceId) -> Result<Option<EventAudienceAnswer>, ()> {
        let request = EventAudienceRequest { instance_id: instance.to_string() };
        match timeout(PATIENCE, self.accounts.clone().event_audience(request)).await {
            Ok(Ok(answer)) => Ok(Some(answer.into_inner())),
            Ok(Err(status)) if status.code() == Code::NotFound => Ok(None),
            Ok(Err(status)) => {
                tracing::debug!(code = ?status.code(), "the account service does not say who hears of a home");
                Err(())
            }
            Err(_) => Err(()),
        }
    }

    fn told(&self) -> MutexGuard<'_, HashMap<(InstanceId, PlayerKey), Player>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listed(&self) -> MutexGuard<'_, HashMap<String, Option<u64>>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who hears of a home, and since when it is so.
struct Audience<'e> {
    instance: &'e InstanceId,
    grants: &'e [EventGrant],
    told_at: u64,
}

impl Audience<'_> {
    fn stamp(&self) -> Stamp {
        Stamp { message_id: event::uuid(random::bytes()), unix_millis: self.told_at }
    }
}

/// An endpoint as it is told, and how it is known again.
struct Listed {
    id: String,
    hash: u64,
    endpoint: Value,
}

impl From<Value> for Listed {
    fn from(endpoint: Value) -> Self {
        let mut hasher = DefaultHasher::new();
        endpoint.to_string().hash(&mut hasher);
        let id = endpoint["endpointId"].as_str().unwrap_or_default().to_owned();
        Self { id, hash: hasher.finish(), endpoint }
    }
}

/// Something has happened to the skill at Amazon. Who has it no more is told nothing; there is nothing else to do.
///
/// Amazon names the account by its token when it is linked, and may leave it out when the skill is disabled: then it is known by
/// what Amazon called its customer before, which the account service keeps. It also knows whether the account has another customer,
/// who goes on hearing of it. Where none of that helps, the gateway refuses the next event.
///
/// # Errors
/// When the account service did not take it: it must come again.
pub(crate) async fn skill_event(
    event: SkillEvent,
    token: Option<&AccessToken>,
    customer: Option<&str>,
    resolver: &Resolver,
    grants: &Grants,
) -> Result<(), NotKept> {
    if !grants.events_are_on() {
        return Ok(());
    }
    let by_token = match token {
        Some(token) => match resolver.resolve(token).await {
            Ok(access) => Some(access.account.clone()),
            Err(Failure::AccountsAway) => return Err(NotKept),
            Err(_) => None,
        },
        None => None,
    };
    match (event, by_token, customer) {
        (SkillEvent::Disabled, account, Some(customer)) => disabled(grants, customer, account).await,
        // Nobody says which of the account's customers it was.
        (SkillEvent::Disabled, Some(account), None) => {
            grants.forget(&account).await;
            Ok(())
        }
        (_, Some(account), Some(customer)) => grants.note(customer, &account).await,
        _ => Ok(()),
    }
}

/// `customer` has disabled the skill; `by_token` is the account that their token is of.
async fn disabled(grants: &Grants, customer: &str, by_token: Option<AccountId>) -> Result<(), NotKept> {
    let noted = grants.customer_left(customer).await?;
    let unnoted = by_token.filter(|account| noted.as_ref() != Some(account));
    if let Some(account) = &unnoted {
        // Not noted as its customer, so it is now, and leaves: with the last one, what is kept for the account goes.
        grants.note(customer, account).await?;
        grants.customer_left(customer).await?;
    }
    match unnoted.or(noted) {
        Some(account) => {
            tracing::info!(account.id = %account, "the skill is disabled: this customer is told nothing more");
        }
        None => tracing::debug!("the skill is disabled for somebody who is not known here"),
    }
    Ok(())
}

const fn label_of(error: EventError) -> &'static str {
    match error {
        EventError::Outdated => "outdated",
        EventError::OtherKey => "other_key",
        EventError::Unknown => "unknown",
        EventError::Envelope(_) | EventError::Age | EventError::Signature | EventError::NotAuthentic => "refused",
    }
}

const PATIENCE: Duration = Duration::from_secs(3);
/// About 200 bytes each.
const MAX_TOLD: usize = 100_000;
/// Likewise.
const MAX_LISTED: usize = 100_000;
