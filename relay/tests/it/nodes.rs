//! Several nodes as one relay: calls cross over, homes move, nodes die, fall silent and come back, and the directory goes away.

use std::sync::atomic::Ordering;
use std::time::Duration;

use macloud_proto::bus::v1::{self as bus, answer, not_sent, unknown};
use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::frame::FromRelay;
use macloud_relay::presence::LEASE;
use tokio::time::Instant;

use crate::cloud::net::Net;
use crate::cloud::{self, Cloud, Home, HomeKey, delivered, dispatch, goodbye, id, until};

const SECOND: Duration = Duration::from_secs(1);

async fn two() -> (Net, Cloud, Cloud) {
    let net = Net::new();
    let (a, b) = (Cloud::start_in(&net, "a", |_| {}).await, Cloud::start_in(&net, "b", |_| {}).await);
    (net, a, b)
}

fn refusal(answer: &bus::Answer) -> not_sent::Reason {
    match &answer.outcome {
        Some(answer::Outcome::NotSent(refused)) => refused.reason(),
        other => panic!("{other:?} instead of a refusal"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_crosses_over_once_and_its_answer_names_the_owner() {
    let (net, a, b) = two().await;
    let key = HomeKey::new(1);
    let home = b.home(&key).await;
    let epoch = home.welcome.session_epoch;
    home.serve();
    let crossed = a.unary(dispatch(&key, 1, SECOND)).await.unwrap();
    assert_eq!(crossed.outcome, Some(delivered(1)));
    assert_eq!((crossed.owner_node_id.as_str(), crossed.session_epoch), ("b", epoch));
    assert!(crossed.timing.is_some() && !crossed.sent_before);
    let lookups = net.lookups.load(Ordering::SeqCst);
    // Whoever goes to the owner needs neither a hop nor the directory; who cannot, needs the hop only.
    for number in 2..20 {
        let node = if number % 2 == 0 { &a } else { &b };
        assert_eq!(node.command(&key, number, SECOND).await, delivered(number));
    }
    assert_eq!(net.lookups.load(Ordering::SeqCst), lookups);
    let (_, opened) = a.stream().await;
    assert!(opened.sees_all_nodes);
}

#[tokio::test(start_paused = true)]
async fn a_home_that_is_nowhere_is_said_to_be_so() {
    let (_net, a, _b) = two().await;
    let answer = a.unary(dispatch(&HomeKey::new(1), 1, SECOND)).await.unwrap();
    assert_eq!((refusal(&answer), answer.owner_node_id.as_str()), (not_sent::Reason::NotConnected, ""));
}

#[tokio::test(start_paused = true)]
async fn what_has_crossed_is_never_passed_on() {
    let (net, a, b) = two().await;
    let c = Cloud::start_in(&net, "c", |_| {}).await;
    let key = HomeKey::new(1);
    a.home(&key).await.serve();
    for node in [&b, &c] {
        let answer = node.unary(bus::Call { crossed: true, ..dispatch(&key, 1, SECOND) }).await.unwrap();
        assert_eq!(refusal(&answer), not_sent::Reason::NotConnected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_home_that_moves_takes_what_is_in_flight_with_it() {
    let (_net, a, b) = two().await;
    let key = HomeKey::new(1);
    let mut old = a.home_with(&key, 1).await;
    let written = a.answer_later(&key, 1, SECOND * 5);
    assert_eq!(old.command().await, id(1));
    let queued = a.answer_later(&key, 2, SECOND * 5);
    let through_b = b.answer_later(&key, 3, SECOND * 5);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let new = b.home(&key).await;
    assert!(new.welcome.session_epoch > old.welcome.session_epoch);
    assert_eq!(goodbye(&mut old.socket).await, GoodbyeReason::Replaced);
    new.serve();
    let [written, queued, through_b] = [written.await.unwrap(), queued.await.unwrap(), through_b.await.unwrap()];
    assert_eq!((written.outcome, written.sent_before), (Some(delivered(1)), true));
    assert_eq!((queued.outcome, queued.sent_before), (Some(delivered(2)), false));
    assert_eq!((through_b.outcome, through_b.sent_before), (Some(delivered(3)), false));
    assert_eq!(written.owner_node_id, "b");
    drop(old);
    until(|| a.relay.connected() == 0).await;
    assert_eq!(a.command(&key, 4, SECOND).await, delivered(4), "the old session's end has taken nothing away");
}

#[tokio::test(start_paused = true)]
async fn installations_that_displace_each_other_over_nodes_are_both_told() {
    let (_net, a, b) = two().await;
    let key = HomeKey::new(1);
    let mut last = Home::greet_as(a.try_dial(&key).await.unwrap(), 1, [0; 16]).await;
    let mut told = Vec::new();
    for number in 1..=4u8 {
        let node = if number % 2 == 0 { &a } else { &b };
        let next = Home::greet_as(node.try_dial(&key).await.unwrap(), 1, [number % 2; 16]).await;
        let Some(FromRelay::Goodbye(goodbye)) = last.next().await else { panic!("not told") };
        assert_eq!(goodbye.reason, GoodbyeReason::Replaced);
        assert!(goodbye.detail.contains("installation"), "{}", goodbye.detail);
        told.push((goodbye.detail.contains("stop one of them"), next.welcome.contested));
        last = next;
        tokio::time::sleep(SECOND * 15).await;
    }
    assert_eq!(told, [(false, false), (false, false), (true, true), (true, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_crosses_over() {
    let (_net, a, b) = two().await;
    let key = HomeKey::new(1);
    let mut home = b.home_with(&key, 1).await;
    let (mut stream, _) = a.stream().await;
    stream.call(1, dispatch(&key, 1, SECOND * 6));
    assert_eq!(home.command().await, id(1));
    stream.call(2, dispatch(&key, 2, SECOND * 6));
    tokio::time::sleep(Duration::from_millis(10)).await;
    stream.cancel(2);
    assert_eq!(stream.answer().await, (2, cloud::not_sent(not_sent::Reason::Cancelled)));
    home.received(id(1)).await;
    drop(stream);
    assert_eq!(home.next().await, Some(FromRelay::Cancel(id(1))), "its caller has gone");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_at_the_far_end_and_here() {
    let (_net, a, b) = two().await;
    let key = HomeKey::new(1);
    let mut home = b.home(&key).await;
    let call = a.command_later(&key, 1, SECOND * 3);
    let Some(FromRelay::Command(command)) = home.next().await else { panic!("no command") };
    assert!(command.remaining < SECOND * 3 && command.remaining > Duration::from_millis(2900));
    home.received(id(1)).await;
    let asked = Instant::now();
    assert_eq!(call.await.unwrap(), cloud::unknown(unknown::Reason::Deadline));
    assert!(asked.elapsed() < SECOND * 3);
    // A node that says nothing any more is not waited for beyond the deadline.
    b.wire.fall_silent();
    let asked = Instant::now();
    let answer = a.command(&key, 2, SECOND).await;
    assert_eq!(answer, cloud::unknown(unknown::Reason::Deadline));
    assert!(asked.elapsed() <= SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_falls_silent_is_given_up_within_seconds() {
    let (_net, a, b) = two().await;
    let key = HomeKey::new(1);
    let mut home = b.home(&key).await;
    let call = a.command_later(&key, 1, SECOND * 20);
    home.command().await;
    home.received(id(1)).await;
    b.wire.fall_silent();
    let silent = Instant::now();
    assert_eq!(call.await.unwrap(), cloud::unknown(unknown::Reason::LinkLost));
    assert!(silent.elapsed() < Duration::from_millis(3_500), "{:?}", silent.elapsed());
    // The home finds another node, and is found there, whatever the old one believes.
    a.home(&key).await.serve();
    assert_eq!(a.command(&key, 2, SECOND).await, delivered(2));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_answers_what_it_had_at_once_and_truly() {
    let (net, a, b) = two().await;
    let c = Cloud::start_in(&net, "c", |_| {}).await;
    let key = HomeKey::new(1);
    let mut home = b.home_with(&key, 1).await;
    let written = a.command_later(&key, 1, SECOND * 6);
    assert_eq!(home.command().await, id(1));
    let before = Instant::now();
    b.kill();
    assert_eq!(written.await.unwrap(), cloud::unknown(unknown::Reason::LinkLost));
    // Until its lease ends it is taken for one that cannot be reached from here, and named for a caller who might.
    let answer = a.unary(dispatch(&key, 2, SECOND * 6)).await.unwrap();
    assert_eq!((refusal(&answer), answer.owner_node_id.as_str()), (not_sent::Reason::LinkLost, "b"));
    assert!(before.elapsed() < SECOND);
    c.home(&key).await.serve();
    for node in [&a, &c] {
        assert_eq!(node.command(&key, 3, SECOND).await, delivered(3));
    }
    tokio::time::sleep(LEASE + SECOND).await;
    let never = HomeKey::new(2);
    assert_eq!(a.command(&never, 4, SECOND).await, cloud::not_sent(not_sent::Reason::NotConnected));
}

#[tokio::test(start_paused = true)]
async fn a_stale_owner_does_not_answer() {
    let (_net, a, b) = two().await;
    let key = HomeKey::new(1);
    let stale = a.home(&key).await;
    // Nothing that the others say arrives at it, and it does not know that the home has moved.
    let old_epoch = stale.welcome.session_epoch;
    let served = stale.serve();
    a.wire.fall_silent();
    let moved = b.home(&key).await;
    let epoch = moved.welcome.session_epoch;
    moved.serve();
    tokio::time::sleep(LEASE * 2).await;
    a.wire.speak_again();
    assert!(epoch > old_epoch);
    // A caller that has heard of the newer session is not served by the older one, at once or ever.
    let call = bus::Call { least_epoch: epoch, ..dispatch(&key, 1, SECOND * 2) };
    assert_eq!(refusal(&a.unary(call).await.unwrap()), not_sent::Reason::Unlocated, "it cannot ask yet");
    tokio::time::sleep(SECOND * 2).await;
    // Nor, once it could ask, is anybody else.
    for (number, least_epoch) in [(2, epoch), (3, 0)] {
        let call = bus::Call { least_epoch, ..dispatch(&key, number, SECOND * 2) };
        let answer = a.unary(call).await.unwrap();
        assert_eq!((answer.outcome, answer.session_epoch), (Some(delivered(number)), epoch));
    }
    until(|| a.relay.connected() == 0).await;
    assert_eq!(served.await.unwrap(), 0, "the stale session has executed nothing");
}

#[tokio::test(start_paused = true)]
async fn homes_keep_working_while_the_directory_is_away_and_new_ones_are_found_when_it_is_back() {
    let (net, a, b) = two().await;
    let (old, new) = (HomeKey::new(1), HomeKey::new(2));
    a.home(&old).await.serve();
    net.away.store(true, Ordering::SeqCst);
    tokio::time::sleep(LEASE * 2).await;
    assert_eq!(a.command(&old, 1, SECOND).await, delivered(1), "connected homes keep working");
    let dialled = Instant::now();
    b.home(&new).await.serve();
    assert!(dialled.elapsed() < SECOND, "new ones are let in without waiting");
    assert_eq!(b.command(&new, 2, SECOND).await, delivered(2));
    // Of others nothing is known: the caller may ask every node.
    let answer = a.unary(dispatch(&new, 3, SECOND)).await.unwrap();
    assert_eq!(refusal(&answer), not_sent::Reason::Unlocated);
    net.away.store(false, Ordering::SeqCst);
    tokio::time::sleep(SECOND).await;
    assert_eq!(a.command(&new, 4, SECOND).await, delivered(4));
    assert_eq!(b.command(&old, 5, SECOND).await, delivered(5));
}

#[tokio::test(start_paused = true)]
async fn a_home_that_moved_while_the_directory_was_away_is_where_it_went_last() {
    let (net, a, b) = two().await;
    let key = HomeKey::new(1);
    let mut old = a.home(&key).await;
    // Read all the time, so that pings have their answers.
    let told = tokio::spawn(async move { old.next().await });
    net.away.store(true, Ordering::SeqCst);
    tokio::time::sleep(SECOND * 20).await;
    b.home(&key).await.serve();
    net.away.store(false, Ordering::SeqCst);
    tokio::time::sleep(SECOND * 2).await;
    // Whichever of the two nodes hears first that the directory is back.
    let told = told.await.unwrap();
    assert!(matches!(told, Some(FromRelay::Drain(_) | FromRelay::Goodbye(_))), "the old one is let go: {told:?}");
    for (number, node) in [(1, &a), (2, &b)] {
        let answer = node.unary(dispatch(&key, number, SECOND)).await.unwrap();
        assert_eq!((answer.outcome, answer.owner_node_id.as_str()), (Some(delivered(number)), "b"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_from_the_directory_alone_goes_on_through_another() {
    let (_net, a, b) = two().await;
    let (stays, goes, moves, comes) = (HomeKey::new(1), HomeKey::new(2), HomeKey::new(3), HomeKey::new(4));
    a.home(&stays).await.serve();
    let going = a.home(&goes).await.serve();
    let mut old = a.home(&moves).await;
    let old_epoch = old.welcome.session_epoch;
    let told = tokio::spawn(async move { goodbye(&mut old.socket).await });
    // Each has heard of the other.
    tokio::time::sleep(LEASE).await;
    a.wire.cut_off_from_directory(true);
    let dialled = Instant::now();
    a.home(&comes).await.serve();
    assert!(dialled.elapsed() < SECOND, "{:?}", dialled.elapsed());
    // Beyond any lease.
    for number in 0..30 {
        for (node, key) in [(&b, &stays), (&b, &comes), (&a, &stays), (&a, &comes)] {
            let answer = node.unary(dispatch(key, number, SECOND)).await.unwrap();
            assert_eq!((answer.outcome, answer.owner_node_id.as_str()), (Some(delivered(number)), "a"), "{number}");
        }
        tokio::time::sleep(SECOND).await;
    }
    // Homes that go are nowhere, and those that move on are let go and found where they are, from both.
    going.abort();
    until(|| a.relay.connected() == 3).await;
    tokio::time::sleep(SECOND * 30).await;
    for node in [&a, &b] {
        assert_eq!(node.command(&goes, 40, SECOND).await, cloud::away(30), "each knows since when");
    }
    let moved = b.home(&moves).await;
    let epoch = moved.welcome.session_epoch;
    assert!(epoch > old_epoch);
    assert_eq!(told.await.unwrap(), GoodbyeReason::Replaced);
    moved.serve();
    for node in [&a, &b] {
        let answer = node.unary(dispatch(&moves, 41, SECOND)).await.unwrap();
        assert_eq!((answer.outcome, answer.session_epoch), (Some(delivered(41)), epoch));
    }
    // Back from there, while it is still cut off: the directory numbers that session, too.
    let back = a.home(&moves).await;
    assert!(back.welcome.session_epoch > epoch);
    back.serve();
    assert_eq!(b.command(&moves, 42, SECOND).await, delivered(42));
    a.wire.cut_off_from_directory(false);
    tokio::time::sleep(LEASE).await;
    for (node, key) in [(&b, &stays), (&b, &comes), (&b, &moves), (&a, &stays)] {
        assert_eq!(node.command(key, 43, SECOND).await, delivered(43));
    }
    assert!(a.relay.is_among_others() && b.relay.is_among_others());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_finds_one_that_is_not() {
    let (net, a, b) = two().await;
    let c = Cloud::start_in(&net, "c", |_| {}).await;
    let key = HomeKey::new(1);
    a.home(&key).await.serve();
    tokio::time::sleep(LEASE).await;
    // Two are cut off, and each asks the other, too: but what was asked for another is passed on to nobody.
    a.wire.cut_off_from_directory(true);
    b.wire.cut_off_from_directory(true);
    for number in 0..30 {
        assert_eq!(c.command(&key, number, SECOND).await, delivered(number));
        assert_eq!(b.command(&key, number, SECOND).await, delivered(number));
        tokio::time::sleep(SECOND).await;
    }
    // Without the last one the two are on their own, and their homes keep working.
    c.wire.cut_off_from_directory(true);
    tokio::time::sleep(LEASE * 2).await;
    assert_eq!(a.command(&key, 50, SECOND).await, delivered(50));
    let answer = b.unary(dispatch(&HomeKey::new(2), 51, SECOND)).await.unwrap();
    assert_eq!(refusal(&answer), not_sent::Reason::Unlocated);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_be_told_of_a_newer_session_finds_it_out_within_one_renewal() {
    let (net, a, b) = two().await;
    let key = HomeKey::new(1);
    let mut stale = Home::greet_as(a.try_dial(&key).await.unwrap(), 1, [1; 16]).await;
    // Both know the directory, and hear nothing of each other.
    net.hide("a");
    let moved = Home::greet_as(b.try_dial(&key).await.unwrap(), 32, [2; 16]).await;
    let moved_at = Instant::now();
    assert!(moved.welcome.session_epoch > stale.welcome.session_epoch);
    let Some(FromRelay::Goodbye(told)) = stale.next().await else { panic!("not told") };
    assert_eq!((told.reason, told.detail.as_str()), (GoodbyeReason::Replaced, "another installation took over"));
    assert!(moved_at.elapsed() < LEASE / 2, "{:?}", moved_at.elapsed());
    moved.serve();
    assert_eq!(b.command(&key, 1, SECOND).await, delivered(1));
}

#[tokio::test(start_paused = true)]
async fn an_installation_that_was_replaced_while_the_directory_was_away_is_told_so_and_not_asked_back() {
    let (net, a, b) = two().await;
    let key = HomeKey::new(1);
    let mut old = Home::greet_as(a.try_dial(&key).await.unwrap(), 1, [1; 16]).await;
    net.away.store(true, Ordering::SeqCst);
    tokio::time::sleep(SECOND * 20).await;
    Home::greet_as(b.try_dial(&key).await.unwrap(), 32, [2; 16]).await.serve();
    net.away.store(false, Ordering::SeqCst);
    // Whichever of the two nodes hears first that the directory is back.
    assert_eq!(goodbye(&mut old.socket).await, GoodbyeReason::Replaced);
    tokio::time::sleep(SECOND).await;
    for node in [&a, &b] {
        assert_eq!(node.command(&key, 1, SECOND).await, delivered(1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_directory_has_lost_is_said_again() {
    let (net, a, b) = two().await;
    let key = HomeKey::new(1);
    let home = a.home(&key).await;
    let epoch = home.welcome.session_epoch;
    home.serve();
    // As a store that has taken another's place, and lacks what that one had confirmed last.
    net.forget(&key, epoch).await;
    assert_eq!(b.command(&key, 1, SECOND).await, cloud::not_sent(not_sent::Reason::NotConnected));
    tokio::time::sleep(SECOND * 11 * 60).await;
    assert_eq!(b.command(&key, 2, SECOND).await, delivered(2));
}

#[tokio::test(start_paused = true)]
async fn a_draining_node_hands_on_calls_for_homes_that_have_left_it() {
    let (_net, a, b) = two().await;
    let (gone, stays) = (HomeKey::new(1), HomeKey::new(2));
    b.home(&gone).await.serve();
    a.home(&stays).await.serve();
    a.stop.stop_soft();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(a.command(&gone, 1, SECOND).await, delivered(1));
    assert_eq!(a.command(&stays, 2, SECOND).await, delivered(2));
    assert_eq!(b.command(&stays, 3, SECOND).await, delivered(3));
}
