//! No session lasts for ever. A link lives on when the token that opened it has expired, since whatever is revoked is told at
//! once; but a revocation that was missed, by a fault that nobody thought of, must not keep its home in for good. So each
//! session is asked, once in a long while, to dial in anew with a fresh token, make before break as in a drain.

use std::time::Duration;

use macloud_proto::random::between;
use macloud_proto::time::Micros;
use macloud_service_kit::random;

use crate::node::Node;
use crate::session::Order;

/// When a session that begins now is to prove itself again: in the second half of its life, so that homes which came together
/// do not go together.
pub(crate) fn due(node: &Node) -> Micros {
    let life = node.config.session_life;
    node.now().plus(between(life / 2, life, &mut random::fill))
}

/// Ask those whose time has come, for ever. Those that are asked twice take no notice.
pub(crate) async fn watch(node: &Node) {
    let every = EVERY.min(node.config.session_life / 2);
    loop {
        tokio::time::sleep(every).await;
        // Without the account service there are no fresh tokens, and connected homes must keep working.
        if node.is_draining() || !node.following() {
            continue;
        }
        for session in node.sessions.due(node.now()) {
            let reconnect_after = between(Duration::ZERO, every, &mut random::fill);
            let _ = session.inbox.send(Order::Drain { reconnect_after, leaving_in: GRACE }.into()).await;
        }
    }
}

const EVERY: Duration = Duration::from_secs(60);
/// A home that cannot get a token for this long, while the account service is there, has been unlinked or is broken.
const GRACE: Duration = Duration::from_secs(3600);
