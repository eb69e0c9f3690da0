//! The program: starts, says where it listens, refuses to be careless, stops when asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

fn relay(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_macloud-relay"));
    command.env_clear().args(args);
    command
}

const BASE: [&str; 4] = ["--public-url", "https://relay.example", "--accounts", "http://127.0.0.1:1"];

#[test]
fn it_says_where_it_listens_and_stops_when_asked() {
    let listen = ["--listen", "127.0.0.1:0", "--bus-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut child = relay(&BASE).args(listen).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["event"], "listening");
    let get = |address: &str, path: &str| {
        let mut socket = TcpStream::connect(address).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    };
    let admin = line["admin"].as_str().unwrap();
    assert!(get(admin, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get(line["address"].as_str().unwrap(), "/relay/v1/connect").starts_with("HTTP/1.1 426"));
    assert!(get(admin, "/metrics").contains("macloud_relay_admissions"));
    TcpStream::connect(line["bus"].as_str().unwrap()).unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}

#[test]
fn it_does_not_open_what_it_cannot_protect() {
    for (careless, remedy) in
        [(["--listen", "0.0.0.0:0"], "--tls-certificate"), (["--bus-listen", "0.0.0.0:0"], "--internal-ca")]
    {
        let safe = ["--listen", "127.0.0.1:0", "--bus-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let mut args: Vec<&str> = safe.chunks(2).filter(|pair| pair[0] != careless[0]).flatten().copied().collect();
        args.extend(careless);
        let output = relay(&BASE).args(args).output().unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(remedy), "{said}");
    }
}
