//! What a relay node is bounded by. Plain values: `main.rs` and `standalone` decide where they come from.

use std::sync::Arc;
use std::time::Duration;

use macloud_proto::ids::CommandId;
use macloud_proto::link::relay_side::RelaySettings;

use crate::events::EventQueue;

/// Shown the id and the sealed body of every command that arrives on the bus: all that this node can know of it. For the
/// demo and for tests; must be quick.
#[derive(Clone)]
pub struct Tap(pub Arc<TapFn>);

/// Shown one command.
pub type TapFn = dyn Fn(CommandId, &[u8]) + Send + Sync;

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tap")
    }
}

/// The key that nonces are made with. Never shown.
#[derive(Clone)]
pub struct NonceKey(pub [u8; 32]);

impl std::fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NonceKey")
    }
}

/// Settings of one relay node.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// Names this node in answers, in Welcome and to operators. At most 64 printable ASCII characters.
    pub node_id: String,
    /// The URL under which homes reach [`CONNECT_PATH`](crate::CONNECT_PATH), with scheme `https` or `http`: what a
    /// home's proof of possession must name. Several while a name changes.
    pub connect_urls: Vec<String>,
    /// Bounds of each home's session: hello, ping, probe and write times, queue bounds, pre-key cache.
    pub link: RelaySettings,
    /// Upper bound of commands a minute for each home, whatever its token allows.
    pub max_commands_per_minute: u32,
    /// Homes between the start of their admission and their Welcome. Beyond it: 503 with Retry-After.
    pub max_handshakes: usize,
    /// Of those, how many one home may hold; only one while more than half are taken, so that a few homes which never
    /// finish cannot keep the others out. Beyond it: 429 with Retry-After.
    pub max_handshakes_per_home: usize,
    /// Of those, how many may come from one network: an IPv4 address, an IPv6 /64. This machine's own address is not
    /// counted. Beyond it: 429 with Retry-After, before any credentials are looked at.
    pub max_handshakes_per_network: usize,
    /// The header in which the proxy in front puts the caller's address. Only behind a proxy that always sets it.
    pub client_address_header: Option<String>,
    /// Dial-ins a minute of one home. Beyond it: 429 with Retry-After.
    pub max_dial_ins_per_minute: u32,
    /// Homes connected at a time. Beyond it: 503 with Retry-After.
    pub max_connections: usize,
    /// How long a nonce for proofs is the newest one; it is accepted for as long again.
    pub nonce_period: Duration,
    /// What nonces are made with: equal on all nodes behind one address. Without one, each process makes its own.
    pub nonce_key: Option<NonceKey>,
    /// Whether homes are given tickets, with which they dial in again without signatures until their token ends. Not where TLS ends
    /// at a proxy: that would learn what makes a home, which it otherwise does not. Nodes with one `nonce_key` take each other's.
    pub resumption: bool,
    /// Proof ids remembered in each nonce period, so that none is used twice. Beyond it: 503 with Retry-After.
    pub max_remembered_proofs: usize,
    /// The signing keys are fetched again for an unknown key id at most this often.
    pub key_refresh_interval: Duration,
    /// A call to the account service may take this long.
    pub accounts_timeout: Duration,
    /// A session is asked to dial in anew with a fresh token after at least half of this and at most all of it.
    pub session_life: Duration,
    /// The shortest window over which homes spread their reconnects when this node vanishes: what Welcome announces. It grows
    /// with the homes that are connected, at the rate of `homes_per_second`, and homes that stay are told when it does.
    pub reconnect_window: Duration,
    /// Bytes of the WebSocket library's read buffer, kept for each connection all the time.
    pub read_buffer_bytes: usize,
    /// Bytes that are gathered for one write to the socket. Frames of one wake-up share a system call and a TLS record.
    pub write_buffer_bytes: usize,
    /// Calls that may be in flight on one bus stream.
    pub bus_credit: u32,
    /// Calls that may wait for a session's task, before its own queue bound counts.
    pub inbox_calls: usize,
    /// When stopping softly: sessions end at the latest after this long.
    pub drain_grace: Duration,
    /// So many homes a second the other nodes are sure to take in: when stopping softly no more are asked to dial elsewhere, and homes are told
    /// to spread their reconnects accordingly for the case that the node vanishes.
    pub homes_per_second: u32,
    /// Where events from homes go. Without one, homes are told that nobody takes any.
    pub events: Option<Arc<dyn EventQueue>>,
    /// Whom to show the commands that pass. Nobody, but in the demo and in tests.
    pub tap: Option<Tap>,
}

impl RelayConfig {
    /// Connections for which `open_files` are enough; the rest is for listeners, files, callers, and whoever has connected and
    /// not been admitted yet.
    #[must_use]
    pub fn connections_within(open_files: u64) -> usize {
        usize::try_from(open_files - open_files.min(OTHER_FILES.max(open_files / 8))).unwrap_or(usize::MAX)
    }

    /// Whether nobody stands between a home and this process who could read a ticket: TLS ends here, or homes dial without any. Where
    /// they dial `https` and no certificate is held here, a proxy ends it, on this machine or another.
    #[must_use]
    pub fn is_dialled_directly(holds_certificate: bool, public_urls: &[impl AsRef<str>]) -> bool {
        holds_certificate || public_urls.iter().all(|url| url.as_ref().starts_with("http://"))
    }
}

const OTHER_FILES: u64 = 512;

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            node_id: "relay".into(),
            connect_urls: Vec::new(),
            link: RelaySettings::default(),
            max_commands_per_minute: 6_000,
            max_handshakes: 512,
            max_handshakes_per_home: 2,
            max_handshakes_per_network: 64,
            client_address_header: None,
            max_dial_ins_per_minute: 60,
            max_connections: 100_000,
            nonce_period: Duration::from_secs(120),
            nonce_key: None,
            resumption: true,
            max_remembered_proofs: 200_000,
            key_refresh_interval: Duration::from_secs(10),
            accounts_timeout: Duration::from_secs(3),
            // Once or twice a day costs nothing, and nobody stays for longer who should not.
            session_life: Duration::from_secs(24 * 3600),
            reconnect_window: Duration::from_secs(2),
            // The library's default of 128 KiB costs ten times the memory of everything else together.
            read_buffer_bytes: 1024,
            write_buffer_bytes: 4 * 1024,
            bus_credit: 256,
            inbox_calls: 128,
            drain_grace: Duration::from_secs(20),
            // A dial-in costs the next node up to a millisecond of one processor, and half of it on a fast one.
            homes_per_second: 2_500,
            events: None,
            tap: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_open_files_are_left_for_others() {
        let within = RelayConfig::connections_within;
        assert_eq!((within(0), within(512), within(1024), within(80_000)), (0, 0, 512, 70_000));
        assert!(within(u64::MAX) > 1_000_000);
    }

    #[test]
    fn where_homes_dial_https_and_no_certificate_is_held_somebody_else_ends_tls() {
        let directly = RelayConfig::is_dialled_directly;
        let (plain, tls) = ("http://127.0.0.1:8080", "https://cloud.example");
        assert!(directly(true, &[tls]) && directly(false, &[plain]));
        assert!(!directly(false, &[tls]) && !directly(false, &[plain, tls]));
    }
}
