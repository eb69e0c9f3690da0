//! Calls for homes that other nodes hold: looked for in the directory, taken across once, and brought back. The answer names
//! the owner, so that the caller goes there by itself next time; in the steady state nothing here runs at all.

use std::sync::Arc;
use std::time::Duration;

use macloud_proto::ids::InstanceId;
use macloud_proto::link::GoodbyeReason;

use crate::dispatch::{NoSession, PendingCall};
use crate::lease::limited;
use crate::node::Node;
use crate::peers::{Peers, Unreachable};
use crate::presence::{Claimed, LEASE, Location, NodeAddress, Notice, Unavailable, Whereabouts};
use crate::route::{Directory, Way};
use crate::session::Order;
use crate::sessions::SessionHandle;

/// Take the call to where its home was last time, if that is known and a connection is open; else look for it.
pub(crate) fn dispatch(call: Box<PendingCall>, peers: &Peers) {
    if call.tries.may_guess()
        && call.node.sessions.find(&call.instance).is_none()
        && let Some(location) = peers.routes.find(&call.instance)
        && location.epoch >= call.tries.least_epoch
        && let Some(link) = peers.open_link(&location.node)
    {
        return link.send(call, location.epoch);
    }
    // Ends within the call's deadline; the call answers for itself if this is cancelled.
    tokio::spawn(look_and_go(call));
}

async fn look_and_go(mut call: Box<PendingCall>) {
    let node = call.node.clone();
    let Some(peers) = &node.peers else { return call.answer_without_session(NoSession::NotConnected(None)) };
    loop {
        if let Some(pause) = call.tries.pause() {
            tokio::time::sleep(pause).await;
        }
        if node.now() >= call.deadline {
            return call.answer_without_session(NoSession::TooLate);
        }
        let located = look(&node, peers, &call.instance).await;
        let here = node.sessions.find(&call.instance);
        let directory = match &located {
            Err(Unavailable) => Directory::Unavailable,
            Ok(Whereabouts::Away(_)) => Directory::Nowhere,
            Ok(Whereabouts::At(location)) if location.node.node_id == peers.own().node_id => {
                Directory::Here { epoch: location.epoch }
            }
            Ok(Whereabouts::At(location)) => Directory::There { epoch: location.epoch },
        };
        match (call.tries.way(here.as_ref().map(|session| session.epoch), directory), here, located) {
            (Way::Here, Some(session), _) => return call.give_to(session),
            (Way::There, _, Ok(Whereabouts::At(location))) => return cross(call, peers, location).await,
            (Way::Again, ..) => call.tries.miss(),
            (Way::Unlocated, ..) => return call.answer_without_session(NoSession::Unlocated),
            (Way::Nowhere | Way::Here | Way::There, _, located) => {
                return call.answer_without_session(NoSession::NotConnected(away(&located)));
            }
        }
    }
}

/// The home is on no node, and this is the only one: say since when it is away.
pub(crate) async fn answer_away(call: Box<PendingCall>) {
    let located = limited(call.node.presence.locate(&call.instance)).await;
    call.answer_without_session(NoSession::NotConnected(away(&located)));
}

const fn away(located: &Result<Whereabouts, Unavailable>) -> Option<Duration> {
    match located {
        Ok(Whereabouts::Away(away)) => *away,
        Ok(Whereabouts::At(_)) | Err(Unavailable) => None,
    }
}

async fn look(node: &Node, peers: &Peers, instance: &InstanceId) -> Result<Whereabouts, Unavailable> {
    if peers.lease.is_directory_away(node.now()) {
        return Err(Unavailable);
    }
    let located = limited(node.presence.locate(instance)).await;
    node.metrics.lookup(match &located {
        Ok(Whereabouts::At(_)) => "found",
        Ok(Whereabouts::Away(_)) => "nowhere",
        Err(Unavailable) => "unavailable",
    });
    located
}

async fn cross(call: Box<PendingCall>, peers: &Peers, location: Location) {
    match peers.link(&location.node).await {
        Ok(link) => {
            peers.routes.learn(&call.instance, &location);
            link.send(call, location.epoch);
        }
        Err(unreachable) => {
            tracing::debug!(peer.node = location.node.node_id, ?unreachable, "cannot reach the node that has a home");
            call.node.metrics.crossing("unreachable");
            call.answer_unreachable(&location);
        }
    }
}

/// The newest session is here: have the node that held the home until now end its own. `takeover` says whether another
/// installation has taken over, and whether they keep doing so.
///
/// That node does not ask about its sessions while its lease counts, so it must learn this: it says that it knows, or finds the
/// word in the directory at its next renewal.
pub(crate) fn supersede(
    node: &Arc<Node>,
    instance: &InstanceId,
    epoch: u64,
    before: Option<NodeAddress>,
    takeover: Option<&Claimed>,
) {
    let Some(before) = before.filter(|_| node.peers.is_some()) else { return };
    let notice = Notice {
        instance: instance.clone(),
        epoch,
        other_installation: takeover.is_some_and(|claimed| claimed.other_installation),
        contested: takeover.is_some_and(|claimed| claimed.contested),
    };
    let node = node.clone();
    tokio::spawn(async move {
        // By then its lease has ended, or it has asked about each of its homes.
        for _ in 0..TELL_FOR.as_secs() {
            if tell(&node, &before, &notice).await {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tracing::warn!(peer.node = before.node_id, "a node could not be told of a newer session");
    });
}

/// Whether it knows, or is going to find it.
async fn tell(node: &Node, other: &NodeAddress, notice: &Notice) -> bool {
    let Some(peers) = &node.peers else { return true };
    let told = match peers.link(other).await {
        Ok(link) => link.supersede(notice).await,
        Err(Unreachable) => false,
    };
    told || limited(node.presence.leave_notice(&other.node_id, notice)).await.is_ok()
}

/// Another node has a newer session of this home.
pub(crate) fn superseded(node: &Node, notice: &Notice) {
    let Some(session) = node.sessions.find(&notice.instance).filter(|session| session.epoch < notice.epoch) else {
        return;
    };
    end_replaced(node, &notice.instance, session, replaced_by(notice.other_installation, notice.contested));
}

/// A session that another has replaced. Nothing is sent to it from here on, so that whatever comes for the home is looked for.
pub(crate) fn end_replaced(node: &Node, instance: &InstanceId, session: SessionHandle, detail: &'static str) {
    node.sessions.leave(instance, session.epoch);
    let close = Order::Close(GoodbyeReason::Replaced, detail);
    // Its task takes from its inbox at all times, so this does not wait for long.
    tokio::spawn(async move { session.inbox.send(close.into()).await });
}

/// What a session is told that was replaced.
pub(crate) const fn replaced_by(other_installation: bool, contested: bool) -> &'static str {
    match (other_installation, contested) {
        (false, _) => "a newer session took over",
        (true, false) => "another installation took over",
        (true, true) => "two installations of this home keep displacing each other: stop one of them",
    }
}

const TELL_FOR: Duration = LEASE;
