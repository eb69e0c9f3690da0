//! What other nodes ask of this one: to let go of a home that has a newer session elsewhere, and to ask the directory in their place
//! while they are cut off from it.

use std::sync::Arc;
use std::time::Duration;

use macloud_proto::ids::InstanceId;
use macloud_proto::nodes::v1;
use tonic::{Request, Response, Status};

use crate::elsewhere;
use crate::lease::limited;
use crate::node::Node;
use crate::presence::{Claim, Held, Location, NodeAddress, Notice, Presence, Restored, Unavailable, Whereabouts};

/// The `macloud.nodes.v1.Nodes` service of one node.
#[derive(Debug, Clone)]
pub struct Nodes {
    node: Arc<Node>,
}

impl Nodes {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    fn directory(&self) -> Result<&Arc<dyn Presence>, Status> {
        let peers = self.node.peers.as_ref().ok_or_else(|| Status::unimplemented("the only node of its cloud"))?;
        peers.directory.direct().map_err(|Unavailable| unavailable())
    }
}

#[tonic::async_trait]
impl v1::nodes_server::Nodes for Nodes {
    async fn supersede(&self, request: Request<v1::Notice>) -> Result<Response<v1::Nothing>, Status> {
        let notice = notice_from(request.into_inner()).ok_or_else(|| Status::invalid_argument("no notice"))?;
        elsewhere::superseded(&self.node, &notice);
        nothing()
    }

    async fn claim(&self, request: Request<v1::ClaimAsk>) -> Result<Response<v1::ClaimAnswer>, Status> {
        let v1::ClaimAsk { instance_id, node_id, install_id, above } = request.into_inner();
        let (instance, install_id) = (instance(&instance_id)?, install(&install_id)?);
        let claim = Claim { instance: &instance, node_id: &node_id, install_id, above };
        let claimed = answered(limited(self.directory()?.claim(claim)).await)?;
        Ok(Response::new(v1::ClaimAnswer {
            session_epoch: claimed.epoch,
            before: claimed.before.as_ref().map(place_to),
            other_installation: claimed.other_installation,
            contested: claimed.contested,
        }))
    }

    async fn release(&self, request: Request<v1::ReleaseAsk>) -> Result<Response<v1::ReleaseAnswer>, Status> {
        let v1::ReleaseAsk { instance_id, session_epoch } = request.into_inner();
        let instance = instance(&instance_id)?;
        let was_newest = answered(limited(self.directory()?.release(&instance, session_epoch)).await)?;
        Ok(Response::new(v1::ReleaseAnswer { was_newest }))
    }

    async fn restore(&self, request: Request<v1::RestoreAsk>) -> Result<Response<v1::RestoreAnswer>, Status> {
        let v1::RestoreAsk { instance_id, node_id, install_id, session_epoch: epoch } = request.into_inner();
        let (instance, install_id) = (instance(&instance_id)?, install(&install_id)?);
        let session = Held { instance: &instance, node_id: &node_id, install_id, epoch };
        let answer = match answered(limited(self.directory()?.restore(session)).await)? {
            Restored::Newest { before } => {
                v1::RestoreAnswer { is_newest: true, before: before.as_ref().map(place_to), ..Default::default() }
            }
            Restored::Outdated { other_installation, contested } => {
                v1::RestoreAnswer { other_installation, contested, ..Default::default() }
            }
        };
        Ok(Response::new(answer))
    }

    async fn locate(&self, request: Request<v1::LocateAsk>) -> Result<Response<v1::LocateAnswer>, Status> {
        let instance = instance(&request.into_inner().instance_id)?;
        let located = answered(limited(self.directory()?.locate(&instance)).await)?;
        Ok(Response::new(match located {
            Whereabouts::At(Location { node, epoch: session_epoch }) => {
                v1::LocateAnswer { node: Some(place_to(&node)), session_epoch, away_millis: None }
            }
            Whereabouts::Away(away) => {
                let millis = |away: Duration| u64::try_from(away.as_millis()).unwrap_or(u64::MAX);
                v1::LocateAnswer { away_millis: away.map(millis), ..Default::default() }
            }
        }))
    }

    async fn renew_lease(&self, request: Request<v1::Node>) -> Result<Response<v1::RenewLeaseAnswer>, Status> {
        let node = place_from(request.into_inner());
        let counted_until_now = answered(limited(self.directory()?.renew_lease(&node)).await)?;
        Ok(Response::new(v1::RenewLeaseAnswer { counted_until_now }))
    }

    async fn end_lease(&self, request: Request<v1::Node>) -> Result<Response<v1::Nothing>, Status> {
        let node = place_from(request.into_inner());
        answered(limited(self.directory()?.end_lease(&node)).await)?;
        nothing()
    }

    async fn leave_notice(&self, request: Request<v1::LeaveNoticeAsk>) -> Result<Response<v1::Nothing>, Status> {
        let v1::LeaveNoticeAsk { node_id, notice } = request.into_inner();
        let notice = notice.and_then(notice_from).ok_or_else(|| Status::invalid_argument("no notice"))?;
        answered(limited(self.directory()?.leave_notice(&node_id, &notice)).await)?;
        nothing()
    }

    async fn take_notices(&self, request: Request<v1::TakeNoticesAsk>) -> Result<Response<v1::Notices>, Status> {
        let node_id = request.into_inner().node_id;
        let notices = answered(limited(self.directory()?.take_notices(&node_id)).await)?;
        Ok(Response::new(v1::Notices { notices: notices.iter().map(notice_to).collect() }))
    }
}

fn instance(text: &str) -> Result<InstanceId, Status> {
    text.parse().map_err(|_| Status::invalid_argument("instance_id is not an instance id"))
}

fn install(bytes: &[u8]) -> Result<[u8; 16], Status> {
    bytes.try_into().map_err(|_| Status::invalid_argument("install_id does not have 16 bytes"))
}

fn answered<T>(answer: Result<T, Unavailable>) -> Result<T, Status> {
    answer.map_err(|Unavailable| unavailable())
}

fn unavailable() -> Status {
    Status::unavailable("this node cannot ask the directory either")
}

fn nothing() -> Result<Response<v1::Nothing>, Status> {
    Ok(Response::new(v1::Nothing {}))
}

pub(crate) fn place_to(node: &NodeAddress) -> v1::Node {
    v1::Node { node_id: node.node_id.clone(), bus: node.bus.clone() }
}

pub(crate) fn place_from(node: v1::Node) -> NodeAddress {
    NodeAddress { node_id: node.node_id, bus: node.bus }
}

pub(crate) fn notice_to(notice: &Notice) -> v1::Notice {
    v1::Notice {
        instance_id: notice.instance.to_string(),
        session_epoch: notice.epoch,
        other_installation: notice.other_installation,
        contested: notice.contested,
    }
}

pub(crate) fn notice_from(notice: v1::Notice) -> Option<Notice> {
    let v1::Notice { instance_id, session_epoch: epoch, other_installation, contested } = notice;
    Some(Notice { instance: instance_id.parse().ok()?, epoch, other_installation, contested })
}
