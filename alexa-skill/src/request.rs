//! The border of the custom part: a JSON text in, a [`CustomRequest`] out that cannot be wrong.
//!
//! The caller has checked the signature over the exact bytes before this reads them. Unknown fields, request types and
//! intents are tolerated, as Alexa adds some without notice.

use macloud_e2ee::vocabulary::{
    Action, MAX_SLEEP_MINUTES, MediaKind, Percent, Placement, Repeat, Target, Transport, clean_text,
};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::conversation::Open;
use crate::package::{kind_of_word, kind_said, means_all, means_it};
use crate::progress::Meanwhile;
use crate::token::AccessToken;
use crate::translate::VOLUME_STEP;

/// A request to the custom part.
#[derive(Debug)]
pub struct CustomRequest {
    /// Every application id that the request names; all must be ours, and there is at least one.
    pub application_ids: Vec<String>,
    /// When Alexa made it, seconds since 1970.
    pub made_at: i64,
    /// The linked account's token; none while the account is not linked.
    pub token: Option<AccessToken>,
    /// What Amazon calls the person who has this skill, for events about the skill only: it may be all that these name.
    pub user: Option<String>,
    /// The device that was spoken to, as Amazon calls it.
    pub device: Option<DeviceId>,
    /// Whether nothing was said before it in this conversation.
    pub begins: bool,
    /// How to say something before the answer is ready.
    pub meanwhile: Option<Meanwhile>,
    /// The language that is spoken, for example `en-US`.
    pub locale: String,
    /// What is asked.
    pub ask: Ask,
    /// What the question was about that this may answer.
    pub open: Option<Open>,
}

impl CustomRequest {
    /// Whether it tells of something that happened to the skill rather than of something a person said.
    #[must_use]
    pub const fn is_skill_event(&self) -> bool {
        matches!(self.ask, Ask::SkillEvent(_))
    }
}

/// Amazon's name for a device of somebody: never shown, and never told to a home.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceId(String);

impl DeviceId {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceId(…)")
    }
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
    /// Something happened to the skill; nothing may be answered.
    SkillEvent(SkillEvent),
    /// A request type that we do not take.
    Other,
}

/// What happened to the skill in somebody's Alexa.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkillEvent {
    /// It was enabled.
    Enabled,
    /// It was disabled: Alexa has forgotten the account's token.
    Disabled,
    /// An account was linked.
    AccountLinked,
    /// Permissions were given, or changed.
    PermissionsChanged,
    /// Something else.
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
    /// "Yes" to a question that can be answered so.
    Yes,
    /// "No".
    No,
    /// A volume that is none.
    NoSuchVolume,
    /// A time that is none, or longer than what it is for.
    NoSuchTime,
    /// "Help".
    Help,
    /// "Ask … to stop", without a conversation that could be left: the music is meant, if it is clear which.
    StopOrLeave,
    /// "Stop" in a conversation, "cancel", "go home": leave the skill.
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
    /// "Yes", to whether this is meant.
    pub sure: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self { media: None, artist: None, player: None, kind: None, placement: Placement::Replace, sure: false }
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
    let RawSystem { application: system_application, user: system_user, device, api_endpoint, api_access_token } =
        system.unwrap_or_default();
    let begins = raw.session.as_ref().is_some_and(|session| session.new);
    let open = raw.session.as_ref().and_then(|session| Open::read(&session.attributes));
    let (session_application, session_user) =
        raw.session.map_or((None, None), |session| (session.application, session.user));
    let applications = [system_application, session_application].into_iter().flatten();
    let application_ids: Vec<String> = applications.filter_map(|application| application.application_id).collect();
    if application_ids.is_empty() {
        return Err(Malformed::Application);
    }
    let is_event = raw.request.kind.starts_with(SKILL_EVENT);
    let user = system_user.as_ref().filter(|_| is_event).and_then(|user| user.user_id.clone());
    // The event that an account was linked has the token in its body.
    let tokens = [system_user, session_user, raw.request.body].into_iter().flatten();
    let token = tokens.filter_map(|user| user.access_token).next();
    let token = token.as_deref().and_then(AccessToken::parse);
    let one_shot = begins && open.is_none() && token.is_some();
    Ok(CustomRequest {
        application_ids,
        made_at: raw.request.timestamp.as_ref().and_then(unix_seconds).ok_or(Malformed::Timestamp)?,
        token,
        user,
        device: device.and_then(|device| device.device_id).filter(|id| !id.is_empty()).map(DeviceId),
        begins,
        meanwhile: Meanwhile::of(raw.request.request_id, api_endpoint, api_access_token),
        locale: raw.request.locale.unwrap_or_default(),
        ask: ask(&raw.request.kind, raw.request.intent.as_ref(), one_shot),
        open,
    })
}

fn ask(kind: &str, intent: Option<&RawIntent>, one_shot: bool) -> Ask {
    match (kind, intent) {
        ("LaunchRequest", _) => Ask::Launch,
        ("IntentRequest", Some(intent)) if one_shot && intent.name == "AMAZON.StopIntent" => {
            Ask::Intent(Intent::StopOrLeave)
        }
        ("IntentRequest", Some(intent)) => Ask::Intent(intent.interpret()),
        ("IntentRequest", None) => Ask::Intent(Intent::Fallback),
        ("SessionEndedRequest", _) => Ask::SessionEnded,
        _ => kind.strip_prefix(SKILL_EVENT).map_or(Ask::Other, |event| Ask::SkillEvent(skill_event(event))),
    }
}

const SKILL_EVENT: &str = "AlexaSkillEvent.";

fn skill_event(name: &str) -> SkillEvent {
    match name {
        "SkillEnabled" => SkillEvent::Enabled,
        "SkillDisabled" => SkillEvent::Disabled,
        "SkillAccountLinked" => SkillEvent::AccountLinked,
        "SkillPermissionAccepted" | "SkillPermissionChanged" => SkillEvent::PermissionsChanged,
        _ => SkillEvent::Other,
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

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSystem {
    application: Option<RawApplication>,
    user: Option<RawUser>,
    device: Option<RawDevice>,
    api_endpoint: Option<String>,
    api_access_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDevice {
    device_id: Option<String>,
}

#[derive(Deserialize)]
struct RawSession {
    application: Option<RawApplication>,
    user: Option<RawUser>,
    #[serde(default)]
    new: bool,
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
    user_id: Option<String>,
    access_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRequest {
    #[serde(rename = "type")]
    kind: String,
    request_id: Option<String>,
    timestamp: Option<Value>,
    locale: Option<String>,
    intent: Option<RawIntent>,
    body: Option<RawUser>,
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
            "PlayGenreIntent" => self.play_genre(),
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
            "SeekToIntent" => self.seek_to(),
            "SeekForwardIntent" => self.seek_by(1),
            "SeekBackIntent" => self.seek_by(-1),
            "AutoplayOnIntent" => Intent::Act(Action::SetAutoplay(true), self.player()),
            "AutoplayOffIntent" => Intent::Act(Action::SetAutoplay(false), self.player()),
            "SleepTimerIntent" => self.sleep_timer(),
            "SleepTimerOffIntent" => Intent::Act(Action::SetSleepTimer(None), self.player()),
            "PlaySimilarIntent" => Intent::Act(Action::PlaySimilar, self.player()),
            "SaveCurrentIntent" => Intent::Act(Action::SaveCurrent, self.player()),
            "MovePlayerIntent" => Intent::Act(Action::MoveTo(self.other()), self.player()),
            "JoinPlayersIntent" => Intent::Act(Action::JoinTo(self.other()), self.player()),
            "UnjoinPlayerIntent" => Intent::Act(Action::Unjoin, self.player()),
            "UseHereIntent" => Intent::Act(Action::UseHere, self.player()),
            "ForgetHereIntent" => Intent::Act(Action::ForgetHere, None),
            "RepeatSongIntent" => Intent::Act(Action::SetRepeat(Repeat::One), self.player()),
            "UnmuteIntent" => Intent::Act(Action::SetMute(false), self.player()),
            "AMAZON.YesIntent" => Intent::Yes,
            "AMAZON.NoIntent" => Intent::No,
            "AMAZON.HelpIntent" => Intent::Help,
            "AMAZON.StopIntent" | "AMAZON.CancelIntent" | "AMAZON.NavigateHomeIntent" => Intent::Leave,
            _ => Intent::Fallback,
        }
    }

    fn play(&self, placement: Placement) -> Intent {
        let wish = Wish {
            media: self.spoken("media"),
            artist: self.spoken("artist"),
            player: self.player(),
            kind: self.media_kind("mediaType"),
            placement,
            sure: false,
        };
        Intent::Play(self.with_the_end_of_a_title(wish))
    }

    /// "Play hells bells" may be taken for "hells", everywhere: what does not mean all players ends what was asked for.
    fn with_the_end_of_a_title(&self, wish: Wish) -> Wish {
        let Some(end) = self.spoken("all").filter(|end| !means_all(end)) else { return wish };
        let player = wish.player.filter(|player| *player != end);
        match (wish.artist, wish.media) {
            (Some(artist), media) => Wish { artist: Some(format!("{artist} {end}")), media, player, ..wish },
            (None, Some(media)) => Wish { media: Some(format!("{media} {end}")), artist: None, player, ..wish },
            (None, None) => Wish { media: Some(end), artist: None, player, ..wish },
        }
    }

    fn play_genre(&self) -> Intent {
        let media = self.spoken("genre");
        let wish = Wish { media, player: self.player(), kind: Some(MediaKind::Genre), ..Wish::default() };
        Intent::Play(self.with_the_end_of_a_title(wish))
    }

    fn seek_to(&self) -> Intent {
        self.time().map_or(Intent::NoSuchTime, |seconds| Intent::Act(Action::SeekTo(seconds), self.player()))
    }

    fn seek_by(&self, direction: i32) -> Intent {
        let seconds = self.time().and_then(|seconds| i32::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        seconds.map_or(Intent::NoSuchTime, |by| Intent::Act(Action::SeekBy(direction * by), self.player()))
    }

    /// Rather a little later than asked for than a little earlier.
    fn sleep_timer(&self) -> Intent {
        let minutes = self.time().and_then(|seconds| u16::try_from(seconds.div_ceil(60)).ok());
        let minutes = minutes.filter(|minutes| (1..=MAX_SLEEP_MINUTES).contains(minutes));
        minutes.map_or(Intent::NoSuchTime, |in_so| Intent::Act(Action::SetSleepTimer(Some(in_so)), self.player()))
    }

    /// Seconds.
    fn time(&self) -> Option<u32> {
        duration_seconds(&self.spoken("time")?)
    }

    /// The other player of two.
    fn other(&self) -> Target {
        self.spoken("other").map_or(Target::Unnamed, Target::Named)
    }

    fn transport(&self, transport: Transport) -> Intent {
        Intent::Act(Action::Transport(transport), self.player())
    }

    /// Louder than there is was hardly meant, and would be far too loud.
    fn set_volume(&self) -> Intent {
        let level = self.spoken("level").and_then(|text| text.parse().ok()).and_then(Percent::new);
        level.map_or(Intent::NoSuchVolume, |level| Intent::Act(Action::SetVolume(level), self.player()))
    }

    /// The player's name, with the home's where it was said too. The word for all of them is a name here; one that only stands for
    /// the player in use ("it") is none.
    fn player(&self) -> Option<String> {
        let player = self.spoken("player").filter(|name| !means_it(name)).or_else(|| self.spoken("all"));
        match (player, self.spoken("home")) {
            (Some(player), Some(home)) => Some(format!("{player} in {home}")),
            (player, home) => player.or(home),
        }
    }

    /// What was said for a slot: as we told Alexa that it is written, if it is one of the names that we told it for this
    /// conversation. Alexa sends `?` for what it could not make out.
    fn spoken(&self, slot: &str) -> Option<String> {
        let slot = self.slots.get(slot)?;
        let told = authorities(slot).filter(|authority| {
            let name = authority.get("authority").and_then(Value::as_str);
            name.is_some_and(|name| name.contains(DYNAMIC_AUTHORITY))
        });
        let told = told.filter_map(|authority| authority.pointer("/values/0/value/name")?.as_str()).next();
        let said = told.or_else(|| slot.get("value")?.as_str())?.trim();
        let bounded = clean_text(said);
        (!matches!(bounded.as_str(), "" | "?")).then_some(bounded)
    }

    /// The id that the interaction model gave to what was said, or else the word itself.
    fn media_kind(&self, slot: &str) -> Option<MediaKind> {
        let ids = authorities(self.slots.get(slot)?);
        let resolved = ids.filter_map(|authority| authority.pointer("/values/0/value/id")?.as_str()).next();
        resolved.and_then(kind_of_word).or_else(|| kind_said(&self.spoken(slot)?))
    }
}

/// What the lists of a slot's values make of what was said.
fn authorities(slot: &Value) -> impl Iterator<Item = &Value> {
    slot.pointer("/resolutions/resolutionsPerAuthority").and_then(Value::as_array).into_iter().flatten()
}

/// Alexa's names for lists of values that were given for one conversation only.
const DYNAMIC_AUTHORITY: &str = ".dynamic.";

/// The seconds of an ISO 8601 duration, which is how Alexa gives times (`PT2M30S`). None for what is none, or is longer
/// than a day: nothing that plays here is.
fn duration_seconds(text: &str) -> Option<u32> {
    const DAY: u32 = 86_400;
    let (days, clock) = text.strip_prefix('P')?.split_once('T').unwrap_or((&text[1..], ""));
    let seconds = sum(days, &[('D', DAY)])?.checked_add(sum(clock, &[('H', 3600), ('M', 60), ('S', 1)])?)?;
    (text.len() > 2 && seconds <= DAY).then_some(seconds)
}

/// "2M30S" as a sum, each unit once at most and in this order.
fn sum(mut text: &str, units: &[(char, u32)]) -> Option<u32> {
    let mut sum = 0_u32;
    for (unit, worth) in units {
        if let Some((number, rest)) = text.split_once(*unit) {
            let number: u32 = number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse().ok())??;
            sum = sum.checked_add(number.checked_mul(*worth)?)?;
            text = rest;
        }
    }
    text.is_empty().then_some(sum)
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
    fn all_players_and_it_are_told_from_names() {
        let pause = Action::Transport(Transport::Pause);
        let pausing = |slots: Value| intent("PausePlayerIntent", slots);
        let all = || Intent::Act(pause.clone(), Some("everything".into()));
        assert_eq!(pausing(json!({"all": {"value": "everything"}})), all());
        assert_eq!(pausing(json!({"player": {"value": "everything"}})), all());
        assert_eq!(pausing(json!({"player": {"value": "it"}})), Intent::Act(pause, None));
        let play = |slots: Value| match intent("PlayMediaIntent", slots) {
            Intent::Play(wish) => (wish.media.unwrap(), wish.artist, wish.player),
            other => panic!("{other:?}"),
        };
        let some = |text: &str| Some(text.to_owned());
        let everywhere = json!({"media": {"value": "homogenic"}, "all": {"value": "everywhere"}});
        assert_eq!(play(everywhere), ("homogenic".into(), None, some("everywhere")));
        let title = json!({"media": {"value": "hells"}, "all": {"value": "bells"}});
        assert_eq!(play(title), ("hells bells".into(), None, None));
        let artist =
            json!({"media": {"value": "thriller"}, "artist": {"value": "michael"}, "all": {"value": "jackson"}});
        assert_eq!(play(artist), ("thriller".into(), some("michael jackson"), None));
    }

    #[test]
    fn times_are_read_and_bounded() {
        for (text, seconds) in [
            ("PT2M", Some(120)),
            ("PT1H2M3S", Some(3723)),
            ("PT90S", Some(90)),
            ("PT0S", Some(0)),
            ("P1D", Some(86_400)),
            ("P1DT1S", None),
            ("PT99999999999S", None),
            ("PT4294967295M", None),
            ("PT2M2M", None),
            ("PT2S2M", None),
            ("PT+2M", None),
            ("PT1.5S", None),
            ("P2W", None),
            ("PT", None),
            ("P", None),
            ("T2M", None),
            ("", None),
            ("?", None),
        ] {
            assert_eq!(duration_seconds(text), seconds, "{text}");
        }
        let time = |value: &str| json!({"time": {"value": value}, "player": {"value": "kitchen"}});
        let there = || Some("kitchen".to_owned());
        for (name, value, meant) in [
            ("SeekToIntent", "PT2M", Intent::Act(Action::SeekTo(120), there())),
            ("SeekToIntent", "PT0S", Intent::Act(Action::SeekTo(0), there())),
            ("SeekForwardIntent", "PT30S", Intent::Act(Action::SeekBy(30), there())),
            ("SeekBackIntent", "PT30S", Intent::Act(Action::SeekBy(-30), there())),
            ("SeekBackIntent", "PT0S", Intent::NoSuchTime),
            ("SleepTimerIntent", "PT20M", Intent::Act(Action::SetSleepTimer(Some(20)), there())),
            ("SleepTimerIntent", "PT61S", Intent::Act(Action::SetSleepTimer(Some(2)), there())),
            ("SleepTimerIntent", "PT12H", Intent::Act(Action::SetSleepTimer(Some(720)), there())),
            ("SleepTimerIntent", "PT12H1S", Intent::NoSuchTime),
            ("SleepTimerIntent", "PT0S", Intent::NoSuchTime),
            ("SleepTimerIntent", "soon", Intent::NoSuchTime),
        ] {
            assert_eq!(intent(name, time(value)), meant, "{name} {value}");
        }
    }

    #[test]
    fn two_players_are_told_apart() {
        let named = |name: &str| Target::Named(name.into());
        let slots = json!({"player": {"value": "bathroom"}, "other": {"value": "kitchen"}});
        let there = || Some("bathroom".to_owned());
        assert_eq!(intent("MovePlayerIntent", slots.clone()), Intent::Act(Action::MoveTo(named("kitchen")), there()));
        assert_eq!(intent("JoinPlayersIntent", slots), Intent::Act(Action::JoinTo(named("kitchen")), there()));
        let here = json!({"player": {"value": "bathroom"}});
        assert_eq!(intent("JoinPlayersIntent", here), Intent::Act(Action::JoinTo(Target::Unnamed), there()));
    }

    /// Said "the kitchen one", and told before that there is a "Küche 2".
    #[test]
    fn a_name_that_we_told_alexa_is_taken_as_it_is_written() {
        let resolved = |authority: &str| {
            json!({"player": {"value": "kuche zwei", "resolutions": {"resolutionsPerAuthority": [
                {"authority": "amzn1.er-authority.echo-sdk.x.PLAYER", "status": {"code": "ER_SUCCESS_NO_MATCH"}},
                {"authority": authority, "status": {"code": "ER_SUCCESS_MATCH"},
                 "values": [{"value": {"name": "Küche 2", "id": "x"}}]}
            ]}}})
        };
        let said = |authority| intent("UseHereIntent", resolved(authority));
        let meant = |name: &str| Intent::Act(Action::UseHere, Some(name.to_owned()));
        assert_eq!(said("amzn1.er-authority.echo-sdk.dynamic.x.PLAYER"), meant("Küche 2"));
        assert_eq!(said("amzn1.er-authority.echo-sdk.x.PLAYER"), meant("kuche zwei"));
    }

    #[test]
    fn events_about_the_skill_say_what_happened_and_to_whom() {
        let token = "mca_0123456789012345678901234567890123456789012";
        let event = |name: &str| {
            json!({
                "version": "1.0",
                "context": {"System": {"application": {"applicationId": "a"}, "user": {"userId": "u"}}},
                "request": {
                    "type": format!("AlexaSkillEvent.{name}"), "requestId": "r", "timestamp": "2026-11-22T00:00:00Z",
                    "body": {"accessToken": token, "acceptedPermissions": []}
                }
            })
        };
        for (name, what) in [
            ("SkillEnabled", SkillEvent::Enabled),
            ("SkillDisabled", SkillEvent::Disabled),
            ("SkillAccountLinked", SkillEvent::AccountLinked),
            ("SkillPermissionAccepted", SkillEvent::PermissionsChanged),
            ("SomethingNewer", SkillEvent::Other),
        ] {
            let read = parse(event(name).to_string().as_bytes()).unwrap();
            assert_eq!((read.ask, read.user.as_deref()), (Ask::SkillEvent(what), Some("u")), "{name}");
            assert_eq!(read.token, AccessToken::parse(token), "{name}");
        }
        let mut said = event("SkillEnabled");
        said["request"]["type"] = "LaunchRequest".into();
        let read = parse(said.to_string().as_bytes()).unwrap();
        assert_eq!((read.is_skill_event(), read.user), (false, None), "who speaks is known by the token");
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
