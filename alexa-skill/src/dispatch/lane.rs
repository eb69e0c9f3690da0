//! Keeps one place for a stream filled: opens it, reads it, opens the next when it breaks or its node is leaving.

use std::sync::Arc;
use std::time::Duration;

use macloud_proto::bus::v1::command_bus_client::CommandBusClient;
use macloud_proto::bus::v1::{FromRelay, from_relay};
use macloud_service_kit::gather::Gathered;
use macloud_service_kit::random;
use macloud_service_kit::stop::Stop;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tonic::Streaming;
use tonic::transport::Channel;

use super::Bus;
use super::stream::{Outgoing, Stream};

pub(super) struct Lane {
    bus: Bus,
    place: usize,
    channel: Channel,
    /// What was last warned of: a node that stays away is told of once.
    warned: Option<&'static str>,
}

/// Why reading a stream ended.
#[derive(PartialEq, Eq)]
enum Ended {
    Broken,
    /// The node is leaving; calls in flight may still be answered.
    Draining,
}

impl Lane {
    pub(super) const fn new(bus: Bus, place: usize, channel: Channel) -> Self {
        Self { bus, place, channel, warned: None }
    }

    pub(super) async fn keep_open(mut self, stop: Stop) {
        let mut leaving = JoinSet::new();
        let mut pause = FIRST_PAUSE;
        while !stop.is_stopping() {
            let opened = tokio::select! {
                biased;
                () = stop.soft() => break,
                opened = self.open() => opened,
            };
            if let Some((stream, mut incoming)) = opened {
                let opened = Instant::now();
                self.bus.publish(self.place, Some(Arc::clone(&stream)));
                let ended = tokio::select! {
                    // Reading comes to its own end when the relay leaves; stopping is left to `finish`.
                    ended = read(&stream, &mut incoming, false) => ended,
                    () = stop.soft() => Ended::Draining,
                };
                self.bus.publish(self.place, None);
                // A node that takes streams and breaks them at once is not to be asked for ever more of them.
                if opened.elapsed() >= STABLE_AFTER {
                    pause = FIRST_PAUSE;
                } else if ended == Ended::Broken {
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                match ended {
                    Ended::Broken => stream.broke(),
                    Ended::Draining => {
                        leaving.spawn(finish(stream, incoming));
                    }
                }
            } else {
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            tokio::select! {
                biased;
                () = stop.soft() => break,
                () = sleep(Duration::from_micros(random::up_to(pause.as_micros() as u64))) => {}
            }
            while leaving.try_join_next().is_some() {}
        }
        // Whoever waits for an answer on a stream that is leaving gets it, unless the program leaves now.
        tokio::select! {
            () = stop.hard() => {}
            () = async { while leaving.join_next().await.is_some() {} } => {}
        }
    }

    async fn open(&mut self) -> Option<(Arc<Stream>, Streaming<FromRelay>)> {
        let (outgoing, messages) = mpsc::channel(OUTGOING);
        let in_flight = Arc::default();
        let messages = Gathered::new(Outgoing { messages, in_flight: Arc::clone(&in_flight) });
        let mut client = CommandBusClient::new(self.channel.clone());
        let opening = async {
            let mut incoming = client.link(messages).await?.into_inner();
            let first = incoming.message().await?;
            Ok::<_, tonic::Status>((first, incoming))
        };
        match timeout(OPENING, opening).await {
            Ok(Ok((Some(FromRelay { body: Some(from_relay::Body::Opened(opened)) }), incoming))) => {
                if self.warned.take().is_some() {
                    tracing::info!(relay.node = opened.node_id, "a stream to a relay is open again");
                }
                Some((Arc::new(Stream::new(opened, outgoing, in_flight)), incoming))
            }
            Ok(Ok(_)) => self.failed("a relay did not begin its stream as agreed", None),
            Ok(Err(status)) => self.failed("cannot open a stream to a relay", Some(status.code())),
            Err(_) => self.failed("a relay does not open a stream in time", None),
        }
    }

    /// It is tried again about once a second, for as long as the node is away: only what is new is worth a warning.
    fn failed<T>(&mut self, why: &'static str, code: Option<tonic::Code>) -> Option<T> {
        if self.warned.replace(why) == Some(why) {
            tracing::debug!(?code, "{why}");
        } else {
            tracing::warn!(?code, "{why}");
        }
        None
    }
}

/// Read until the stream ends, or its node says that it is leaving; when `leaving`, until no call is in flight.
async fn read(stream: &Stream, incoming: &mut Streaming<FromRelay>, leaving: bool) -> Ended {
    while !(leaving && stream.is_idle()) {
        let Ok(Some(message)) = incoming.message().await else { return Ended::Broken };
        match message.body {
            Some(from_relay::Body::Answer(answer)) => stream.answered(answer),
            Some(from_relay::Body::Credit(credit)) => stream.credited(credit.calls),
            Some(from_relay::Body::Draining(_)) if !leaving => {
                stream.drain();
                return Ended::Draining;
            }
            // Twice, or of a newer relay.
            Some(from_relay::Body::Draining(_) | from_relay::Body::Opened(_)) | None => {}
        }
    }
    Ended::Draining
}

/// A stream that takes no new calls: wait for those in flight, each of which has a deadline of its own.
async fn finish(stream: Arc<Stream>, mut incoming: Streaming<FromRelay>) {
    stream.drain();
    let _ = timeout(LONGEST_CALL, read(&stream, &mut incoming, true)).await;
    stream.broke();
}

/// Messages that wait to be written; more wait in their callers.
const OUTGOING: usize = 128;
const OPENING: Duration = Duration::from_secs(3);
const STABLE_AFTER: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// A node that has been replaced must be known again before the next one goes.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The bus takes no longer deadline.
const LONGEST_CALL: Duration = Duration::from_secs(30);
