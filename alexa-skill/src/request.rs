//! The border of the custom part: a JSON text in, a [`CustomRequest`] out that cannot be wrong.
//!
//! The caller has checked the signature over the exact bytes before this reads them. Unknown fields, request types and
//! intents are tolerated, as Alexa adds some without notice.

use macloud_e2ee::vocabulary::{MAX_TEXT_CHARS, MediaKind};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::token::AccessToken;

/// A request to the custom part.
#[derive(Debug)]
pub struct CustomRequest {
    /// Every application id that the request names; all must be ours, and there is at least one.
    pub application_ids: Vec<String>,
    /// When Alexa made it, seconds since 1970.
    pub made_at: i64,
    /// Whether it tells of something that happened to the skill rather than of something a person said.
    pub is_skill_event: bool,
    /// The linked account's token; none while the account is not linked.
    pub token: Option<AccessToken>,
    /// The language that is spoken, for example `en-US`.
    pub locale: String,
    /// What is asked.
    pub ask: Ask,
}

/// What a request asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// "Open …".
    Launch,
    /// Something was said.
    Intent(Intent),
    /// The session is over; nothing may be answered.
    SessionEnded,
    /// A request type that we do not take.
    Other,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// "Play … by … in the …".
    PlayMedia {
        /// What to play.
        media: Option<String>,
        /// By whom.
        artist: Option<String>,
        /// Where.
        player: Option<String>,
        /// "The album …".
        kind: Option<MediaKind>,
    },
    /// "Pause".
    Pause,
    /// "Resume".
    Resume,
    /// "Next".
    Next,
    /// "Previous".
    Previous,
    /// "What's playing in the …?"
    WhatsPlaying {
        /// Where.
        player: Option<String>,
    },
    /// "Help".
    Help,
    /// "Stop", "cancel", "go home": leave the skill.
    Leave,
    /// Not understood, or an intent of a newer model.
    Fallback,
}

/// What is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not JSON, or not of a request's shape.
    #[error("the body is no request of a custom skill")]
    Shape,
    /// Without a time, or with one that cannot be read.
    #[error("the request has no readable timestamp")]
    Timestamp,
    /// Without an application id.
    #[error("the request names no application")]
    Application,
}

/// Read a request. Never panics, whatever `body` holds.
///
/// # Errors
/// When it is no request, or lacks what its verification needs.
pub fn parse(body: &[u8]) -> Result<CustomRequest, Malformed> {
    let raw: Raw = serde_json::from_slice(body).map_err(|_| Malformed::Shape)?;
    let system = raw.context.and_then(|context| context.system);
    let (system_application, system_user) = system.map_or((None, None), |system| (system.application, system.user));
    let (session_application, session_user) =
        raw.session.map_or((None, None), |session| (session.application, session.user));
    let applications = [system_application, session_application].into_iter().flatten();
    let application_ids: Vec<String> = applications.filter_map(|application| application.application_id).collect();
    if application_ids.is_empty() {
        return Err(Malformed::Application);
    }
    let tokens = [system_user, session_user].into_iter().flatten();
    let token = tokens.filter_map(|user| user.access_token).next();
    Ok(CustomRequest {
        application_ids,
        made_at: raw.request.timestamp.as_ref().and_then(unix_seconds).ok_or(Malformed::Timestamp)?,
        is_skill_event: raw.request.kind.starts_with("AlexaSkillEvent."),
        token: token.as_deref().and_then(AccessToken::parse),
        locale: raw.request.locale.unwrap_or_default(),
        ask: ask(&raw.request.kind, raw.request.intent.as_ref()),
    })
}

fn ask(kind: &str, intent: Option<&RawIntent>) -> Ask {
    match (kind, intent) {
        ("LaunchRequest", _) => Ask::Launch,
        ("IntentRequest", Some(intent)) => Ask::Intent(intent.interpret()),
        ("IntentRequest", None) => Ask::Intent(Intent::Fallback),
        ("SessionEndedRequest", _) => Ask::SessionEnded,
        _ => Ask::Other,
    }
}

/// Alexa's documented form is ISO 8601; its older requests carry milliseconds since 1970.
fn unix_seconds(timestamp: &Value) -> Option<i64> {
    match timestamp {
        Value::String(text) => OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp),
        Value::Number(millis) => millis.as_i64().map(|millis| millis.div_euclid(1000)),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Raw {
    context: Option<RawContext>,
    session: Option<RawSession>,
    request: RawRequest,
}

#[derive(Deserialize)]
struct RawContext {
    #[serde(rename = "System")]
    system: Option<RawSystem>,
}

#[derive(Deserialize)]
struct RawSystem {
    application: Option<RawApplication>,
    user: Option<RawUser>,
}

#[derive(Deserialize)]
struct RawSession {
    application: Option<RawApplication>,
    user: Option<RawUser>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawApplication {
    application_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawUser {
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct RawRequest {
    #[serde(rename = "type")]
    kind: String,
    timestamp: Option<Value>,
    locale: Option<String>,
    intent: Option<RawIntent>,
}

#[derive(Deserialize)]
struct RawIntent {
    name: String,
    #[serde(default)]
    slots: Value,
}

impl RawIntent {
    fn interpret(&self) -> Intent {
        match self.name.as_str() {
            "PlayMediaIntent" => Intent::PlayMedia {
                media: self.spoken("media"),
                artist: self.spoken("artist"),
                player: self.spoken("player"),
                kind: self.media_kind("mediaType"),
            },
            "AMAZON.PauseIntent" => Intent::Pause,
            "AMAZON.ResumeIntent" => Intent::Resume,
            "AMAZON.NextIntent" => Intent::Next,
            "AMAZON.PreviousIntent" => Intent::Previous,
            "WhatsPlayingIntent" => Intent::WhatsPlaying { player: self.spoken("player") },
            "AMAZON.HelpIntent" => Intent::Help,
            "AMAZON.StopIntent" | "AMAZON.CancelIntent" | "AMAZON.NavigateHomeIntent" => Intent::Leave,
            _ => Intent::Fallback,
        }
    }

    /// What was said for a slot. Alexa sends `?` for what it could not make out.
    fn spoken(&self, slot: &str) -> Option<String> {
        let said = self.slots.get(slot)?.get("value")?.as_str()?.trim();
        let bounded: String = said.chars().filter(|c| !c.is_control()).take(MAX_TEXT_CHARS).collect();
        (!matches!(bounded.as_str(), "" | "?")).then_some(bounded)
    }

    /// The id that the interaction model gave to what was said, or else the word itself.
    fn media_kind(&self, slot: &str) -> Option<MediaKind> {
        let authorities = self.slots.get(slot)?.pointer("/resolutions/resolutionsPerAuthority");
        let ids = authorities.and_then(Value::as_array).into_iter().flatten();
        let resolved = ids.filter_map(|authority| authority.pointer("/values/0/value/id")?.as_str()).next();
        let word = resolved.map(str::to_owned).or_else(|| self.spoken(slot))?;
        Some(match word.to_lowercase().as_str() {
            "track" | "song" | "title" => MediaKind::Track,
            "album" | "record" => MediaKind::Album,
            "artist" | "band" => MediaKind::Artist,
            "playlist" => MediaKind::Playlist,
            "radio" | "station" | "radio station" => MediaKind::Radio,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn intent(name: &str, slots: Value) -> Intent {
        RawIntent { name: name.into(), slots }.interpret()
    }

    #[test]
    fn slots_are_read_as_they_were_said() {
        let slots = json!({
            "media": {"name": "media", "value": " kind of blue "},
            "artist": {"name": "artist", "value": "?"},
            "player": {"name": "player"},
            "mediaType": {"name": "mediaType", "value": "record", "resolutions": {"resolutionsPerAuthority": [
                {"status": {"code": "ER_SUCCESS_MATCH"}, "values": [{"value": {"name": "album", "id": "ALBUM"}}]}
            ]}}
        });
        let play = Intent::PlayMedia {
            media: Some("kind of blue".into()),
            artist: None,
            player: None,
            kind: Some(MediaKind::Album),
        };
        assert_eq!(intent("PlayMediaIntent", slots), play);
        assert_eq!(intent("WhatsPlayingIntent", Value::Null), Intent::WhatsPlaying { player: None });
        assert_eq!(intent("SomethingNewerIntent", json!([1])), Intent::Fallback);
    }

    #[test]
    fn both_forms_of_a_timestamp_are_read() {
        assert_eq!(unix_seconds(&json!("2017-02-10T07:27:59Z")), Some(1_486_711_679));
        assert_eq!(unix_seconds(&json!(1_431_520_496_000_u64)), Some(1_431_520_496));
        for wrong in [json!("garbage"), json!(null), json!(""), json!({})] {
            assert_eq!(unix_seconds(&wrong), None);
        }
    }
}
