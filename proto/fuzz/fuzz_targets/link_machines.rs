//! Any order of messages, calls and waits: no machine panics, and the relay's answers every call exactly once.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use macloud_proto::ids::CommandId;
use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::connector_side::{ConnectorEvent, ConnectorSettings, ConnectorSide};
use macloud_proto::link::event_outbox::EventOutbox;
use macloud_proto::link::frame::Event;
use macloud_proto::link::relay_side::{Registration, RelayEvent, RelaySettings, RelaySide, Submission};
use macloud_proto::time::{Micros, Millis};

#[derive(Debug, Arbitrary)]
enum Step {
    Message(Vec<u8>),
    Carry,
    Wait(u16),
    Submit { id: u8, size: u16, deadline_ms: u16 },
    FetchPreKey { fresh: bool, deadline_ms: u16 },
    Cancel(u8),
    Pong,
    Drain,
    Close,
    Tell { id: u8, key: u8, size: u16 },
}

fuzz_target!(|steps: Vec<Step>| {
    let mut fixed = |out: &mut [u8]| out.fill(7);
    let mut now = Micros(0);
    let mut relay = RelaySide::new(RelaySettings::default(), now, &mut fixed);
    let mut home = ConnectorSide::new(ConnectorSettings::default(), Millis(0));
    let mut outbox = EventOutbox::default();
    let (mut asked, mut answered) = (0u32, 0u32);
    for step in steps {
        let millis = Millis(now.0 / 1000);
        match step {
            Step::Message(bytes) => {
                let bytes = Bytes::from(bytes);
                relay.handle_message(bytes.clone(), now);
                home.handle_message(bytes, millis);
            }
            Step::Carry => {
                if let Some(macloud_proto::link::Transmit::Binary(bytes)) = home.poll_transmit(millis) {
                    relay.handle_message(bytes, now);
                }
                if let Some(macloud_proto::link::Transmit::Binary(bytes)) = relay.poll_transmit(now) {
                    home.handle_message(bytes, millis);
                }
            }
            Step::Wait(ms) => {
                now = now.plus(Duration::from_millis(ms.into()));
                relay.handle_timeout(now, &mut fixed);
                home.handle_timeout(Millis(now.0 / 1000));
            }
            Step::Submit { id, size, deadline_ms } => {
                asked += 1;
                let submission = Submission {
                    command_id: CommandId::from_bytes([id; 16]),
                    counts: true,
                    sealed: vec![0; size.into()].into(),
                    traceparent: String::new(),
                    arrived: now,
                    deadline: now.plus(Duration::from_millis(deadline_ms.into())),
                };
                relay.submit(asked, submission, now);
            }
            Step::FetchPreKey { fresh, deadline_ms } => {
                asked += 1;
                relay.fetch_pre_key(asked, fresh, now.plus(Duration::from_millis(deadline_ms.into())), now);
            }
            Step::Cancel(id) => relay.cancel(CommandId::from_bytes([id; 16])),
            Step::Pong => {
                relay.handle_ping_or_pong(now);
                home.handle_pong(millis);
            }
            Step::Drain => relay.drain(Duration::from_secs(1), Duration::from_secs(5), now),
            Step::Close => relay.close(GoodbyeReason::Shutdown, "fuzz", now),
            Step::Tell { id, key, size } => {
                let event = Event { event_id: [id; 16], key: vec![key].into(), sealed: vec![0; size.into()].into() };
                let _ = outbox.put(event);
            }
        }
        home.send_events(&mut outbox, Millis(now.0 / 1000));
        while let Some(event) = relay.poll_event() {
            match event {
                RelayEvent::Hello(_) => relay.welcome(Registration { events: true, ..Registration::default() }),
                RelayEvent::HomeEvent(event) => relay.event_taken(event.event_id),
                RelayEvent::Answered { .. } => answered += 1,
                _ => {}
            }
        }
        while let Some(event) = home.poll_event() {
            if let ConnectorEvent::EventTaken(id) = event {
                outbox.taken(id);
            }
        }
    }
    relay.handle_socket_closed();
    while let Some(event) = relay.poll_event() {
        answered += u32::from(matches!(event, RelayEvent::Answered { .. }));
    }
    assert_eq!(asked, answered);
});
