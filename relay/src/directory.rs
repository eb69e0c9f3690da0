//! The directory as one of several nodes asks it: by itself; and while only this node is cut off from it, through another that is
//! not. So its lease goes on counting, its homes are found, those that dial in meanwhile get their place, and those that move on are
//! let go, by the same comparisons as ever. Through a node that was asked for another nothing is passed on: there is one hop, or
//! none.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use macloud_proto::ids::InstanceId;
use macloud_proto::nodes::v1;
use macloud_proto::nodes::v1::nodes_client::NodesClient;
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::nodes::{notice_from, notice_to, place_from, place_to};
use crate::peers::Connect;
use crate::presence::{
    BoxFuture, Claim, Claimed, Held, Location, NodeAddress, Notice, Presence, Restored, Unavailable, Whereabouts,
};

/// The directory of one node among others.
#[derive(Debug)]
pub(crate) struct Directory {
    own: NodeAddress,
    direct: Arc<dyn Presence>,
    connect: Arc<dyn Connect>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Asking by itself is of no use until then.
    cut_off_until: Option<Instant>,
    /// The others, as the directory named them last. In front the one that could help last time.
    others: VecDeque<NodeAddress>,
    channels: HashMap<NodeAddress, Channel>,
}

impl Directory {
    pub(crate) fn new(own: NodeAddress, direct: Arc<dyn Presence>, connect: Arc<dyn Connect>) -> Self {
        Self { own, direct, connect, state: Mutex::default() }
    }

    /// For another node: asked by itself, or not at all.
    pub(crate) fn direct(&self) -> Result<&Arc<dyn Presence>, Unavailable> {
        if self.is_cut_off() { Err(Unavailable) } else { Ok(&self.direct) }
    }

    /// Who else is there, for when this node is cut off. To be called now and then while it is not.
    pub(crate) async fn look_around(&self) {
        let Ok(nodes) = self.by_itself(|direct| direct.nodes()).await else { return };
        let mut state = self.state();
        state.others = nodes.into_iter().filter(|node| *node != self.own).collect();
        // They are connections that are kept alive, and nobody needs them now.
        state.channels.clear();
    }

    async fn by_itself<'a, T>(
        &'a self,
        ask: impl FnOnce(&'a (dyn Presence + 'static)) -> BoxFuture<'a, Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        if self.is_cut_off() {
            return Err(Unavailable);
        }
        let asked = timeout(ITSELF_LIMIT, ask(&*self.direct)).await.unwrap_or(Err(Unavailable));
        if asked.is_err() {
            self.state().cut_off_until = Some(Instant::now() + PAUSE);
        }
        asked
    }

    /// In place of the others it is the renewal that finds out whether this node is still cut off.
    async fn probe(&self, node: &NodeAddress) -> Result<bool, Unavailable> {
        let asked = timeout(ITSELF_LIMIT, self.direct.renew_lease(node)).await.unwrap_or(Err(Unavailable));
        self.state().cut_off_until = asked.is_err().then(|| Instant::now() + BELIEVED_CUT_OFF);
        asked
    }

    async fn through_another<T, F>(&self, ask: impl Fn(NodesClient<Channel>) -> F) -> Result<T, Unavailable>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        for _ in 0..MOST_ASKED {
            let Some((other, channel)) = self.other() else { break };
            if let Ok(Ok(answer)) = timeout(OTHER_LIMIT, ask(NodesClient::new(channel))).await {
                return Ok(answer.into_inner());
            }
            self.ask_later(&other);
        }
        Err(Unavailable)
    }

    fn other(&self) -> Option<(NodeAddress, Channel)> {
        let mut state = self.state();
        let other = state.others.front()?.clone();
        if let Some(channel) = state.channels.get(&other) {
            return Some((other, channel.clone()));
        }
        let Some(channel) = self.connect.channel(&other.bus) else {
            state.others.rotate_left(1);
            return None;
        };
        state.channels.insert(other.clone(), channel.clone());
        Some((other, channel))
    }

    /// It could not help: the next one first.
    fn ask_later(&self, other: &NodeAddress) {
        let mut state = self.state();
        state.channels.remove(other);
        if state.others.front() == Some(other) {
            state.others.rotate_left(1);
        }
    }

    fn is_cut_off(&self) -> bool {
        self.state().cut_off_until.is_some_and(|until| Instant::now() < until)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while holding this lock")
    }
}

impl Presence for Directory {
    fn claim<'a>(&'a self, claim: Claim<'a>) -> BoxFuture<'a, Result<Claimed, Unavailable>> {
        Box::pin(async move {
            if let Ok(claimed) = self.by_itself(|direct| direct.claim(claim)).await {
                return Ok(claimed);
            }
            let ask = || v1::ClaimAsk {
                instance_id: claim.instance.to_string(),
                node_id: claim.node_id.into(),
                install_id: claim.install_id.to_vec().into(),
                above: claim.above,
            };
            let answer = self.through_another(|mut other| async move { other.claim(ask()).await }).await?;
            let v1::ClaimAnswer { session_epoch: epoch, before, other_installation, contested } = answer;
            Ok(Claimed { epoch, before: before.map(place_from), other_installation, contested })
        })
    }

    fn release<'a>(&'a self, instance: &'a InstanceId, epoch: u64) -> BoxFuture<'a, Result<bool, Unavailable>> {
        Box::pin(async move {
            if let Ok(was_newest) = self.by_itself(|direct| direct.release(instance, epoch)).await {
                return Ok(was_newest);
            }
            let ask = || v1::ReleaseAsk { instance_id: instance.to_string(), session_epoch: epoch };
            let answer = self.through_another(|mut other| async move { other.release(ask()).await }).await?;
            Ok(answer.was_newest)
        })
    }

    fn restore<'a>(&'a self, session: Held<'a>) -> BoxFuture<'a, Result<Restored, Unavailable>> {
        Box::pin(async move {
            if let Ok(restored) = self.by_itself(|direct| direct.restore(session)).await {
                return Ok(restored);
            }
            let ask = || v1::RestoreAsk {
                instance_id: session.instance.to_string(),
                node_id: session.node_id.into(),
                install_id: session.install_id.to_vec().into(),
                session_epoch: session.epoch,
            };
            let answer = self.through_another(|mut other| async move { other.restore(ask()).await }).await?;
            let v1::RestoreAnswer { is_newest, before, other_installation, contested } = answer;
            Ok(if is_newest {
                Restored::Newest { before: before.map(place_from) }
            } else {
                Restored::Outdated { other_installation, contested }
            })
        })
    }

    fn locate<'a>(&'a self, instance: &'a InstanceId) -> BoxFuture<'a, Result<Whereabouts, Unavailable>> {
        Box::pin(async move {
            if let Ok(located) = self.by_itself(|direct| direct.locate(instance)).await {
                return Ok(located);
            }
            let ask = || v1::LocateAsk { instance_id: instance.to_string() };
            let answer = self.through_another(|mut other| async move { other.locate(ask()).await }).await?;
            let v1::LocateAnswer { node, session_epoch: epoch, away_millis } = answer;
            let nowhere = Whereabouts::Away(away_millis.map(Duration::from_millis));
            Ok(node.map_or(nowhere, |node| Whereabouts::At(Location { node: place_from(node), epoch })))
        })
    }

    fn renew_lease<'a>(&'a self, node: &'a NodeAddress) -> BoxFuture<'a, Result<bool, Unavailable>> {
        Box::pin(async move {
            if let Ok(counted) = self.probe(node).await {
                return Ok(counted);
            }
            let ask = || place_to(node);
            let answer = self.through_another(|mut other| async move { other.renew_lease(ask()).await }).await?;
            Ok(answer.counted_until_now)
        })
    }

    fn end_lease<'a>(&'a self, node: &'a NodeAddress) -> BoxFuture<'a, Result<(), Unavailable>> {
        Box::pin(async move {
            if self.by_itself(|direct| direct.end_lease(node)).await.is_ok() {
                return Ok(());
            }
            let ask = || place_to(node);
            self.through_another(|mut other| async move { other.end_lease(ask()).await }).await.map(drop)
        })
    }

    fn leave_notice<'a>(&'a self, node_id: &'a str, notice: &'a Notice) -> BoxFuture<'a, Result<(), Unavailable>> {
        Box::pin(async move {
            if self.by_itself(|direct| direct.leave_notice(node_id, notice)).await.is_ok() {
                return Ok(());
            }
            let ask = || v1::LeaveNoticeAsk { node_id: node_id.into(), notice: Some(notice_to(notice)) };
            self.through_another(|mut other| async move { other.leave_notice(ask()).await }).await.map(drop)
        })
    }

    fn take_notices<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<Vec<Notice>, Unavailable>> {
        Box::pin(async move {
            if let Ok(notices) = self.by_itself(|direct| direct.take_notices(node_id)).await {
                return Ok(notices);
            }
            let ask = || v1::TakeNoticesAsk { node_id: node_id.into() };
            let answer = self.through_another(|mut other| async move { other.take_notices(ask()).await }).await?;
            Ok(answer.notices.into_iter().filter_map(notice_from).collect())
        })
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeAddress>, Unavailable>> {
        Box::pin(self.by_itself(|direct| direct.nodes()))
    }
}

/// As long as the store itself waits for an answer.
const ITSELF_LIMIT: Duration = Duration::from_millis(500);
/// Two hops, one of them to the store.
const OTHER_LIMIT: Duration = Duration::from_millis(250);
/// After one failure, which a new connection may mend.
const PAUSE: Duration = Duration::from_millis(250);
/// After a renewal that failed: longer than to the next one.
const BELIEVED_CUT_OFF: Duration = Duration::from_secs(5);
/// When several cannot help, the directory itself is away.
const MOST_ASKED: usize = 3;
