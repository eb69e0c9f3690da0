//! The custom part: what is said, and what is done in the home.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post as on_post;
use macloud_alexa_skill::SkillConfig;
use macloud_e2ee::keys::SkillSigner;
use macloud_e2ee::vocabulary::{
    Action, Command, DeviceKey, Item, MediaKind, MediaQuery, Percent, Placement, Playback, Refusal, Reply, Target,
    Transport,
};
use macloud_proto::accounts::v1::resolve_access_answer::Status;
use macloud_proto::ids::PlayerKey;
use serde_json::{Value, json};

use super::support::home::{SKILL_SEED, some_player};
use super::support::relay::Trouble;
use super::support::schemas::custom_response;
use super::support::signing::{Authority, CERT_URL, intent, post, request, sign};
use super::support::{TOKEN, World, accounts, instance, player};

struct Voice {
    _authority: Authority,
    world: World,
}

impl Voice {
    async fn new() -> Self {
        let authority = Authority::new().await;
        let world = World::with(authority.config()).await;
        Self { _authority: authority, world }
    }

    async fn ask(&self, request: &Value) -> Value {
        let body = request.to_string().into_bytes();
        let (status, response) = self.world.call(post(CERT_URL, &sign(&body), &body)).await;
        assert_eq!(status, StatusCode::OK);
        check(&response);
        response
    }

    /// Say it as the answer to the question that `before` ended with.
    async fn answer(&self, before: &Value, name: &str, slots: &[(&str, &str)]) -> Value {
        assert_eq!(before["response"]["shouldEndSession"], false, "nobody listens for an answer");
        let mut said = intent(name, slots);
        said["session"]["attributes"] = before["sessionAttributes"].clone();
        said["session"]["new"] = json!(false);
        self.ask(&said).await
    }

    async fn say(&self, name: &str, slots: &[(&str, &str)]) -> String {
        text(&self.ask(&intent(name, slots)).await)
    }
}

/// How homes know the device that these tests speak to.
fn device() -> Option<DeviceKey> {
    Some(SkillSigner::from_seed(&SKILL_SEED).device_key(&accounts::account(), "d"))
}

/// What holds for every response.
fn check(response: &Value) {
    if let Some(schema) = custom_response() {
        let errors: Vec<String> = schema.iter_errors(response).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?} {response:#}");
    }
    let inner = &response["response"];
    assert!(response.get("sessionAttributes").is_none() || inner["shouldEndSession"] == json!(false));
    let reprompt = inner.pointer("/reprompt/outputSpeech/ssml").and_then(Value::as_str);
    if inner["shouldEndSession"] == json!(false) {
        assert!(reprompt.is_some_and(|question| question.contains('?')), "the microphone opens for a question only");
        assert!(text(response).contains('?'));
    } else {
        assert_eq!(reprompt, None);
        assert!(!text(response).contains('?'), "what asks must listen: {}", text(response));
    }
}

fn text(response: &Value) -> String {
    let ssml = response["response"]["outputSpeech"]["ssml"].as_str().unwrap_or("<speak></speak>");
    ssml.strip_prefix("<speak>").unwrap().strip_suffix("</speak>").unwrap().to_owned()
}

#[tokio::test]
async fn searching_and_playing_on_a_named_player() {
    let voice = Voice::new().await;
    let slots = [("media", "kind of blue"), ("artist", "miles davis"), ("player", "kitchen"), ("mediaType", "album")];
    assert_eq!(voice.say("PlayMediaIntent", &slots).await, "Playing kind of blue by miles davis on Kitchen.");
    let (artist, kind) = (Some("miles davis".into()), Some(MediaKind::Album));
    let media = MediaQuery { text: "kind of blue".into(), artist, kind, sure: false };
    let action = Action::Play { media, placement: Placement::Replace };
    assert_eq!(
        voice.world.home().carried_out(),
        [Command::OnPlayer { target: Target::Named("kitchen".into()), action, device: device() }]
    );
    let trace = voice.world.last_trace();
    assert_eq!((trace.front.label(), trace.kind, trace.result), ("custom", "do", "ok"));
    assert_eq!(voice.say("WhatsPlayingIntent", &[]).await, "Kitchen plays kind of blue by miles davis.");
}

#[tokio::test]
async fn transport_without_naming_a_player() {
    let voice = Voice::new().await;
    for (name, transport, said) in [
        ("AMAZON.PauseIntent", Transport::Pause, "Paused Kitchen."),
        ("AMAZON.ResumeIntent", Transport::Play, "Resuming on Kitchen."),
        ("AMAZON.NextIntent", Transport::Next, "Next on Kitchen."),
        ("AMAZON.PreviousIntent", Transport::Previous, "Previous on Kitchen."),
    ] {
        assert_eq!(voice.say(name, &[]).await, said);
        let last = voice.world.home().carried_out().pop();
        let action = Action::Transport(transport);
        assert_eq!(last, Some(Command::OnPlayer { target: Target::Unnamed, action, device: device() }));
    }
}

#[tokio::test]
async fn talk_keeps_the_microphone_open_only_for_a_question() {
    let voice = Voice::new().await;
    let launch = voice.ask(&request("LaunchRequest", Value::Null)).await;
    assert_eq!(launch["response"]["shouldEndSession"], false);
    for name in ["AMAZON.HelpIntent", "AMAZON.FallbackIntent", "SomethingNewIntent"] {
        assert_eq!(voice.ask(&intent(name, &[])).await["response"]["shouldEndSession"], false, "{name}");
    }
    let what = voice.ask(&intent("PlayMediaIntent", &[("player", "kitchen")])).await;
    assert_eq!(what["response"]["shouldEndSession"], false, "play what?");
    for name in ["AMAZON.StopIntent", "AMAZON.CancelIntent", "AMAZON.NavigateHomeIntent"] {
        let mut leave = intent(name, &[]);
        leave["session"]["new"] = false.into();
        let left = voice.ask(&leave).await;
        assert_eq!((text(&left).as_str(), &left["response"]["shouldEndSession"]), ("Goodbye.", &json!(true)), "{name}");
    }
    for kind in ["SessionEndedRequest", "AlexaSkillEvent.SkillDisabled", "CanFulfillIntentRequest"] {
        assert_eq!(voice.ask(&request(kind, Value::Null)).await, json!({"version": "1.0", "response": {}}), "{kind}");
    }
    assert!(voice.world.home().changes().is_empty());
}

#[tokio::test]
async fn to_ask_it_to_stop_stops_the_music_where_there_is_no_conversation_to_leave() {
    let voice = Voice::new().await;
    let stopped = voice.ask(&intent("AMAZON.StopIntent", &[])).await;
    assert_eq!(stopped["response"]["shouldEndSession"], true, "{stopped}");
    let stop = Action::Transport(Transport::Stop);
    let asked = Command::OnPlayer { target: Target::Unnamed, action: stop, device: device() };
    assert_eq!(voice.world.home().carried_out().pop(), Some(asked));
    // Where it is not clear which music, nobody is asked.
    voice.world.home().refuse_next(Refusal::WhichPlayer(vec!["Kitchen".into(), "Bedroom".into()]));
    let left = voice.ask(&intent("AMAZON.StopIntent", &[])).await;
    assert_eq!((text(&left).as_str(), &left["response"]["shouldEndSession"]), ("Goodbye.", &json!(true)));
    // Who has not linked has no music that could be meant.
    let mut stranger = intent("AMAZON.StopIntent", &[]);
    for place in ["/session/user", "/context/System/user"] {
        stranger.pointer_mut(place).unwrap().as_object_mut().unwrap().remove("accessToken");
    }
    let left = voice.ask(&stranger).await;
    assert_eq!((text(&left).as_str(), &left["response"]["shouldEndSession"]), ("Goodbye.", &json!(true)));
}

#[tokio::test]
async fn whoever_is_not_linked_is_led_to_linking() {
    let voice = Voice::new().await;
    for mut request in [request("LaunchRequest", Value::Null), intent("AMAZON.PauseIntent", &[])] {
        for place in ["/session/user", "/context/System/user"] {
            request.pointer_mut(place).unwrap().as_object_mut().unwrap().remove("accessToken");
        }
        let response = voice.ask(&request).await;
        assert_eq!(response["response"]["card"], json!({"type": "LinkAccount"}));
        assert_eq!(response["response"]["shouldEndSession"], true);
        assert!(text(&response).contains("link"));
    }
    voice.world.accounts.deny(TOKEN, Status::Invalid);
    let response = voice.ask(&intent("AMAZON.PauseIntent", &[])).await;
    assert_eq!(response["response"]["card"], json!({"type": "LinkAccount"}));
    voice.world.accounts.fail(u64::MAX);
    let response = voice.ask(&intent("AMAZON.PauseIntent", &[])).await;
    assert_eq!(response["response"]["card"]["type"], "Simple", "a fault of ours is no reason to link again");
}

#[tokio::test]
async fn errors_name_the_cause_and_the_remedy() {
    let voice = Voice::new().await;
    let text = voice.say("PlayMediaIntent", &[("media", "x"), ("player", "cellar")]).await;
    assert_eq!(text, "There is no player with that name. You have Kitchen and Bathroom.");
    voice.world.home().refuse_next(Refusal::MusicAssistantAway(None));
    assert!(voice.say("AMAZON.PauseIntent", &[]).await.contains("Music Assistant does not answer"));
    voice.world.home().refuse_next(Refusal::MusicAssistantAway(Some(Duration::from_hours(3))));
    assert!(voice.say("AMAZON.PauseIntent", &[]).await.contains("has not answered for about 3 hours."));
    voice.world.home().refuse_next(Refusal::WhichPlayer(vec!["Kitchen <left>".into(), "Kitchen & Bar".into()]));
    let which = voice.ask(&intent("PlayMediaIntent", &[("media", "x"), ("player", "kitchen")])).await;
    assert!(super::spoken::text(&which).contains("Kitchen &lt;left&gt; or Kitchen &amp; Bar"));
    assert_eq!(which["response"]["shouldEndSession"], false);
    voice.world.relay.trouble(Trouble::Away(3 * 3600));
    assert!(voice.say("AMAZON.PauseIntent", &[]).await.contains("has been offline for about 3 hours. Check"));
    voice.world.relay.disconnect(&instance(1));
    assert!(voice.say("AMAZON.PauseIntent", &[]).await.contains("I can't reach your home"));
}

#[tokio::test]
async fn with_several_homes_the_one_that_plays_is_meant() {
    let voice = Voice::new().await;
    let cottage = voice.world.add_home(2, "Cottage");
    cottage.change_players(|players| players[1].state.playback = Playback::Playing);
    cottage.change_players(|players| players.swap(0, 1));
    assert_eq!(voice.say("AMAZON.PauseIntent", &[]).await, "Paused Bathroom.");
    let pause = Action::Transport(Transport::Pause);
    let on_player = Command::OnPlayer { target: Target::Key(player(2, 2)), action: pause, device: device() };
    assert_eq!(cottage.carried_out().last(), Some(&on_player));
    assert!(voice.world.home().changes().is_empty());
    voice.world.relay.disconnect(&instance(1));
    assert_eq!(voice.say("PlayMediaIntent", &[("media", "x"), ("player", "kitchen")]).await, "Playing x on Kitchen.");
}

#[tokio::test]
async fn which_of_several_homes_is_asked_and_the_answer_understood() {
    let voice = Voice::new().await;
    let cottage = voice.world.add_home(2, "Cottage");
    let play = [("media", "x"), ("artist", "y"), ("mediaType", "album"), ("player", "kitchen")];
    let kind = Some(MediaKind::Album);
    let media = MediaQuery { text: "x".into(), artist: Some("y".into()), kind, sure: false };
    let there = Command::OnPlayer {
        target: Target::Key(player(2, 1)),
        action: Action::Play { media, placement: Placement::Replace },
        device: device(),
    };
    for answer in [&[("player", "kitchen"), ("home", "cottage")][..], &[("player", "cottage")], &[("home", "cottage")]]
    {
        cottage.change_players(|players| players[0].state.playback = Playback::Stopped);
        let which = voice.ask(&intent("PlayMediaIntent", &play)).await;
        assert!(text(&which).ends_with("Which one: Kitchen in Home or Kitchen in Cottage?"), "{}", text(&which));
        let done = voice.answer(&which, "AnswerPlayerIntent", answer).await;
        assert_eq!(text(&done), "Playing x by y on Kitchen.");
        assert_eq!(cottage.carried_out().last(), Some(&there));
    }
    assert!(voice.world.home().changes().is_empty());
    // Said at once.
    assert_eq!(voice.say("PausePlayerIntent", &[("player", "kitchen in the cottage")]).await, "Paused Kitchen.");
    assert!(voice.world.home().changes().is_empty());
}

#[tokio::test]
async fn a_player_that_is_called_like_a_home_is_found_too() {
    let voice = Voice::new().await;
    let cottage = voice.world.add_home(2, "Cottage");
    cottage.change_players(|players| players[0].name = "Home Theater".into());
    assert_eq!(voice.say("PausePlayerIntent", &[("player", "home theater")]).await, "Paused Home Theater.");
    assert!(voice.world.home().changes().is_empty());
}

#[tokio::test]
async fn what_and_where_can_be_said_one_after_the_other() {
    let voice = Voice::new().await;
    let what = voice.ask(&intent("PlayMediaIntent", &[("player", "bathroom")])).await;
    let again = voice.answer(&what, "AMAZON.FallbackIntent", &[]).await;
    for answer in [("AnswerMediaIntent", ("query", "jazz")), ("PlayMediaIntent", ("media", "jazz"))] {
        let done = voice.answer(&again, answer.0, &[answer.1]).await;
        assert_eq!(text(&done), "Playing jazz on Bathroom.");
    }
    let welcome = voice.ask(&request("LaunchRequest", Value::Null)).await;
    let done = voice.answer(&welcome, "AnswerMediaIntent", &[("query", "kind of blue")]).await;
    assert_eq!(text(&done), "Playing kind of blue on Kitchen.");
    voice.world.home().refuse_next(Refusal::WhichPlayer(vec!["Kitchen".into(), "Bathroom".into()]));
    let which = voice.ask(&intent("SetVolumeIntent", &[("level", "20")])).await;
    let again = voice.answer(&which, "AMAZON.FallbackIntent", &[]).await;
    assert_eq!(text(&again), "Sorry, I did not get that. Which player do you mean?");
    let done = voice.answer(&again, "AnswerPlayerIntent", &[("player", "bathroom")]).await;
    assert_eq!(text(&done), "The volume of Bathroom is 20.");
}

#[tokio::test]
async fn volume_and_queue_by_voice() {
    let voice = Voice::new().await;
    let kitchen = [("player", "kitchen")];
    for (name, slots, said) in [
        ("VolumeUpIntent", &kitchen[..], "The volume of Kitchen is 40."),
        ("VolumeDownIntent", &kitchen, "The volume of Kitchen is 30."),
        ("SetVolumeIntent", &[("level", "15"), ("player", "kitchen")], "The volume of Kitchen is 15."),
        ("SetVolumeIntent", &[("level", "150")], "That is not possible. Say a number from 0 to 100."),
        ("MuteIntent", &kitchen, "Muted Kitchen."),
        ("UnmuteIntent", &[], "Kitchen is not muted any more."),
        ("PlayNextIntent", &[("media", "x")], "Playing x next on Kitchen."),
        ("AddToQueueIntent", &[("media", "x"), ("artist", "y")], "Added x by y to the queue of Kitchen."),
        ("ShufflePlayerIntent", &kitchen, "Shuffling on Kitchen."),
        ("AMAZON.ShuffleOffIntent", &[], "No longer shuffling on Kitchen."),
        ("RepeatSongIntent", &kitchen, "Repeating this on Kitchen."),
        ("AMAZON.LoopOnIntent", &[], "Repeating everything on Kitchen."),
        ("AMAZON.LoopOffIntent", &[], "No longer repeating on Kitchen."),
        ("StopPlayerIntent", &kitchen, "Stopped Kitchen."),
        ("AMAZON.StartOverIntent", &[], "From the beginning on Kitchen."),
    ] {
        assert_eq!(voice.say(name, slots).await, said, "{name}");
    }
}

#[tokio::test]
async fn a_silent_home_does_not_take_the_others_time() {
    let voice = Voice::new().await;
    let cottage = voice.world.add_home(2, "Cottage");
    cottage.change_players(|players| players.truncate(1));
    assert!(voice.say("WhatsPlayingIntent", &[]).await.contains("Nothing is playing"));
    voice.world.relay.silence(&instance(1));
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    assert_eq!(voice.say("AMAZON.PauseIntent", &[]).await, "Paused Kitchen.");
    assert!(started.elapsed() <= Duration::from_millis(2200), "{:?}", started.elapsed());
    assert_eq!(cottage.changes(), [Action::Transport(Transport::Pause)]);
}

#[tokio::test]
async fn without_a_home_it_says_how_to_get_one() {
    let authority = Authority::new().await;
    let world = World::empty(authority.config()).await;
    let voice = Voice { _authority: authority, world };
    assert!(voice.say("AMAZON.PauseIntent", &[]).await.contains("No Music Assistant is paired"));
}

/// Everything that can be said to a player, what a home is asked then, and what is said to it.
#[tokio::test]
async fn whatever_is_said_is_asked_of_the_home_and_answered() {
    let voice = Voice::new().await;
    let named = |name: &str| Target::Named(name.into());
    let kitchen = ("player", "kitchen");
    for (name, slots, action, said) in [
        (
            "SeekToIntent",
            &[("time", "PT2M5S"), kitchen][..],
            Action::SeekTo(125),
            "Kitchen goes on from 2 minutes and 5 seconds.",
        ),
        ("SeekToIntent", &[("time", "PT0S"), kitchen], Action::SeekTo(0), "From the beginning on Kitchen."),
        ("SeekForwardIntent", &[("time", "PT30S"), kitchen], Action::SeekBy(30), "Kitchen skips 30 seconds ahead."),
        ("SeekBackIntent", &[("time", "PT1M"), kitchen], Action::SeekBy(-60), "Kitchen goes one minute back."),
        ("AutoplayOnIntent", &[kitchen], Action::SetAutoplay(true), "Kitchen goes on with similar music at the end."),
        ("AutoplayOffIntent", &[kitchen], Action::SetAutoplay(false), "Kitchen stops at the end of its queue."),
        (
            "SleepTimerIntent",
            &[("time", "PT20M"), kitchen],
            Action::SetSleepTimer(Some(20)),
            "Kitchen stops in 20 minutes.",
        ),
        ("SleepTimerOffIntent", &[kitchen], Action::SetSleepTimer(None), "The sleep timer of Kitchen is off."),
        ("PlaySimilarIntent", &[kitchen], Action::PlaySimilar, "From now on, Kitchen plays similar music."),
        ("SaveCurrentIntent", &[kitchen], Action::SaveCurrent, "Saved to your favorites."),
        (
            "MovePlayerIntent",
            &[("other", "bathroom"), kitchen],
            Action::MoveTo(named("bathroom")),
            "The music now plays on Kitchen.",
        ),
        (
            "JoinPlayersIntent",
            &[("other", "bathroom"), kitchen],
            Action::JoinTo(named("bathroom")),
            "Kitchen plays along.",
        ),
        ("UnjoinPlayerIntent", &[kitchen], Action::Unjoin, "Kitchen is on its own again."),
        ("UseHereIntent", &[kitchen], Action::UseHere, "From now on, Kitchen is used here."),
    ] {
        assert_eq!(voice.say(name, slots).await, said, "{name}");
        let done = voice.world.home().carried_out().pop().unwrap();
        assert_eq!(done, Command::OnPlayer { target: named("kitchen"), action, device: device() }, "{name}");
    }
    assert_eq!(voice.say("ForgetHereIntent", &[]).await, "No player is set for this place any more.");
    assert_eq!(voice.say("PlayGenreIntent", &[("genre", "jazz")]).await, "Playing jazz on Kitchen.");
    let media = MediaQuery { text: "jazz".into(), kind: Some(MediaKind::Genre), ..MediaQuery::default() };
    let play = Action::Play { media, placement: Placement::Replace };
    let asked = Command::OnPlayer { target: Target::Unnamed, action: play, device: device() };
    assert_eq!(voice.world.home().carried_out().pop(), Some(asked));
    for (name, time) in [("SleepTimerIntent", "P1D"), ("SeekBackIntent", "?"), ("SeekToIntent", "later")] {
        assert!(voice.say(name, &[("time", time)]).await.starts_with("I need a length of time"), "{name} {time}");
    }
}

#[tokio::test]
async fn the_other_player_is_told_by_its_name() {
    let voice = Voice::new().await;
    let (kitchen, bathroom) = (voice.world.home().player(1), voice.world.home().player(2));
    for (name, said) in [
        ("MovePlayerIntent", "The music now plays on Bathroom."),
        ("JoinPlayersIntent", "Kitchen plays together with Bathroom."),
    ] {
        let (player, other) = (kitchen.clone(), Some(bathroom.clone()));
        voice.world.home().reply_next(Reply::Done { player, found: None, learned: false, other, used_here: false });
        assert_eq!(voice.say(name, &[("other", "bathroom")]).await, said);
    }
}

#[tokio::test]
async fn what_may_be_meant_is_played_after_a_yes_only() {
    let voice = Voice::new().await;
    let found = Item {
        title: "Abbey Road".into(),
        artist: Some("The Beatles".into()),
        album: None,
        kind: Some(MediaKind::Album),
    };
    let play = intent("AddToQueueIntent", &[("media", "abby rode"), ("player", "kitchen")]);
    let doubt = || async {
        voice.world.home().refuse_next(Refusal::DidYouMean(found.clone()));
        let doubt = voice.ask(&play).await;
        assert_eq!(text(&doubt), "I am not sure. Did you mean Abbey Road by The Beatles?");
        doubt
    };
    let first = doubt().await;
    let before = voice.world.home().carried_out().len();
    let again = voice.answer(&first, "AMAZON.FallbackIntent", &[]).await;
    assert_eq!(text(&again), "I am not sure. Did you mean Abbey Road by The Beatles?");
    assert_eq!(voice.world.home().carried_out().len(), before, "asking again asks no home");
    let done = voice.answer(&again, "AMAZON.YesIntent", &[]).await;
    assert_eq!(text(&done), "Added Abbey Road by The Beatles to the queue of Kitchen.");
    let (artist, kind) = (found.artist.clone(), found.kind);
    let media = MediaQuery { text: "Abbey Road".into(), artist, kind, sure: true };
    let sure = Command::OnPlayer {
        target: Target::Named("kitchen".into()),
        action: Action::Play { media, placement: Placement::Add },
        device: device(),
    };
    assert_eq!(voice.world.home().carried_out().pop(), Some(sure));

    let what = voice.answer(&doubt().await, "AMAZON.NoIntent", &[]).await;
    assert!(text(&what).starts_with("What would you like to hear?"));
    let done = voice.answer(&what, "AnswerMediaIntent", &[("query", "help")]).await;
    assert_eq!(text(&done), "Added help to the queue of Kitchen.", "where it was to go is remembered");
    let over = voice.answer(&what, "AMAZON.NoIntent", &[]).await;
    assert_eq!((text(&over).as_str(), &over["response"]["shouldEndSession"]), ("Goodbye.", &json!(true)));
}

/// Each account's homes know a device by another name, and none by Amazon's.
#[test]
fn devices_are_told_apart_and_not_known() {
    let signer = SkillSigner::from_seed(&SKILL_SEED);
    let (mine, other) = (accounts::account(), macloud_proto::ids::AccountId::from_bytes(&[0x77; 16]));
    let key = signer.device_key(&mine, "amzn1.ask.device.A");
    assert_eq!(key, SkillSigner::from_seed(&SKILL_SEED).device_key(&mine, "amzn1.ask.device.A"));
    assert_ne!(key, signer.device_key(&mine, "amzn1.ask.device.B"));
    assert_ne!(key, signer.device_key(&other, "amzn1.ask.device.A"));
    assert_ne!(key, SkillSigner::from_seed(&[9; 32]).device_key(&mine, "amzn1.ask.device.A"));
}

#[tokio::test]
async fn what_a_device_is_used_with_is_said_once_and_how_to_change_it() {
    let voice = Voice::new().await;
    let player = voice.world.home().player(1);
    voice.world.home().reply_next(Reply::Done { player, found: None, learned: true, other: None, used_here: false });
    let first = voice.ask(&intent("PausePlayerIntent", &[("player", "kitchen")])).await;
    let said = "Paused Kitchen. From now on I use Kitchen here. If that is wrong, say: forget the player here.";
    assert_eq!(text(&first), said);
    assert_eq!(first["response"]["card"]["content"], said);
    assert_eq!(voice.say("PausePlayerIntent", &[("player", "kitchen")]).await, "Paused Kitchen.");
}

#[tokio::test]
async fn of_several_homes_the_one_whose_player_the_device_is_used_with_is_meant() {
    let voice = Voice::new().await;
    let cottage = voice.world.add_home(2, "Cottage");
    voice.world.home().change_players(|players| players[0].state.playback = Playback::Playing);
    let own = Reply::Done { player: cottage.player(2), found: None, learned: false, other: None, used_here: true };
    cottage.reply_next(own);
    assert_eq!(voice.say("AMAZON.NextIntent", &[]).await, "Next on Bathroom.", "though it plays at home");
    assert!(voice.world.home().changes().is_empty());
    assert_eq!(voice.say("AMAZON.PauseIntent", &[]).await, "Paused Kitchen.", "else the one that plays");
}

#[tokio::test]
async fn a_device_is_used_with_a_player_of_one_home_and_forgotten_by_all() {
    let voice = Voice::new().await;
    let cottage = voice.world.add_home(2, "Cottage");
    let forget = Command::OnPlayer { target: Target::Unnamed, action: Action::ForgetHere, device: device() };
    voice.say("UseHereIntent", &[("player", "kitchen in the cottage")]).await;
    let there = Command::OnPlayer { target: Target::Key(player(2, 1)), action: Action::UseHere, device: device() };
    assert_eq!((cottage.carried_out().last(), voice.world.home().carried_out().last()), (Some(&there), Some(&forget)));
    voice.say("ForgetHereIntent", &[]).await;
    for home in [&cottage, &voice.world.home()] {
        let last = home.carried_out().pop();
        assert!(
            matches!(last, Some(Command::OnPlayer { action: Action::ForgetHere, device: Some(_), .. })),
            "{last:?}"
        );
    }
    voice.world.relay.disconnect(&instance(1));
    assert_eq!(
        voice.say("UseHereIntent", &[("player", "kitchen in the cottage")]).await,
        "From now on, Kitchen is used here."
    );
}

#[tokio::test]
async fn a_first_question_tells_alexa_the_names_that_may_answer_it() {
    let voice = Voice::new().await;
    let types = |response: &Value| response["response"]["directives"][0]["types"].clone();
    let players =
        json!([{"name": "PLAYER", "values": [{"name": {"value": "Kitchen"}}, {"name": {"value": "Bathroom"}}]}]);
    let launch = voice.ask(&request("LaunchRequest", Value::Null)).await;
    assert_eq!(types(&launch), players);
    let mut later = request("LaunchRequest", Value::Null);
    later["session"]["new"] = false.into();
    assert_eq!(types(&voice.ask(&later).await), Value::Null, "once is enough");
    voice.world.home().refuse_next(Refusal::WhichPlayer(vec!["Kitchen left".into(), "Kitchen right".into()]));
    let which = voice.ask(&intent("PausePlayerIntent", &[("player", "kitchen")])).await;
    assert_eq!(types(&which)[0]["values"][1], json!({"name": {"value": "Kitchen right"}}));
    voice.world.relay.disconnect(&instance(1));
    let welcome = voice.ask(&request("LaunchRequest", Value::Null)).await;
    assert_eq!(types(&welcome), Value::Null, "who cannot be asked keeps nobody out");
    assert!(text(&welcome).starts_with("Music Assistant is ready."));
    let several = Voice::new().await;
    several.world.add_home(2, "Cottage");
    let launch = several.ask(&request("LaunchRequest", Value::Null)).await;
    let homes = json!({"name": "HOME", "values": [{"name": {"value": "Home"}}, {"name": {"value": "Cottage"}}]});
    assert_eq!(types(&launch)[0], homes);
}

#[tokio::test]
async fn a_failure_is_on_a_card_with_the_code_of_its_command() {
    let voice = Voice::new().await;
    voice.world.home().refuse_next(Refusal::NothingPlays);
    let failed = voice.ask(&intent("SaveCurrentIntent", &[])).await;
    let content = failed["response"]["card"]["content"].as_str().unwrap();
    let command_id = voice.world.last_trace().passages[0].command_id.to_string();
    assert_eq!(content, format!("{}\n\nCode: {}", text(&failed), &command_id[..8]));
}

#[tokio::test]
async fn a_failure_before_anything_was_sent_has_a_code_too() {
    let voice = Voice::new().await;
    voice.world.accounts.fail(u64::MAX);
    let failed = voice.ask(&intent("AMAZON.PauseIntent", &[])).await;
    let trace = voice.world.last_trace();
    assert!(trace.passages.is_empty() && trace.result == "accounts_away", "{trace:?}");
    let content = failed["response"]["card"]["content"].as_str().unwrap();
    assert_eq!(content, format!("{}\n\nCode: {}", text(&failed), trace.code().unwrap()));
    voice.world.accounts.fail(0);
    voice.ask(&request("LaunchRequest", Value::Null)).await;
    assert_eq!(voice.world.last_trace().failure_id, None);
}

#[tokio::test]
async fn each_language_is_answered_in_itself() {
    let voice = Voice::new().await;
    for (locale, said) in [
        ("de-DE", "Ich spiele Kind of Blue auf Kitchen."),
        ("fr-FR", "Voici Kind of Blue sur Kitchen."),
        ("es-ES", "Pongo Kind of Blue en Kitchen."),
        ("it-IT", "Ecco Kind of Blue su Kitchen."),
        ("nl-NL", "Ik speel Kind of Blue op Kitchen."),
        ("en-GB", "Playing Kind of Blue on Kitchen."),
        ("ja-JP", "Playing Kind of Blue on Kitchen."),
    ] {
        let mut play = intent("PlayMediaIntent", &[("media", "Kind of Blue"), ("player", "kitchen")]);
        play["request"]["locale"] = locale.into();
        assert_eq!(text(&voice.ask(&play).await), said, "{locale}");
    }
    let voice = Voice::new().await;
    let cottage = voice.world.add_home(2, "Ferienhaus");
    let mut pause = intent("PausePlayerIntent", &[("player", "kitchen")]);
    pause["request"]["locale"] = "de-DE".into();
    let which = voice.ask(&pause).await;
    assert!(text(&which).ends_with("Welcher: Kitchen in Home oder Kitchen in Ferienhaus?"), "{}", text(&which));
    pause["request"]["intent"]["slots"]["player"]["value"] = "kitchen im ferienhaus".into();
    assert_eq!(text(&voice.ask(&pause).await), "Kitchen ist pausiert.");
    assert_eq!(cottage.changes(), [Action::Transport(Transport::Pause)]);
}

/// Takes what is to be said meanwhile, and keeps it.
async fn alexa_api() -> (url::Url, Arc<Mutex<Vec<(String, Value)>>>) {
    let heard: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
    let kept = Arc::clone(&heard);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let take = move |headers: HeaderMap, body: axum::Json<Value>| {
        let token = headers["authorization"].to_str().unwrap().to_owned();
        kept.lock().unwrap().push((token, body.0));
        std::future::ready(StatusCode::NO_CONTENT)
    };
    let router = Router::new().route("/v1/directives", on_post(take));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (base, heard)
}

#[tokio::test]
async fn what_takes_long_is_said_to_take_long_and_delays_nothing() {
    let (api, heard) = alexa_api().await;
    let authority = Authority::new().await;
    let deadline = Duration::from_millis(2500);
    let config = SkillConfig { alexa_api: Some(api), deadline, ..authority.config() };
    let voice = Voice { world: World::with(config).await, _authority: authority };
    let begun = Instant::now();
    voice.say("AMAZON.PauseIntent", &[]).await;
    assert!(
        heard.lock().unwrap().is_empty() || begun.elapsed() > Duration::from_secs(1),
        "what is quick needs no words"
    );
    heard.lock().unwrap().clear();
    voice.world.relay.silence(&instance(1));
    let begun = Instant::now();
    let mut pause = intent("AMAZON.PauseIntent", &[]);
    pause["request"]["locale"] = "fr-FR".into();
    let late = voice.ask(&pause).await;
    assert!(text(&late).contains("Votre maison"), "{}", text(&late));
    assert!(begun.elapsed() < deadline + Duration::from_secs(1), "{:?}", begun.elapsed());
    let heard = heard.lock().unwrap().clone();
    let directive = json!({
        "header": {"requestId": "amzn1.echo-api.request.1"},
        "directive": {
            "type": "VoicePlayer.Speak",
            "speech": "<speak>Un instant, j'attends la réponse de votre maison.</speak>"
        }
    });
    assert_eq!(heard, [("Bearer secret".to_owned(), directive)]);
}

/// A kitchen that plays, a bathroom that is paused, and a bedroom that is silent; the first two can play together.
async fn three_rooms() -> Voice {
    let voice = Voice::new().await;
    voice.world.home().change_players(|players| {
        players.push(some_player(player(1, 3), "Bedroom"));
        players[0].state.playback = Playback::Playing;
        players[1].state.playback = Playback::Paused;
        for player in &mut players[..2] {
            player.can.group = true;
        }
    });
    voice
}

/// What was changed, and on which player of the first home.
fn changed(voice: &Voice) -> Vec<(u8, Action)> {
    let number = |key: &PlayerKey| (1..9).find(|number| *key == player(1, *number)).unwrap();
    let on_player = |command| match command {
        Command::OnPlayer { target: Target::Key(key), action, device: None } if action.is_control() => {
            Some((number(&key), action))
        }
        _ => None,
    };
    voice.world.home().carried_out().into_iter().filter_map(on_player).collect()
}

#[tokio::test]
async fn everything_is_paused_by_one_word() {
    let voice = three_rooms().await;
    assert_eq!(voice.say("PausePlayerIntent", &[("all", "everything")]).await, "Paused everywhere.");
    assert_eq!(changed(&voice), [(1, Action::Transport(Transport::Pause))], "the others do not play");
    assert_eq!(voice.say("StopPlayerIntent", &[("player", "everywhere")]).await, "Stopped everywhere.");
    assert_eq!(changed(&voice).len(), 3, "both were paused");
    let said = voice.say("StopPlayerIntent", &[("all", "everywhere")]).await;
    assert_eq!(said, "Nothing is playing there. Start some music first.");
    let said = voice.say("SetVolumeIntent", &[("all", "everywhere"), ("level", "20")]).await;
    assert_eq!(said, "The volume is 20 everywhere.");
    assert!((1..=3).all(|number| voice.world.home().player(number).state.volume == Percent::new(20)));
    assert_eq!(
        voice.say("SkipPlayerIntent", &[("player", "everywhere")]).await.split(':').next().unwrap(),
        "That goes for one player at a time"
    );
}

#[tokio::test]
async fn music_everywhere_is_played_by_one_and_joined_by_those_who_can() {
    let voice = three_rooms().await;
    let said = voice.say("PlayMediaIntent", &[("media", "homogenic"), ("all", "everywhere")]).await;
    assert_eq!(
        said,
        "Playing homogenic everywhere. But not on Bedroom: That player can't play together with that one. Only players \
         of the same kind can."
    );
    let joined = changed(&voice).pop();
    assert_eq!(joined, Some((2, Action::JoinTo(Target::Key(player(1, 1))))));
    voice.world.home().change_players(|players| players.truncate(2));
    assert_eq!(voice.say("JoinPlayersIntent", &[("all", "everywhere")]).await, "Playing homogenic everywhere.");
    voice.world.home().change_players(|players| players.truncate(1));
    let said = voice.say("PlayMediaIntent", &[("media", "homogenic"), ("all", "everywhere")]).await;
    assert_eq!(said, "Playing homogenic on Kitchen.");
}

#[tokio::test]
async fn a_player_that_is_called_everywhere_is_meant_by_its_name() {
    let voice = three_rooms().await;
    voice.world.home().change_players(|players| players[2].name = "Everywhere".into());
    let said = voice.say("PlayMediaIntent", &[("media", "homogenic"), ("all", "everywhere")]).await;
    assert_eq!(said, "Playing homogenic on Everywhere.");
    assert_eq!(changed(&voice).len(), 1);
}

#[tokio::test]
async fn everywhere_is_one_home_of_several() {
    let voice = three_rooms().await;
    let cottage = voice.world.add_home(2, "Cottage");
    cottage.change_players(|players| players[0].state.playback = Playback::Paused);
    assert_eq!(voice.say("StopPlayerIntent", &[("all", "everywhere")]).await, "Stopped everywhere.");
    assert!(cottage.changes().is_empty(), "music plays in the other one");
    assert_eq!(voice.say("StopPlayerIntent", &[("player", "everything in the cottage")]).await, "Stopped everywhere.");
    assert_eq!(cottage.changes(), [Action::Transport(Transport::Stop)]);
}

#[tokio::test]
async fn a_wrong_players_name_is_said_at_once_and_not_kept() {
    let voice = Voice::new().await;
    for wrong in
        [intent("AnswerPlayerIntent", &[("player", "banana")]), intent("PlayMediaIntent", &[("player", "banana")])]
    {
        let said = voice.ask(&wrong).await;
        assert_eq!(text(&said), "There is no player with that name. You have Kitchen and Bathroom.");
        assert_eq!((&said["response"]["shouldEndSession"], said.get("sessionAttributes")), (&json!(true), None));
    }
    let kitchen = voice.ask(&intent("AnswerPlayerIntent", &[("player", "kitchen")])).await;
    let done = voice.answer(&kitchen, "PlayMediaIntent", &[("media", "homogenic")]).await;
    assert_eq!(text(&done), "Playing homogenic on Kitchen.");
}

#[tokio::test]
async fn two_players_of_one_name_are_not_asked_about() {
    let voice = Voice::new().await;
    voice.world.home().refuse_next(Refusal::WhichPlayer(vec!["Küche".into(), "küche".into()]));
    let said = voice.ask(&intent("PausePlayerIntent", &[("player", "küche")])).await;
    assert!(
        text(&said).starts_with("Several players are called Küche. Give each a name of its own"),
        "{}",
        text(&said)
    );
    assert_eq!(said["response"]["shouldEndSession"], true);
}

#[tokio::test]
async fn help_names_players_that_there_are() {
    let voice = Voice::new().await;
    let help = text(&voice.ask(&intent("AMAZON.HelpIntent", &[])).await);
    assert!(help.contains("on Kitchen") && help.contains("to Bathroom") && !help.contains("bedroom"), "{help}");
    voice.world.relay.disconnect(&instance(1));
    let help = text(&voice.ask(&intent("AMAZON.HelpIntent", &[])).await);
    assert!(!help.contains("Kitchen"), "{help}");
}
