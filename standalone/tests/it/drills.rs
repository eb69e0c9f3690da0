//! Each part of the hosted service fails under steady commands: every command gets one answer, of the kind that
//! docs/TROUBLESHOOTING.md says ("When a part of the cloud fails"), no link is lost, and everything is well again by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use macloud_standalone::demo::pretend_alexa::PretendAlexa;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _};

use crate::authorities::{Accounts, Front, Kind, text};
use crate::cluster::{Cluster, WAIT, holds_a_home, set_volume};
use crate::processes::{EMAIL, PASSWORD, PairedHome, REDIRECT_URI, Running, Scratch, ma_cloud, run};
use crate::support::{eventually, verdict};

/// What each line of the document allows Alexa to hear, by what fails.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let document = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/TROUBLESHOOTING.md"));
    let section = document.split("\n## When a part of the cloud fails\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what fails"));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let codes = cells[2].split('`').skip(1).step_by(2).map(str::to_owned);
            (cells[1].to_owned(), codes.collect())
        })
        .collect()
}

/// What was heard, and how often.
type Heard = BTreeMap<String, usize>;

/// Commands and refreshes all the time, until told that it is enough.
struct Load {
    enough: Arc<AtomicBool>,
    commands: tokio::task::JoinHandle<Heard>,
    refreshes: tokio::task::JoinHandle<(PretendAlexa, usize)>,
}

impl Load {
    fn begin(alexa: Arc<PretendAlexa>, kitchen: String, mut other: PretendAlexa) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let over = enough.clone();
        let commands = tokio::spawn(async move {
            let mut heard = Heard::new();
            for level in (0..60).cycle() {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let asked = alexa.control("Alexa.Speaker", "SetVolume", &kitchen, json!({"volume": level}));
                let heard_now = match alexa.send_directive(&asked).await {
                    Ok(answer) => {
                        let token = |message: &Value, of: &str| message[of]["header"]["correlationToken"].clone();
                        assert_eq!(token(&answer, "event"), token(&asked, "directive"), "it answers another: {answer}");
                        let payload = &answer["event"]["payload"]["type"];
                        payload.as_str().unwrap_or_else(|| answer["event"]["header"]["name"].as_str().unwrap()).into()
                    }
                    // Nobody took the call, or who did is gone: Alexa says herself that the device does not respond.
                    Err(_) => "no answer".to_owned(),
                };
                *heard.entry(heard_now).or_default() += 1;
                tokio::time::sleep(BETWEEN_COMMANDS).await;
            }
            heard
        });
        let over = enough.clone();
        let refreshes = tokio::spawn(async move {
            let mut refreshed = 0;
            while !over.load(Ordering::Relaxed) {
                match other.refresh().await {
                    Ok(()) => refreshed += 1,
                    Err(error) => assert!(!format!("{error:#}").contains(" 4"), "a link is lost: {error:#}"),
                }
                tokio::time::sleep(BETWEEN_REFRESHES).await;
            }
            (other, refreshed)
        });
        Self { enough, commands, refreshes }
    }

    async fn end(self) -> (Heard, PretendAlexa, usize) {
        self.enough.store(true, Ordering::Relaxed);
        let (other, refreshed) = self.refreshes.await.unwrap();
        (self.commands.await.unwrap(), other, refreshed)
    }
}

struct Drills {
    cluster: Cluster,
    /// In front of the skills, as a balancer is.
    skills: Front,
    alexa: Arc<PretendAlexa>,
    /// Refreshes all the time.
    other: Option<PretendAlexa>,
    kitchen: String,
    documented: BTreeMap<String, BTreeSet<String>>,
    drilled: BTreeSet<String>,
    _home: PairedHome,
}

impl Drills {
    async fn set(scratch: &Scratch) -> Self {
        macloud_service_kit::tls::install_provider();
        let cluster = Cluster::up(scratch);
        // As in production: the throw-away server says that something is kept before it is, and a crash of it would unlink people.
        let server = cluster.text("/postgres/url").to_owned();
        let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
        connection.execute("ALTER DATABASE postgres SET synchronous_commit = on").await.unwrap();
        connection.close().await.unwrap();
        let url = cluster.text("/account_service/url").to_owned();
        cluster.admin(&["user", "create", "--email", EMAIL, "--password-stdin"], PASSWORD);
        let client = cluster.admin(&["client", "create", "--client-id", "alexa", "--redirect-uri", REDIRECT_URI], "");
        let mut home = PairedHome::new(&scratch.0, &url, None, Stdio::null()).await;
        let mut alexa = home.link(&url, &client).await;
        let mut other = alexa.of_another_person();
        other.link(&mut home.browser, EMAIL, PASSWORD).await.unwrap();
        let skills = Front::open().await;
        alexa.use_skill(skills.url.parse().unwrap());
        let drills = Self {
            alexa: Arc::new(alexa),
            other: Some(other),
            kitchen: String::new(),
            documented: documented(),
            drilled: BTreeSet::new(),
            _home: home,
            skills,
            cluster,
        };
        drills.lead_to_skills(&[0, 1]);
        let alexa = drills.alexa.clone();
        let found =
            eventually(WAIT, "Discover.Response", async || alexa.send_directive(&alexa.discover()).await.unwrap())
                .await;
        let endpoints = found["event"]["payload"]["endpoints"].as_array().unwrap();
        let endpoint = endpoints.iter().find(|endpoint| endpoint["friendlyName"] == "Kitchen").unwrap();
        Self { kitchen: endpoint["endpointId"].as_str().unwrap().into(), ..drills }
    }

    fn lead_to_skills(&self, which: &[usize]) {
        let address = |n: &usize| {
            let url = self.cluster.text(&format!("/skills/{n}/url"));
            url.trim_start_matches("http://").parse().unwrap()
        };
        self.skills.lead_to(which.iter().map(address).collect());
    }

    /// Let something fail, and hold what is heard against the document.
    async fn drill(&mut self, name: &str, fail: impl AsyncFnOnce(&mut Self)) {
        let allowed =
            self.documented.get(name).unwrap_or_else(|| panic!("the document says nothing of {name:?}")).clone();
        self.drilled.insert(name.to_owned());
        let load = Load::begin(self.alexa.clone(), self.kitchen.clone(), self.other.take().unwrap());
        let begun = Instant::now();
        tokio::time::sleep(BEFORE).await;
        fail(self).await;
        let (alexa, kitchen) = (self.alexa.clone(), self.kitchen.clone());
        let ask = async || set_volume_or_nothing(&alexa, &kitchen).await;
        let answer = eventually(WAIT, "Response", ask).await;
        assert_eq!(verdict(&answer), "Response", "it is not well again after {name}");
        let (heard, mut other, refreshed) = load.end().await;
        println!("{name}: {heard:?}, {refreshed} refreshes, {:?}", begun.elapsed());
        for _ in 0..10 {
            assert_eq!(verdict(&set_volume(&self.alexa, &self.kitchen, 30).await), "Response", "later, after {name}");
        }
        other.refresh().await.unwrap();
        self.other = Some(other);
        let told = |heard: &&String| *heard != "Response" && !allowed.contains(*heard);
        let strange: Vec<&String> = heard.keys().filter(told).collect();
        assert!(strange.is_empty(), "{name}: {heard:?} was heard, and the document allows {allowed:?}");
        assert!(
            heard["Response"] > 0 && refreshed > 0,
            "{name}: {heard:?}, {refreshed} refreshes: no load to speak of"
        );
    }

    fn part(&self, pointer: &str) -> i64 {
        self.cluster.about.pointer(pointer).and_then(Value::as_i64).unwrap()
    }

    /// Which relay has the home.
    async fn holder(&self) -> usize {
        let relays = self.cluster.about["relays"].as_array().unwrap();
        usize::from(!holds_a_home(&relays[0]).await)
    }
}

async fn set_volume_or_nothing(alexa: &PretendAlexa, kitchen: &str) -> Value {
    let directive = alexa.control("Alexa.Speaker", "SetVolume", kitchen, json!({"volume": 30}));
    alexa.send_directive(&directive).await.unwrap_or(Value::Null)
}

fn signal(pid: i64, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// A line for the shell that must succeed.
async fn shell(script: String) {
    let run = move || {
        let mut command = Command::new("sh");
        // What it starts must not hold our output open.
        command.args(["-ec", &script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap()
    };
    assert!(tokio::task::spawn_blocking(run).await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_heard_as_the_document_says_and_no_link_is_lost() {
    if std::env::var_os("MACLOUD_TEST_EMBEDDED_ONLY").is_some() {
        return;
    }
    let scratch = Scratch::new();
    let mut drills = Drills::set(&scratch).await;

    drills
        .drill("a skill process is killed", async |drills: &mut Drills| {
            signal(drills.part("/skills/0/pid"), "-KILL");
            // So long a balancer needs to notice.
            tokio::time::sleep(Duration::from_secs(1)).await;
            drills.lead_to_skills(&[1]);
            drills.cluster.restart("skill-1").await;
            drills.lead_to_skills(&[0, 1]);
        })
        .await;
    drills
        .drill("a relay is killed", async |drills: &mut Drills| {
            let holder = drills.holder().await;
            signal(drills.part(&format!("/relays/{holder}/pid")), "-KILL");
            drills.cluster.restart(&format!("relay-{}", holder + 1)).await;
        })
        .await;
    drills
        .drill("the account service is killed", async |drills: &mut Drills| {
            signal(drills.part("/account_service/pid"), "-KILL");
            tokio::time::sleep(Duration::from_secs(1)).await;
            drills.cluster.restart("account-service").await;
        })
        .await;
    drills
        .drill("PostgreSQL crashes", async |drills: &mut Drills| {
            let data = drills.cluster.dir.join("services/pg");
            shell(format!(
                "bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1); as=; \
                 [ $(id -u) -ne 0 ] || as='setpriv --reuid=postgres --regid=postgres --clear-groups --'; \
                 $as $bin/pg_ctl -D '{0}' -m immediate stop; sleep 2; $as $bin/pg_ctl -w -D '{0}' -l '{0}/log' restart",
                data.display()
            ))
            .await;
        })
        .await;
    drills
        .drill("Redis crashes", async |drills: &mut Drills| {
            let dir = drills.cluster.dir.join("services");
            let port = drills.cluster.text("/redis/url").trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
            shell(format!(
                "kill -KILL $(cat '{0}/redis.pid'); sleep 2; redis-server --port {port} --bind 127.0.0.1 --save '' \
                 --appendonly no --dir '{0}' --daemonize yes --pidfile '{0}/redis.pid' --logfile '{0}/redis.log'",
                dir.display()
            ))
            .await;
        })
        .await;
    drills
        .drill("the network to a home is silent", async |drills: &mut Drills| {
            // All that homes and relays say to each other goes through it; it takes connections, and nothing passes.
            let front = drills.part("/relay_front/pid");
            signal(front, "-STOP");
            tokio::time::sleep(Duration::from_secs(8)).await;
            signal(front, "-CONT");
        })
        .await;

    let not_drilled: Vec<_> = drills.documented.keys().filter(|name| !drills.drilled.contains(*name)).collect();
    let elsewhere = [
        "PostgreSQL has no room for its log, and stops",
        "the disk of PostgreSQL is full",
        "the disk of the database is full",
    ];
    assert_eq!(not_drilled, elsewhere, "the last has a test of its own, and infra/drills.d has the others");
}

/// A disk that only the process sees, and that another one fills.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nothing_is_refused_for_good_and_it_heals_by_itself() {
    let name = "the disk of the database is full";
    assert!(documented().contains_key(name));
    let small_disk = "mount -t tmpfs -o size=6m,mode=700 tmpfs \"$1\"; shift; exec \"$@\"";
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    std::fs::create_dir_all(&data).unwrap();
    let possible =
        run(Command::new("unshare").args(["--mount", "sh", "-ec", small_disk, "sh"]).arg(&data).arg("true"), "");
    if !possible.status.success() {
        let required = std::env::var("MACLOUD_TEST_NAMESPACES").is_ok_and(|value| value == "required");
        assert!(!required, "{}", String::from_utf8_lossy(&possible.stderr));
        eprintln!("SKIPPED: no disk can be mounted here");
        return;
    }
    // The account is made on the large disk, and copied to the small one.
    let accounts = Accounts::new(Kind::Sqlite).await.unwrap();
    let app = accounts.app("alexa", &[]);
    let mut serve = Command::new("unshare");
    let copy_first = format!("cp -a '{}/.' '{}'; exec \"$@\"", accounts.data_dir().display(), data.display());
    serve.args(["--mount", "sh", "-ec", small_disk, "sh"]).arg(&data).args(["sh", "-ec", &copy_first, "sh"]);
    serve.arg(ma_cloud().get_program()).args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data);
    serve.args(["--public-url", &accounts.front.url]);
    let mut cloud = Running::start(&mut serve);
    let listening = cloud.until("listening");
    let address = listening["address"].as_str().unwrap().parse().unwrap();
    accounts.front.lead_to(vec![address]);
    let url = accounts.front.url.clone();
    let mut browser = accounts.browser().await;
    let code = accounts.consent(&mut browser, &app).await.unwrap();
    let mut token = text(&app.redeem(&url, &code).await.unwrap().1, "refresh_token");

    // As it sees its disk.
    let filler = format!("/proc/{}/root{}/filler", cloud.child.id(), data.display());
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    let begun = Instant::now();
    let mut told = 200;
    while told != 503 && begun.elapsed() < WAIT {
        // There may be room in the journal for some.
        let (status, answer) = app.refresh(&url, &token).await.unwrap();
        assert!(status == 200 || status == 503, "{status} {answer}");
        if status == 200 {
            token = text(&answer, "refresh_token");
        }
        told = status;
    }
    assert_eq!(told, 503, "the disk is full, and nobody notices");
    assert!(app.is_active(&url, &token).await, "what it knows can still be asked");
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    let healed = Instant::now();
    loop {
        let (status, answer) = app.refresh(&url, &token).await.unwrap();
        if status == 200 {
            token = text(&answer, "refresh_token");
            break;
        }
        assert!(status == 503 && healed.elapsed() < WAIT, "{status} {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(app.refresh(&url, &token).await.unwrap().0, 200);
    println!("{name}: well again after {:?}", healed.elapsed());
    assert!(cloud.terminate().success());
    accounts.finish().await;
}

/// Below what a home takes for as long as one likes.
const BETWEEN_COMMANDS: Duration = Duration::from_millis(120);
const BETWEEN_REFRESHES: Duration = Duration::from_millis(200);
/// Enough for some answers before anything fails.
const BEFORE: Duration = Duration::from_millis(600);
