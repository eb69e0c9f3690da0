//! The events of the smart home side, each complete and ready to send.
//!
//! Every answer about a player carries all of its reportable properties, not only the changed one, and its health.

use macloud_e2ee::vocabulary::{Playback, Player, Refusal, Repeat};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::answer::error::{self, AlexaError};
use crate::directive::{Kind, REPEAT, REPEAT_MODES, ReplyTo, SHUFFLE};
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

/// A player has changed, and this is how it is now. `before` is how Alexa believes that it is; without it, everything is told as new.
#[must_use]
pub fn change_report(stamp: &Stamp, endpoint: &str, token: &str, player: &Player, before: Option<&Player>) -> Value {
    let at = sample_time(stamp.unix_millis);
    let known = before.map(|before| properties(before, &at)).unwrap_or_default();
    let (unchanged, changed): (Vec<_>, Vec<_>) =
        properties(player, &at).into_iter().partition(|property| known.contains(property));
    // Alexa wants at least one; what was told before may not have arrived.
    let (unchanged, changed) = if changed.is_empty() { (changed, unchanged) } else { (unchanged, changed) };
    json!({
        "context": {"properties": unchanged},
        "event": {
            "header": header(stamp, "Alexa", "ChangeReport"),
            "endpoint": {"scope": {"type": "BearerToken", "token": token}, "endpointId": endpoint},
            // Whether somebody turned a knob, opened an app or asked Alexa, nobody knows.
            "payload": {"change": {"cause": {"type": "PHYSICAL_INTERACTION"}, "properties": changed}}
        }
    })
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
    if reply_to.kind == Kind::AcceptGrant {
        // Whatever went wrong, this is the only error that Alexa knows here.
        let payload = json!({"type": "ACCEPT_GRANT_FAILED", "message": error::alexa(failure).message});
        return json!({"event": {"header": header(stamp, "Alexa.Authorization", "ErrorResponse"), "payload": payload}});
    }
    let AlexaError { kind, message } = error::alexa(failure);
    let mut payload = json!({"type": kind, "message": message});
    let range = match failure {
        Failure::OutOfRange { minimum, maximum } => Some((*minimum, *maximum)),
        Failure::Refused(Refusal::VolumeLimited(most)) => Some((0, most.value().into())),
        _ => None,
    };
    if let Some((minimum, maximum)) = range {
        payload["validRange"] = json!({"minimumValue": minimum, "maximumValue": maximum});
    }
    let mut event = json!({"header": header(stamp, "Alexa", "ErrorResponse"), "payload": payload});
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
    json!({"context": {"properties": properties(player, &sample_time(stamp.unix_millis))}, "event": event})
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

/// Exactly the properties that discovery declares for this player, as far as they are known.
fn properties(player: &Player, at: &str) -> Vec<Value> {
    let state = &player.state;
    let property = |namespace: &str, name: &str, value: Value| {
        json!({
            "namespace": namespace, "name": name, "value": value,
            "timeOfSample": at, "uncertaintyInMilliseconds": UNCERTAINTY_MS
        })
    };
    let mut all =
        vec![property("Alexa.PowerController", "powerState", json!(if state.powered { "ON" } else { "OFF" }))];
    if let Some(volume) = state.volume.filter(|_| player.can.volume) {
        all.push(property("Alexa.Speaker", "volume", json!(volume.value())));
    }
    if let Some(muted) = state.muted.filter(|_| player.can.volume && player.can.mute) {
        all.push(property("Alexa.Speaker", "muted", json!(muted)));
    }
    let playback = match state.playback {
        Playback::Playing => "PLAYING",
        Playback::Paused => "PAUSED",
        Playback::Stopped => "STOPPED",
    };
    all.push(property("Alexa.PlaybackStateReporter", "playbackState", json!({"state": playback})));
    let order = [
        state.shuffle.map(|on| ("Alexa.ToggleController", SHUFFLE, "toggleState", if on { "ON" } else { "OFF" })),
        state.repeat.and_then(mode).map(|mode| ("Alexa.ModeController", REPEAT, "mode", mode)),
    ];
    for (namespace, instance, name, value) in order.into_iter().flatten().filter(|_| player.can.order) {
        let mut property = property(namespace, name, json!(value));
        property["instance"] = json!(instance);
        all.push(property);
    }
    let health = if state.available { "OK" } else { "UNREACHABLE" };
    all.push(property("Alexa.EndpointHealth", "connectivity", json!({"value": health})));
    all
}

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
