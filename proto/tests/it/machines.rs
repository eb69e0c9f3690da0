//! Single rules of the two machines, each told in the fewest steps.

use std::time::Duration;

use bytes::Bytes;
use macloud_proto::ids::CommandId;
use macloud_proto::link::connector_side::{ConnectorEvent, ConnectorSettings, ConnectorSide};
use macloud_proto::link::event_outbox::EventOutbox;
use macloud_proto::link::frame::{Event, FromConnector, FromRelay, Hello, PreKeyAnswer, Reply, Standing};
use macloud_proto::link::relay_side::{
    Dropped, Ended, NotSent, Outcome, Registration, RelayEvent, RelaySettings, RelaySide, Submission, Unknown,
};
use macloud_proto::link::{GoodbyeReason, Transmit};
use macloud_proto::time::{Micros, Millis};

use crate::world::Seeded;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// A relay's machine with a hand-held clock.
struct Bench {
    machine: RelaySide<u64>,
    now: Micros,
    random: Seeded,
}

impl Bench {
    fn fresh(settings: RelaySettings) -> Self {
        let mut random = Seeded(1);
        Self { machine: RelaySide::new(settings, Micros(0), &mut random), now: Micros(0), random }
    }

    /// Greeted, with this much credit, and nothing left to send.
    fn open(settings: RelaySettings, credit: u32) -> Self {
        Self::greeted(settings, credit, Registration::default())
    }

    fn greeted(settings: RelaySettings, credit: u32, registration: Registration) -> Self {
        let mut bench = Self::fresh(settings);
        bench.arrives(hello(1, 1, credit));
        assert!(matches!(bench.machine.poll_event(), Some(RelayEvent::Hello(_))));
        bench.machine.welcome(Registration { epoch: 1, ..registration });
        assert!(matches!(bench.sent()[..], [FromRelay::Welcome(_)]));
        bench
    }

    fn arrives(&mut self, frame: FromConnector) {
        self.machine.handle_message(frame.encode(), self.now);
    }

    fn submit(&mut self, token: u64, deadline: Duration) {
        self.submit_sized(token, deadline, 10);
    }

    fn submit_sized(&mut self, token: u64, deadline: Duration, size: usize) {
        let submission = self.submission(token, deadline, size);
        self.machine.submit(token, submission, self.now);
    }

    fn submit_read(&mut self, token: u64) {
        let submission = Submission { counts: false, ..self.submission(token, SECOND, 10) };
        self.machine.submit(token, submission, self.now);
    }

    fn submission(&self, token: u64, deadline: Duration, size: usize) -> Submission {
        Submission {
            command_id: id(token),
            counts: true,
            sealed: vec![0; size].into(),
            traceparent: String::new(),
            arrived: self.now,
            deadline: self.now.plus(deadline),
        }
    }

    fn transmits(&mut self) -> Vec<Transmit> {
        let sent = std::iter::from_fn(|| self.machine.poll_transmit(self.now)).collect();
        self.machine.handle_flushed();
        sent
    }

    fn sent(&mut self) -> Vec<FromRelay> {
        let frames = self.transmits().into_iter().filter_map(|transmit| match transmit {
            Transmit::Binary(bytes) => Some(FromRelay::decode(bytes).unwrap()),
            Transmit::Ping | Transmit::Close(_) => None,
        });
        frames.collect()
    }

    fn answers(&mut self) -> Vec<(u64, Outcome)> {
        let events = std::iter::from_fn(|| self.machine.poll_event());
        let answers = events.filter_map(|event| match event {
            RelayEvent::Answered { token, outcome, .. } => Some((token, outcome)),
            _ => None,
        });
        answers.collect()
    }

    /// Let this much time pass, waking the machine only when it asks for it.
    fn pass(&mut self, time: Duration) {
        let end = self.now.plus(time);
        while let Some(at) = self.machine.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.machine.handle_timeout(self.now, &mut self.random);
        }
        self.now = end;
    }

    fn ended(&mut self) -> Option<Ended> {
        self.machine.handle_socket_closed();
        std::iter::from_fn(|| self.machine.poll_event()).find_map(|event| match event {
            RelayEvent::Ended(ended) => Some(ended),
            _ => None,
        })
    }
}

fn id(token: u64) -> CommandId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&token.to_le_bytes());
    CommandId::from_bytes(bytes)
}

fn hello(version_min: u32, version_max: u32, credit: u32) -> FromConnector {
    FromConnector::Hello(Hello { version_min, version_max, install_id: [0; 16], software: String::new(), credit })
}

fn reply(token: u64) -> FromConnector {
    FromConnector::Reply(Reply {
        command_id: id(token),
        sealed: Bytes::from_static(b"r"),
        home: Duration::from_micros(5).into(),
    })
}

fn delivered(token: u64) -> (u64, Outcome) {
    (token, Outcome::Delivered(Bytes::from_static(b"r")))
}

#[test]
fn hello_must_come_first_and_in_time() {
    let mut silent = Bench::fresh(RelaySettings::default());
    silent.pass(SECOND * 10);
    assert_eq!(silent.ended(), Some(Ended::Here(GoodbyeReason::Protocol, "no hello in time")));
    let mut rude = Bench::fresh(RelaySettings::default());
    rude.arrives(FromConnector::Credit(1));
    assert_eq!(rude.ended(), Some(Ended::Here(GoodbyeReason::Protocol, "frame out of order")));
    let mut unknown = Bench::fresh(RelaySettings::default());
    unknown.arrives(FromConnector::Unknown);
    assert_eq!(unknown.ended(), Some(Ended::Here(GoodbyeReason::Protocol, "frame out of order")));
}

#[test]
fn versions_must_overlap() {
    for (min, max, fits) in [(1, 1, true), (1, 7, true), (0, 1, true), (2, 7, false), (0, 0, false)] {
        let mut bench = Bench::fresh(RelaySettings::default());
        bench.arrives(hello(min, max, 1));
        let welcomed = matches!(bench.machine.poll_event(), Some(RelayEvent::Hello(_)));
        assert_eq!(welcomed, fits, "{min} to {max}");
        if !fits {
            assert!(matches!(bench.ended(), Some(Ended::Here(GoodbyeReason::Version, _))));
        }
    }
}

#[test]
fn an_unknown_kind_is_counted_and_ignored_after_welcome() {
    let mut bench = Bench::open(RelaySettings::default(), 1);
    bench.arrives(FromConnector::Unknown);
    assert_eq!(bench.machine.poll_event(), Some(RelayEvent::Dropped(Dropped::UnknownFrame)));
    assert!(bench.machine.is_open());
}

#[test]
fn a_home_that_sends_what_nobody_asked_for_without_end_is_closed() {
    let strays = [
        FromConnector::Unknown,
        FromConnector::Received(id(7)),
        FromConnector::Credit(0),
        reply(7),
        FromConnector::PreKeyAnswer(PreKeyAnswer { request_id: 7, signed_pre_key: Bytes::new() }),
    ];
    for stray in strays {
        let mut bench = Bench::open(RelaySettings { strays_per_minute: 60, ..RelaySettings::default() }, 1);
        for _ in 0..180 {
            bench.arrives(stray.clone());
            bench.pass(SECOND);
        }
        assert!(bench.machine.is_open(), "one a second is allowed: {stray:?}");
        for _ in 0..61 {
            bench.arrives(stray.clone());
        }
        let why = Ended::Here(GoodbyeReason::Protocol, "too many frames that nobody asked for");
        assert_eq!(bench.ended(), Some(why), "{stray:?}");
    }
    let mut bench = Bench::open(RelaySettings { strays_per_minute: 60, ..RelaySettings::default() }, 1);
    for _ in 0..70 {
        bench.machine.handle_ping_or_pong(bench.now);
    }
    assert!(!bench.machine.is_open(), "pings count too");
}

#[test]
fn what_was_asked_for_is_never_too_much() {
    let settings = RelaySettings { strays_per_minute: 0, commands_per_minute: None, ..RelaySettings::default() };
    let mut bench = Bench::open(settings, 1);
    for token in 0..1000 {
        bench.submit(token, SECOND * 6);
        bench.sent();
        bench.arrives(FromConnector::Received(id(token)));
        bench.arrives(reply(token));
        bench.arrives(FromConnector::Credit(1));
        assert_eq!(bench.answers(), [delivered(token)]);
    }
    assert!(bench.machine.is_open());
}

#[test]
fn a_command_waits_for_credit_and_control_passes_it() {
    let mut bench = Bench::open(RelaySettings::default(), 1);
    bench.submit(1, SECOND * 6);
    bench.submit(2, SECOND * 6);
    assert!(matches!(&bench.sent()[..], [FromRelay::Command(command)] if command.command_id == id(1)));
    bench.machine.fetch_pre_key(9, false, bench.now.plus(SECOND), bench.now);
    assert!(matches!(bench.sent()[..], [FromRelay::PreKeyRequest(_)]));
    bench.arrives(FromConnector::Credit(1));
    assert!(matches!(&bench.sent()[..], [FromRelay::Command(command)] if command.command_id == id(2)));
}

#[test]
fn the_queue_is_bounded_in_count_and_bytes() {
    let settings = RelaySettings { queue_commands: 3, queue_bytes: 100_000, ..RelaySettings::default() };
    let mut bench = Bench::open(settings, 0);
    for token in 0..4 {
        bench.submit(token, SECOND);
    }
    assert_eq!(bench.answers(), [(3, Outcome::NotSent(NotSent::Busy))]);
    let mut bench = Bench::open(RelaySettings { queue_bytes: 100_000, ..RelaySettings::default() }, 0);
    bench.submit_sized(0, SECOND, 60_000);
    bench.submit_sized(1, SECOND, 60_000);
    bench.submit_sized(2, SECOND, 40_000);
    assert_eq!(bench.answers(), [(1, Outcome::NotSent(NotSent::Busy))]);
}

#[test]
fn deadlines_are_kept_in_the_queue_and_after_writing() {
    let mut bench = Bench::open(RelaySettings::default(), 1);
    bench.submit(1, SECOND);
    bench.sent();
    bench.submit(2, SECOND);
    bench.arrives(FromConnector::Received(id(1)));
    bench.pass(SECOND);
    let answers = bench.answers();
    assert!(answers.contains(&(1, Outcome::Unknown(Unknown::Deadline))), "{answers:?}");
    assert!(answers.contains(&(2, Outcome::NotSent(NotSent::Deadline))), "{answers:?}");
    assert_eq!(bench.sent(), [FromRelay::Cancel(id(1))]);
}

#[test]
fn late_and_stray_replies_are_dropped_and_counted() {
    let mut bench = Bench::open(RelaySettings::default(), 2);
    bench.submit(1, SECOND);
    bench.submit(2, SECOND * 6);
    bench.sent();
    bench.arrives(reply(2));
    assert_eq!(bench.answers(), [delivered(2)]);
    bench.arrives(reply(2));
    assert_eq!(bench.machine.poll_event(), Some(RelayEvent::Dropped(Dropped::StrayReply)));
    bench.pass(SECOND);
    assert_eq!(bench.answers(), [(1, Outcome::Unknown(Unknown::Deadline))]);
    bench.arrives(reply(1));
    assert_eq!(bench.machine.poll_event(), Some(RelayEvent::Dropped(Dropped::LateReply)));
}

#[test]
fn an_unconfirmed_command_causes_a_ping_and_then_eviction() {
    let mut bench = Bench::open(RelaySettings::default(), 2);
    bench.submit(1, SECOND * 6);
    bench.sent();
    bench.pass(MS * 1499);
    assert_eq!(bench.transmits(), []);
    bench.pass(MS);
    assert_eq!(bench.transmits(), [Transmit::Ping]);
    bench.pass(MS * 999);
    assert_eq!(bench.answers(), []);
    bench.pass(MS);
    assert_eq!(bench.answers(), [(1, Outcome::Unknown(Unknown::Unresponsive))]);
    assert_eq!(bench.ended(), Some(Ended::Here(GoodbyeReason::Unresponsive, "no answer to a ping")));
}

/// Of a session whose Hello took this long, or the handshake before it: when a command that nothing answers ends it.
fn given_up_after(round_trip: Duration, introduced: bool) -> Duration {
    let mut bench = Bench::fresh(RelaySettings::default());
    if introduced {
        let hello = ConnectorSettings { credit: 2, ..ConnectorSettings::default() }.hello();
        bench.machine.introduced(hello, round_trip, bench.now);
    } else {
        bench.pass(round_trip);
        bench.arrives(hello(1, 1, 2));
    }
    bench.machine.welcome(Registration { epoch: 1, ..Registration::default() });
    bench.submit(1, SECOND * 30);
    bench.transmits();
    let written = bench.now;
    while bench.machine.is_open() {
        bench.pass(MS * 10);
    }
    bench.now.since(written)
}

#[test]
fn on_a_slow_line_two_round_trips_are_waited_for() {
    for (round_trip, given_up) in [(50, 2500), (1200, 2500), (2000, 4000), (3000, 6000), (4900, 6500)] {
        for introduced in [false, true] {
            assert_eq!(given_up_after(MS * round_trip, introduced), MS * given_up, "{round_trip} ms");
        }
    }
}

#[test]
fn hello_within_the_upgrade_is_hello() {
    let settings = ConnectorSettings { install_id: [3; 16], credit: 5000, ..ConnectorSettings::default() };
    let mut home = ConnectorSide::introduced(settings.clone(), Millis(0));
    assert_eq!(home.poll_transmit(Millis(0)), None);
    let mut relay = RelaySide::<u64>::new(RelaySettings::default(), Micros(0), &mut Seeded(1));
    relay.introduced(settings.hello(), MS, Micros(0));
    assert_eq!(relay.poll_event(), Some(RelayEvent::Hello(settings.hello())));
    relay.introduced(settings.hello(), MS, Micros(0));
    assert_eq!(relay.poll_event(), None, "it is said once");
    relay.welcome(Registration { epoch: 1, ..Registration::default() });
    exchange(&mut home, &mut relay, Millis(0));
    assert!(home.is_open() && relay.is_open());
    let mut again = ConnectorSide::new(settings, Millis(0));
    let Some(Transmit::Binary(hello)) = again.poll_transmit(Millis(0)) else { panic!("no hello") };
    relay.handle_message(hello, Micros(0));
    assert!(!relay.is_open(), "a second one is a protocol error");
}

#[test]
fn a_line_that_has_become_slow_is_measured_by_pongs() {
    let mut bench = Bench::open(RelaySettings::default(), 2);
    while !bench.transmits().contains(&Transmit::Ping) {
        bench.pass(MS * 10);
    }
    bench.pass(MS * 2400);
    bench.machine.handle_ping_or_pong(bench.now);
    bench.submit(1, SECOND * 30);
    bench.transmits();
    bench.pass(MS * 4700);
    assert!(bench.machine.is_open(), "its confirmation may be on the way");
    bench.pass(MS * 200);
    assert!(!bench.machine.is_open());
}

#[test]
fn a_home_that_answers_the_probe_keeps_its_time() {
    let mut bench = Bench::open(RelaySettings::default(), 2);
    bench.submit(1, SECOND * 6);
    bench.sent();
    bench.pass(MS * 1500);
    bench.machine.handle_ping_or_pong(bench.now);
    bench.pass(SECOND * 4);
    assert!(bench.machine.is_open());
    bench.arrives(reply(1));
    assert_eq!(bench.answers(), [delivered(1)]);
}

#[test]
fn a_dead_home_fails_a_pre_key_fetch_as_quickly_as_a_command() {
    let mut bench = Bench::open(RelaySettings::default(), 2);
    bench.machine.fetch_pre_key(1, false, bench.now.plus(SECOND * 6), bench.now);
    bench.sent();
    bench.pass(MS * 2500);
    assert_eq!(bench.answers(), [(1, Outcome::Unknown(Unknown::Unresponsive))]);
}

#[test]
fn silence_is_broken_by_pings_at_drawn_times() {
    let mut bench = Bench::open(RelaySettings::default(), 1);
    let mut waits = Vec::new();
    for _ in 0..20 {
        let before = bench.now;
        while !bench.transmits().contains(&Transmit::Ping) {
            bench.pass(MS * 100);
        }
        waits.push(bench.now.since(before));
        bench.machine.handle_ping_or_pong(bench.now);
    }
    assert!(waits.iter().all(|wait| (SECOND * 19..=SECOND * 31).contains(wait)), "{waits:?}");
    assert!(waits.iter().max().unwrap().abs_diff(*waits.iter().min().unwrap()) > SECOND);
}

#[test]
fn a_home_that_only_talks_is_pinged_too() {
    let mut bench = Bench::open(RelaySettings::default(), 1);
    let mut pinged = false;
    for _ in 0..40 {
        bench.arrives(FromConnector::Credit(0));
        bench.pass(SECOND);
        pinged |= bench.transmits().contains(&Transmit::Ping);
    }
    assert!(pinged);
}

#[test]
fn a_home_that_does_not_read_is_closed_as_slow() {
    let settings = RelaySettings { write_limit: MS * 500, ..RelaySettings::default() };
    let mut bench = Bench::open(settings, 2);
    bench.submit(1, SECOND * 6);
    assert!(bench.machine.poll_transmit(bench.now).is_some());
    bench.submit(2, SECOND * 6);
    bench.pass(MS * 500);
    let unresponsive = Outcome::Unknown(Unknown::Unresponsive);
    assert_eq!(bench.answers(), [(2, Outcome::NotSent(NotSent::LinkLost)), (1, unresponsive)]);
    assert_eq!(bench.ended(), Some(Ended::Here(GoodbyeReason::Slow, "does not read")));
}

#[test]
fn cancelling_tells_the_home_only_what_it_has_seen() {
    let mut bench = Bench::open(RelaySettings::default(), 1);
    bench.submit(1, SECOND * 6);
    bench.sent();
    bench.submit(2, SECOND * 6);
    bench.machine.cancel(id(2));
    bench.machine.cancel(id(1));
    bench.machine.cancel(id(1));
    assert_eq!(bench.answers(), [(2, Outcome::NotSent(NotSent::Cancelled))]);
    assert_eq!(bench.sent(), [FromRelay::Cancel(id(1))]);
    bench.arrives(reply(1));
    assert_eq!(bench.answers(), [delivered(1)]);
}

#[test]
fn a_command_already_on_its_way_is_not_sent_twice() {
    let mut bench = Bench::open(RelaySettings::default(), 4);
    bench.submit(1, SECOND * 6);
    bench.submit(1, SECOND * 6);
    assert_eq!(bench.answers(), [(1, Outcome::NotSent(NotSent::Invalid))]);
    assert_eq!(bench.sent().len(), 1);
}

#[test]
fn pre_keys_are_shared_cached_and_given_back() {
    let mut bench = Bench::open(RelaySettings::default(), 1);
    let fetch = |bench: &mut Bench, token, fresh| {
        let deadline = bench.now.plus(SECOND * 2);
        bench.machine.fetch_pre_key(token, fresh, deadline, bench.now);
    };
    fetch(&mut bench, 1, false);
    fetch(&mut bench, 2, true);
    assert_eq!(bench.sent(), [FromRelay::PreKeyRequest(1)]);
    let key = Bytes::from_static(b"key");
    bench.arrives(FromConnector::PreKeyAnswer(PreKeyAnswer { request_id: 1, signed_pre_key: key.clone() }));
    assert_eq!(bench.answers(), [(1, Outcome::PreKey(key.clone())), (2, Outcome::PreKey(key.clone()))]);
    fetch(&mut bench, 3, false);
    assert_eq!(bench.answers(), [(3, Outcome::PreKey(key.clone()))]);
    fetch(&mut bench, 4, true);
    assert_eq!(bench.sent(), [FromRelay::PreKeyRequest(2)]);
    bench.arrives(FromConnector::PreKeyAnswer(PreKeyAnswer { request_id: 1, signed_pre_key: key }));
    assert_eq!(bench.machine.poll_event(), Some(RelayEvent::Dropped(Dropped::StrayPreKey)));
    let key = Bytes::from_static(b"newer key");
    bench.arrives(FromConnector::PreKeyAnswer(PreKeyAnswer { request_id: 2, signed_pre_key: key.clone() }));
    assert_eq!(bench.answers(), [(4, Outcome::PreKey(key))]);
    bench.pass(SECOND * 3);
    fetch(&mut bench, 5, false);
    assert!(bench.sent().contains(&FromRelay::PreKeyRequest(3)));
}

#[test]
fn a_home_over_its_rate_is_refused_with_the_time_to_wait() {
    let settings = RelaySettings { commands_per_minute: Some(2), ..RelaySettings::default() };
    let mut bench = Bench::open(settings, 10);
    for token in 0..3 {
        bench.submit(token, SECOND);
    }
    assert_eq!(bench.answers(), [(2, Outcome::NotSent(NotSent::RateLimited(SECOND * 30)))]);
}

#[test]
fn reads_take_nothing_from_what_a_home_may_do() {
    let settings =
        RelaySettings { commands_per_minute: Some(1), reads_per_minute: Some(3), ..RelaySettings::default() };
    let mut bench = Bench::open(settings, 10);
    for token in 0..3 {
        bench.submit_read(token);
    }
    bench.submit(3, SECOND);
    assert_eq!(bench.answers(), [], "three reads and a command");
    bench.submit(4, SECOND);
    bench.submit_read(5);
    let limited = |after| Outcome::NotSent(NotSent::RateLimited(after));
    assert_eq!(bench.answers(), [(4, limited(SECOND * 60)), (5, limited(SECOND * 20))]);
}

#[test]
fn a_paused_home_is_sent_nothing_and_told_why() {
    let mut bench = Bench::open(RelaySettings::default(), 1);
    bench.submit(0, SECOND);
    assert_eq!(bench.sent().len(), 1);
    // No credit is left, so this one waits.
    bench.submit(1, SECOND);
    bench.machine.set_paused(true);
    bench.machine.set_paused(true);
    bench.submit(2, SECOND);
    bench.machine.fetch_pre_key(3, false, bench.now.plus(SECOND), bench.now);
    let paused = Outcome::NotSent(NotSent::Paused);
    assert_eq!(bench.answers(), [(1, paused.clone()), (2, paused.clone()), (3, paused)]);
    assert_eq!(bench.sent(), [FromRelay::Standing(Standing { paused: true })]);
    // What was sent before is answered as ever.
    let reply = Reply { command_id: id(0), sealed: Bytes::from_static(b"r"), home: Duration::from_micros(1).into() };
    bench.arrives(FromConnector::Reply(reply));
    bench.arrives(FromConnector::Credit(1));
    assert!(matches!(bench.answers()[..], [(0, Outcome::Delivered(_))]));
    bench.machine.set_paused(false);
    bench.submit(4, SECOND);
    let sent = bench.sent();
    assert!(matches!(sent[..], [FromRelay::Standing(Standing { paused: false }), FromRelay::Command(_)]), "{sent:?}");
}

#[test]
fn a_home_hears_how_widely_to_spread_its_reconnect_when_that_has_grown_by_half() {
    let registration = Registration { reconnect_window: SECOND * 2, ..Registration::default() };
    let mut bench = Bench::greeted(RelaySettings::default(), 1, registration);
    for seconds in [2, 1, 0] {
        bench.machine.spread_over(SECOND * seconds);
        assert_eq!(bench.sent(), []);
    }
    bench.machine.spread_over(SECOND * 3);
    bench.machine.spread_over(SECOND * 4);
    bench.machine.spread_over(SECOND * 5);
    assert_eq!(bench.sent(), [FromRelay::Spread(SECOND * 3), FromRelay::Spread(SECOND * 5)]);
}

#[test]
fn a_home_that_dials_in_paused_is_welcomed_so_and_sent_nothing() {
    let mut bench =
        Bench::greeted(RelaySettings::default(), 4, Registration { paused: true, ..Registration::default() });
    bench.submit(0, SECOND);
    assert_eq!(bench.answers(), [(0, Outcome::NotSent(NotSent::Paused))]);
    bench.machine.set_paused(false);
    bench.submit(1, SECOND);
    assert!(matches!(bench.sent()[..], [FromRelay::Standing(Standing { paused: false }), FromRelay::Command(_)]));
}

#[test]
fn a_drained_session_keeps_working_until_the_node_leaves() {
    let mut bench = Bench::open(RelaySettings::default(), 4);
    bench.machine.drain(SECOND, SECOND * 10, bench.now);
    assert!(matches!(bench.sent()[..], [FromRelay::Drain(_)]));
    bench.submit(1, SECOND * 6);
    assert!(matches!(bench.sent()[..], [FromRelay::Command(_)]));
    bench.arrives(reply(1));
    assert_eq!(bench.answers(), [delivered(1)]);
    bench.pass(SECOND * 10);
    assert_eq!(bench.ended(), Some(Ended::Here(GoodbyeReason::Drained, "a new session was asked for")));
}

#[test]
fn only_a_more_urgent_drain_counts_again() {
    let mut bench = Bench::open(RelaySettings::default(), 1);
    bench.machine.drain(SECOND, SECOND * 3600, bench.now);
    assert!(matches!(bench.sent()[..], [FromRelay::Drain(_)]));
    bench.pass(SECOND);
    bench.machine.drain(SECOND, SECOND * 3600, bench.now);
    assert_eq!(bench.sent(), []);
    bench.machine.drain(SECOND, SECOND * 5, bench.now);
    assert!(matches!(bench.sent()[..], [FromRelay::Drain(drain)] if drain.leaving_in == SECOND * 5));
    bench.pass(SECOND * 5);
    assert!(matches!(bench.ended(), Some(Ended::Here(GoodbyeReason::Drained, _))));
}

#[test]
fn goodbye_is_the_last_frame_and_close_follows_it() {
    let mut bench = Bench::open(RelaySettings::default(), 4);
    bench.submit(1, SECOND * 6);
    bench.machine.close(GoodbyeReason::Revoked, "unlinked", bench.now);
    let sent = bench.transmits();
    assert!(matches!(&sent[..], [Transmit::Binary(_), Transmit::Close(1008)]), "{sent:?}");
    assert_eq!(bench.answers(), [(1, Outcome::NotSent(NotSent::LinkLost))]);
    bench.submit(2, SECOND * 6);
    assert_eq!(bench.answers(), [(2, Outcome::NotSent(NotSent::LinkLost))]);
    bench.pass(SECOND);
    assert!(bench.machine.is_closed());
}

#[test]
fn timing_says_where_the_time_went() {
    let mut bench = Bench::open(RelaySettings::default(), 0);
    bench.submit(1, SECOND * 6);
    bench.pass(MS * 10);
    bench.arrives(FromConnector::Credit(1));
    bench.sent();
    bench.pass(MS * 20);
    bench.arrives(FromConnector::Received(id(1)));
    bench.pass(MS * 30);
    bench.arrives(reply(1));
    let Some(RelayEvent::Answered { timing, .. }) = bench.machine.poll_event() else { panic!("no answer") };
    assert_eq!((timing.queued, timing.received, timing.replied), (MS * 10, MS * 20, MS * 50));
    assert_eq!(timing.home.whole, Duration::from_micros(5));
}

fn connector() -> (ConnectorSide, RelaySide<u64>) {
    let mut random = Seeded(1);
    let settings = ConnectorSettings { credit: 4, ..ConnectorSettings::default() };
    let mut home = ConnectorSide::new(settings, Millis(0));
    let mut relay = RelaySide::new(RelaySettings::default(), Micros(0), &mut random);
    exchange(&mut home, &mut relay, Millis(0));
    relay.welcome(Registration { epoch: 1, reconnect_window: SECOND, ..Registration::default() });
    exchange(&mut home, &mut relay, Millis(0));
    (home, relay)
}

/// Carry everything there and back until nothing moves.
fn exchange(home: &mut ConnectorSide, relay: &mut RelaySide<u64>, now: Millis) {
    let micros = Micros(now.0 * 1000);
    loop {
        let (up, down) = (home.poll_transmit(now), relay.poll_transmit(micros));
        home.handle_flushed();
        relay.handle_flushed();
        if up.is_none() && down.is_none() {
            return;
        }
        match up {
            Some(Transmit::Binary(bytes)) => relay.handle_message(bytes, micros),
            Some(Transmit::Ping) => {
                relay.handle_ping_or_pong(micros);
                home.handle_pong(now);
            }
            Some(Transmit::Close(_)) => relay.handle_socket_closed(),
            None => {}
        }
        match down {
            Some(Transmit::Binary(bytes)) => home.handle_message(bytes, now),
            Some(Transmit::Ping) => {
                home.handle_ping(now);
                relay.handle_ping_or_pong(micros);
            }
            Some(Transmit::Close(_)) => home.handle_socket_closed(),
            None => {}
        }
    }
}

fn reports(home: &mut ConnectorSide) -> Vec<ConnectorEvent> {
    std::iter::from_fn(|| home.poll_event()).collect()
}

fn command(relay: &mut RelaySide<u64>, token: u64) {
    let submission = Submission {
        command_id: id(token),
        counts: true,
        sealed: Bytes::from_static(b"s"),
        traceparent: String::new(),
        arrived: Micros(0),
        deadline: Micros(6_000_000),
    };
    relay.submit(token, submission, Micros(0));
}

#[test]
fn what_a_relay_asks_after_welcome_proves_the_link_once() {
    let (mut home, _) = connector();
    assert_eq!(home.poll_transmit(Millis(0)), None, "nothing is sent but to prove it");
    assert!(!reports(&mut home).contains(&ConnectorEvent::Proven), "nor does Welcome prove it");
    home.handle_ping(Millis(5));
    assert_eq!(reports(&mut home), [ConnectorEvent::Proven]);
    home.handle_ping(Millis(6));
    home.handle_pong(Millis(7));
    assert_eq!(reports(&mut home), []);
    let (mut home, mut relay) = connector();
    reports(&mut home);
    command(&mut relay, 1);
    exchange(&mut home, &mut relay, Millis(8));
    assert_eq!(reports(&mut home)[0], ConnectorEvent::Proven);
}

#[test]
fn credit_comes_back_when_commands_are_done() {
    let (mut home, mut relay) = connector();
    for token in 0..100 {
        command(&mut relay, token);
        exchange(&mut home, &mut relay, Millis(0));
        assert!(reports(&mut home).iter().any(|event| matches!(event, ConnectorEvent::Command(_))), "{token}");
        if token % 3 == 0 {
            home.release(id(token));
        } else {
            home.reply(id(token), Bytes::from_static(b"r"), MS).unwrap();
        }
        exchange(&mut home, &mut relay, Millis(0));
    }
}

#[test]
fn a_retired_session_finishes_its_commands_first() {
    let (mut home, mut relay) = connector();
    command(&mut relay, 1);
    exchange(&mut home, &mut relay, Millis(0));
    home.retire(Millis(5_000), Millis(10));
    assert!(home.is_open());
    home.reply(id(1), Bytes::from_static(b"r"), MS).unwrap();
    exchange(&mut home, &mut relay, Millis(20));
    assert!(home.is_closed() && relay.is_closed());
    let answered = std::iter::from_fn(|| relay.poll_event())
        .any(|event| matches!(event, RelayEvent::Answered { outcome: Outcome::Delivered(_), .. }));
    assert!(answered);
}

#[test]
fn a_retired_session_does_not_wait_for_ever() {
    let (mut home, mut relay) = connector();
    command(&mut relay, 1);
    exchange(&mut home, &mut relay, Millis(0));
    home.retire(Millis(5_000), Millis(10));
    assert_eq!(home.poll_timeout(), Some(Millis(5_000)));
    home.handle_timeout(Millis(5_000));
    assert!(!home.is_open());
}

#[test]
fn a_silent_relay_is_asked_after_its_interval_and_given_up_within_35_seconds() {
    let (mut home, _) = connector();
    reports(&mut home);
    assert_eq!(home.poll_timeout(), Some(Millis(30_500)));
    home.handle_timeout(Millis(30_499));
    assert_eq!(home.poll_transmit(Millis(30_499)), None);
    home.handle_timeout(Millis(30_500));
    assert_eq!(home.poll_transmit(Millis(30_500)), Some(Transmit::Ping));
    home.handle_flushed();
    assert_eq!(home.poll_timeout(), Some(Millis(34_500)));
    home.handle_timeout(Millis(34_499));
    assert!(home.is_open() && home.poll_transmit(Millis(34_499)).is_none(), "asked once");
    home.handle_timeout(Millis(34_500));
    assert_eq!(reports(&mut home), [ConnectorEvent::Ended(macloud_proto::link::connector_side::Ended::Silent)]);
}

#[test]
fn a_relay_that_answers_is_kept_and_homes_do_not_ask_at_once() {
    let (mut home, mut relay) = connector();
    reports(&mut home);
    home.handle_timeout(Millis(30_500));
    exchange(&mut home, &mut relay, Millis(30_500));
    assert_eq!(home.poll_timeout(), Some(Millis(61_000)), "as if nothing had been");
    let asks_at = |install_id| {
        let mut relay = RelaySide::new(RelaySettings::default(), Micros(0), &mut Seeded(1));
        let mut home = ConnectorSide::new(ConnectorSettings { install_id, ..ConnectorSettings::default() }, Millis(0));
        exchange(&mut home, &mut relay, Millis(0));
        relay.welcome(Registration { epoch: 1, ..Registration::default() });
        exchange(&mut home, &mut relay, Millis(0));
        home.poll_timeout().unwrap().0
    };
    let mut asked: Vec<u64> = (0..=u8::MAX).map(|number| asks_at([number; 16])).collect();
    assert!(asked.iter().all(|at| (30_500..=31_000).contains(at)));
    asked.dedup();
    assert!(asked.len() > 200, "{} different times", asked.len());
}

#[test]
fn a_relay_that_lives_is_never_asked() {
    let (mut home, mut relay) = connector();
    reports(&mut home);
    let mut random = Seeded(2);
    for now in (0..3_600_000).step_by(50).map(Millis) {
        relay.handle_timeout(Micros(now.0 * 1000), &mut random);
        home.handle_timeout(now);
        assert_eq!(home.poll_transmit(now), None);
        exchange(&mut home, &mut relay, now);
        assert!(home.is_open() && relay.is_open());
    }
}

#[test]
fn a_machine_that_has_slept_does_not_ask_first() {
    let (mut home, _) = connector();
    reports(&mut home);
    home.handle_timeout(Millis(600_000));
    assert_eq!(reports(&mut home), [ConnectorEvent::Ended(macloud_proto::link::connector_side::Ended::Silent)]);
}

/// A home and a relay whose cloud takes events.
fn listened_to(settings: RelaySettings, epoch: u64) -> (ConnectorSide, RelaySide<u64>) {
    let mut home = ConnectorSide::new(ConnectorSettings::default(), Millis(0));
    let mut relay = RelaySide::new(settings, Micros(0), &mut Seeded(1));
    exchange(&mut home, &mut relay, Millis(0));
    relay.welcome(Registration { epoch, events: true, ..Registration::default() });
    exchange(&mut home, &mut relay, Millis(0));
    reports(&mut home);
    while relay.poll_event().is_some() {}
    (home, relay)
}

fn outbox(ids: std::ops::Range<u8>) -> EventOutbox {
    let mut outbox = EventOutbox::default();
    for id in ids {
        outbox.put(Event { event_id: [id; 16], key: vec![id].into(), sealed: Bytes::from_static(b"sealed") }).unwrap();
    }
    outbox
}

/// Ids of the events that the relay reports, and what it drops.
fn arrived(relay: &mut RelaySide<u64>) -> (Vec<u8>, Vec<Dropped>) {
    let (mut events, mut dropped) = (Vec::new(), Vec::new());
    while let Some(report) = relay.poll_event() {
        match report {
            RelayEvent::HomeEvent(event) => events.push(event.event_id[0]),
            RelayEvent::Dropped(what) => dropped.push(what),
            other => panic!("{other:?}"),
        }
    }
    (events, dropped)
}

#[test]
fn an_event_is_kept_until_the_relay_has_taken_it() {
    let (mut home, mut relay) = listened_to(RelaySettings::default(), 1);
    let mut outbox = outbox(1..3);
    home.send_events(&mut outbox, Millis(0));
    exchange(&mut home, &mut relay, Millis(0));
    assert_eq!(arrived(&mut relay), (vec![1, 2], vec![]));
    relay.event_taken([2; 16]);
    exchange(&mut home, &mut relay, Millis(10));
    assert_eq!(reports(&mut home), [ConnectorEvent::EventTaken([2; 16])]);
    outbox.taken([2; 16]);
    home.send_events(&mut outbox, Millis(10));
    assert_eq!(home.poll_timeout(), Some(Millis(30_000)), "the other one is not forgotten");
    home.send_events(&mut outbox, Millis(30_000));
    exchange(&mut home, &mut relay, Millis(30_000));
    assert_eq!(arrived(&mut relay), (vec![1], vec![]));
    home.handle_socket_closed();
    let (mut home, mut relay) = listened_to(RelaySettings::default(), 2);
    home.send_events(&mut outbox, Millis(30_001));
    exchange(&mut home, &mut relay, Millis(30_001));
    assert_eq!(arrived(&mut relay), (vec![1], vec![]), "on the next session at once");
}

#[test]
fn no_events_are_sent_where_none_are_taken() {
    let (mut home, mut relay) = connector();
    let mut outbox = outbox(0..1);
    home.send_events(&mut outbox, Millis(0));
    reports(&mut home);
    exchange(&mut home, &mut relay, Millis(0));
    while relay.poll_event().is_some() {}
    let unasked = Event { event_id: [0; 16], key: Bytes::new(), sealed: Bytes::new() };
    relay.handle_message(FromConnector::Event(unasked).encode(), Micros(0));
    assert_eq!(arrived(&mut relay), (vec![], vec![Dropped::UnwantedEvent]), "only the one that was not asked for");
}

#[test]
fn a_paused_home_tells_nothing_until_it_goes_on() {
    let (mut home, mut relay) = listened_to(RelaySettings::default(), 1);
    relay.set_paused(true);
    exchange(&mut home, &mut relay, Millis(0));
    let mut outbox = outbox(0..1);
    home.send_events(&mut outbox, Millis(0));
    exchange(&mut home, &mut relay, Millis(0));
    assert_eq!(arrived(&mut relay), (vec![], vec![]));
    relay.set_paused(false);
    exchange(&mut home, &mut relay, Millis(5));
    home.send_events(&mut outbox, Millis(5));
    exchange(&mut home, &mut relay, Millis(5));
    assert_eq!(arrived(&mut relay), (vec![0], vec![]));
}

#[test]
fn events_over_the_homes_rate_are_not_let_through() {
    let (mut home, mut relay) = listened_to(RelaySettings { events_per_minute: 6, ..RelaySettings::default() }, 1);
    let mut outbox = outbox(0..10);
    home.send_events(&mut outbox, Millis(0));
    exchange(&mut home, &mut relay, Millis(0));
    assert_eq!(arrived(&mut relay), ((0..6).collect(), vec![Dropped::EventOverRate; 4]));
    for id in 0..6 {
        outbox.taken([id; 16]);
    }
    home.send_events(&mut outbox, Millis(30_000));
    exchange(&mut home, &mut relay, Millis(30_000));
    assert_eq!(arrived(&mut relay), (vec![6, 7, 8], vec![Dropped::EventOverRate]), "and they come again");
}

#[test]
fn a_retired_session_sends_no_more_events() {
    let (mut home, mut relay) = listened_to(RelaySettings::default(), 1);
    command(&mut relay, 1);
    exchange(&mut home, &mut relay, Millis(0));
    home.retire(Millis(5_000), Millis(1));
    home.send_events(&mut outbox(0..1), Millis(1));
    exchange(&mut home, &mut relay, Millis(1));
    assert_eq!(arrived(&mut relay), (vec![], vec![]));
}

#[test]
fn events_wait_behind_replies() {
    let (mut home, mut relay) = listened_to(RelaySettings::default(), 1);
    home.send_events(&mut outbox(0..5), Millis(0));
    command(&mut relay, 1);
    let Some(Transmit::Binary(bytes)) = relay.poll_transmit(Micros(0)) else { panic!("no command") };
    home.handle_message(bytes, Millis(0));
    home.reply(id(1), Bytes::new(), MS).unwrap();
    let mut kinds = Vec::new();
    while let Some(Transmit::Binary(bytes)) = home.poll_transmit(Millis(0)) {
        kinds.push(match FromConnector::decode(bytes).unwrap() {
            FromConnector::Received(_) => 'r',
            FromConnector::Reply(_) => 'R',
            FromConnector::Event(_) => 'e',
            _ => '?',
        });
    }
    assert_eq!(kinds.into_iter().collect::<String>(), "rReeeee");
}
