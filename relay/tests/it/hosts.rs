//! Several hosts on this machine: network namespaces with addresses of their own, joined by switches. A host can lose its links,
//! and a switch can swallow what it should pass on, without anybody being told.
//!
//! The addresses exist in these namespaces and at the test's own end of them, nowhere else. Names carry the test's process
//! id; what a killed test has left behind goes when the next one begins.
//!
//! It wants root, iproute2, and a kernel with bridges and virtual Ethernet. Where one of these is missing the tests say so, and
//! pass; with `MACLOUD_TEST_NAMESPACES=required` that is a failure.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use macloud_service_kit::random;

/// What joins hosts; each a switch of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lan {
    /// Where homes dial in.
    Homes,
    /// Between services.
    Bus,
    /// Where Redis is.
    Store,
}

/// The host that is this test itself.
pub(crate) const TEST: &str = "test";
/// The host of Redis.
pub(crate) const REDIS: &str = "redis";

pub(crate) struct Hosts {
    names: Vec<&'static str>,
    /// The second byte of every address.
    range: u64,
    /// Held while they are there: tests with hosts measure seconds, and would take them from each other.
    _alone: File,
}

impl Hosts {
    /// These nodes, Redis and the test. None where this machine cannot do it.
    pub(crate) fn with_nodes(nodes: &[&'static str]) -> Option<Self> {
        match Self::set_up(nodes) {
            Ok(hosts) => Some(hosts),
            Err(why) => {
                let why = format!("there can be no network namespaces here: {why}");
                let required = std::env::var("MACLOUD_TEST_NAMESPACES").is_ok_and(|value| value == "required");
                assert!(!required, "{why}");
                // Past the test harness, which shows what failed tests say only.
                let _ = writeln!(std::io::stderr(), "SKIPPED: what several hosts do is not tested, {why}");
                None
            }
        }
    }

    pub(crate) fn address(&self, host: &str, lan: Lan) -> String {
        let number = self.names.iter().position(|name| *name == host).expect("a host of this test");
        format!("10.{}.{}.{}", self.range, lan as u8, number + 1)
    }

    /// This program, to be started on this host.
    pub(crate) fn command(&self, host: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.args(["netns", "exec", &namespace(host), program]);
        command
    }

    /// The host loses all its links, and knows it.
    pub(crate) fn unplug(&self, host: &str) {
        self.set_links(host, "down");
    }

    pub(crate) fn plug(&self, host: &str) {
        self.set_links(host, "up");
    }

    /// Nothing passes from and to this host, and nobody is told.
    pub(crate) fn silence(&self, host: &str, lan: Lan) {
        set_port(host, lan, "state disabled");
    }

    pub(crate) fn unsilence(&self, host: &str, lan: Lan) {
        set_port(host, lan, "state forwarding");
    }

    /// Nothing passes between these two.
    pub(crate) fn part(&self, pair: [&str; 2], lan: Lan) {
        pair.into_iter().for_each(|host| set_port(host, lan, "isolated on"));
    }

    pub(crate) fn rejoin(&self, pair: [&str; 2], lan: Lan) {
        pair.into_iter().for_each(|host| set_port(host, lan, "isolated off"));
    }

    fn set_links(&self, host: &str, state: &str) {
        let lines: Vec<_> = lans(host).iter().map(|lan| format!("link set {} {state}", lan.name())).collect();
        configure(Some(&namespace(host)), &lines).unwrap();
    }

    fn set_up(nodes: &[&'static str]) -> Result<Self, String> {
        let cannot = |error| format!("{DIR}: {error}");
        let alone = File::create(format!("{DIR}.lock")).map_err(cannot)?;
        alone.lock().map_err(cannot)?;
        clear_leftovers();
        std::fs::create_dir(DIR).map_err(cannot)?;
        let names = nodes.iter().copied().chain([REDIS, TEST]).collect();
        let hosts = Self { names, range: unused_range(), _alone: alone };
        hosts.connect()?;
        Ok(hosts)
    }

    fn connect(&self) -> Result<(), String> {
        ip(&["netns", "add", &namespace(SWITCH)])?;
        for host in self.names.iter().filter(|host| **host != TEST) {
            ip(&["netns", "add", &namespace(host)])?;
        }
        let mut switch = Vec::new();
        for lan in LANS {
            switch.extend([format!("link add {} type bridge", lan.name()), format!("link set {} up", lan.name())]);
        }
        for host in &self.names {
            let place = if *host == TEST { std::process::id().to_string() } else { namespace(host) };
            for lan in lans(host) {
                let (port, end) = (port(host, *lan), end(host, *lan));
                switch.push(format!("link add {port} type veth peer name {end} netns {place}"));
                switch.push(format!("link set {port} master {} up", lan.name()));
            }
        }
        configure(Some(&namespace(SWITCH)), &switch)?;
        self.names.iter().try_for_each(|host| self.connect_host(host))
    }

    fn connect_host(&self, host: &str) -> Result<(), String> {
        let mut lines = Vec::new();
        for lan in lans(host) {
            let (end, address) = (end(host, *lan), self.address(host, *lan));
            lines.extend([format!("address add {address}/24 dev {end}"), format!("link set {end} up")]);
        }
        if host == TEST {
            return configure(None, &lines);
        }
        lines.push("link set lo up".into());
        configure(Some(&namespace(host)), &lines)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        // The kernel takes its time to remove a namespace with all that is in it. What is seen from outside goes at once.
        for lan in lans(TEST) {
            let _ = ip(&["link", "delete", &end(TEST, *lan)]);
        }
        for host in self.names.iter().filter(|host| **host != TEST).chain([&SWITCH]) {
            remove(&namespace(host));
        }
        let _ = std::fs::remove_dir_all(DIR);
    }
}

impl Lan {
    const fn name(self) -> &'static str {
        match self {
            Self::Homes => "homes",
            Self::Bus => "bus",
            Self::Store => "store",
        }
    }
}

fn lans(host: &str) -> &'static [Lan] {
    match host {
        TEST => &[Lan::Homes, Lan::Bus],
        REDIS => &[Lan::Store],
        _ => &LANS,
    }
}

fn namespace(host: &str) -> String {
    format!("{PREFIX}{}-{host}", std::process::id())
}

/// A host's place in a switch.
fn port(host: &str, lan: Lan) -> String {
    format!("{host}-{}", lan.name())
}

/// The other end of that cable. The test's own are seen among all others of this machine.
fn end(host: &str, lan: Lan) -> String {
    if host == TEST { format!("mc{}{}", std::process::id(), lan.name()) } else { lan.name().into() }
}

fn set_port(host: &str, lan: Lan, state: &str) {
    let port = port(host, lan);
    let mut arguments = vec!["-n".to_owned(), namespace(SWITCH)];
    arguments.extend(format!("link set dev {port} {state}").split(' ').map(str::to_owned));
    output("bridge", &arguments, "").unwrap();
}

/// A range of addresses that leads nowhere from here but to the default gateway.
fn unused_range() -> u64 {
    for _ in 0..64 {
        let range = random::up_to(255);
        let network = format!("10.{range}.0.0/16");
        let routes = |which| ip(&["-4", "route", "show", which, &network]).unwrap_or_default();
        let is_default = |route: &str| route.starts_with("default");
        if routes("root").is_empty() && routes("match").lines().all(is_default) {
            return range;
        }
    }
    panic!("every network of 10.0.0.0/8 is in use here");
}

/// What tests have left behind that were killed.
fn clear_leftovers() {
    let _ = std::fs::remove_dir_all(DIR);
    for line in ip(&["netns", "list"]).unwrap_or_default().lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let Some((pid, _)) = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')) else { continue };
        if pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists() {
            remove(name);
        }
    }
}

fn remove(namespace: &str) {
    for pid in ip(&["netns", "pids", namespace]).unwrap_or_default().split_whitespace() {
        let _ = output("kill", &["-KILL", pid], "");
    }
    let _ = ip(&["netns", "delete", namespace]);
}

/// Do this in a namespace, or in the one where the test is.
fn configure(namespace: Option<&str>, lines: &[String]) -> Result<(), String> {
    let mut arguments = namespace.map_or_else(Vec::new, |namespace| vec!["-n", namespace]);
    arguments.extend(["-batch", "-"]);
    output("ip", &arguments, &lines.join("\n")).map(drop)
}

fn ip(arguments: &[&str]) -> Result<String, String> {
    output("ip", arguments, "")
}

/// What a program says, or why it did not do it.
fn output(program: &str, arguments: &[impl AsRef<std::ffi::OsStr>], input: &str) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
    // What has ended without reading says why below.
    let _ = child.stdin.take().expect("asked for above").write_all(input.as_bytes());
    let output = child.wait_with_output().map_err(|error| format!("{program}: {error}"))?;
    let said = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(said(&output.stdout));
    }
    Err(format!("{program}: {}", said(&output.stderr)))
}

/// For what is needed while they are there; gone with them.
pub(crate) const DIR: &str = "/run/macloud-test-hosts";
const LANS: [Lan; 3] = [Lan::Homes, Lan::Bus, Lan::Store];
const SWITCH: &str = "switch";
const PREFIX: &str = "macloud-test-";
