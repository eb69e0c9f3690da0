//! TLS among services: who shows a certificate of the cloud's own authority is let in, whoever that is now.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use macloud_service_kit::internal::InternalTls;
use macloud_service_kit::tls;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

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
}

/// Three files of one service.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("macloud-internal-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    /// A certificate of this authority for `localhost`.
    fn sign(&self, authority: &Authority) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        let chain = params.signed_by(&key, &authority.issuer).unwrap().pem();
        for (file, text) in [("ca", authority.certificate.pem()), ("chain", chain), ("key", key.serialize_pem())] {
            std::fs::write(self.0.join(file), text).unwrap();
        }
    }

    fn load(&self) -> Arc<InternalTls> {
        InternalTls::load(&self.0.join("ca"), &self.0.join("chain"), &self.0.join("key")).unwrap()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What is logged while it is in force.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// What has been logged since this was asked last, once there is something.
    async fn next(&self) -> String {
        let started = std::time::Instant::now();
        while self.text().is_empty() {
            assert!(started.elapsed() < Duration::from_secs(5), "nothing was logged");
            tokio::task::yield_now().await;
        }
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl std::io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_says_whose_certificate_was_refused() {
    tls::install_provider();
    let log = Captured::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let (ours, strangers) = (Authority::new(), Authority::new());
    let (one, other, mixed) = (Files::new("blamed"), Files::new("blaming"), Files::new("mixed"));
    one.sign(&ours);
    other.sign(&ours);
    // Trusts our authority, and shows a certificate of another.
    mixed.sign(&strangers);
    std::fs::write(mixed.0.join("ca"), ours.certificate.pem()).unwrap();

    assert!(!speaks(&mixed.load(), &one.load()).await);
    let said = log.next().await;
    assert!(said.contains("a caller showed no certificate that is good in this cloud"), "{said}");
    assert!(!speaks(&other.load(), &mixed.load()).await);
    let said = log.next().await;
    assert!(said.contains("a caller does not accept the certificate of this process"), "{said}");
}

/// Whether this one gets through to that one, and an answer back.
async fn speaks(client: &InternalTls, server: &Arc<InternalTls>) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut accepted = server.accept(listener);
    let answering = tokio::spawn(async move {
        let mut stream = accepted.recv().await?.ok()?;
        stream.write_all(b"yes").await.ok()?;
        stream.shutdown().await.ok()
    });
    let asked = async {
        let mut stream = client.connect("localhost", port).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(10), asked).await.unwrap();
    answering.abort();
    answer.is_ok_and(|answer| answer == "yes")
}

#[tokio::test]
async fn services_of_one_cloud_speak_and_strangers_do_not_and_files_are_read_again() {
    tls::install_provider();
    let (ours, strangers) = (Authority::new(), Authority::new());
    let (one, other, stranger) = (Files::new("one"), Files::new("other"), Files::new("stranger"));
    one.sign(&ours);
    other.sign(&ours);
    stranger.sign(&strangers);
    let (server, client) = (one.load(), other.load());
    assert!(speaks(&client, &server).await);
    assert!(!speaks(&stranger.load(), &server).await && !speaks(&client, &stranger.load()).await);

    // Both move to another authority, one after the other.
    let next = Authority::new();
    one.sign(&next);
    assert!(speaks(&client, &server).await, "nothing is read before it is asked for");
    server.reload().unwrap();
    assert!(!speaks(&client, &server).await);
    other.sign(&next);
    client.reload().unwrap();
    assert!(speaks(&client, &server).await);

    // What cannot be read changes nothing.
    std::fs::write(other.0.join("key"), "spoilt").unwrap();
    assert!(client.reload().is_err());
    assert!(speaks(&client, &server).await);
}

#[tokio::test]
async fn a_file_that_changes_and_a_hang_up_are_noticed() {
    tls::install_provider();
    let (ours, next) = (Authority::new(), Authority::new());
    let (one, other) = (Files::new("watched"), Files::new("watching"));
    one.sign(&ours);
    other.sign(&next);
    let (server, client) = (one.load(), other.load());
    let fresh = server.clone();
    let watching = tokio::spawn(async move { fresh.keep_fresh().await });
    tokio::task::yield_now().await;
    assert!(!speaks(&client, &server).await);
    one.sign(&next);
    let pid = std::process::id().to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let started = std::time::Instant::now();
    while !speaks(&client, &server).await {
        assert!(started.elapsed() < Duration::from_secs(5), "it was never read again");
    }
    watching.abort();
}
