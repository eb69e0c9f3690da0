//! Finding Music Assistant in the home's network, by the name under which it announces itself (mDNS).
//!
//! Anybody in the network can announce anything. So nothing is connected to, and no token shown, because of what was found
//! here: it is offered to the owner, or kept once while the owner pairs and nothing else was given.

pub mod dns;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use dns::Record;
use serde::Serialize;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use crate::connector::ma_place;

/// What Music Assistant calls its service.
const SERVICE: &str = "_mass._tcp.local";

/// Where everybody listens who has something to announce.
const EVERYBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)), 5353);

/// Long enough for an answer, and for one more if the first question was lost on the air.
pub const USUAL_LIMIT: Duration = Duration::from_secs(2);

/// The question is asked so often within the limit.
const QUESTIONS: u32 = 2;

/// More servers than this are not in one home.
const MOST: usize = 16;

/// Larger packets are not sent for this.
const LARGEST_PACKET: usize = 9000;

/// A Music Assistant that announced itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its id: the same wherever it is.
    pub server_id: String,
    /// Its name, if its owner gave it one.
    pub name: Option<String>,
    /// Where it is, as `--ma-url` takes it.
    #[serde(with = "crate::url_text")]
    pub url: Url,
}

/// All that answer within `limit`, in the order of their ids.
///
/// # Errors
/// When this machine's network cannot be used for it at all.
pub async fn find(limit: Duration) -> io::Result<Vec<Found>> {
    find_at(EVERYBODY, limit, is_at_home).await
}

/// Whether somebody answers on this machine where Music Assistant usually is.
pub(crate) async fn is_on_this_machine() -> bool {
    let Some(port) = ma_place(None).port_or_known_default() else { return false };
    let connected = TcpStream::connect(("localhost", port));
    matches!(timeout(USUAL_LIMIT, connected).await, Ok(Ok(_)))
}

/// The same, asking at `place`, and believing only addresses that are `welcome`.
///
/// # Errors
/// As [`find`].
pub async fn find_at(place: SocketAddr, limit: Duration, welcome: fn(Ipv4Addr) -> bool) -> io::Result<Vec<Found>> {
    // From a port of its own: the answers then come to it directly (RFC 6762 section 6.7).
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    // Announcements do not leave the network; nor shall the question.
    socket.set_multicast_ttl_v4(255)?;
    let question = dns::question(SERVICE);
    let mut found: Vec<Found> = Vec::new();
    let mut packet = vec![0; LARGEST_PACKET];
    let begun = Instant::now();
    for nth in 1..=QUESTIONS {
        socket.send_to(&question, place).await?;
        let until = begun + limit * nth / QUESTIONS;
        while let Ok(Ok((length, from))) = timeout_at(until, socket.recv_from(&mut packet)).await {
            for server in servers(&packet[..length], from.ip(), welcome) {
                if found.len() < MOST && found.iter().all(|known| known.server_id != server.server_id) {
                    found.push(server);
                }
            }
        }
    }
    found.sort_by(|one, other| one.server_id.cmp(&other.server_id));
    Ok(found)
}

/// Addresses that homes have.
const fn is_at_home(address: Ipv4Addr) -> bool {
    address.is_private() || address.is_link_local() || address.is_loopback()
}

/// The servers that one packet, which came from `sender`, announces. All of them have the same host name, `mass.local`, so
/// addresses are taken from the packet and never looked up.
#[must_use]
pub fn servers(packet: &[u8], sender: IpAddr, welcome: fn(Ipv4Addr) -> bool) -> Vec<Found> {
    let records = dns::records(packet).unwrap_or_default();
    let instances = records.iter().filter_map(|record| match record {
        Record::Pointer { name, to } if name.eq_ignore_ascii_case(SERVICE) => Some(to),
        _ => None,
    });
    instances.filter_map(|instance| server(&records, instance, sender, welcome)).collect()
}

fn server(records: &[Record], instance: &str, sender: IpAddr, welcome: fn(Ipv4Addr) -> bool) -> Option<Found> {
    let (host, port) = records.iter().find_map(|record| match record {
        Record::Service { name, host, port } if name == instance => Some((host, *port)),
        _ => None,
    })?;
    let addresses: Vec<Ipv4Addr> = records
        .iter()
        .filter_map(|record| match record {
            Record::Address { name, address } if name == host => Some(*address),
            _ => None,
        })
        .filter(|address| welcome(*address))
        .collect();
    // Of several addresses, that is the one which surely can be reached from here. A bridged container announces others.
    let sender = match sender {
        IpAddr::V4(sender) if welcome(sender) => Some(sender),
        _ => None,
    };
    let address = sender.filter(|sender| addresses.is_empty() || addresses.contains(sender));
    let address = address.or(addresses.first().copied())?;
    let entry = |wanted: &str| {
        records.iter().find_map(|record| match record {
            Record::Text { name, entries } if name == instance => {
                let value = entries.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.trim());
                value.filter(|value| !value.is_empty() && *value != "None").map(macloud_e2ee::vocabulary::clean_text)
            }
            _ => None,
        })
    };
    let scheme = if entry("base_url").is_some_and(|url| url.starts_with("https:")) { "wss" } else { "ws" };
    let first_label = instance.split('.').next().unwrap_or_default();
    Some(Found {
        server_id: entry("server_id").unwrap_or_else(|| macloud_e2ee::vocabulary::clean_text(first_label)),
        name: entry("name"),
        url: Url::parse(&format!("{scheme}://{address}:{port}/ws")).ok()?,
    })
}
