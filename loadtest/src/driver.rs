//! A system under test, as the generator sees it, and how a driver in another process is spoken to.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::generator::{Closed, Open, closed_loop, open_loop};
use crate::sample::{Cost, Outcome, Sample};
use crate::usage::Tree;

/// A way to send commands through a system to homes that it connects.
pub trait Driver: Send + Sync + 'static {
    /// Connect so many homes, which answer each command at once. To be called once.
    fn connect(&self, homes: usize) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Send `payload` to a home, and make sure that what comes back is this home's reply to it: the payload as it was, where
    /// the system does not say otherwise. Bounded in time.
    fn call(&self, home: usize, payload: Bytes) -> impl Future<Output = Outcome> + Send;

    /// The processes between caller and home, whose costs count.
    fn servers(&self) -> Vec<Server>;
}

/// A process of a system under test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// What it is.
    pub name: String,
    /// It, with all that it started.
    pub pid: u32,
}

impl Server {
    pub(crate) fn tree(&self) -> Tree {
        Tree { root: self.pid }
    }
}

/// What a driver's process is told: one line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Connect so many homes.
    Connect(usize),
    /// Run an open loop.
    Open(Open),
    /// Run a closed loop.
    Closed(Closed),
    /// Tell what the servers have used so far.
    Costs,
}

/// What it answers: one line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// Homes are connected.
    Connected,
    /// A loop has ended.
    Sample(Box<Sample>),
    /// Since each server's start.
    Costs(Vec<Cost>),
    /// It could not be done.
    Failed(String),
}

/// Obey orders on standard input until it ends. What the driver itself prints must go to standard error.
///
/// # Errors
/// When an order cannot be read or an answer not written.
#[expect(clippy::print_stdout, reason = "the other process reads it")]
pub async fn serve<D: Driver>(driver: D) -> anyhow::Result<()> {
    let (driver, mut homes) = (Arc::new(driver), 0);
    let mut orders = lines_of_standard_input()?;
    // Kept, so that no loop is told to stop.
    let (_go_on, stop) = watch::channel(false);
    while let Some(line) = orders.recv().await {
        let done = match serde_json::from_str(&line).with_context(|| format!("not an order: {line}"))? {
            Order::Connect(count) => {
                homes = count;
                driver.connect(count).await.map(|()| Report::Connected)
            }
            Order::Open(load) => open_loop(&driver, homes, load, stop.clone()).await.map(sampled),
            Order::Closed(load) => closed_loop(&driver, homes, load).await.map(sampled),
            Order::Costs => Ok(Report::Costs(driver.servers().into_iter().map(cost).collect())),
        };
        let report = done.unwrap_or_else(|error| Report::Failed(format!("{error:#}")));
        println!("{}", serde_json::to_string(&report)?);
    }
    Ok(())
}

/// Read by a thread of its own, since reading waits.
fn lines_of_standard_input() -> anyhow::Result<mpsc::UnboundedReceiver<String>> {
    let (send, lines) = mpsc::unbounded_channel();
    std::thread::Builder::new().name("orders".into()).spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if send.send(line).is_err() {
                return;
            }
        }
    })?;
    Ok(lines)
}

fn sampled(sample: Sample) -> Report {
    Report::Sample(Box::new(sample))
}

fn cost(server: Server) -> Cost {
    let (resident_kib, _) = server.tree().memory_kib();
    let cpu_ms = server.tree().processor_time().as_secs_f64() * 1000.0;
    Cost { name: server.name, cpu_ms, resident_kib }
}

/// A driver in another process.
pub struct Remote {
    child: Child,
    orders: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
}

impl Remote {
    /// Start it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().with_context(|| format!("cannot start {:?}", command.as_std().get_program()))?;
        let orders = child.stdin.take().context("it has no standard input")?;
        let reports = BufReader::new(child.stdout.take().context("it has no standard output")?).lines();
        Ok(Self { child, orders, reports })
    }

    /// Let it end: with its orders, which end when this is dropped, too. Its servers end with it, as they would not if it were killed.
    pub async fn end(self) {
        let Self { mut child, orders, .. } = self;
        drop(orders);
        if timeout(END_LIMIT, child.wait()).await.is_err() {
            // An error means that it has ended just now.
            let _ = child.start_kill();
        }
    }

    /// Connect so many homes.
    ///
    /// # Errors
    /// When it could not, or has ended.
    pub async fn connect(&mut self, homes: usize) -> anyhow::Result<()> {
        match self.order(&Order::Connect(homes)).await? {
            Report::Connected => Ok(()),
            other => anyhow::bail!("{other:?} instead of being connected"),
        }
    }

    /// Run an open loop.
    ///
    /// # Errors
    /// When it could not, or has ended.
    pub async fn open_loop(&mut self, load: Open) -> anyhow::Result<Sample> {
        self.sample(&Order::Open(load)).await
    }

    /// Run a closed loop.
    ///
    /// # Errors
    /// When it could not, or has ended.
    pub async fn closed_loop(&mut self, load: Closed) -> anyhow::Result<Sample> {
        self.sample(&Order::Closed(load)).await
    }

    /// What the servers have used since they started.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn costs(&mut self) -> anyhow::Result<Vec<Cost>> {
        match self.order(&Order::Costs).await? {
            Report::Costs(costs) => Ok(costs),
            other => anyhow::bail!("{other:?} instead of costs"),
        }
    }

    async fn sample(&mut self, order: &Order) -> anyhow::Result<Sample> {
        match self.order(order).await? {
            Report::Sample(sample) => Ok(*sample),
            other => anyhow::bail!("{other:?} instead of a sample"),
        }
    }

    async fn order(&mut self, order: &Order) -> anyhow::Result<Report> {
        let line = serde_json::to_string(order)? + "\n";
        self.orders.write_all(line.as_bytes()).await.context("the driver has ended")?;
        let report = self.reports.next_line().await?.context("the driver has ended")?;
        match serde_json::from_str(&report).with_context(|| format!("not a report: {report}"))? {
            Report::Failed(why) => anyhow::bail!("{why}"),
            report => Ok(report),
        }
    }
}

/// A driver that takes longer to stop its servers is stopped itself.
const END_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_plain_json() {
        let told = |order: &Order| serde_json::to_string(order).unwrap();
        assert_eq!(told(&Order::Connect(64)), r#"{"connect":64}"#);
        assert_eq!(told(&Order::Costs), r#""costs""#);
        let closed = Order::Closed(Closed { in_flight: 1, seconds: 2.0, bytes: 1024 });
        assert_eq!(told(&closed), r#"{"closed":{"in_flight":1,"seconds":2.0,"bytes":1024}}"#);
    }
}
