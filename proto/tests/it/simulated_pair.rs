//! Both machines over a bad network, many seeds: what must hold whatever happens.

use std::collections::HashSet;
use std::time::Duration;

use macloud_proto::link::relay_side::Outcome;

use crate::world::World;

fn troubled(seed: u64) -> World {
    let mut world = World::new(seed);
    world.plan_calls(120, Duration::from_secs(120));
    world.plan_mischief(12, Duration::from_secs(120));
    world.run_for(Duration::from_secs(140));
    world
}

#[test]
fn every_call_has_exactly_one_answer_in_time_and_no_command_runs_twice() {
    let mut kinds = HashSet::new();
    let mut delivered = 0;
    for seed in 0..300 {
        let world = troubled(seed);
        for call in &world.calls {
            assert_eq!(call.answers.len(), 1, "seed {seed}: {call:?}");
            let (at, outcome) = &call.answers[0];
            assert!(*at <= call.deadline, "seed {seed}: answered too late: {call:?}");
            let executions = world.executions.get(&call.id).copied().unwrap_or(0);
            assert!(executions <= 1, "seed {seed}: executed {executions} times: {call:?}");
            match outcome {
                Outcome::Delivered(reply) => {
                    assert_eq!(reply[..], call.id.as_bytes()[..], "seed {seed}: a reply of another command");
                    delivered += 1;
                }
                Outcome::NotSent(reason) => {
                    assert_eq!(executions, 0, "seed {seed}: {reason:?}, but executed: {call:?}");
                }
                Outcome::Unknown(_) => {}
                Outcome::PreKey(_) => panic!("nobody asked for one"),
            }
            kinds.insert(format!("{outcome:?}").chars().take(28).collect::<String>());
        }
    }
    // The network must not be so bad that the good way is never taken, nor so good that the bad ways are not.
    assert!(delivered > 10_000, "only {delivered} of 36000 delivered");
    for kind in ["NotSent(LinkLost)", "NotSent(Deadline)", "Unknown(Deadline)", "Unknown(LinkLost)", "Unknown(Unrespon"]
    {
        assert!(kinds.iter().any(|seen| seen.starts_with(kind)), "{kind} never happened");
    }
}

#[test]
fn a_home_always_comes_back_when_the_network_is_well_again() {
    for seed in 1000..1100 {
        let mut world = troubled(seed);
        world.mischief = false;
        // Long enough for the slow retry of a session that believes it was replaced by another installation.
        world.run_for(Duration::from_secs(600));
        let before = world.calls.len();
        // One, since a home with a credit of one makes a second one wait.
        world.plan_calls(1, Duration::from_secs(5));
        world.run_for(Duration::from_secs(15));
        for call in &world.calls[before..] {
            let delivered = matches!(call.answers[..], [(_, Outcome::Delivered(_))]);
            assert!(delivered, "seed {seed}: {call:?} after {:?}", world.relay_ends);
        }
    }
}

#[test]
fn the_latest_event_of_each_key_arrives_whatever_happens() {
    let mut again = 0;
    for seed in 2000..2200 {
        let mut world = World::new(seed);
        world.plan_events(100, Duration::from_secs(120));
        world.plan_mischief(12, Duration::from_secs(120));
        world.run_for(Duration::from_secs(140));
        world.mischief = false;
        world.run_for(Duration::from_secs(600));
        assert!(world.outbox.is_empty(), "seed {seed}: the home is never told: {:?}", world.outbox);
        for key in 0..5 {
            let latest = world.told.iter().rev().find(|(told, _)| *told == key);
            let (_, latest) = latest.expect("a hundred events have each of five keys");
            assert!(world.taken.contains(latest), "seed {seed}: what is now of key {key} was never taken");
        }
        let different: HashSet<_> = world.taken.iter().collect();
        again += world.taken.len() - different.len();
    }
    assert!(again > 0, "the network was so good that nothing ever came twice");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed| {
        let world = troubled(seed);
        format!("{:?} {:?} {}", world.calls, world.relay_ends, world.sessions)
    };
    assert_eq!(story(7), story(7));
}
