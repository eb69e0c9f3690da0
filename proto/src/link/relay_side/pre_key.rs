//! Handing out a home's signed pre-key: one request for all who wait, and a short memory that is given back.

use bytes::Bytes;

use super::{RelaySettings, Timing};
use crate::time::Micros;

#[derive(Debug)]
pub(super) struct PreKeyDesk<T> {
    cached: Option<(Bytes, Micros)>,
    asked: Option<Asked>,
    waiting: Vec<(T, Micros)>,
    last_request_id: u64,
}

#[derive(Debug)]
struct Asked {
    request_id: u64,
    at: Micros,
    probed: bool,
}

impl<T> Default for PreKeyDesk<T> {
    fn default() -> Self {
        Self { cached: None, asked: None, waiting: Vec::new(), last_request_id: 0 }
    }
}

impl<T> PreKeyDesk<T> {
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn cached(&self, now: Micros) -> Option<Bytes> {
        self.cached.as_ref().filter(|(_, until)| now < *until).map(|(key, _)| key.clone())
    }

    /// Wait for the home's answer. Gives the id of a request to send now, or the token back when too many wait.
    ///
    /// A request that is out for longer than a confirmation may take is repeated: its answer may be lost for good.
    pub(super) fn wait(
        &mut self,
        token: T,
        deadline: Micros,
        now: Micros,
        settings: &RelaySettings,
    ) -> Result<Option<u64>, T> {
        if self.waiting.len() >= settings.queue_commands {
            return Err(token);
        }
        self.waiting.push((token, deadline));
        if self.asked.as_ref().is_some_and(|asked| now.since(asked.at) < settings.confirm_limit) {
            return Ok(None);
        }
        self.last_request_id += 1;
        self.asked = Some(Asked { request_id: self.last_request_id, at: now, probed: false });
        Ok(Some(self.last_request_id))
    }

    /// Who gets this answer; nothing when it is not the one that was asked for last.
    pub(super) fn answered(
        &mut self,
        request_id: u64,
        key: &Bytes,
        now: Micros,
        settings: &RelaySettings,
    ) -> Option<(Vec<T>, Timing)> {
        let asked = self.asked.take_if(|asked| asked.request_id == request_id)?;
        // A copy, so that the cache does not hold on to the whole message's buffer.
        self.cached = Some((Bytes::copy_from_slice(key), now.plus(settings.pre_key_cache)));
        let timing = Timing { replied: now.since(asked.at), ..Timing::default() };
        Some((std::mem::take(&mut self.waiting).into_iter().map(|(token, _)| token).collect(), timing))
    }

    pub(super) fn expire(&mut self, now: Micros) -> Vec<T> {
        self.cached.take_if(|(_, until)| now >= *until);
        self.waiting.extract_if(.., |(_, deadline)| *deadline <= now).map(|(token, _)| token).collect()
    }

    /// Whether the home has left a request unanswered for too long since the last time this was asked.
    pub(super) fn take_unconfirmed(&mut self, now: Micros, settings: &RelaySettings) -> bool {
        let asked = self.asked.as_mut();
        let late = asked.filter(|asked| !asked.probed && now.since(asked.at) >= settings.confirm_limit);
        late.is_some_and(|asked| !std::mem::replace(&mut asked.probed, true))
    }

    pub(super) fn next_check(&self, settings: &RelaySettings) -> Option<Micros> {
        let cache_ends = self.cached.as_ref().map(|(_, until)| *until);
        let probe =
            self.asked.as_ref().filter(|asked| !asked.probed).map(|asked| asked.at.plus(settings.confirm_limit));
        let deadlines = self.waiting.iter().map(|(_, deadline)| *deadline);
        deadlines.chain(cache_ends).chain(probe).min()
    }

    pub(super) fn take_all(&mut self) -> Vec<T> {
        self.asked = None;
        self.cached = None;
        std::mem::take(&mut self.waiting).into_iter().map(|(token, _)| token).collect()
    }
}
