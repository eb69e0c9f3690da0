//! What homes tell without being asked, on its way to Alexa.
//!
//! The way of an event: a relay node hands it over ([`reading`]), the account service says whose home it is and who wants to hear of
//! it, it is opened, and the gateway of each of these accounts is told ([`gateway`]). Only then is it done; what is not comes
//! again, here or at another process, and what was told already is not told again.

mod gateway;
mod reading;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use macloud_e2ee::event::{EventError, EventLabel, EventOpener, OpenedEvent};
use macloud_e2ee::keys::SkillSigner;
use macloud_e2ee::vocabulary::{News, Player, PlayerKind};
use macloud_proto::accounts::v1::accounts_client::AccountsClient;
use macloud_proto::accounts::v1::{EventAudienceAnswer, EventAudienceRequest};
use macloud_proto::bus::v1::HomeEvent;
use macloud_proto::ids::{InstanceId, PlayerKey};
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::random;
use macloud_service_kit::stop::Stop;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Channel;

use crate::answer::event::{self, Stamp};
use crate::directive::Endpoint;
use crate::grant::EventsConfig;
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
        let News::Player { key, can, state } = news else { return Handled::Done("unheard") };
        let player =
            Player { key, name: String::new(), kind: PlayerKind::Speaker, manufacturer: None, model: None, can, state };
        let endpoint = Endpoint { instance: instance.clone(), player: player.key.clone() }.to_string();
        let before = self.told().get(&(instance.clone(), player.key.clone())).cloned();
        let report = |token: &str| {
            let stamp = Stamp { message_id: event::uuid(random::bytes()), unix_millis: position.told_at };
            event::change_report(&stamp, &endpoint, token, &player, before.as_ref())
        };
        let mut all_told = true;
        for grant in &audience.grants {
            all_told &= self.gateway.tell(grant, &report).await != Told::Later;
        }
        if !all_told {
            return Handled::Later;
        }
        self.opener.lock().unwrap_or_else(PoisonError::into_inner).settle(&instance, &event.key, position);
        let mut told = self.told();
        if told.len() >= MAX_TOLD {
            // What is not remembered is told as a whole.
            told.clear();
        }
        told.insert((instance, player.key.clone()), player);
        Handled::Done("told")
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

    fn told(&self) -> std::sync::MutexGuard<'_, HashMap<(InstanceId, PlayerKey), Player>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
