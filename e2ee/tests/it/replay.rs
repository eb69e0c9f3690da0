//! Nothing that was recorded can be used again: not in its session, not in another, not after a restart.

use std::time::Duration;

use macloud_e2ee::home::{MAX_SESSIONS, OpenError, PRE_KEY_LIFETIME};
use macloud_e2ee::skill::{Answer, ReplyError, Session};
use macloud_e2ee::vocabulary::Reply;

use crate::support::{Ends, done};

fn set_up_again(ends: &Ends, opener: macloud_e2ee::skill::ReplyOpener, answer: Option<Vec<u8>>) -> Vec<u8> {
    match opener.open(&answer.expect("an answer that helps"), ends.skill_now()) {
        Ok(Answer::SetUpAgain { signed_pre_key }) => signed_pre_key,
        other => panic!("expected to be told to set up again: {other:?}"),
    }
}

#[test]
fn a_command_opens_once() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let (with_setup, _) = ends.seal(&session, 1);
    ends.open(1, &with_setup).unwrap();
    assert_eq!(ends.open(1, &with_setup).unwrap_err().reason, OpenError::Replayed);
    ends.confirm(&session);
    let (without, _) = ends.seal(&session, 2);
    ends.open(2, &without).unwrap();
    let failure = ends.open(2, &without).unwrap_err();
    assert_eq!((failure.reason, failure.answer), (OpenError::Replayed, None));
}

#[test]
fn a_command_opens_only_under_its_own_id() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let (sealed, _) = ends.seal(&session, 1);
    assert_eq!(ends.open(2, &sealed).unwrap_err().reason, OpenError::NotAuthentic);
    ends.open(1, &sealed).expect("the failed attempt has not used it up");
}

#[test]
fn a_command_opens_only_in_its_own_session() {
    let mut ends = Ends::new();
    let (one, other) = (ends.establish(), ends.establish());
    ends.confirm(&one);
    ends.confirm(&other);
    let (of_one, _) = ends.seal(&one, 1);
    let (of_other, _) = ends.seal(&other, 1);
    let mut mixed = of_one.clone();
    mixed[2..18].copy_from_slice(&of_other[2..18]);
    assert_eq!(ends.open(1, &mixed).unwrap_err().reason, OpenError::NotAuthentic);
    ends.open(1, &of_one).unwrap();
    ends.open(1, &of_other).unwrap();
}

#[test]
fn a_setup_taken_off_or_put_on_is_noticed() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let (with_setup, _) = ends.seal(&session, 1);
    let mut stripped = with_setup.clone();
    stripped.drain(34..34 + 1208);
    stripped[1] = 1;
    ends.confirm(&session);
    assert_eq!(ends.open(1, &stripped).unwrap_err().reason, OpenError::NotAuthentic);
    let (without, _) = ends.seal(&session, 2);
    let mut extended = without.clone();
    extended.splice(34..34, with_setup[34..34 + 1208].iter().copied());
    extended[1] = 2;
    assert_eq!(ends.open(2, &extended).unwrap_err().reason, OpenError::NotAuthentic);
    ends.open(1, &with_setup).unwrap();
    ends.open(2, &without).unwrap();
}

#[test]
fn a_copied_setup_with_a_spoilt_command_does_not_take_the_session_away() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let (sealed, _) = ends.seal(&session, 1);
    let mut spoilt = sealed.clone();
    *spoilt.last_mut().unwrap() ^= 1;
    assert_eq!(ends.open(1, &spoilt).unwrap_err().reason, OpenError::NotAuthentic);
    ends.open(1, &sealed).unwrap();
}

#[test]
fn nothing_recorded_before_a_restart_opens_after_it() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let (first, first_opener) = ends.seal(&session, 1);
    ends.open(1, &first).unwrap();
    ends.confirm(&session);
    let (later, later_opener) = ends.seal(&session, 2);
    ends.restart_home();
    let failure = ends.open(1, &first).unwrap_err();
    assert_eq!(failure.reason, OpenError::UnknownPreKey);
    set_up_again(&ends, first_opener, failure.answer);
    let failure = ends.open(2, &later).unwrap_err();
    assert_eq!(failure.reason, OpenError::UnknownSession);
    let pre_key = set_up_again(&ends, later_opener, failure.answer);
    assert!(session.is_over(ends.skill_now()), "the session knows that the home has lost it");
    let session = ends.establish_to(&pre_key);
    ends.confirm(&session);
}

#[test]
fn a_stale_pre_key_is_answered_with_the_current_one() {
    let mut ends = Ends::new();
    let stale = ends.pre_key();
    ends.wait(PRE_KEY_LIFETIME);
    let session = ends.establish_to(&stale);
    let (sealed, opener) = ends.seal(&session, 1);
    let failure = ends.open(1, &sealed).unwrap_err();
    assert_eq!(failure.reason, OpenError::UnknownPreKey);
    let current = set_up_again(&ends, opener, failure.answer);
    assert_ne!(current[2..10], stale[2..10], "another epoch");
    let session = ends.establish_to(&current);
    ends.confirm(&session);
}

#[test]
fn sessions_die_with_their_pre_key_and_at_no_other_time() {
    let mut ends = Ends::new();
    let session = ends.establish();
    ends.confirm(&session);
    ends.wait(PRE_KEY_LIFETIME - Duration::from_millis(1));
    let now = ends.home_now();
    assert!(!ends.home.rotate_if_due(now, &mut ends.random));
    ends.confirm(&session);
    let (sealed, opener) = ends.seal(&session, 1);
    ends.wait(Duration::from_millis(1));
    let failure = ends.open(1, &sealed).unwrap_err();
    assert_eq!(failure.reason, OpenError::UnknownSession);
    set_up_again(&ends, opener, failure.answer);
}

#[test]
fn when_all_sessions_are_taken_the_pre_key_is_rotated() {
    let mut ends = Ends::new();
    let pre_key = ends.pre_key();
    let first = ends.establish_to(&pre_key);
    ends.confirm(&first);
    for _ in 1..MAX_SESSIONS {
        let session = ends.establish_to(&pre_key);
        let (sealed, _) = ends.seal(&session, 1);
        ends.open(1, &sealed).unwrap();
    }
    ends.confirm(&first);
    let one_more = ends.establish_to(&pre_key);
    let (sealed, opener) = ends.seal(&one_more, 1);
    let failure = ends.open(1, &sealed).unwrap_err();
    assert_eq!(failure.reason, OpenError::Full);
    let pre_key = set_up_again(&ends, opener, failure.answer);
    let session = ends.establish_to(&pre_key);
    ends.confirm(&session);
    let (sealed, _) = ends.seal(&first, 2);
    assert_eq!(ends.open(2, &sealed).unwrap_err().reason, OpenError::UnknownSession);
}

#[test]
fn the_window_of_a_session_ends_where_it_says() {
    let mut ends = Ends::new();
    let session = ends.establish();
    ends.confirm(&session);
    let early: Vec<_> = (0..2).map(|_| ends.seal(&session, 1).0).collect();
    let skipped: Vec<_> = (0..1022).map(|_| ends.seal(&session, 1).0).collect();
    let (newest, _) = ends.seal(&session, 1);
    ends.open(1, &newest).unwrap();
    assert_eq!(ends.open(1, &early[0]).unwrap_err().reason, OpenError::Replayed, "1024 behind: too old to tell");
    ends.open(1, &early[1]).expect("1023 behind: the last that is remembered");
    ends.open(1, skipped.last().unwrap()).unwrap();
}

#[test]
fn swapped_replies_are_refused() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let ((one, one_opener), (other, other_opener)) = (ends.seal(&session, 1), ends.seal(&session, 2));
    let one = ends.open(1, &one).unwrap().reply.seal(&done(), ends.home_now());
    let other = ends.open(2, &other).unwrap().reply.seal(&done(), ends.home_now());
    assert_eq!(one_opener.open(&other, ends.skill_now()), Err(ReplyError::NotAuthentic));
    assert_eq!(other_opener.open(&one, ends.skill_now()), Err(ReplyError::NotAuthentic));
}

#[test]
fn a_reply_to_the_same_command_id_in_another_session_is_refused() {
    let mut ends = Ends::new();
    let (one, other) = (ends.establish(), ends.establish());
    let ((sealed, _), (_, opener)) = (ends.seal(&one, 1), ends.seal(&other, 1));
    let reply = ends.open(1, &sealed).unwrap().reply.seal(&done(), ends.home_now());
    assert_eq!(opener.open(&reply, ends.skill_now()), Err(ReplyError::NotAuthentic));
}

#[test]
fn a_command_played_back_as_its_own_reply_is_refused() {
    let ends = &mut Ends::new();
    let session = ends.establish();
    ends.confirm(&session);
    let (sealed, opener) = ends.seal(&session, 1);
    assert!(opener.open(&sealed, ends.skill_now()).is_err());
    let (sealed, opener) = ends.seal(&session, 2);
    let mut as_reply = sealed[32..].to_vec();
    as_reply[..2].copy_from_slice(&[1, 3]);
    assert_eq!(opener.open(&as_reply, ends.skill_now()), Err(ReplyError::NotAuthentic), "another key, another label");
}

#[test]
fn set_up_again_counts_only_for_the_command_it_was_said_to() {
    let mut ends = Ends::new();
    let session = ends.establish();
    ends.confirm(&session);
    let ((one, _), (_, other_opener)) = (ends.seal(&session, 1), ends.seal(&session, 2));
    let (_, same_id_opener) = ends.seal(&session, 1);
    ends.restart_home();
    let answer = ends.open(1, &one).unwrap_err().answer.unwrap();
    assert_eq!(other_opener.open(&answer, ends.skill_now()), Err(ReplyError::NotAuthentic));
    assert_eq!(same_id_opener.open(&answer, ends.skill_now()), Err(ReplyError::NotAuthentic), "sealed another time");
    assert!(!session.is_over(ends.skill_now()));
}

#[test]
fn set_up_again_is_believed_only_from_the_home_itself() {
    let (mut ends, mut other) = (Ends::seeded(1), Ends::seeded(2));
    let session = ends.establish();
    let (sealed, opener) = ends.seal(&session, 1);
    let failure = other.open(1, &sealed).unwrap_err();
    assert_eq!(failure.reason, OpenError::UnknownPreKey);
    let answer = opener.open(&failure.answer.unwrap(), ends.skill_now());
    assert_eq!(answer, Err(ReplyError::NotAuthentic));
}

#[test]
fn a_command_for_one_home_does_not_open_at_another_that_shares_all_else() {
    // Two homes with one identity key and one pre-key cannot be; with one identity key they could, if someone copied it.
    let mut ends = Ends::seeded(1);
    let session = ends.establish();
    let (sealed, _) = ends.seal(&session, 1);
    let mut copy = Ends::seeded(1);
    copy.instance = Ends::seeded(9).instance;
    copy.random.counter = 0;
    copy.home = macloud_e2ee::home::Home::new(
        copy.instance.clone(),
        copy.identity.clone(),
        ends.home.skill_keys().clone(),
        copy.home_now(),
        &mut copy.random,
    );
    assert_eq!(copy.pre_key()[2..1234], ends.pre_key()[2..1234], "the same pre-key");
    assert_eq!(copy.open(1, &sealed).unwrap_err().reason, OpenError::Signature);
    ends.open(1, &sealed).unwrap();
}

#[test]
fn a_reply_sealed_after_the_session_ended_still_arrives() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let now = ends.skill_now();
    let (sealed, opener) = ends.seal(&session, 1);
    let opened = ends.open(1, &sealed).unwrap();
    ends.wait(PRE_KEY_LIFETIME);
    ends.pre_key();
    let reply = opened.reply.seal(&done(), ends.home_now());
    assert!(matches!(opener.open(&reply, now), Ok(Answer::Reply(Reply::Done { .. }))));
}

#[test]
fn sessions_of_one_pre_key_share_nothing() {
    let mut ends = Ends::new();
    let pre_key = ends.pre_key();
    let sessions: Vec<Session> = (0..2).map(|_| ends.establish_to(&pre_key)).collect();
    let (one, other) = (ends.seal(&sessions[0], 1).0, ends.seal(&sessions[1], 1).0);
    assert_ne!(one[2..18], other[2..18], "session id");
    assert_ne!(one[34 + 24..34 + 24 + 1120], other[34 + 24..34 + 24 + 1120], "encapsulated key");
    assert_ne!(one[one.len() - 272..], other[other.len() - 272..], "the same command under another key");
}
