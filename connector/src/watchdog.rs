//! Whether the connector goes on: each of its loops promises when it will be heard of again, and somebody who is no part of
//! them looks whether it was.
//!
//! Everything that can fail outside is met by trying again, for ever, so what is watched here are the connector's own faults: a
//! loop that has ended, a wait that has no end, a thread that is blocked. The guard is a thread of its own, which needs
//! neither the runtime nor any of the loops. It tells systemd that all is well (`WatchdogSec`), and when a promise was broken
//! for [`PATIENCE`] it ends the process, for whoever started it to start it again.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::stop::Stop;

/// A promise may be broken for this long before the process is ended. A machine can be that slow for a while.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// With this status the process ends when it does not go on: a fault of the program's own.
pub const STUCK: i32 = 70;

/// How often the guard looks, unless systemd wants to hear more often.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The guard needs next to no stack.
const STACK: usize = 64 << 10;

/// What all loops have promised. Cheap to clone.
#[derive(Clone)]
pub struct Watch(Arc<Shared>);

struct Shared {
    clock: SharedClock,
    loops: Mutex<Loops>,
}

#[derive(Default)]
struct Loops {
    next: u64,
    known: BTreeMap<u64, Promise>,
}

struct Promise {
    name: &'static str,
    /// In milliseconds by the clock; `None`: it has ended, which it never should.
    until: Option<u64>,
}

/// A loop that did not keep its promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdue {
    /// Which one.
    pub name: &'static str,
    /// For how long; `None`: it has ended.
    pub by: Option<Duration>,
}

impl Watch {
    /// Nobody has promised anything yet.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self(Arc::new(Shared { clock, loops: Mutex::default() }))
    }

    /// For a loop that begins now. It is watched until the pulse is dropped.
    #[must_use]
    pub fn pulse(&self, name: &'static str) -> Pulse {
        let mut loops = self.loops();
        loops.next += 1;
        let id = loops.next;
        loops.known.insert(id, Promise { name, until: Some(u64::MAX) });
        Pulse { watch: self.clone(), id }
    }

    /// Run a loop that must not end before it is told to.
    pub async fn until_told(&self, name: &'static str, told: &Stop, running: impl Future<Output = ()>) {
        let pulse = self.pulse(name);
        running.await;
        if told.is_stopping() {
            return;
        }
        tracing::error!("the connector's loop \"{name}\" has ended by itself");
        pulse.set(None);
        // Kept, so that it is known for as long as the others run.
        std::mem::forget(pulse);
    }

    /// The loop that has been overdue for the longest time, if any is.
    #[must_use]
    pub fn overdue(&self) -> Option<Overdue> {
        let now = self.0.clock.monotonic_millis();
        let late = |promise: &Promise| match promise.until {
            None => Some(Overdue { name: promise.name, by: None }),
            Some(until) => {
                let by = now.checked_sub(until).filter(|by| *by > 0)?;
                Some(Overdue { name: promise.name, by: Some(Duration::from_millis(by)) })
            }
        };
        self.loops().known.values().filter_map(late).max_by_key(|late| late.by.unwrap_or(Duration::MAX))
    }

    /// How many loops are watched.
    #[must_use]
    pub fn count(&self) -> usize {
        self.loops().known.len()
    }

    fn loops(&self) -> MutexGuard<'_, Loops> {
        // Every change is one assignment.
        self.0.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Overdue {
    /// Whether that is more than a slow machine.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.by.is_none_or(|by| by > PATIENCE)
    }
}

/// One loop's promise.
pub struct Pulse {
    watch: Watch,
    id: u64,
}

impl Pulse {
    /// Promise to be heard of again within this time.
    pub fn within(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.set(Some(self.watch.0.clock.monotonic_millis().saturating_add(millis)));
    }

    /// Promise nothing for now: others are heard of instead.
    pub fn at_ease(&self) {
        self.set(Some(u64::MAX));
    }

    fn set(&self, until: Option<u64>) {
        if let Some(promise) = self.watch.loops().known.get_mut(&self.id) {
            promise.until = until;
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.watch.loops().known.remove(&self.id);
    }
}

/// Watch over this process from now on, and end it when it does not go on.
///
/// # Errors
/// When the system gives no thread.
pub fn guard(watch: Watch) -> io::Result<()> {
    let system = ServiceManager::of_this_process();
    let every = system.as_ref().and_then(|system| system.wants_every).map_or(LOOK_EVERY, |every| every.min(LOOK_EVERY));
    let tell = move |word: &str| {
        if let Some(system) = &system {
            system.tell(word);
        }
    };
    let looking = move || {
        tell("READY=1");
        let stuck = look(&watch, every, &tell, std::thread::sleep);
        tracing::error!(
            "the connector's loop \"{}\" does not go on; this process ends, to be started anew",
            stuck.name
        );
        tell("STATUS=stuck; ending");
        std::process::exit(STUCK);
    };
    std::thread::Builder::new().name("watchdog".into()).stack_size(STACK).spawn(looking)?;
    Ok(())
}

/// Look every so often, and tell that all is well, until something is stuck.
fn look(watch: &Watch, every: Duration, tell: &impl Fn(&str), mut wait: impl FnMut(Duration)) -> Overdue {
    let now = || Duration::from_millis(watch.0.clock.monotonic_millis());
    let mut looked = now();
    let mut looking_since = looked;
    loop {
        wait(every);
        let looks = now();
        if looks.saturating_sub(looked) > every + PATIENCE / 10 {
            // This process did not run at all for a while, and the loops could not either: they have to be given their time.
            looking_since = looks;
        }
        looked = looks;
        match watch.overdue() {
            Some(overdue) if overdue.is_stuck() && (overdue.by.is_none() || looks - looking_since > PATIENCE) => {
                return overdue;
            }
            _ => tell("WATCHDOG=1"),
        }
    }
}

/// Who started this process, if it wants to hear of it: the protocol of `sd_notify`.
struct ServiceManager {
    socket: UnixDatagram,
    wants_every: Option<Duration>,
}

impl ServiceManager {
    fn of_this_process() -> Option<Self> {
        let address = std::env::var_os("NOTIFY_SOCKET")?;
        let address = address.to_str()?;
        let socket = UnixDatagram::unbound().ok()?;
        connect(&socket, address).ok()?;
        // Never waited for: whoever does not listen is not told.
        socket.set_nonblocking(true).ok()?;
        let micros = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        // Three times in the time that it allows: one may be late.
        Some(Self { socket, wants_every: micros.map(|micros: u64| Duration::from_micros(micros / 3)) })
    }

    fn tell(&self, word: &str) {
        // If it cannot be told it will act as if this process were stuck, as it should.
        let _ = self.socket.send(word.as_bytes());
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn connect(socket: &UnixDatagram, address: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt as _;
    match address.strip_prefix('@') {
        Some(name) => socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?),
        None => socket.connect(address),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn connect(socket: &UnixDatagram, address: &str) -> io::Result<()> {
    socket.connect(address)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use macloud_service_kit::clock::{Clock as _, ManualClock};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_keeps_a_promise_is_not_overdue_and_who_has_left_is_forgotten() {
        let clock = ManualClock::at(0);
        let watch = Watch::new(clock.clone());
        let (one, other) = (watch.pulse("one"), watch.pulse("other"));
        clock.advance(1000 * SECOND);
        assert_eq!(watch.overdue(), None, "nothing was promised");
        one.within(10 * SECOND);
        other.within(20 * SECOND);
        clock.advance(25 * SECOND);
        assert_eq!(watch.overdue(), Some(Overdue { name: "one", by: Some(15 * SECOND) }));
        drop(one);
        let overdue = watch.overdue().unwrap();
        assert_eq!((overdue.name, overdue.is_stuck()), ("other", false));
        clock.advance(PATIENCE);
        assert!(watch.overdue().unwrap().is_stuck());
        other.at_ease();
        assert_eq!((watch.overdue(), watch.count()), (None, 1));
    }

    #[tokio::test]
    async fn a_loop_that_ends_by_itself_is_noticed_and_one_that_was_told_to_is_not() {
        let watch = Watch::new(ManualClock::at(0));
        let stop = Stop::new();
        watch.until_told("faithless", &stop, async {}).await;
        assert_eq!(watch.overdue(), Some(Overdue { name: "faithless", by: None }));
        assert!(watch.overdue().unwrap().is_stuck());
        let watch = Watch::new(ManualClock::at(0));
        stop.stop_soft();
        watch.until_told("obedient", &stop, async {}).await;
        assert_eq!((watch.overdue(), watch.count()), (None, 0));
    }

    #[test]
    fn the_guard_tells_that_all_is_well_until_it_is_not() {
        let clock = ManualClock::at(0);
        let watch = Watch::new(clock.clone());
        let pulse = watch.pulse("stuck");
        pulse.within(60 * SECOND);
        let told = RefCell::new(Vec::new());
        let stuck = look(&watch, 10 * SECOND, &|word| told.borrow_mut().push(word.to_owned()), |by| {
            clock.advance(by);
            assert!(clock.monotonic_millis() < 400_000, "never noticed");
        });
        assert_eq!(stuck.name, "stuck");
        // For the minute that was promised and the five that are borne.
        assert_eq!(*told.borrow(), ["WATCHDOG=1"; 36]);
    }

    #[test]
    fn a_process_that_did_not_run_for_hours_is_not_stuck() {
        let clock = ManualClock::at(0);
        let watch = Watch::new(clock.clone());
        let pulse = watch.pulse("frozen");
        pulse.within(SECOND);
        let mut looks = 0;
        let stuck = look(&watch, 10 * SECOND, &|_| {}, |by| {
            looks += 1;
            match looks {
                // The machine sleeps, with everything in it.
                1 => clock.advance(6 * 3600 * SECOND),
                // The loop is heard of again, later than the guard.
                2..=20 => {
                    clock.advance(by);
                    pulse.within(SECOND);
                }
                _ => clock.advance(by),
            }
        });
        assert_eq!((stuck.name, looks > 50), ("frozen", true), "only when it is silent while the guard looks");
    }
}
