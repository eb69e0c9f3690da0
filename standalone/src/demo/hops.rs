//! What is shown of a directive's way: each hop with its time, and what the relay could see of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use macloud_alexa_skill::trace::{HopTrace, Observer};
use macloud_proto::ids::CommandId;
use serde::Serialize;

/// Directives and frames remembered: the demo looks at the latest only.
const REMEMBERED: usize = 64;

/// Remembers the latest hops and frames. Cheap to clone.
#[derive(Clone, Default)]
pub struct HopLog(Arc<Mutex<Remembered>>);

#[derive(Default)]
struct Remembered {
    traces: VecDeque<HopTrace>,
    frames: VecDeque<(CommandId, Vec<u8>)>,
}

/// One hop, for people.
#[derive(Debug, Clone, Serialize)]
pub struct Hop {
    /// The step's name, as in docs/ARCHITECTURE.md.
    pub step: &'static str,
    /// How long it took.
    pub micros: u64,
    /// What happened there.
    pub note: String,
}

/// What the relay could see of a command.
#[derive(Debug, Clone, Serialize)]
pub struct RelaySaw {
    /// The home it is for.
    pub instance_id: String,
    /// The command's id.
    pub command_id: String,
    /// Length of the sealed body.
    pub bytes: usize,
    /// Its first bytes.
    pub hex: String,
    /// Whether any of the words looked for stands in it in clear.
    pub plaintext_found: bool,
}

impl HopLog {
    /// For the skill's configuration.
    #[must_use]
    pub fn observer(&self) -> Observer {
        let log = self.clone();
        Arc::new(move |trace: &HopTrace| {
            let mut remembered = log.lock();
            if remembered.traces.len() == REMEMBERED {
                remembered.traces.pop_front();
            }
            remembered.traces.push_back(trace.clone());
        })
    }

    /// A sealed command passed the relay.
    pub fn relayed(&self, command_id: CommandId, sealed: &[u8]) {
        let mut remembered = self.lock();
        if remembered.frames.len() == REMEMBERED {
            remembered.frames.pop_front();
        }
        remembered.frames.push_back((command_id, sealed.to_vec()));
    }

    /// The latest trace, taken out.
    #[must_use]
    pub fn take_latest(&self) -> Option<HopTrace> {
        self.lock().traces.pop_back()
    }

    /// All traces so far, oldest first, taken out.
    #[must_use]
    pub fn take_all(&self) -> Vec<HopTrace> {
        self.lock().traces.drain(..).collect()
    }

    /// What the relay saw of the commands of `trace`: the first one.
    #[must_use]
    pub fn relay_saw(&self, trace: &HopTrace, words: &[&str]) -> Option<RelaySaw> {
        let passage = trace.passages.first()?;
        let remembered = self.lock();
        let (id, sealed) = remembered.frames.iter().rev().find(|(id, _)| *id == passage.command_id)?;
        Some(RelaySaw {
            instance_id: passage.instance.to_string(),
            command_id: id.to_string(),
            bytes: sealed.len(),
            hex: sealed.iter().take(96).map(|byte| format!("{byte:02x}")).collect(),
            plaintext_found: words.iter().any(|word| contains_ignoring_case(sealed, word.as_bytes())),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.0.lock().expect("no code panics while holding this lock")
    }
}

fn contains_ignoring_case(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

/// The hops of `trace`, in the order of the way there and back.
#[must_use]
pub fn hops(trace: &HopTrace) -> Vec<Hop> {
    let hop = |step, time: Duration, note: &str| Hop { step, micros: time.as_micros() as u64, note: note.into() };
    let checked = match trace.front {
        macloud_alexa_skill::trace::Front::Custom => "read; Amazon's signature and certificate chain checked",
        macloud_alexa_skill::trace::Front::SmartHome => "read and parsed",
    };
    let mut hops = vec![
        hop("verify", trace.verify, checked),
        hop("resolve", trace.resolve, "token → account, scopes, homes"),
        hop("translate", trace.translate, "Alexa's words → our command"),
    ];
    if let Some(passage) = trace.passages.first() {
        let set_up = if passage.sessions_set_up > 0 {
            "a new sealed session was set up"
        } else {
            "in the cached sealed session"
        };
        hops.push(hop("seal", passage.seal, set_up));
        let relay = passage.relay;
        let (queued, replied, home) = relay.map_or(Default::default(), |t| (t.queued, t.replied, t.home));
        hops.push(hop("dispatch", passage.dispatch.saturating_sub(queued + replied), "command bus, there and back"));
        hops.push(hop("route", queued, "in the relay, until written to the home's socket"));
        hops.push(hop("carry", replied.saturating_sub(home), "WebSocket, there and back"));
        hops.push(hop("open, execute", home, "in the home: opened, carried out by Music Assistant, reply sealed"));
        hops.push(hop("open reply", passage.open, "reply opened by the skill"));
    }
    let listed = trace.listed.as_ref().map(|report| format!("our reply → Alexa's words: {report}"));
    hops.push(hop("answer", trace.answer, listed.as_deref().unwrap_or("our reply → Alexa's words")));
    hops
}
