//! Nodes are replaced one after the other while commands keep coming, and none of them fails; and nodes that die, hang and lose
//! their directory cost no command its one answer.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use macloud_service_kit::clock::Clock as _;

use crate::cloud::Cloud;
use crate::cloud::net::{Net, Wire};
use crate::load::{Dice, Door, Doors, Load};

const SECOND: Duration = Duration::from_secs(1);
const NAMES: [&str; 3] = ["a", "b", "c"];

struct Fleet {
    net: Net,
    nodes: Vec<Arc<Cloud>>,
    doors: Doors,
}

impl Fleet {
    async fn start() -> Self {
        let net = Net::new();
        let mut fleet = Self { net, nodes: Vec::new(), doors: Arc::new(Mutex::new(Vec::new())) };
        for name in NAMES {
            let node = fleet.node(name).await;
            fleet.nodes.push(node);
        }
        fleet.open_doors();
        fleet
    }

    async fn node(&self, name: &str) -> Arc<Cloud> {
        Arc::new(Cloud::start_in(&self.net, name, |config| config.drain_grace = SECOND * 5).await)
    }

    fn open_doors(&self) {
        let door = |node: &Arc<Cloud>| -> Door {
            let node = node.clone();
            Arc::new(move || node.connection())
        };
        *self.doors.lock().unwrap() = self.nodes.iter().map(door).collect();
    }

    async fn load(&self, homes: u8) -> Load {
        let buses = NAMES.map(|name| self.net.channel(name, &Wire::open())).into();
        let clock = self.net.clock.clone();
        Load::start(&self.doors, buses, homes, move || clock.unix_seconds()).await
    }

    /// As the process manager does: stop it, wait, start another in its place.
    async fn replace(&mut self, index: usize) {
        let node = &self.nodes[index];
        node.stop.stop_soft();
        while !node.run.is_finished() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        node.wire.cut();
        self.nodes[index] = self.node(NAMES[index]).await;
        self.open_doors();
    }
}

#[tokio::test(start_paused = true)]
async fn a_rolling_restart_under_load_fails_no_command() {
    let mut fleet = Fleet::start().await;
    let load = fleet.load(12).await;
    let rolling = async {
        for index in 0..NAMES.len() {
            // The callers know the one that was replaced again before the next one goes.
            tokio::time::sleep(SECOND * 2).await;
            fleet.replace(index).await;
        }
    };
    let (tally, ()) = tokio::join!(load.run(1_500, Duration::from_millis(15), SECOND * 6), rolling);
    assert_eq!(tally.delivered, 1_500, "{tally:?}");
    load.stop();
}

#[tokio::test(start_paused = true)]
async fn nodes_that_die_hang_and_lose_their_directory_cost_no_command_its_answer() {
    for seed in 0..2 {
        let mut fleet = Fleet::start().await;
        let load = fleet.load(8).await;
        let mut dice = Dice(seed);
        let mischief = async {
            for _ in 0..10 {
                tokio::time::sleep(dice.millis(3_000)).await;
                let index = dice.below(3) as usize;
                match dice.below(5) {
                    0 => {
                        fleet.nodes[index].kill();
                        tokio::time::sleep(dice.millis(2_000)).await;
                        fleet.nodes[index] = fleet.node(NAMES[index]).await;
                        fleet.open_doors();
                    }
                    1 | 2 => {
                        let wire = fleet.nodes[index].wire.clone();
                        wire.fall_silent();
                        tokio::time::sleep(dice.millis(15_000)).await;
                        wire.speak_again();
                    }
                    3 => {
                        fleet.net.away.store(true, Ordering::SeqCst);
                        tokio::time::sleep(dice.millis(15_000)).await;
                        fleet.net.away.store(false, Ordering::SeqCst);
                    }
                    _ => fleet.replace(index).await,
                }
            }
        };
        let (tally, ()) = tokio::join!(load.run(1_500, Duration::from_millis(40), SECOND * 6), mischief);
        assert!(tally.delivered > 500, "seed {seed}: {tally:?}");
        load.stop();
    }
}
