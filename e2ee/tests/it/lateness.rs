//! Who judges how late a command is: the home, by its own clock, whatever happened on the way.

use std::time::Duration;

use macloud_e2ee::home::{MAX_REMAINING, OpenError};
use macloud_proto::time::Millis;

use crate::support::{BOTH, Ends, SIX_SECONDS, command_id, done, pause};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_command_held_back_is_late_by_the_home_clock() {
    let mut ends = Ends::new();
    let session = ends.establish();
    ends.confirm(&session);
    ends.wait(Duration::from_secs(3600));
    let (in_time, _) = ends.seal(&session, 1);
    let (held_back, _) = ends.seal(&session, 2);
    ends.wait(ms(2500));
    assert_eq!(ends.open(1, &in_time).unwrap().remaining, ms(3500));
    ends.wait(ms(3500));
    let late = ends.open(2, &held_back).unwrap();
    assert_eq!(late.remaining, Duration::ZERO);
    assert!(late.command.is_ok(), "it is still authentic, and is answered");
}

#[test]
fn a_held_back_first_command_is_as_late() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let (sealed, _) = ends.seal(&session, 1);
    ends.wait(Duration::from_secs(7));
    assert_eq!(ends.open(1, &sealed).unwrap().remaining, Duration::ZERO);
}

#[test]
fn a_delayed_pre_key_only_shortens_and_the_first_reply_corrects_it() {
    let mut ends = Ends::new();
    let pre_key = ends.pre_key();
    ends.wait(Duration::from_secs(4));
    let session = ends.establish_to(&pre_key);
    let (sealed, opener) = ends.seal(&session, 1);
    let opened = ends.open(1, &sealed).unwrap();
    assert_eq!(opened.remaining, Duration::from_secs(2), "four seconds in a cache count against it");
    let reply = opened.reply.seal(&done(), ends.home_now());
    ends.wait(ms(20));
    opener.open(&reply, ends.skill_now()).unwrap();
    let (sealed, _) = ends.seal(&session, 2);
    assert_eq!(ends.open(2, &sealed).unwrap().remaining, SIX_SECONDS - ms(20), "only the way back is unknown now");
}

#[test]
fn delaying_replies_never_makes_a_command_live_longer() {
    let mut ends = Ends::new();
    let session = ends.establish();
    for delay in [0, 3000, 50, 8000, 1] {
        let (sealed, opener) = ends.seal(&session, 1);
        ends.wait(ms(delay / 2));
        let opened = ends.open(1, &sealed).unwrap();
        assert!(opened.remaining <= SIX_SECONDS.saturating_sub(ms(delay / 2)));
        let reply = opened.reply.seal(&done(), ends.home_now());
        ends.wait(ms(delay));
        opener.open(&reply, ends.skill_now()).unwrap();
    }
}

#[test]
fn clocks_that_drift_are_set_right_by_replies() {
    let mut ends = Ends::new();
    let session = ends.establish();
    ends.confirm(&session);
    // The skill's clock gains 5 s on the home's in a day.
    ends.wait(Duration::from_secs(20 * 3600));
    let skill_now = ends.skill_now().plus(Duration::from_secs(5));
    let seal = |id, skill_now| session.seal(command_id(id), &pause(), BOTH, SIX_SECONDS, skill_now).unwrap();
    let (sealed, opener) = seal(1, skill_now);
    let opened = ends.open(1, &sealed).unwrap();
    assert_eq!(opened.remaining, Duration::from_secs(11), "wrong once, by the drift");
    opener.open(&opened.reply.seal(&done(), ends.home_now()), skill_now.plus(ms(30))).unwrap();
    let (sealed, _) = seal(2, skill_now.plus(ms(30)));
    ends.wait(ms(30));
    assert_eq!(ends.open(2, &sealed).unwrap().remaining, SIX_SECONDS);
}

#[test]
fn no_command_is_given_longer_than_the_limit() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let forever = Duration::from_secs(u64::MAX);
    let (sealed, _) = session.seal(command_id(1), &pause(), BOTH, forever, ends.skill_now()).unwrap();
    assert_eq!(ends.open(1, &sealed).unwrap().remaining, MAX_REMAINING);
    let ahead = Millis(u64::MAX - 1);
    assert!(session.seal(command_id(2), &pause(), BOTH, SIX_SECONDS, ahead).is_err(), "long over by that clock");
}

#[test]
fn a_deadline_far_ahead_counts_as_the_limit() {
    let mut ends = Ends::new();
    let session = ends.establish();
    let leapt = ends.skill_now().plus(Duration::from_secs(3600));
    let (sealed, _) = session.seal(command_id(1), &pause(), BOTH, SIX_SECONDS, leapt).unwrap();
    assert_eq!(ends.open(1, &sealed).unwrap().remaining, MAX_REMAINING, "the home does not rely on the skill's clock");
}

#[test]
fn a_clock_reading_that_the_home_has_not_given_yet_is_refused() {
    let mut ends = Ends::new();
    ends.wait(Duration::from_secs(10));
    let session = ends.establish();
    let (sealed, _) = ends.seal(&session, 1);
    ends.elapsed -= 5000;
    assert_eq!(ends.open(1, &sealed).unwrap_err().reason, OpenError::Reference);
}
