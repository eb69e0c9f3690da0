//! A Redis of one test's own, which may be killed and started again at the same port.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

pub(crate) struct Redis {
    pub(crate) port: u16,
    dir: PathBuf,
    arguments: Vec<String>,
    child: Mutex<Option<Child>>,
}

/// Whether tests run without a Redis.
pub(crate) fn is_left_out() -> bool {
    if std::env::var_os("MACLOUD_TEST_REDIS_URL").is_some() {
        return false;
    }
    let embedded_only = std::env::var("MACLOUD_TEST_EMBEDDED_ONLY").is_ok_and(|value| value == "1");
    assert!(embedded_only, "MACLOUD_TEST_REDIS_URL is not set; infra/test sets it");
    true
}

impl Redis {
    /// With more arguments. None where tests run without one.
    pub(crate) fn start(arguments: &[&str]) -> Option<Self> {
        if is_left_out() {
            return None;
        }
        // Below the ports that are given to clients, and with room for a cluster's own port above it.
        let port = loop {
            let port = 15_000 + macloud_service_kit::random::up_to(10_000) as u16;
            let is_free = |port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
            if is_free(port) && is_free(port + 10_000) {
                break port;
            }
        };
        let dir = std::env::temp_dir().join(format!("macloud-relay-redis-{port}"));
        std::fs::create_dir_all(&dir).unwrap();
        let arguments = arguments.iter().map(|argument| (*argument).into()).collect();
        let redis = Self { port, dir, arguments, child: Mutex::new(None) };
        redis.run();
        Some(redis)
    }

    /// One that watches over `master`, under the name `homes`, and does not wait for long before it makes a replica the master.
    pub(crate) fn sentinel(master: &Self) -> Option<Self> {
        let file = master.dir.join("sentinel.conf");
        let watch = format!("sentinel monitor homes 127.0.0.1 {} 1\n", master.port);
        let limits = "sentinel down-after-milliseconds homes 500\nsentinel failover-timeout homes 5000\n";
        std::fs::write(&file, watch + limits).unwrap();
        Self::start(&[file.to_str().unwrap(), "--sentinel"])
    }

    /// The same, where master and sentinel speak TLS alone, also to each other.
    pub(crate) fn sentinel_over_tls(master: &Self, certificate: &Path, key: &Path) -> Option<Self> {
        let file = master.dir.join("sentinel.conf");
        std::fs::write(&file, format!("sentinel monitor homes 127.0.0.1 {} 1\n", master.port)).unwrap();
        let tls = Self::tls_arguments(certificate.to_str().unwrap(), key.to_str().unwrap());
        Self::start(&[&[file.to_str().unwrap(), "--sentinel", "--tls-replication", "yes"], &tls[..]].concat())
    }

    /// One that has all that this one has.
    pub(crate) fn replica(&self) -> Option<Self> {
        let replica = Self::start(&["--replicaof", "127.0.0.1", &self.port.to_string()])?;
        while !replica.tell(&["info", "replication"]).contains("master_link_status:up") {
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(replica)
    }

    /// One that speaks TLS alone, with this certificate and key.
    pub(crate) fn over_tls(certificate: &Path, key: &Path) -> Option<Self> {
        if is_left_out() {
            return None;
        }
        // They are built together.
        let help = Command::new("redis-cli").arg("--help").output().unwrap();
        if ![help.stdout, help.stderr].iter().any(|said| String::from_utf8_lossy(said).contains("--tls")) {
            // Past the test harness, which shows what failed tests say only.
            let _ = writeln!(std::io::stderr(), "SKIPPED: Redis over TLS is not tested, this one was built without");
            return None;
        }
        let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
        Self::start(&Self::tls_arguments(certificate, key))
    }

    fn tls_arguments<'a>(certificate: &'a str, key: &'a str) -> [&'a str; 9] {
        let [cert, private, authority] = ["--tls-cert-file", "--tls-key-file", "--tls-ca-cert-file"];
        [cert, certificate, private, key, authority, certificate, "--tls-auth-clients", "no", "--tls-port"]
    }

    pub(crate) fn run(&self) {
        let port = self.port.to_string();
        let is_sentinel = self.arguments.iter().any(|argument| argument == "--sentinel");
        let mut command = Command::new("redis-server");
        command.args(self.arguments.iter().filter(|argument| argument.ends_with(".conf")));
        let plain_port = if self.is_over_tls() { "0" } else { &port };
        command.args(["--port", plain_port, "--bind", "127.0.0.1", "--dir"]).arg(&self.dir);
        if !is_sentinel {
            command.args(["--save", "", "--appendonly", "no"]);
        }
        command.args(self.arguments.iter().filter(|argument| !argument.ends_with(".conf")));
        if self.is_over_tls() {
            command.arg(&port);
        }
        *self.child.lock().unwrap() = Some(command.stdout(Stdio::null()).spawn().unwrap());
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What `redis-cli` says to this.
    pub(crate) fn tell(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_over_tls() { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}/", self.port)
    }

    fn is_over_tls(&self) -> bool {
        self.arguments.last().is_some_and(|argument| argument == "--tls-port")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
