//! The events of the smart home side, each complete and ready to send.
//!
//! Every answer about a player carries all of its reportable properties, not only the changed one, and its health.

use macloud_e2ee::vocabulary::{Playback, Player, Refusal, Repeat};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::answer::error::{self, AlexaError};
use crate::directive::{AUTOPLAY, Kind, PRESET, REPEAT, REPEAT_MODES, ReplyTo, SHUFFLE, SLEEP_TIMER, preset_mode};
use crate::failure::Failure;

/// What makes one event different from another of the same content.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// A fresh UUID.
    pub message_id: String,
    /// The time that properties were sampled at, milliseconds since 1970.
    pub unix_millis: u64,
}

/// A control directive was carried out, and this is how the player is now.
#[must_use]
pub fn response(stamp: &Stamp, reply_to: &ReplyTo, player: &Player) -> Value {
    about_player(stamp, reply_to, player, "Response")
}

/// How a player is.
#[must_use]
pub fn state_report(stamp: &Stamp, reply_to: &ReplyTo, player: &Player) -> Value {
    about_player(stamp, reply_to, player, "StateReport")
}

/// What plays was moved on or back, and this is where it is now.
#[must_use]
pub fn sought(stamp: &Stamp, reply_to: &ReplyTo, player: &Player) -> Value {
    let Some(position) = player.state.position else { return response(stamp, reply_to, player) };
    let mut event = about_player(stamp, reply_to, player, "StateReport");
    event["event"]["header"]["namespace"] = json!("Alexa.SeekController");
    let millis = u64::from(position) * 1000;
    event["event"]["payload"] = json!({"properties": [{"name": "positionMilliseconds", "value": millis.min(DAY_MS)}]});
    event
}

/// A favourite is played.
#[must_use]
pub fn activated(stamp: &Stamp, reply_to: &ReplyTo) -> Value {
    let at = sample_time(stamp.unix_millis);
    // Whether it was said or touched is not told.
    let payload = json!({"cause": {"type": "VOICE_INTERACTION"}, "timestamp": &at});
    let mut event = json!({"header": header(stamp, "Alexa.SceneController", "ActivationStarted"), "payload": payload});
    repeat(&mut event, reply_to);
    let health = Property::new("Alexa.EndpointHealth", "connectivity", json!({"value": "OK"}));
    json!({"context": {"properties": [health.at(&at)]}, "event": event})
}

/// A player has changed, and this is how it is now. `before` is how Alexa believes that it is; without it, everything is told as new.
/// Nothing, when nothing has changed that Alexa is to be told of.
#[must_use]
pub fn change_report(
    stamp: &Stamp,
    endpoint: &str,
    token: &str,
    player: &Player,
    before: Option<&Player>,
) -> Option<Value> {
    let at = sample_time(stamp.unix_millis);
    let known = before.map(properties).unwrap_or_default();
    let is_change = |property: &Property| property.name != COUNTS_DOWN && !known.contains(property);
    let (changed, unchanged): (Vec<_>, Vec<_>) = properties(player).into_iter().partition(is_change);
    let of = |properties: Vec<Property>| properties.iter().map(|property| property.at(&at)).collect::<Vec<_>>();
    (!changed.is_empty()).then(|| {
        json!({
            "context": {"properties": of(unchanged)},
            "event": {
                "header": header(stamp, "Alexa", "ChangeReport"),
                "endpoint": {"scope": scope(token), "endpointId": endpoint},
                // Whether somebody turned a knob, opened an app or asked Alexa, nobody knows.
                "payload": {"change": {"cause": {"type": "PHYSICAL_INTERACTION"}, "properties": of(changed)}}
            }
        })
    })
}

/// There are these endpoints, new or other than they were.
#[must_use]
pub fn added_or_updated(stamp: &Stamp, token: &str, endpoints: &[Value]) -> Value {
    let header = header(stamp, "Alexa.Discovery", "AddOrUpdateReport");
    json!({"event": {"header": header, "payload": {"endpoints": endpoints, "scope": scope(token)}}})
}

/// There are not any more.
#[must_use]
pub fn deleted(stamp: &Stamp, token: &str, endpoints: &[String]) -> Value {
    let endpoints: Vec<Value> = endpoints.iter().map(|id| json!({"endpointId": id})).collect();
    let header = header(stamp, "Alexa.Discovery", "DeleteReport");
    json!({"event": {"header": header, "payload": {"endpoints": endpoints, "scope": scope(token)}}})
}

/// The grant was accepted.
#[must_use]
pub fn grant_accepted(stamp: &Stamp) -> Value {
    json!({"event": {"header": header(stamp, "Alexa.Authorization", "AcceptGrant.Response"), "payload": {}}})
}

/// All endpoints there are.
#[must_use]
pub fn discovered(stamp: &Stamp, endpoints: Vec<Value>) -> Value {
    let header = header(stamp, "Alexa.Discovery", "Discover.Response");
    json!({"event": {"header": header, "payload": {"endpoints": endpoints}}})
}

/// It was not done, and why.
#[must_use]
pub fn failed(stamp: &Stamp, reply_to: &ReplyTo, failure: &Failure) -> Value {
    let AlexaError { namespace, kind, message } = error::to(reply_to.kind, failure);
    let mut payload = json!({"type": kind, "message": message});
    let range = match failure {
        Failure::OutOfRange { minimum, maximum } => Some((*minimum, *maximum)),
        Failure::Refused(Refusal::VolumeLimited(most)) => Some((0, most.value().into())),
        _ => None,
    };
    if let Some((minimum, maximum)) = range.filter(|_| kind == "VALUE_OUT_OF_RANGE") {
        payload["validRange"] = json!({"minimumValue": minimum, "maximumValue": maximum});
    }
    let mut event = json!({"header": header(stamp, namespace, "ErrorResponse"), "payload": payload});
    repeat(&mut event, reply_to);
    json!({"event": event})
}

/// A random UUID (version 4), as message ids are.
#[must_use]
pub fn uuid(mut random: [u8; 16]) -> String {
    random[6] = random[6] & 0x0f | 0x40;
    random[8] = random[8] & 0x3f | 0x80;
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn about_player(stamp: &Stamp, reply_to: &ReplyTo, player: &Player, name: &str) -> Value {
    let mut event = json!({"header": header(stamp, "Alexa", name), "payload": {}});
    repeat(&mut event, reply_to);
    let at = sample_time(stamp.unix_millis);
    let mut all: Vec<Value> = properties(player).iter().map(|property| property.at(&at)).collect();
    // Known only while it plays, and told only to whom it was asked of.
    if let (Kind::Preset, Some(preset)) = (reply_to.kind, &player.state.preset) {
        let mode = Property::new("Alexa.ModeController", "mode", json!(preset_mode(preset)));
        all.push(mode.of(PRESET).at(&at));
    }
    json!({"context": {"properties": all}, "event": event})
}

fn scope(token: &str) -> Value {
    json!({"type": "BearerToken", "token": token})
}

fn header(stamp: &Stamp, namespace: &str, name: &str) -> Value {
    json!({"namespace": namespace, "name": name, "messageId": stamp.message_id, "payloadVersion": "3"})
}

fn repeat(event: &mut Value, reply_to: &ReplyTo) {
    if let Some(token) = &reply_to.correlation_token {
        event["header"]["correlationToken"] = json!(token.0);
    }
    if let Some(id) = &reply_to.endpoint_id {
        event["endpoint"] = json!({"endpointId": id});
    }
}

/// What Alexa is told of one property.
#[derive(Debug, PartialEq)]
struct Property {
    namespace: &'static str,
    instance: Option<&'static str>,
    name: &'static str,
    value: Value,
}

impl Property {
    const fn new(namespace: &'static str, name: &'static str, value: Value) -> Self {
        Self { namespace, instance: None, name, value }
    }

    fn of(self, instance: &'static str) -> Self {
        Self { instance: Some(instance), ..self }
    }

    /// As it was then.
    fn at(&self, time: &str) -> Value {
        let mut property = json!({
            "namespace": self.namespace, "name": self.name, "value": self.value,
            "timeOfSample": time, "uncertaintyInMilliseconds": UNCERTAINTY_MS
        });
        if let Some(instance) = self.instance {
            property["instance"] = json!(instance);
        }
        property
    }
}

/// Exactly the properties that discovery declares as retrievable for this player, as far as they are known. Never how far what plays
/// has come.
fn properties(player: &Player) -> Vec<Property> {
    let (can, state) = (player.can, &player.state);
    let mut all = vec![Property::new("Alexa.PowerController", "powerState", json!(on_off(state.powered)))];
    let volume = state.volume.filter(|_| can.volume);
    if let Some(volume) = volume {
        all.push(Property::new("Alexa.Speaker", "volume", json!(volume.value())));
    }
    if let Some(muted) = state.muted.filter(|_| can.volume && can.mute) {
        all.push(Property::new("Alexa.Speaker", "muted", json!(muted)));
    }
    if let Some(volume) = volume {
        all.push(Property::new("Alexa.PercentageController", "percentage", json!(volume.value())));
    }
    let playback = match state.playback {
        Playback::Playing => "PLAYING",
        Playback::Paused => "PAUSED",
        Playback::Stopped => "STOPPED",
    };
    all.push(Property::new("Alexa.PlaybackStateReporter", "playbackState", json!({"state": playback})));
    let toggles = [(SHUFFLE, state.shuffle.filter(|_| can.order)), (AUTOPLAY, state.autoplay.filter(|_| can.autoplay))];
    for (instance, is_on) in toggles {
        if let Some(is_on) = is_on {
            all.push(Property::new("Alexa.ToggleController", "toggleState", json!(on_off(is_on))).of(instance));
        }
    }
    if let Some(mode) = state.repeat.filter(|_| can.order).and_then(mode) {
        all.push(Property::new("Alexa.ModeController", "mode", json!(mode)).of(REPEAT));
    }
    if can.sleep {
        let minutes = state.sleep_timer.unwrap_or(0);
        all.push(Property::new("Alexa.RangeController", COUNTS_DOWN, json!(minutes)).of(SLEEP_TIMER));
    }
    let health = if state.available { "OK" } else { "UNREACHABLE" };
    all.push(Property::new("Alexa.EndpointHealth", "connectivity", json!({"value": health})));
    all
}

const fn on_off(is_on: bool) -> &'static str {
    if is_on { "ON" } else { "OFF" }
}

/// The sleep timer's minutes: Alexa asks for them, and is not told of each.
const COUNTS_DOWN: &str = "rangeValue";

/// The most that Alexa takes as a position.
const DAY_MS: u64 = 86_400_000;

fn mode(repeat: Repeat) -> Option<&'static str> {
    REPEAT_MODES.into_iter().find(|(known, _)| *known == repeat).map(|(_, name)| name)
}

/// Home to here takes less; the figure covers Music Assistant's own delay in hearing from a speaker.
const UNCERTAINTY_MS: u32 = 500;

/// UTC with `Z` and exactly three digits of a second: Amazon refuses more.
fn sample_time(unix_millis: u64) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_millis) * 1_000_000);
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(format).unwrap_or_else(|_| "1970-01-01T00:00:00.000Z".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_times_have_three_digits_and_a_z() {
        assert_eq!(sample_time(1_795_305_600_007), "2026-11-22T00:00:00.007Z");
        assert_eq!(sample_time(1_795_305_600_000), "2026-11-22T00:00:00.000Z");
        assert_eq!(sample_time(u64::MAX), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn message_ids_are_version_four_uuids() {
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
