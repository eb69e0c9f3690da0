//! What the account service revokes and pauses, followed live: the socket of an unlinked home is closed within a fraction of
//! a second, and its tokens are refused from then on; a paused home keeps its link and is sent nothing.

use std::time::Duration;

use macloud_proto::accounts::v1::{Change, KeyChanged, Start, WatchChangesRequest, change};
use macloud_proto::ids::InstanceId;
use macloud_proto::instance_token::REVOCATION_MEMORY_SECONDS;
use macloud_proto::link::GoodbyeReason;
use macloud_proto::random::between;
use macloud_service_kit::random;

use crate::drain;
use crate::node::Node;
use crate::session::Order;

/// Follow for ever, from where it was left when the stream breaks; the first message says whether something was missed. A
/// node that has just started hears again whatever was revoked while tokens made before may still be shown to it.
pub(crate) async fn follow(node: &Node) {
    let mut since = 0;
    let mut ceiling = FIRST_WAIT;
    loop {
        match follow_once(node, &mut since).await {
            Ok(()) => tracing::info!("the account service ended the stream of changes"),
            Err(status) => tracing::warn!(code = ?status.code(), "cannot follow the account service's changes"),
        }
        if node.following() {
            ceiling = FIRST_WAIT;
        }
        node.set_following(false);
        tokio::time::sleep(between(Duration::ZERO, ceiling, &mut random::fill)).await;
        ceiling = (ceiling * 2).min(LONGEST_WAIT);
    }
}

async fn follow_once(node: &Node, since: &mut u64) -> Result<(), tonic::Status> {
    let mut accounts = node.accounts.clone();
    let replay_seconds = (REVOCATION_MEMORY_SECONDS + COMMIT_SECONDS) as u32;
    let request = WatchChangesRequest { since: *since, replay_seconds };
    let mut changes = heard(accounts.watch_changes(request)).await?.into_inner();
    while let Some(Change { sequence, subject, happened_at }) = heard(changes.message()).await? {
        *since = sequence;
        node.set_following(true);
        // An account service that does not say when: it has just been told, so it is later than that.
        let happened_at = if happened_at == 0 { node.unix_seconds() } else { happened_at };
        match subject {
            Some(change::Subject::Start(Start { gap: true })) => distrust_all(node, happened_at).await,
            Some(change::Subject::InstanceEnded(instance)) => end(node, &instance, happened_at + COMMIT_SECONDS).await,
            Some(change::Subject::HomePaused(instance)) => {
                pause(node, &instance, true, happened_at + COMMIT_SECONDS).await;
            }
            Some(change::Subject::HomeResumed(instance)) => {
                pause(node, &instance, false, happened_at + COMMIT_SECONDS).await;
            }
            Some(change::Subject::LimitsChanged(instance)) => {
                ask_for_new_limits(node, &instance, happened_at + COMMIT_SECONDS).await;
            }
            Some(change::Subject::KeyChanged(changed)) => key_changed(node, &changed, happened_at).await,
            // The account service names each home of an ended account; tokens and names of homes are not kept here.
            Some(
                change::Subject::Start(_)
                | change::Subject::GrantEnded(_)
                | change::Subject::AccountEnded(_)
                | change::Subject::HomesChanged(_)
                | change::Subject::Heartbeat(_),
            )
            | None => {}
        }
    }
    Ok(())
}

/// The stream beats every second, so silence means that it is lost, whatever the connection looks like.
async fn heard<T>(next: impl Future<Output = Result<T, tonic::Status>>) -> Result<T, tonic::Status> {
    let silent = |_| tonic::Status::deadline_exceeded("the account service is silent");
    tokio::time::timeout(LONGEST_SILENCE, next).await.map_err(silent)?
}

/// The tokens of this home made until then, by the account service's clock, are void. A session with a newer one stays: the
/// home was taken back since.
async fn end(node: &Node, instance: &str, until: u64) {
    let Ok(instance) = instance.parse::<InstanceId>() else {
        return tracing::error!("the account service ended something that is no instance id");
    };
    // Refused first: a home that is just dialling in looks here after it has entered the table.
    node.admission.revoked.end(&instance, until, node.unix_seconds());
    if let Some(session) = node.sessions.find(&instance).filter(|session| session.issued_at <= until) {
        let _ = session.inbox.send(Order::Close(GoodbyeReason::Revoked, "the home was unlinked").into()).await;
        tracing::info!(instance.id = %instance, "home revoked");
    }
}

/// Nothing is sent to the home from now on, or everything again.
async fn pause(node: &Node, instance: &str, paused: bool, until: u64) {
    let Ok(instance) = instance.parse::<InstanceId>() else {
        return tracing::error!("the account service paused something that is no instance id");
    };
    // Noted first: a home that is just dialling in looks here after it has entered the table.
    node.standing.hear(&instance, paused, until, node.unix_seconds());
    if let Some(session) = node.sessions.find(&instance) {
        let _ = session.inbox.send(Order::Pause(paused).into()).await;
        tracing::info!(instance.id = %instance, paused, "home paused or resumed by its owner");
    }
}

/// What the home's token says of its plan is out of date: it dials in anew with another, make before break.
async fn ask_for_new_limits(node: &Node, instance: &str, until: u64) {
    let Ok(instance) = instance.parse::<InstanceId>() else {
        return tracing::error!("the account service limited something that is no instance id");
    };
    // Noted first: a home that is just dialling in looks here after it has entered the table.
    node.standing.hear_new_limits(&instance, until, node.unix_seconds());
    if let Some(session) = node.sessions.find(&instance)
        && let Some((reconnect_after, leaving_in)) = drain::for_new_limits(node, &instance, session.issued_at)
    {
        let _ = session.inbox.send(Order::Drain { reconnect_after, leaving_in }.into()).await;
    }
}

/// The home moved to new hardware. The old one's session ends; the new one's stays, even if it was faster than this.
async fn key_changed(node: &Node, changed: &KeyChanged, at: u64) {
    let Ok(instance) = changed.instance_id.parse::<InstanceId>() else {
        return tracing::error!("the account service changed the key of something that is no instance id");
    };
    let key = changed.key_thumbprint.as_str();
    node.admission.revoked.key_changed(&instance, key, at, node.unix_seconds());
    if let Some(session) = node.sessions.find(&instance).filter(|session| *session.key != *key) {
        let _ =
            session.inbox.send(Order::Close(GoodbyeReason::Revoked, "the home moved to other hardware").into()).await;
        tracing::info!(instance.id = %instance, "the home moved to other hardware");
    }
}

/// Changes were missed and nobody knows which: every home proves itself again with a token made from now on, spread
/// out, and make before break.
async fn distrust_all(node: &Node, now: u64) {
    tracing::warn!("changes were missed; every home is asked to dial in again");
    node.admission.revoked.distrust_all(now);
    drain::ask_all_to_move(node, PROVE_AGAIN_AFTER, PROVE_AGAIN).await;
}

const LONGEST_SILENCE: Duration = Duration::from_secs(3);
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A token may be stamped this long after its home's revocation and still have been made before its commit: the time of a change is
/// taken before it is committed, and seconds are whole. A home that is taken back so soon after needs one more token.
const COMMIT_SECONDS: u64 = 3;
/// A token made in the very second in which changes were missed is refused. Homes ask for theirs later than that.
const PROVE_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Every home needs a new token from the account service, which has just been away.
const PROVE_AGAIN: Duration = Duration::from_secs(120);
