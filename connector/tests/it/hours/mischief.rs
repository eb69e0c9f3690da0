//! What happens to homes, drawn from a seed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use macloud_simulated_home::{Faults, PlayerChange, RestartPlan};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Install;
use super::world::{Order, World};
use crate::music_assistant::tempdir;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY_MILLIS: i64 = 86_400_000;

/// Numbers from a seed (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.roll() % (most - least + 1)
    }

    fn time(&mut self, least: Duration, most: Duration) -> Duration {
        Duration::from_millis(self.between(least.as_millis() as u64, most.as_millis() as u64))
    }
}

/// Nothing can be written into a state directory until this is dropped: where files are begun, there are directories.
pub struct FullDisk(Vec<PathBuf>);

impl FullDisk {
    pub fn fill(state_dir: &Path) -> Self {
        const FILES: [&str; 7] = [
            "status.json",
            "music-assistant.token",
            "skill-keys",
            "listed.json",
            "devices.json",
            "timers.json",
            "pairing.json",
        ];
        let in_the_way = FILES.map(|file| state_dir.join(format!(".{file}.new")));
        for path in &in_the_way {
            // What a write has left behind is a file.
            let _ = std::fs::remove_file(path);
            std::fs::create_dir_all(path).unwrap();
        }
        Self(in_the_way.into())
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_dir(path);
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Blow {
    Restart,
    Away,
    Wiped,
    TokenRevoked,
    RelayRestart,
    Drain,
    Cut,
    OtherAddress,
    Portal,
    WrongClock,
    Sleep,
    Leap,
    FullDisk,
    Twins,
    SlowMusicAssistant,
    Flood,
    OtherSkillKey,
}

const BLOWS: [Blow; 17] = [
    Blow::Restart,
    Blow::Away,
    Blow::Wiped,
    Blow::TokenRevoked,
    Blow::RelayRestart,
    Blow::Drain,
    Blow::Cut,
    Blow::OtherAddress,
    Blow::Portal,
    Blow::WrongClock,
    Blow::Sleep,
    Blow::Leap,
    Blow::FullDisk,
    Blow::Twins,
    Blow::SlowMusicAssistant,
    Blow::Flood,
    Blow::OtherSkillKey,
];

pub struct Mischief {
    world: Arc<World>,
    state_dir: PathBuf,
    dice: Dice,
    order: Vec<Blow>,
    /// What will end by itself, if it is let.
    under_way: JoinSet<()>,
    disk: Option<FullDisk>,
    twin: Option<(Install, PathBuf)>,
    pub blows: u32,
}

impl Mischief {
    pub fn new(world: Arc<World>, state_dir: PathBuf, seed: u64) -> Self {
        Self {
            world,
            state_dir,
            dice: Dice::new(seed),
            order: BLOWS.into(),
            under_way: JoinSet::new(),
            disk: None,
            twin: None,
            blows: 0,
        }
    }

    /// How long trouble lasts without a rest.
    pub fn round(&mut self) -> Duration {
        self.dice.time(HOUR, 3 * HOUR)
    }

    pub fn pause(&mut self) -> Duration {
        self.dice.time(20 * Duration::from_secs(1), 15 * MINUTE)
    }

    /// One more thing happens.
    pub async fn strike(&mut self) {
        let blow = self.next_blow();
        self.blows += 1;
        let (world, home) = (Arc::clone(&self.world), self.world.home());
        match blow {
            Blow::Restart => {
                let doubted = self.dice.between(0, 1) == 1;
                let plan = RestartPlan { stopping_ms: 2000, down_ms: 5000, starting_ms: 5000, settling_ms: 2000 };
                // It may be restarting already.
                let _ = home.restart(plan);
                if doubted {
                    home.fault(&Faults { refuse_token: Some(true), ..Faults::default() });
                    self.later(40 * Duration::from_secs(1), move || {
                        home.fault(&Faults { refuse_token: Some(false), ..Faults::default() });
                    });
                }
            }
            Blow::Away => {
                home.fault(&Faults { refuse_connections: Some(true), drop_connections: true, ..Faults::default() });
                let time = self.dice.time(HOUR, 4 * HOUR);
                self.later(time, move || {
                    home.fault(&Faults { refuse_connections: Some(false), ..Faults::default() });
                });
            }
            Blow::Wiped => {
                world.wipe_home().await;
                let time = self.dice.time(MINUTE, 30 * MINUTE);
                self.later(time, move || world.hand_out_token());
            }
            Blow::TokenRevoked => {
                world.revoke_token();
                let time = self.dice.time(MINUTE, 20 * MINUTE);
                self.later(time, move || world.hand_out_token());
            }
            Blow::RelayRestart => {
                self.trouble(Duration::from_secs(1), MINUTE, |world, time| {
                    world.refuse_for(time);
                    world.lose_session(Order::Die);
                });
            }
            Blow::Drain => {
                self.trouble(MINUTE, MINUTE, |world, _| {
                    if let Some(session) = world.session() {
                        let _ = session.say.try_send(Order::Drain);
                    }
                });
            }
            Blow::Cut => {
                self.trouble(Duration::from_secs(10), 20 * MINUTE, |world, _| {
                    world.edit_network(|network| network.cut = true);
                });
            }
            Blow::OtherAddress => {
                self.trouble(MINUTE, MINUTE, |world, _| world.other_generation());
            }
            Blow::Portal => {
                self.trouble(MINUTE, 30 * MINUTE, |world, _| {
                    world.edit_network(|network| network.portal = true);
                    world.other_generation();
                });
            }
            Blow::WrongClock => {
                world.set_wrong(if self.dice.between(0, 1) == 0 { DAY_MILLIS } else { -DAY_MILLIS });
                let time = self.dice.time(HOUR, 3 * HOUR);
                self.later(time, move || world.set_wrong(0));
            }
            Blow::Sleep => {
                self.trouble(MINUTE, MINUTE, |world, _| world.sleep_through(6 * HOUR));
            }
            Blow::Leap => {
                world.disturb();
                world.leap(self.dice.time(MINUTE, HOUR)).await;
                world.settle();
            }
            Blow::FullDisk => {
                self.disk = None;
                self.disk = Some(FullDisk::fill(&self.state_dir));
            }
            Blow::Twins => {
                if self.twin.is_none() {
                    world.disturb();
                    let copy = tempdir("hours-twin");
                    for entry in std::fs::read_dir(&self.state_dir).unwrap() {
                        let entry = entry.unwrap();
                        if entry.file_type().unwrap().is_file() {
                            std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
                        }
                    }
                    self.twin = Some((Install::start(&world, &copy), copy));
                }
            }
            Blow::SlowMusicAssistant => {
                let slow = |millis| Faults { delay_ms: BTreeMap::from([("*".into(), millis)]), ..Faults::default() };
                home.fault(&slow(8000));
                let time = self.dice.time(5 * MINUTE, 30 * MINUTE);
                self.later(time, move || home.fault(&slow(0)));
            }
            Blow::Flood => {
                for level in 0..2000 {
                    let change = PlayerChange { volume: Some(level % 100), ..PlayerChange::default() };
                    home.change_player("up000420000002", change).unwrap();
                    if level % 20 == 0 {
                        sleep(Duration::from_millis(10)).await;
                    }
                }
            }
            Blow::OtherSkillKey => world.rotate_skill_key(),
        }
        // What lasts until somebody does something about it ends at some time, too.
        if self.dice.between(0, 3) == 0 {
            self.disk = None;
        }
        if self.dice.between(0, 3) == 0 {
            self.stop_twin().await;
        }
        while self.under_way.try_join_next().is_some() {}
    }

    /// Each of them once, in an order of the seed's; then any.
    fn next_blow(&mut self) -> Blow {
        let any = self.dice.between(0, BLOWS.len() as u64 - 1) as usize;
        if self.blows as usize >= BLOWS.len() {
            return BLOWS[any];
        }
        let left = self.order.len() as u64 - 1;
        self.order.swap_remove(self.dice.between(0, left) as usize)
    }

    /// Everything ends, as far as it does not need anybody.
    pub async fn heal(&mut self) {
        self.under_way.shutdown().await;
        self.stop_twin().await;
        self.disk = None;
        let world = &self.world;
        world.edit_network(|network| (network.cut, network.portal) = (false, false));
        world.refuse_for(Duration::ZERO);
        world.set_wrong(0);
        world.hand_out_token();
        let home = world.home();
        home.clear_faults();
        home.fault(&Faults { refuse_connections: Some(false), refuse_token: Some(false), ..Faults::default() });
        while world.is_disturbed() {
            world.settle();
        }
    }

    async fn stop_twin(&mut self) {
        if let Some((twin, copy)) = self.twin.take() {
            twin.stop().await;
            std::fs::remove_dir_all(copy).unwrap();
            self.world.settle();
        }
    }

    /// Something is in the way to the cloud, for a while.
    fn trouble(&mut self, least: Duration, most: Duration, begin: impl FnOnce(&World, Duration)) {
        let time = self.dice.time(least, most);
        self.world.disturb();
        begin(&self.world, time);
        let world = Arc::clone(&self.world);
        self.later(time, move || {
            world.edit_network(|network| (network.cut, network.portal) = (false, false));
            world.settle();
        });
    }

    fn later(&mut self, time: Duration, end: impl FnOnce() + Send + 'static) {
        self.under_way.spawn(async move {
            sleep(time).await;
            end();
        });
    }
}
