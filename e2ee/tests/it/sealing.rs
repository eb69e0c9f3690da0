//! The honest way: what is sealed at one end is opened at the other, in any order, in the same few sizes.

use std::sync::Arc;
use std::time::Duration;

use macloud_e2ee::home::MAX_COMMANDS;
use macloud_e2ee::skill::{Answer, SealError, Session};
use macloud_e2ee::vocabulary::{
    Action, Command, DeviceKey, MediaQuery, Percent, Placement, Refusal, Reply, Scopes, Target,
};

use crate::support::{BOTH, Ends, SIX_SECONDS, command_id, done, kitchen, on_kitchen, pause};

#[test]
fn a_command_and_its_reply_go_there_and_back() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let scopes = Scopes { read: true, control: false };
    let (sealed, opener) =
        session.seal(command_id(1), &Command::ListPlayers, scopes, SIX_SECONDS, ends.skill_now()).unwrap();
    let opened = ends.open(1, &sealed).unwrap();
    assert_eq!(opened.command, Ok(Command::ListPlayers));
    assert_eq!(opened.scopes, scopes, "the scopes travel with the command; the connector judges them");
    assert_eq!(opened.remaining, SIX_SECONDS);
    let reply = Reply::Players { players: vec![kitchen()], presets: vec![], locale: None };
    let sealed = opened.reply.seal(&reply, ends.home_now());
    assert_eq!(opener.open(&sealed, ends.skill_now()), Ok(Answer::Reply(reply)));
}

#[test]
fn the_setup_rides_along_until_a_reply_has_come() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let (first, first_opener) = ends.seal(&session, 1);
    let (second, _) = ends.seal(&session, 2);
    assert_eq!(first.len(), second.len(), "both carry the setup");
    ends.open(2, &second).expect("the second may arrive first");
    let opened = ends.open(1, &first).expect("and the same setup again is the same session");
    let reply = opened.reply.seal(&done(), ends.home_now());
    first_opener.open(&reply, ends.skill_now()).unwrap();
    let (third, _) = ends.seal(&session, 3);
    assert_eq!(third.len(), 2 + 16 + 8 + 8 + 256 + 16, "no setup any more");
    ends.open(3, &third).unwrap();
}

#[test]
fn concurrent_commands_arrive_and_are_answered_in_any_order() {
    let mut ends = Ends::new();
    let session = ends.establish();
    ends.confirm(&session);
    let sealed: Vec<_> = (0..64).map(|id| (id, ends.seal(&session, id))).collect();
    let mut answers = vec![];
    for (id, (sealed, opener)) in sealed.into_iter().rev() {
        let opened = ends.open(id, &sealed).unwrap();
        let reply = Reply::Refused(Refusal::PlayerUnavailable(format!("player {id}")));
        answers.push((opened.reply.seal(&reply, ends.home_now()), reply, opener));
    }
    answers.rotate_left(17);
    for (sealed, reply, opener) in answers {
        assert_eq!(opener.open(&sealed, ends.skill_now()), Ok(Answer::Reply(reply)));
    }
}

#[test]
fn one_session_serves_many_threads() {
    let mut ends = Ends::new();
    let session = Arc::new(ends.establish());
    let now = ends.skill_now();
    let threads: Vec<_> = (0..4u8)
        .map(|thread| {
            let session = Arc::clone(&session);
            std::thread::spawn(move || {
                let seal = |id| session.seal(command_id(id), &pause(), BOTH, SIX_SECONDS, now).unwrap().0;
                (0..25).map(|at| (thread * 25 + at, seal(thread * 25 + at))).collect::<Vec<_>>()
            })
        })
        .collect();
    for thread in threads {
        for (id, sealed) in thread.join().unwrap() {
            ends.open(id, &sealed).expect("no two threads got one sequence number");
        }
    }
}

#[test]
fn two_skill_processes_do_not_disturb_each_other() {
    let mut ends = Ends::new();
    let (one, other) = (ends.establish(), ends.establish());
    for session in [&one, &other, &one, &other] {
        ends.confirm(session);
    }
}

#[test]
fn different_commands_and_replies_have_the_same_length() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let commands = [
        Command::ListPlayers,
        pause(),
        on_kitchen(Action::SetVolume(Percent::ZERO)),
        on_kitchen(Action::Play {
            media: MediaQuery {
                text: "Kind of Blue".into(),
                artist: Some("Miles Davis".into()),
                ..MediaQuery::default()
            },
            placement: Placement::Replace,
        }),
        Command::OnPlayer {
            target: Target::Named("the one in the upper bathroom".into()),
            action: Action::Read,
            device: Some(DeviceKey::from_bytes([3; 16])),
        },
    ];
    let mut lengths = vec![];
    for (id, command) in (0..).zip(&commands) {
        let (sealed, _) = session.seal(command_id(id), command, BOTH, SIX_SECONDS, ends.skill_now()).unwrap();
        let opened = ends.open(id, &sealed).unwrap();
        let reply = if id % 2 == 0 { done() } else { Reply::Refused(Refusal::MediaNotFound) };
        lengths.push((sealed.len(), opened.reply.seal(&reply, ends.home_now()).len()));
    }
    lengths.dedup();
    assert_eq!(lengths, [(1514, 274)]);
}

#[test]
fn a_session_ends_with_its_day_and_its_numbers() {
    let mut ends = Ends::new();
    let session = ends.establish();
    ends.wait(Duration::from_secs(24 * 60 * 60) - Duration::from_millis(1));
    assert!(!session.is_over(ends.skill_now()));
    ends.wait(Duration::from_millis(1));
    assert!(session.is_over(ends.skill_now()));
    let sealed = session.seal(command_id(1), &pause(), BOTH, SIX_SECONDS, ends.skill_now());
    assert_eq!(sealed.unwrap_err(), SealError::Exhausted);
    const { assert!(MAX_COMMANDS < 1 << 32, "far from where a nonce could come twice") };
}

#[test]
fn debug_output_shows_neither_keys_nor_contents() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let (sealed, opener) = ends.seal(&session, 1);
    let opened = ends.open(1, &sealed).unwrap();
    let shown = format!("{session:?} {opener:?} {opened:?} {:?} {:?} {:?}", ends.home, ends.signer, ends.root);
    assert!(!shown.contains("Pause"), "{shown}");
    assert!(shown.len() < 600, "{shown}");
}

#[test]
fn a_pre_key_of_another_home_or_key_is_not_used() {
    let (mut ends, other) = (Ends::seeded(1), Ends::seeded(2));
    let pre_key = ends.pre_key();
    let (here, there) = (ends.instance.clone(), other.instance.clone());
    let (ours, theirs) = (ends.identity.clone(), other.identity.clone());
    let mut establish = |instance, identity: &[u8; 32]| {
        let now = ends.skill_now();
        Session::establish(instance, identity, &pre_key, &ends.signer, now, &mut ends.random).is_ok()
    };
    assert!(establish(&here, ours.public()));
    assert!(!establish(&here, theirs.public()), "the wrong identity");
    assert!(!establish(&there, ours.public()), "the wrong home");
}
