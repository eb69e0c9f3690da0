//! Nodes that were seen a moment ago. When a node vanishes, all its homes dial in within seconds, and for each it is asked whether
//! that node is still there and where: one answer serves for a while.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::NodeAddress;

/// What was found, and when.
#[derive(Debug, Default)]
pub(super) struct SeenLately {
    nodes: Mutex<HashMap<String, (NodeAddress, Instant)>>,
}

impl SeenLately {
    pub(super) fn find(&self, node_id: &str, now: Instant) -> Option<NodeAddress> {
        let nodes = self.nodes();
        let (node, seen) = nodes.get(node_id)?;
        (now.saturating_duration_since(*seen) < A_MOMENT).then(|| node.clone())
    }

    /// It was there when it was asked for at `now`.
    pub(super) fn note(&self, node: &NodeAddress, now: Instant) {
        let mut nodes = self.nodes();
        nodes.retain(|_, (_, seen)| now.saturating_duration_since(*seen) < A_MOMENT);
        nodes.insert(node.node_id.clone(), (node.clone(), now));
    }

    pub(super) fn forget(&self, node_id: &str) {
        self.nodes().remove(node_id);
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<String, (NodeAddress, Instant)>> {
        self.nodes.lock().expect("no code panics while holding this lock")
    }
}

/// A small part of a lease: whoever is taken for living meanwhile might have been seen a moment earlier as well.
const A_MOMENT: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_counts_for_a_moment() {
        let node = |id: &str| NodeAddress { node_id: id.into(), bus: format!("http://{id}.example:8444") };
        let (seen, begun) = (SeenLately::default(), Instant::now());
        let after = |millis| begun + Duration::from_millis(millis);
        assert_eq!(seen.find("a", begun), None);
        seen.note(&node("a"), begun);
        assert_eq!(seen.find("a", after(499)), Some(node("a")));
        assert_eq!((seen.find("a", after(500)), seen.find("b", begun)), (None, None));
        seen.note(&node("b"), after(600));
        assert_eq!(seen.nodes().len(), 1, "what does not count any more is not kept");
        seen.forget("b");
        assert_eq!(seen.find("b", after(600)), None);
    }
}
