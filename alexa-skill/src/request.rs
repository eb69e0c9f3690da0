//! The border of the custom part: a JSON text in, a [`CustomRequest`] out that cannot be wrong.
//!
//! The caller has checked the signature over the exact bytes before this reads them. Unknown fields, request types and
//! intents are tolerated, as Alexa adds some without notice.

use macloud_e2ee::vocabulary::{Action, MediaKind, Percent, Placement, Repeat, Transport, clean_text};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::conversation::Open;
use crate::token::AccessToken;
use crate::translate::VOLUME_STEP;

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
    /// What the question was about that this may answer.
    pub open: Option<Open>,
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
    Play(Wish),
    /// Something to do on the player of this name, or on the one that plays.
    Act(Action, Option<String>),
    /// The answer to "what would you like to hear?"
    AnswerMedia(Option<String>),
    /// The answer to "which player?"
    AnswerPlayer(Option<String>),
    /// A volume that is none.
    NoSuchVolume,
    /// "Help".
    Help,
    /// "Stop", "cancel", "go home": leave the skill.
    Leave,
    /// Not understood, or an intent of a newer model.
    Fallback,
}

/// What somebody would like to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What to play.
    pub media: Option<String>,
    /// By whom.
    pub artist: Option<String>,
    /// Where.
    pub player: Option<String>,
    /// "The album …".
    pub kind: Option<MediaKind>,
    /// Now, next or later.
    pub placement: Placement,
}

impl Default for Wish {
    fn default() -> Self {
        Self { media: None, artist: None, player: None, kind: None, placement: Placement::Replace }
    }
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
    let open = raw.session.as_ref().and_then(|session| Open::read(&session.attributes));
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
        open,
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
    #[serde(default)]
    attributes: Value,
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
            "PlayMediaIntent" => self.play(Placement::Replace),
            "PlayNextIntent" => self.play(Placement::Next),
            "AddToQueueIntent" => self.play(Placement::Add),
            "AnswerMediaIntent" => Intent::AnswerMedia(self.spoken("query")),
            "AnswerPlayerIntent" => Intent::AnswerPlayer(self.player()),
            "AMAZON.PauseIntent" | "PausePlayerIntent" => self.transport(Transport::Pause),
            "AMAZON.ResumeIntent" | "ResumePlayerIntent" => self.transport(Transport::Play),
            "AMAZON.NextIntent" | "SkipPlayerIntent" => self.transport(Transport::Next),
            "AMAZON.PreviousIntent" => self.transport(Transport::Previous),
            "AMAZON.StartOverIntent" => self.transport(Transport::StartOver),
            "StopPlayerIntent" => self.transport(Transport::Stop),
            "WhatsPlayingIntent" => Intent::Act(Action::Read, self.player()),
            "SetVolumeIntent" => self.set_volume(),
            "VolumeUpIntent" => Intent::Act(Action::AdjustVolume(VOLUME_STEP), self.player()),
            "VolumeDownIntent" => Intent::Act(Action::AdjustVolume(-VOLUME_STEP), self.player()),
            "MuteIntent" => Intent::Act(Action::SetMute(true), self.player()),
            "AMAZON.ShuffleOnIntent" | "ShufflePlayerIntent" => Intent::Act(Action::SetShuffle(true), self.player()),
            "AMAZON.ShuffleOffIntent" => Intent::Act(Action::SetShuffle(false), None),
            "AMAZON.LoopOnIntent" => Intent::Act(Action::SetRepeat(Repeat::All), None),
            "AMAZON.LoopOffIntent" => Intent::Act(Action::SetRepeat(Repeat::Off), None),
            "RepeatSongIntent" => Intent::Act(Action::SetRepeat(Repeat::One), self.player()),
            "UnmuteIntent" => Intent::Act(Action::SetMute(false), self.player()),
            "AMAZON.HelpIntent" => Intent::Help,
            "AMAZON.StopIntent" | "AMAZON.CancelIntent" | "AMAZON.NavigateHomeIntent" => Intent::Leave,
            _ => Intent::Fallback,
        }
    }

    fn play(&self, placement: Placement) -> Intent {
        Intent::Play(Wish {
            media: self.spoken("media"),
            artist: self.spoken("artist"),
            player: self.player(),
            kind: self.media_kind("mediaType"),
            placement,
        })
    }

    fn transport(&self, transport: Transport) -> Intent {
        Intent::Act(Action::Transport(transport), self.player())
    }

    /// Louder than there is was hardly meant, and would be far too loud.
    fn set_volume(&self) -> Intent {
        let level = self.spoken("level").and_then(|text| text.parse().ok()).and_then(Percent::new);
        level.map_or(Intent::NoSuchVolume, |level| Intent::Act(Action::SetVolume(level), self.player()))
    }

    /// The player's name, with the home's where it was said too.
    fn player(&self) -> Option<String> {
        match (self.spoken("player"), self.spoken("home")) {
            (Some(player), Some(home)) => Some(format!("{player} in {home}")),
            (player, home) => player.or(home),
        }
    }

    /// What was said for a slot. Alexa sends `?` for what it could not make out.
    fn spoken(&self, slot: &str) -> Option<String> {
        let said = self.slots.get(slot)?.get("value")?.as_str()?.trim();
        let bounded = clean_text(said);
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
        let wish = Wish { media: Some("kind of blue".into()), kind: Some(MediaKind::Album), ..Wish::default() };
        assert_eq!(intent("PlayMediaIntent", slots), Intent::Play(wish));
        assert_eq!(intent("WhatsPlayingIntent", Value::Null), Intent::Act(Action::Read, None));
        let there = json!({"player": {"value": "kitchen"}, "home": {"value": "cottage"}, "level": {"value": "30"}});
        let kitchen = Some("kitchen in cottage".to_owned());
        assert_eq!(intent("AnswerPlayerIntent", there.clone()), Intent::AnswerPlayer(kitchen.clone()));
        let thirty = Action::SetVolume(Percent::clamped(30));
        assert_eq!(intent("SetVolumeIntent", there), Intent::Act(thirty, kitchen));
        for wrong in ["101", "-1", "?", "a lot", ""] {
            assert_eq!(intent("SetVolumeIntent", json!({"level": {"value": wrong}})), Intent::NoSuchVolume, "{wrong}");
        }
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
