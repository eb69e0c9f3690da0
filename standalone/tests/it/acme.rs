//! A certificate that `serve` gets by itself, from the first order to the last renewal, and all that can go wrong on the way.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use macloud_service_kit::client::builder_trusting;
use macloud_service_kit::clock::{self, Clock as _, ManualClock};
use macloud_service_kit::http::Server;
use macloud_service_kit::stop::Stop;
use macloud_standalone::serve::acme::{Keeper, Settings};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use crate::certificate_authority::{Authority, Behaviour};
use crate::processes::{Running, Scratch, ma_cloud};

const NAME: &str = "music.example.org";
const DAY: Duration = Duration::from_secs(86_400);

/// A machine that gets its certificate of an [`Authority`].
struct Machine {
    authority: Authority,
    scratch: Scratch,
    clock: Arc<ManualClock>,
    keeper: Keeper,
    stop: Stop,
}

impl Machine {
    async fn new() -> Self {
        let scratch = Scratch::new();
        let clock = ManualClock::at(clock::system().unix_seconds());
        let authority = Authority::start(&scratch.0, clock.clone()).await;
        let keeper = Keeper::open(settings(&authority), &scratch.0, clock.clone());
        let mut machine = Self { authority, scratch, clock, keeper, stop: Stop::new() };
        machine.serve().await;
        machine
    }

    /// As after a start of the program.
    async fn restart(&mut self) {
        self.restart_with(settings(&self.authority)).await;
    }

    async fn restart_with(&mut self, settings: Settings) {
        self.stop.stop_hard();
        self.keeper = Keeper::open(settings, &self.scratch.0, self.clock.clone());
        self.serve().await;
    }

    /// What is kept under this file name.
    fn kept(&self, name: &str) -> PathBuf {
        let files = files_below(&self.scratch.0.join("acme"));
        files.into_iter().find(|file| file.ends_with(name)).unwrap()
    }

    async fn serve(&mut self) {
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let server = Server::bind(address, Some(self.keeper.certificate())).await.unwrap();
        let address = server.local_addr().unwrap();
        self.authority.behave(|behaviour| behaviour.dials = Some(address));
        self.stop = Stop::new();
        tokio::spawn(server.serve(Router::new().route("/", get(|| async { "served" })), self.stop.clone()));
    }

    /// Look after the certificate; how many seconds until the next time.
    async fn look(&mut self) -> u64 {
        self.keeper.keep_fresh().await - self.clock.unix_seconds()
    }

    /// Until when the certificate is good that is served now.
    fn ends(&self) -> Option<u64> {
        Some(self.keeper.certificate().validity()?.end)
    }

    /// It is looked after again when the time has come.
    async fn wait_and_look(&mut self) -> u64 {
        let wait = self.look().await;
        self.clock.advance(Duration::from_secs(wait));
        self.look().await
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop.stop_hard();
    }
}

fn settings(authority: &Authority) -> Settings {
    let roots = CertificateDer::pem_file_iter(&authority.own_root).unwrap().collect::<Result<_, _>>().unwrap();
    let email = Some("ann@example.org".into());
    Settings { name: NAME.into(), directory: authority.directory(), email, roots }
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

async fn page(address: SocketAddr, path: &str, root: &CertificateDer<'static>) -> reqwest::Result<String> {
    let client = builder_trusting(Duration::from_secs(5), std::slice::from_ref(root)).resolve(NAME, address).build()?;
    client.get(format!("https://{NAME}:{}{path}", address.port())).send().await?.text().await
}

#[tokio::test]
async fn a_certificate_is_ordered_once_proved_served_and_kept() {
    let mut machine = Machine::new().await;
    let address = machine.authority.behaviour().dials.unwrap();
    assert!(!machine.keeper.is_good() && page(address, "/", &machine.authority.root).await.is_err());
    let wait = machine.look().await;
    assert!(machine.keeper.is_good());
    assert_eq!(page(address, "/", &machine.authority.root).await.unwrap(), "served");
    assert!((57 * 86_400..=60 * 86_400).contains(&wait), "renewed with a third of 90 days left: {wait}");
    assert_eq!(machine.authority.contacts(), [json!(["mailto:ann@example.org"])]);
    machine.look().await;
    assert_eq!(machine.authority.orders(), 1);
    let kept = files_below(&machine.scratch.0.join("acme"));
    let mut names: Vec<_> = kept.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["account.pem", "certificate.pem", "plan.json"], "and nothing half-written");
    for file in &kept {
        let modes = [file, file.parent().unwrap()].map(|path| path.metadata().unwrap().permissions().mode() & 0o777);
        assert_eq!(modes, [0o600, 0o700], "{}", file.display());
    }

    machine.restart().await;
    let address = machine.authority.behaviour().dials.unwrap();
    assert_eq!(page(address, "/", &machine.authority.root).await.unwrap(), "served", "before anybody was asked");
    assert_eq!(machine.look().await, wait);
    assert_eq!(machine.authority.orders(), 1);
}

#[tokio::test]
async fn a_certificate_is_renewed_in_time_by_the_same_account() {
    let mut machine = Machine::new().await;
    machine.look().await;
    let first = machine.ends();
    machine.clock.advance(50 * DAY);
    machine.look().await;
    assert_eq!((machine.authority.orders(), machine.ends()), (1, first));
    machine.clock.advance(10 * DAY);
    machine.look().await;
    assert_eq!((machine.authority.orders(), machine.authority.accounts()), (2, 1));
    assert!(machine.ends() > first && machine.keeper.is_good());
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_told_with_what_helps_and_not_tried_all_the_time() {
    let mut machine = Machine::new().await;
    let here = machine.authority.behaviour().dials;
    // Bound, and let go: nobody listens there.
    let nobody = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    machine.authority.behave(|behaviour| behaviour.dials = Some(nobody));
    let wait = machine.look().await;
    assert!((300..=375).contains(&wait) && !machine.keeper.is_good(), "{wait}");
    assert_eq!(machine.look().await, wait);
    machine.restart().await;
    machine.authority.behave(|behaviour| behaviour.dials = Some(nobody));
    assert_eq!((machine.look().await, machine.authority.orders()), (wait, 1), "a restart is no reason to ask");
    let longer = machine.wait_and_look().await;
    assert!((600..=750).contains(&longer), "{longer}");
    assert_eq!(machine.authority.orders(), 2);
    let told = machine.keeper.last_failure().unwrap();
    assert!(told.contains("refused") && told.contains("Port 443"), "{told}");
    machine.authority.behave(|behaviour| behaviour.dials = here);
    machine.restart().await;
    machine.wait_and_look().await;
    assert!(machine.keeper.is_good() && machine.keeper.last_failure().is_none());
}

#[tokio::test]
async fn another_server_at_the_name_is_told_apart() {
    let mut machine = Machine::new().await;
    let other = Machine::new().await;
    let there = other.authority.behaviour().dials;
    machine.authority.behave(|behaviour| behaviour.dials = there);
    machine.look().await;
    let told = machine.keeper.last_failure().unwrap();
    assert!(told.contains("Something else answers on port 443"), "{told}");
}

#[tokio::test]
async fn an_authority_that_wants_to_be_left_alone_is() {
    let mut machine = Machine::new().await;
    machine.authority.behave(|behaviour| behaviour.rate_limited = Some(3 * 86_400));
    assert_eq!(machine.look().await, 3 * 86_400);
    let told = machine.keeper.last_failure().unwrap();
    assert!(told.contains("too many certificates") && told.contains("wait"), "{told}");
    machine.authority.behave(|behaviour| behaviour.rate_limited = None);
    machine.restart().await;
    machine.clock.advance(2 * DAY);
    assert_eq!((machine.look().await, machine.authority.orders()), (86_400, 0));
    machine.clock.advance(DAY);
    machine.look().await;
    assert!(machine.keeper.is_good());
}

#[tokio::test]
async fn without_the_authority_the_kept_certificate_is_served_until_it_is_back() {
    let mut machine = Machine::new().await;
    machine.look().await;
    let first = machine.ends();
    machine.clock.advance(61 * DAY);
    machine.authority.behave(|behaviour| behaviour.away = true);
    machine.restart().await;
    assert!(machine.keeper.is_good(), "at the start already");
    machine.look().await;
    assert_eq!(machine.ends(), first);
    let told = machine.keeper.last_failure().unwrap();
    assert!(told.contains("Can this machine reach --acme-directory"), "{told}");
    machine.authority.behave(|behaviour| behaviour.away = false);
    machine.wait_and_look().await;
    assert!(machine.ends() > first);
}

#[tokio::test]
async fn a_nonce_that_is_refused_is_replaced_but_not_for_ever() {
    let mut machine = Machine::new().await;
    machine.authority.behave(|behaviour| behaviour.bad_nonces = 2);
    machine.look().await;
    assert!(machine.keeper.is_good());
    let mut machine = Machine::new().await;
    machine.authority.behave(|behaviour| behaviour.bad_nonces = u32::MAX);
    machine.look().await;
    assert!(machine.keeper.last_failure().unwrap().contains("badNonce"));
    assert!(u32::MAX - machine.authority.behaviour().bad_nonces < 10);
}

#[tokio::test]
async fn what_cannot_be_served_does_not_replace_what_can() {
    let mut machine = Machine::new().await;
    machine.look().await;
    let first = machine.ends();
    machine.clock.advance(61 * DAY);
    machine.authority.behave(|behaviour| behaviour.for_another_key = true);
    machine.look().await;
    assert!(machine.keeper.last_failure().unwrap().contains("cannot be served"));
    machine.authority.behave(|behaviour| (behaviour.for_another_key, behaviour.for_another_name) = (false, true));
    machine.wait_and_look().await;
    assert!(machine.keeper.last_failure().unwrap().contains("is not for music.example.org"));
    machine.authority.behave(|behaviour| (behaviour.for_another_name, behaviour.more_certificates) = (false, 100));
    machine.wait_and_look().await;
    assert!(machine.keeper.last_failure().unwrap().contains("no handshake has room for"));
    for begins_in_days in [30, -91] {
        let begun =
            |behaviour: &mut Behaviour| (behaviour.more_certificates, behaviour.begins_in_days) = (0, begins_in_days);
        machine.authority.behave(begun);
        machine.wait_and_look().await;
        assert!(machine.keeper.last_failure().unwrap().contains("not good today"), "{begins_in_days}");
    }
    machine.restart().await;
    assert_eq!(machine.ends(), first);
}

#[tokio::test]
async fn what_is_kept_is_served_whatever_became_of_the_plan() {
    let mut machine = Machine::new().await;
    machine.look().await;
    let first = machine.ends();
    for plan in ["", "{}", "rubbish"] {
        std::fs::write(machine.kept("plan.json"), plan).unwrap();
        machine.restart().await;
        assert_eq!(machine.ends(), first, "{plan}");
    }
    std::fs::write(machine.kept("certificate.pem"), "rubbish").unwrap();
    machine.restart().await;
    assert_eq!(machine.ends(), None);
    machine.look().await;
    assert!(machine.keeper.is_good(), "another was ordered");
}

#[tokio::test]
async fn an_account_key_that_is_none_is_not_replaced_by_itself() {
    let mut machine = Machine::new().await;
    machine.look().await;
    std::fs::write(machine.kept("account.pem"), "rubbish").unwrap();
    machine.clock.advance(61 * DAY);
    machine.look().await;
    let told = machine.keeper.last_failure().unwrap();
    assert!(told.contains("account.pem holds no account key") && told.contains("move the file away"), "{told}");
    std::fs::remove_file(machine.kept("account.pem")).unwrap();
    machine.wait_and_look().await;
    assert!(machine.keeper.is_good() && machine.keeper.last_failure().is_none());
    assert_eq!(machine.authority.accounts(), 2);
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_name_is_not_served() {
    let mut machine = Machine::new().await;
    machine.look().await;
    let first = machine.ends();
    machine.authority.behave(|behaviour| behaviour.away = true);
    let other = Settings { name: "other.example.org".into(), ..settings(&machine.authority) };
    for start in ["the first", "the second"] {
        machine.restart_with(other.clone()).await;
        machine.look().await;
        assert_eq!(machine.ends(), None, "{start}");
    }
    machine.restart().await;
    assert_eq!(machine.ends(), first, "who goes back to the name has its certificate");
    // Bound, and let go: nobody listens there.
    let nobody = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let other = Settings { directory: format!("https://{nobody}/"), ..settings(&machine.authority) };
    let mut other = Keeper::open(other, &machine.scratch.0, machine.clock.clone());
    assert!(!other.is_good());
    other.keep_fresh().await;
    let told = other.last_failure().unwrap();
    assert!(told.contains("refused") && told.contains("Can this machine reach --acme-directory"), "{told}");
}

#[tokio::test]
async fn serve_gets_its_certificate_by_itself() {
    let scratch = Scratch::new();
    let authority = Authority::start(&scratch.0, clock::system()).await;
    let serve = || {
        let mut command = ma_cloud();
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--acme"]);
        command.args(["--acme-terms-agreed", "--public-url", "https://music.example.org", "--acme-directory"]);
        command.arg(authority.directory()).arg("--acme-root").arg(&authority.own_root);
        command.arg("--data-dir").arg(scratch.0.join("data"));
        let mut running = Running::start(&mut command);
        let listening = running.until("listening");
        let at = |field: &str| listening[field].as_str().unwrap().parse::<SocketAddr>().unwrap();
        (running, at("address"), at("admin_address"))
    };
    let ready = async |operators: SocketAddr| {
        let client = macloud_service_kit::client::client(Duration::from_secs(5));
        let answer = client.get(format!("http://{operators}/readyz")).send().await.unwrap();
        answer.json::<serde_json::Value>().await.unwrap()["checks"]["certificate"] == true
    };
    let (running, address, operators) = serve();
    authority.behave(|behaviour| behaviour.dials = Some(address));
    let begun = std::time::Instant::now();
    while !ready(operators).await {
        assert!(begun.elapsed() < Duration::from_secs(30), "no certificate");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(page(address, "/readyz", &authority.root).await.unwrap().contains("true"));
    assert!(running.terminate().success());
    let (running, address, _) = serve();
    assert!(page(address, "/healthz", &authority.root).await.unwrap().contains("ok"), "it was kept");
    assert_eq!(authority.orders(), 1);
    assert!(running.terminate().success());
}
