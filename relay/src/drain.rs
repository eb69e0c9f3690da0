//! Leaving without anybody noticing: take nothing new, ask the homes to move one after the other, answer what is in
//! flight, leave.

use std::time::Duration;

use macloud_proto::ids::InstanceId;
use macloud_proto::link::GoodbyeReason;
use macloud_proto::random::between;
use macloud_service_kit::random;
use macloud_service_kit::stop::Stop;

use crate::node::{Leaving, Node};
use crate::session::Order;

/// Drain the node. Returns when every session has ended: moved, drained, or closed by a hard stop; and but for the last, when
/// every call has its answer.
pub(crate) async fn drain(node: &Node, stop: &Stop) {
    node.leaving.send_replace(Leaving::Draining);
    let grace = node.config.drain_grace;
    tracing::info!(connections = node.sessions.all().len(), grace_ms = grace.as_millis() as u64, "draining");
    node.tasks.close();
    tokio::select! {
        // The hard stop first: it must not wait for a thousand homes to be told to move.
        biased;
        () = stop.hard() => {}
        () = async {
            // For calls that were on their way when their callers were told.
            let told = tokio::time::Instant::now() + NEWS_TRAVELS;
            ask_all_to_move(node, Duration::ZERO, grace).await;
            node.tasks.wait().await;
            tokio::time::sleep_until(told).await;
            // They may have crossed over, and be answered elsewhere.
            node.calls.close();
            node.calls.wait().await;
        } => return,
    }
    for session in node.sessions.all() {
        let _ = session.inbox.try_send(Order::Close(GoodbyeReason::Shutdown, "the node is stopping").into());
    }
    let _ = tokio::time::timeout(node.config.link.close_limit * 2, node.tasks.wait()).await;
}

/// Ask every home to dial in anew, not before `after`, spread so that the next node can take them, and end what is left
/// after `within`.
pub(crate) async fn ask_all_to_move(node: &Node, after: Duration, within: Duration) {
    let sessions = node.sessions.all();
    let spread = time_to_take(node, sessions.len()).min(within / 2);
    for session in sessions {
        let reconnect_after = between(after, after + spread, &mut random::fill);
        let _ = session.inbox.send(Order::Drain { reconnect_after, leaving_in: within }.into()).await;
    }
}

/// Over how long the homes of this node are to spread their reconnects should it vanish: so that the others can take as many as
/// there are now.
pub(crate) fn reconnect_window(node: &Node) -> Duration {
    let connected = node.config.max_connections.saturating_sub(node.connections.available_permits());
    time_to_take(node, connected).max(node.config.reconnect_window)
}

fn time_to_take(node: &Node, homes: usize) -> Duration {
    Duration::from_secs_f64(homes as f64 / f64::from(node.config.homes_per_second.max(1)))
}

/// When a home is to dial in anew, and how long its link stays, whose token, made at `issued_at`, says of its plan what is not true any more: as soon as
/// another is sure to be good, and spread a little. `None` when its token is good. One that cannot get another meanwhile keeps
/// its link.
pub(crate) fn for_new_limits(node: &Node, instance: &InstanceId, issued_at: u64) -> Option<(Duration, Duration)> {
    let from = node.standing.needs_newer_from(instance, issued_at)?;
    let after = Duration::from_secs(from.saturating_sub(node.unix_seconds()));
    Some((between(after, after + NEW_LIMITS_WITHIN, &mut random::fill), KEEP_THE_LINK))
}

const NEWS_TRAVELS: Duration = Duration::from_millis(250);
const NEW_LIMITS_WITHIN: Duration = Duration::from_secs(2);
const KEEP_THE_LINK: Duration = Duration::from_secs(3600);
