//! Input that nobody well-behaved sends: no decoder panics, and no machine does.

use std::time::Duration;

use bytes::Bytes;
use macloud_proto::ids::CommandId;
use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::connector_side::{ConnectorSettings, ConnectorSide};
use macloud_proto::link::frame::{
    Command, Drain, Event, FromConnector, FromRelay, Goodbye, Hello, HomeTime, PreKeyAnswer, Reply, Standing, Welcome,
};
use macloud_proto::link::relay_side::{Registration, RelayEvent, RelaySettings, RelaySide, Submission};
use macloud_proto::link::resumption::{Credential, MAX_TICKET_BYTES, SECRET_BYTES};
use macloud_proto::time::{Micros, Millis};
use proptest::prelude::*;

use crate::world::Seeded;

fn id() -> impl Strategy<Value = CommandId> {
    any::<[u8; 16]>().prop_map(CommandId::from_bytes)
}

fn sealed() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn time() -> impl Strategy<Value = Duration> {
    any::<u32>().prop_map(|ms| Duration::from_millis(ms.into()))
}

fn home_time() -> impl Strategy<Value = HomeTime> {
    let micros = || any::<u32>().prop_map(|micros| Duration::from_micros(micros.into()));
    (micros(), micros(), micros()).prop_map(|(whole, music_after, music)| HomeTime { whole, music_after, music })
}

fn goodbye() -> impl Strategy<Value = Goodbye> {
    (0..9i32, "[ -~]{0,40}").prop_map(|(reason, detail)| {
        let reason = GoodbyeReason::try_from(reason).unwrap();
        Goodbye { reason, detail }
    })
}

fn from_connector() -> impl Strategy<Value = FromConnector> {
    let hello = (0..9u32, 0..9u32, any::<[u8; 16]>(), "[ -~]{0,64}", 0..1025u32);
    let hello = hello.prop_map(|(version_min, more, install_id, software, credit)| {
        FromConnector::Hello(Hello { version_min, version_max: version_min + more, install_id, software, credit })
    });
    let reply = (id(), sealed(), home_time());
    prop_oneof![
        hello,
        id().prop_map(FromConnector::Received),
        reply.prop_map(|(command_id, sealed, home)| FromConnector::Reply(Reply { command_id, sealed, home })),
        (any::<u64>(), sealed()).prop_map(|(request_id, signed_pre_key)| {
            FromConnector::PreKeyAnswer(PreKeyAnswer { request_id, signed_pre_key })
        }),
        (any::<[u8; 16]>(), prop::collection::vec(any::<u8>(), 0..=16), sealed())
            .prop_map(|(event_id, key, sealed)| { FromConnector::Event(Event { event_id, key: key.into(), sealed }) }),
        (0..1025u32).prop_map(FromConnector::Credit),
        goodbye().prop_map(FromConnector::Goodbye),
        Just(FromConnector::Unknown),
    ]
}

fn credential() -> impl Strategy<Value = Option<Credential>> {
    let parts = (prop::collection::vec(any::<u8>(), 0..MAX_TICKET_BYTES + 2), any::<[u8; SECRET_BYTES]>());
    parts.prop_map(|(ticket, secret)| Credential::from_parts(ticket.into(), &secret))
}

fn from_relay() -> impl Strategy<Value = FromRelay> {
    let texts = ("[ -~]{0,80}", "[ -~]{0,64}");
    let welcome =
        (any::<u32>(), any::<u64>(), 1000..600_000u64, time(), texts, any::<(bool, bool, bool)>(), credential());
    let welcome = welcome.prop_map(|(version, session_epoch, ping, reconnect_window, texts, flags, resumption)| {
        let ping_interval = Duration::from_millis(ping);
        let (dpop_nonce, node_id) = texts;
        let (contested, paused, events) = flags;
        FromRelay::Welcome(Welcome {
            version,
            session_epoch,
            ping_interval,
            reconnect_window,
            dpop_nonce,
            node_id,
            contested,
            paused,
            events,
            resumption,
        })
    });
    let command = (id(), time(), sealed(), "[ -~]{0,55}");
    prop_oneof![
        welcome,
        command.prop_map(|(command_id, remaining, sealed, traceparent)| {
            FromRelay::Command(Command { command_id, remaining, sealed, traceparent })
        }),
        any::<u64>().prop_map(FromRelay::PreKeyRequest),
        any::<[u8; 16]>().prop_map(FromRelay::EventTaken),
        any::<bool>().prop_map(|paused| FromRelay::Standing(Standing { paused })),
        any::<u32>().prop_map(|millis| FromRelay::Spread(Duration::from_millis(millis.into()))),
        id().prop_map(FromRelay::Cancel),
        (time(), time())
            .prop_map(|(reconnect_after, leaving_in)| { FromRelay::Drain(Drain { reconnect_after, leaving_in }) }),
        goodbye().prop_map(FromRelay::Goodbye),
        Just(FromRelay::Unknown),
    ]
}

/// A frame of either side with some bytes changed, cut or added.
fn mutated() -> impl Strategy<Value = Bytes> {
    let valid = prop_oneof![
        from_connector().prop_map(FromConnector::encode),
        from_relay().prop_map(FromRelay::encode),
        prop::collection::vec(any::<u8>(), 0..64).prop_map(Bytes::from),
    ];
    (valid, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), any::<bool>()).prop_map(
        |(bytes, changes, cut)| {
            let mut bytes = bytes.to_vec();
            for (at, value) in changes {
                if bytes.is_empty() {
                    bytes.push(value);
                } else {
                    let at = at.index(bytes.len());
                    bytes[at] = value;
                }
            }
            if cut {
                bytes.truncate(bytes.len() / 2);
            }
            bytes.into()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn what_is_encoded_is_decoded_again(up in from_connector(), down in from_relay()) {
        prop_assert_eq!(FromConnector::decode(up.clone().encode()).unwrap(), up);
        prop_assert_eq!(FromRelay::decode(down.clone().encode()).unwrap(), down);
    }

    #[test]
    fn the_relays_machine_survives_any_home(
        messages in prop::collection::vec((mutated(), 0..5_000u64), 1..20),
        greet_first in any::<bool>(),
    ) {
        let mut random = Seeded(1);
        let mut now = Micros(0);
        let mut machine = RelaySide::new(RelaySettings::default(), now, &mut random);
        if greet_first {
            let home = ConnectorSide::new(ConnectorSettings::default(), Millis(0)).poll_transmit(Millis(0));
            let Some(macloud_proto::link::Transmit::Binary(hello)) = home else { panic!("hello comes first") };
            machine.handle_message(hello, now);
            machine.welcome(Registration::default());
        }
        let mut answered = 0;
        let mut submitted = 0u64;
        for (message, wait_ms) in messages {
            let mut command_id = [0; 16];
            command_id[..8].copy_from_slice(&submitted.to_le_bytes());
            let command_id = CommandId::from_bytes(command_id);
            let deadline = now.plus(Duration::from_secs(6));
            let sealed = Bytes::from_static(b"sealed");
            machine.submit(submitted, Submission { command_id, counts: true, sealed, traceparent: String::new(), arrived: now, deadline }, now);
            submitted += 1;
            machine.handle_message(message, now);
            now = now.plus(Duration::from_millis(wait_ms));
            machine.handle_timeout(now, &mut random);
            while machine.poll_transmit(now).is_some() {}
            machine.handle_flushed();
            while let Some(event) = machine.poll_event() {
                answered += u64::from(matches!(event, RelayEvent::Answered { .. }));
            }
        }
        machine.handle_socket_closed();
        while let Some(event) = machine.poll_event() {
            answered += u64::from(matches!(event, RelayEvent::Answered { .. }));
        }
        prop_assert_eq!(answered, submitted);
        prop_assert!(machine.is_closed() && machine.outstanding() == 0);
    }

    #[test]
    fn the_homes_machine_survives_any_relay(messages in prop::collection::vec((mutated(), 0..70_000u64), 1..20)) {
        let mut now = Millis(0);
        let mut machine = ConnectorSide::new(ConnectorSettings::default(), now);
        let welcome = Welcome {
            version: 1,
            session_epoch: 1,
            ping_interval: Duration::from_secs(30),
            reconnect_window: Duration::ZERO,
            dpop_nonce: String::new(),
            node_id: String::new(),
            contested: false,
            paused: false,
            events: true,
            resumption: None,
        };
        machine.handle_message(FromRelay::Welcome(welcome).encode(), now);
        for (message, wait) in messages {
            machine.handle_message(message, now);
            now = Millis(now.0 + wait);
            machine.handle_timeout(now);
            while machine.poll_transmit(now).is_some() {}
            while machine.poll_event().is_some() {}
        }
    }
}

#[test]
fn bounds_are_checked_before_anything_else() {
    use macloud_proto::link::frame::FrameError;
    let too_long = Bytes::from(vec![0; macloud_proto::MAX_FRAME_BYTES + 1]);
    assert_eq!(FromConnector::decode(too_long.clone()), Err(FrameError::TooLong));
    assert_eq!(FromRelay::decode(too_long), Err(FrameError::TooLong));
    let sealed = Bytes::from(vec![0; macloud_proto::MAX_SEALED_BYTES + 1]);
    let command_id = CommandId::from_bytes([0; 16]);
    let reply = FromConnector::Reply(Reply { command_id, sealed, home: Duration::from_micros(0).into() }).encode();
    assert_eq!(FromConnector::decode(reply), Err(FrameError::Field("sealed")));
    let wrong_way = FromRelay::Cancel(command_id).encode();
    assert_eq!(FromConnector::decode(wrong_way), Err(FrameError::WrongDirection));
}

#[test]
fn the_largest_sealed_body_fits_a_frame() {
    let command = Command {
        command_id: CommandId::from_bytes([0xff; 16]),
        remaining: Duration::from_millis(u32::MAX.into()),
        sealed: Bytes::from(vec![0; macloud_proto::MAX_SEALED_BYTES]),
        traceparent: "x".repeat(64),
    };
    let encoded = FromRelay::Command(command.clone()).encode();
    assert!(encoded.len() <= macloud_proto::MAX_FRAME_BYTES);
    assert_eq!(FromRelay::decode(encoded), Ok(FromRelay::Command(command)));
}
