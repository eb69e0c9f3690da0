//! The queue in Redis, shared by the nodes of a cloud: one stream, `PREFIX:events`, with a consumer group for each group of
//! readers.
//!
//! Everything touches this one key, so that a Redis cluster serves as well. The stream is bounded: what nobody reads in time falls
//! off, oldest first, and so does what is older than a day. Coalescing is left to readers, who take many events at a time.

use std::collections::HashMap;
use std::time::Duration;

use macloud_proto::link::frame::Event;
use macloud_service_kit::clock::SharedClock;
use redis::{FromRedisValue as _, RedisError, RedisResult, Value};

use super::{BoxFuture, Delivery, EventQueue, HomeEvent, Put, Reader, Unavailable};
use crate::node::ClockDebug;
use crate::store::{Connection, InvalidUrl, Store, StoreSettings};

/// Events in Redis. Connects at its first use, and again after a failure.
#[derive(Debug)]
pub struct RedisEvents {
    store: Store,
    key: String,
    most: usize,
    clock: ClockDebug,
}

/// The fields of one entry of the stream.
type Fields = HashMap<String, Vec<u8>>;

impl RedisEvents {
    /// In that Redis, under a key that begins with `prefix`. About the newest `most` events are kept.
    ///
    /// # Errors
    /// When a URL is not one, or the authority's certificates are none.
    pub fn new(
        settings: impl Into<StoreSettings>,
        prefix: &str,
        most: usize,
        clock: SharedClock,
    ) -> Result<Self, InvalidUrl> {
        let store = Store::new(settings.into())?;
        Ok(Self { store, key: format!("{prefix}:events"), most, clock: ClockDebug(clock) })
    }

    async fn append(&self, events: Vec<HomeEvent>) -> Result<Put, Unavailable> {
        let mut pipeline = redis::pipe();
        for HomeEvent { instance, event } in &events {
            let add = pipeline.cmd("XADD").arg(&self.key).arg("MAXLEN").arg("~").arg(self.most).arg("*");
            add.arg("home").arg(instance.as_str()).arg("id").arg(&event.event_id[..]);
            add.arg("key").arg(&event.key[..]).arg("sealed").arg(&event.sealed[..]).ignore();
        }
        let oldest = self.clock.0.unix_millis().saturating_sub(KEPT_FOR.as_millis() as u64);
        pipeline.cmd("XTRIM").arg(&self.key).arg("MINID").arg("~").arg(oldest).ignore();
        pipeline.cmd("PEXPIRE").arg(&self.key).arg(KEPT_FOR.as_millis() as u64).ignore();
        self.store.with(|mut redis| async move { pipeline.query_async::<()>(&mut redis).await }).await?;
        Ok(Put::default())
    }

    async fn read_new(&self, reader: &Reader, most: usize) -> Result<Vec<Delivery>, Unavailable> {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(&reader.group).arg(&reader.name).arg("COUNT").arg(most);
        read.arg("STREAMS").arg(&self.key).arg(">");
        let reply = self.ask(&read, reader).await?;
        // Per stream its key and its entries; nil when there is nothing new.
        let streams = Option::<Vec<(String, Value)>>::from_redis_value(reply).unwrap_or_default().unwrap_or_default();
        Ok(streams.into_iter().flat_map(|(_, entries)| self.deliveries(entries)).collect())
    }

    async fn claim(&self, reader: &Reader, most: usize, idle: Duration) -> Result<Vec<Delivery>, Unavailable> {
        let mut claim = redis::cmd("XAUTOCLAIM");
        claim.arg(&self.key).arg(&reader.group).arg(&reader.name).arg(idle.as_millis() as u64);
        claim.arg("0-0").arg("COUNT").arg(most);
        // Where to go on, the entries, and in newer versions what has fallen off meanwhile.
        match self.ask(&claim, reader).await? {
            Value::Array(parts) => {
                Ok(parts.into_iter().nth(1).map(|entries| self.deliveries(entries)).unwrap_or_default())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Ask as a reader of a group, which is made when it is not there: at the first time, or after Redis has lost it.
    async fn ask(&self, command: &redis::Cmd, reader: &Reader) -> Result<Value, Unavailable> {
        self.store
            .with(|mut redis| async move {
                match command.query_async(&mut redis).await {
                    Err(error) if error.code() == Some("NOGROUP") => {
                        make_group(&mut redis, &self.key, &reader.group).await?;
                        command.query_async(&mut redis).await
                    }
                    result => result,
                }
            })
            .await
    }

    /// Entries of the stream. What is none of ours is left out, and so is what has fallen off while a reader had it.
    fn deliveries(&self, entries: Value) -> Vec<Delivery> {
        let entries = Vec::<(String, Option<Fields>)>::from_redis_value(entries).unwrap_or_default();
        let now = Duration::from_millis(self.clock.0.unix_millis());
        entries.into_iter().filter_map(|(mark, fields)| delivery(mark, &mut fields?, now)).collect()
    }
}

async fn make_group(redis: &mut Connection, key: &str, group: &str) -> RedisResult<()> {
    let mut make = redis::cmd("XGROUP");
    make.arg("CREATE").arg(key).arg(group).arg("0").arg("MKSTREAM");
    let made: Result<(), RedisError> = make.query_async(redis).await;
    match made {
        // Another reader was quicker.
        Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
        result => result,
    }
}

fn delivery(mark: String, fields: &mut Fields, now: Duration) -> Option<Delivery> {
    let instance = std::str::from_utf8(fields.get("home")?).ok()?.parse().ok()?;
    let event_id = fields.get("id")?[..].try_into().ok()?;
    let event = Event { event_id, key: fields.remove("key")?.into(), sealed: fields.remove("sealed")?.into() };
    // The first part of an entry's id is Redis's time in milliseconds.
    let added = mark.split('-').next()?.parse().ok().map(Duration::from_millis)?;
    Some(Delivery { mark, event: HomeEvent { instance, event }, waited: now.saturating_sub(added) })
}

impl EventQueue for RedisEvents {
    fn put(&self, events: Vec<HomeEvent>) -> BoxFuture<'_, Result<Put, Unavailable>> {
        Box::pin(self.append(events))
    }

    fn read<'a>(&'a self, reader: &'a Reader, most: usize) -> BoxFuture<'a, Result<Vec<Delivery>, Unavailable>> {
        Box::pin(self.read_new(reader, most))
    }

    fn read_left_behind<'a>(
        &'a self,
        reader: &'a Reader,
        most: usize,
        given_for: Duration,
    ) -> BoxFuture<'a, Result<Vec<Delivery>, Unavailable>> {
        Box::pin(self.claim(reader, most, given_for))
    }

    fn done<'a>(&'a self, reader: &'a Reader, marks: Vec<String>) -> BoxFuture<'a, Result<(), Unavailable>> {
        Box::pin(async move {
            if marks.is_empty() {
                return Ok(());
            }
            let mut done = redis::cmd("XACK");
            done.arg(&self.key).arg(&reader.group).arg(marks);
            self.store.with(|mut redis| async move { done.query_async::<()>(&mut redis).await }).await
        })
    }
}

/// Readers open nothing that is much older than a day.
const KEPT_FOR: Duration = Duration::from_secs(25 * 3600);
