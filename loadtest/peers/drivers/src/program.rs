//! Programs that run beside the driver, and never outlive it, however it ends.

use std::fs::{DirBuilder, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use macloud_loadtest::driver::Server;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{sleep, timeout};

/// One of them.
pub(crate) struct Program {
    name: &'static str,
    pid: u32,
    _child: Child,
    // It ends when this does, unless it is killed.
    _input: Option<ChildStdin>,
}

impl Program {
    /// Start a server that others wrote, see [foreign], and wait until it listens on a port. What it prints is in the error
    /// when it does not.
    pub(crate) async fn listening(
        name: &'static str,
        mut command: Command,
        port: u16,
        directory: &Directory,
    ) -> anyhow::Result<Self> {
        let log = directory.path("log");
        let file = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let pid = child.id().context("it has ended")?;
        let give_up = Instant::now() + START_LIMIT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            let ended = child.try_wait()?.is_some();
            anyhow::ensure!(!ended && Instant::now() < give_up, "{name} does not listen: {}", last_lines(&log));
            sleep(BETWEEN_TRIES).await;
        }
        Ok(Self { name, pid, _child: child, _input: None })
    }

    /// Start a program of our own, which says one line when it is ready, and ends when its standard input does.
    pub(crate) async fn ready(name: &'static str, mut command: Command) -> anyhow::Result<(Self, String)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let pid = child.id().context("it has ended")?;
        let (input, output) = (child.stdin.take(), child.stdout.take().context("standard output was asked for")?);
        let line = timeout(START_LIMIT, BufReader::new(output).lines().next_line()).await;
        let line =
            line.ok().and_then(|line| line.ok().flatten()).with_context(|| format!("{name} does not get ready"))?;
        Ok((Self { name, pid, _child: child, _input: input }, line))
    }

    pub(crate) fn server(&self) -> Server {
        Server { name: self.name.into(), pid: self.pid }
    }
}

/// A program that others wrote. The kernel kills it when this process ends.
pub(crate) fn foreign(program: &str, how_to_install: &str) -> anyhow::Result<Command> {
    let path = find(program).with_context(|| format!("{program} is not installed: {how_to_install}"))?;
    let mut command = Command::new(find("setpriv").context("setpriv is not installed: apt-get install util-linux")?);
    command.args(["--pdeathsig", "KILL", "--"]).arg(path);
    Ok(command)
}

/// On the path, or where Debian has servers, which is on the path of few people.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    directories.map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// Beside this package, in `peers`.
pub(crate) fn beside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(path)
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Private, and gone when this is dropped; programs have read it when they are ready.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("macloud-peers-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn last_lines(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

const START_LIMIT: Duration = Duration::from_secs(60);
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_installed_is_told_with_the_way_to_install_it() {
        let error = foreign("no-such-server", "apt-get install it").unwrap_err();
        assert_eq!(error.to_string(), "no-such-server is not installed: apt-get install it");
    }

    #[tokio::test]
    async fn a_server_that_does_not_start_is_quoted() {
        let directory = Directory::new().unwrap();
        let mut command = foreign("sh", "").unwrap();
        command.args(["-c", "echo the disk is full >&2; exit 1"]);
        let error = Program::listening("it", command, free_port().unwrap(), &directory).await.err().unwrap();
        assert_eq!(error.to_string(), "it does not listen: the disk is full");
        let path = directory.path("");
        drop(directory);
        assert!(!path.exists());
    }
}
