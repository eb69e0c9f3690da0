//! The custom part: what is said, and what is done in the home.

use axum::http::StatusCode;
use macloud_e2ee::vocabulary::{
    Action, Command, MediaKind, MediaQuery, Placement, Playback, Refusal, Target, Transport,
};
use macloud_proto::accounts::v1::resolve_access_answer::Status;
use serde_json::{Value, json};

use super::support::schemas::custom_response;
use super::support::signing::{Authority, CERT_URL, intent, post, request, sign};
use super::support::{TOKEN, World, instance, player};

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
        self.ask(&said).await
    }

    async fn say(&self, name: &str, slots: &[(&str, &str)]) -> String {
        text(&self.ask(&intent(name, slots)).await)
    }
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
        [Command::OnPlayer { target: Target::Named("kitchen".into()), action, device: None }]
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
        assert_eq!(last, Some(Command::OnPlayer { target: Target::Unnamed, action, device: None }));
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
        assert_eq!(voice.ask(&intent(name, &[])).await["response"]["shouldEndSession"], true, "{name}");
    }
    for kind in ["SessionEndedRequest", "AlexaSkillEvent.SkillDisabled", "CanFulfillIntentRequest"] {
        assert_eq!(voice.ask(&request(kind, Value::Null)).await, json!({"version": "1.0", "response": {}}), "{kind}");
    }
    assert!(voice.world.home().carried_out().is_empty());
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
    assert_eq!(response["response"].get("card"), None, "a fault of ours is no reason to link again");
}

#[tokio::test]
async fn errors_name_the_cause_and_the_remedy() {
    let voice = Voice::new().await;
    let text = voice.say("PlayMediaIntent", &[("media", "x"), ("player", "cellar")]).await;
    assert_eq!(text, "There is no player with that name. You have Kitchen and Bathroom.");
    voice.world.home().refuse_next(Refusal::MusicAssistantAway);
    assert!(voice.say("AMAZON.PauseIntent", &[]).await.contains("Music Assistant does not answer"));
    voice.world.home().refuse_next(Refusal::WhichPlayer(vec!["Kitchen <left>".into(), "Kitchen & Bar".into()]));
    let which = voice.ask(&intent("PlayMediaIntent", &[("media", "x"), ("player", "kitchen")])).await;
    assert!(super::spoken::text(&which).contains("Kitchen &lt;left&gt; or Kitchen &amp; Bar"));
    assert_eq!(which["response"]["shouldEndSession"], false);
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
    let on_player = Command::OnPlayer { target: Target::Key(player(2, 2)), action: pause, device: None };
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
        device: None,
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
    assert!(started.elapsed() <= std::time::Duration::from_millis(2200), "{:?}", started.elapsed());
    assert_eq!(cottage.changes(), [Action::Transport(Transport::Pause)]);
}

#[tokio::test]
async fn without_a_home_it_says_how_to_get_one() {
    let authority = Authority::new().await;
    let world = World::empty(authority.config()).await;
    let voice = Voice { _authority: authority, world };
    assert!(voice.say("AMAZON.PauseIntent", &[]).await.contains("No Music Assistant is paired"));
}
