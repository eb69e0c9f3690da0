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
    // Without a certificate there is nothing to read again, and no reason to end.
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    assert!(get(admin, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_proxy_must_say_who_calls_and_nobody_else_may() {
    let listen = ["--listen", "127.0.0.1:0", "--bus-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    for (careless, remedy) in [
        (&["--behind-proxy"][..], "--client-address-header"),
        (&["--client-address-header", "X-Forwarded-For"], "--behind-proxy"),
    ] {
        let output = relay(&BASE).args(listen).args(careless).output().unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(remedy), "{said}");
    }
}

#[test]
fn it_does_not_promise_more_homes_than_it_may_open_files() {
    let listen = ["--listen", "127.0.0.1:0", "--bus-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let relay = env!("CARGO_BIN_EXE_macloud-relay");
    let limited = |args: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", r#"ulimit -n 1000; exec "$0" "$@""#, relay]).args(BASE).args(listen).args(args);
        command.env_clear().env("PATH", "/usr/bin:/bin");
        command
    };
    let output = limited(&["--max-connections", "900"]).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--max-connections 900") && said.contains("LimitNOFILE"), "{said}");
    for fits in [&[][..], &["--max-connections", "400"]] {
        let mut child = limited(fits).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(line.contains("listening"), "{line}");
    }
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

/// A certificate authority and what it has signed, as files.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: rcgen::Issuer::new(params, key) }
    }

    /// Chain and key, both PEM.
    fn sign(&self) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

#[tokio::test]
async fn the_bus_demands_a_certificate_of_this_cloud() {
    use macloud_proto::bus::v1::command_bus_client::CommandBusClient;
    use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

    macloud_service_kit::tls::install_provider();
    let (ours, strangers) = (Authority::new(), Authority::new());
    let (chain, key) = ours.sign();
    let folder = std::env::temp_dir().join(format!("macloud-relay-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let authority = file("ca.pem", &ours.certificate.pem());
    let (chain_file, key_file) = (file("chain.pem", &chain), file("key.pem", &key));
    let mut child = relay(&BASE)
        .args(["--listen", "127.0.0.1:0", "--bus-listen", "0.0.0.0:0", "--admin-listen", "127.0.0.1:0"])
        .args(["--internal-ca", &authority, "--internal-certificate", &chain_file, "--internal-key", &key_file])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let port = line["bus"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
    let dispatch = async |identity: Option<(String, String)>| {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ours.certificate.pem()));
        if let Some((chain, key)) = identity {
            tls = tls.identity(Identity::from_pem(chain, key));
        }
        let endpoint = Endpoint::from_shared(format!("https://localhost:{port}")).unwrap().tls_config(tls).unwrap();
        let mut bus = CommandBusClient::new(endpoint.connect_lazy());
        let home = crate::cloud::HomeKey::new(1);
        bus.dispatch(crate::cloud::dispatch(&home, 1, std::time::Duration::from_secs(1))).await
    };
    assert!(dispatch(Some(ours.sign())).await.is_ok());
    assert!(dispatch(None).await.is_err());
    assert!(dispatch(Some(strangers.sign())).await.is_err());
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}
