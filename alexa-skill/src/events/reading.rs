//! Reading: one stream from the queue of each relay node, for as long as the process runs.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use macloud_proto::bus::v1::events_client::EventsClient;
use macloud_proto::bus::v1::{Done, FromReader, HomeEvent, Open, from_reader};
use macloud_service_kit::random;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::{Events, Handled};

/// Read at this node, again whenever the stream ends. Never returns.
pub(super) async fn read(events: &Events, channel: Channel) {
    let mut pause = FIRST_PAUSE;
    loop {
        let ended = read_once(events, channel.clone(), &mut pause).await;
        if ended.code() == Code::Unimplemented {
            tracing::info!("a relay takes no events: looking again later");
            pause = LONGEST_PAUSE;
        }
        // So that processes do not come back together.
        let jitter = Duration::from_millis(random::up_to(pause.as_millis() as u64));
        sleep(pause / 2 + jitter).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn read_once(events: &Events, channel: Channel, pause: &mut Duration) -> Status {
    let (say, said) = mpsc::channel(4);
    let open = FromReader { body: Some(from_reader::Body::Open(Open { group: events.group() })) };
    if say.send(open).await.is_err() {
        return Status::internal("the stream ended before it began");
    }
    let mut given = match EventsClient::new(channel).read(ReceiverStream::new(said)).await {
        Ok(response) => response.into_inner(),
        Err(status) => return status,
    };
    loop {
        let first = match given.message().await {
            Ok(Some(first)) => first,
            Ok(None) => return Status::unavailable("the stream has ended"),
            Err(status) => return status,
        };
        *pause = FIRST_PAUSE;
        let mut batch = vec![first];
        while let Some(Ok(Some(next))) = given.message().now_or_never() {
            batch.push(next);
        }
        let marks = handle_batch(events, batch).await;
        let done = FromReader { body: Some(from_reader::Body::Done(Done { marks })) };
        if say.send(done).await.is_err() {
            return Status::unavailable("the stream has ended");
        }
    }
}

/// Of each player only the latest is told; the others are done with it.
async fn handle_batch(events: &Events, batch: Vec<HomeEvent>) -> Vec<String> {
    let (latest, mut done) = latest(batch);
    let handled = futures_util::stream::iter(latest).map(|event| async move {
        let handled = events.handle(&event).await;
        (handled != Handled::Later).then_some(event.mark)
    });
    done.extend(handled.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect::<Vec<_>>().await);
    done
}

/// The latest of each home's key, in order, and the marks of the others.
fn latest(batch: Vec<HomeEvent>) -> (Vec<HomeEvent>, Vec<String>) {
    let mut last = HashMap::new();
    for (at, event) in batch.iter().enumerate() {
        if !event.key.is_empty() {
            last.insert((event.instance_id.clone(), event.key.clone()), at);
        }
    }
    let (mut latest, mut outdated) = (Vec::new(), Vec::new());
    for (at, event) in batch.into_iter().enumerate() {
        let key = (event.instance_id.clone(), event.key.clone());
        if last.get(&key).is_none_or(|last| *last == at) {
            latest.push(event);
        } else {
            outdated.push(event.mark);
        }
    }
    (latest, outdated)
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Calls to the gateway under way at a time, for each node.
const AT_ONCE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_batch_only_the_latest_of_each_player_is_told() {
        let event = |mark: &str, home: &str, key: &'static [u8]| HomeEvent {
            mark: mark.into(),
            instance_id: home.into(),
            key: key.into(),
            ..HomeEvent::default()
        };
        let batch = vec![
            event("1", "a", b"kitchen"),
            event("2", "b", b"kitchen"),
            event("3", "a", b""),
            event("4", "a", b"kitchen"),
            event("5", "a", b""),
        ];
        let (latest, outdated) = latest(batch);
        let marks: Vec<_> = latest.iter().map(|event| event.mark.as_str()).collect();
        assert_eq!((marks, outdated), (vec!["2", "3", "4", "5"], vec!["1".to_owned()]));
    }
}
