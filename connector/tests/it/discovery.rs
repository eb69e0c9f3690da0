//! Finding Music Assistant: a recorded answer, and responders on this machine that say what the test wants.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use macloud_connector::discovery::dns::question;
use macloud_connector::discovery::{Found, find_at, servers};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// What a server of version 2.8 answered to [`question`], with another id and address.
const RECORDED: &[u8] =
    b"\x00\x00\x84\x00\x00\x01\x00\x01\x00\x00\x00\x04\x05_mass\x04_tcp\x05local\x00\x00\x0c\x00\x01\xc0\
    \x0c\x00\x0c\x00\x01\x00\x00\x11\x94\x00# 00112233445566778899aabbccddeeff\xc0\x0c\xc0.\x00!\x00\x01\
    \x00\x00\x00x\x00\x0d\x00\x00\x00\x00\x1f\x9f\x04mass\xc0\x17\xc0.\x00\x10\x00\x01\x00\x00\x11\x94\
    \x00\xe3*server_id=00112233445566778899aabbccddeeff\x22server_version=2.8.0.dev2026022800\x11schema_\
    version=29\x1fmin_supported_schema_version=28!base_url=http://192.168.1.20:8095\x19homeassistant_add\
    on=False\x11onboard_done=True\x04name\x0fstatus=starting\xc0.\x00/\x00\x01\x00\x00\x00x\x00\x08\xc0.\
    \x00\x04\x00\x00\x00\x08\xc0c\x00\x01\x00\x01\x00\x00\x00x\x00\x04\xc0\xa8\x01\x14";

const ID: &str = "00112233445566778899aabbccddeeff";
const LONG: Duration = Duration::from_secs(2);

fn found(url: &str) -> Found {
    Found { server_id: ID.into(), name: None, url: url.parse().unwrap() }
}

fn replaced(what: &[u8], with: &[u8]) -> Vec<u8> {
    assert_eq!(what.len(), with.len());
    let mut packet = RECORDED.to_vec();
    while let Some(at) = packet.windows(what.len()).position(|window| window == what) {
        packet[at..at + what.len()].copy_from_slice(with);
    }
    packet
}

/// Answers every question with these packets.
async fn responder(answers: Vec<Vec<u8>>) -> (SocketAddr, JoinSet<()>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut asked = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut asked).await {
            assert_eq!(asked[..length], question("_mass._tcp.local"));
            for answer in &answers {
                socket.send_to(answer, from).await.unwrap();
            }
        }
    });
    (address, task)
}

#[test]
fn a_recorded_answer_is_read() {
    let server = IpAddr::from([192, 168, 1, 20]);
    assert_eq!(servers(RECORDED, server, |_| true), [found("ws://192.168.1.20:8095/ws")]);
    let secure = replaced(b"base_url=http://192.168.1.20:8095", b"base_url=https://192.168.1.20:809");
    assert_eq!(servers(&secure, server, |_| true), [found("wss://192.168.1.20:8095/ws")]);
    for end in 0..RECORDED.len() {
        assert_eq!(servers(&RECORDED[..end], server, |_| true), [], "{end}");
    }
}

#[tokio::test]
async fn servers_are_found_each_once_whatever_else_is_said() {
    let other = replaced(ID.as_bytes(), b"ffeeddccbbaa99887766554433221100");
    let noise = vec![RECORDED.to_vec(), b"hello".to_vec(), vec![], other, vec![0xff; 9000], RECORDED.to_vec()];
    let (address, _task) = responder(noise).await;
    let found = find_at(address, LONG / 4, |_| true).await.unwrap();
    let ids: Vec<&str> = found.iter().map(|found| found.server_id.as_str()).collect();
    assert_eq!(ids, [ID, "ffeeddccbbaa99887766554433221100"]);
}

#[tokio::test]
async fn addresses_outside_the_home_are_not_believed() {
    let (address, _task) = responder(vec![replaced(&[192, 168, 1, 20], &[203, 0, 113, 20])]).await;
    let at_home = |address: Ipv4Addr| address.is_private();
    assert_eq!(find_at(address, LONG / 8, at_home).await.unwrap(), []);
}

#[tokio::test]
async fn silence_is_nobody() {
    let (address, _task) = responder(vec![]).await;
    assert_eq!(find_at(address, LONG / 20, |_| true).await.unwrap(), []);
}
