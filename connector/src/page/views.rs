//! What the pages show, in words for people.

use askama::Template;
use macloud_e2ee::vocabulary::clean_text;
use qrcode::{Color, EcLevel, QrCode};
use tokio::time::Instant;

use super::home::Pairing;
use super::request::Caller;
use super::words::Language;
use super::{Candidate, Diagnosis, Search, Shared, lock};
use crate::connector::{View, is_healthy};
use crate::doctor;
use crate::link::recent::RecentCommand;
use crate::music_assistant::model::PlayerType;
use crate::rules::{Alias, Level, Rules};
use crate::status::{LinkState, Status};

/// While something is waited for, the page looks again after so many seconds; otherwise after the other number.
const WAITING: u32 = 3;
const WATCHING: u32 = 5;

/// Light around a QR code, in modules: its standard asks for four.
const QUIET: usize = 4;

/// What every page has around it.
pub(super) struct Frame {
    t: Language,
    form_token: String,
    title: String,
    /// Which page this is: when the next look finds another, it is shown as a whole.
    kind: &'static str,
    /// The four steps of the first run, where this is one of them.
    way: Vec<Step>,
    /// Look again after so many seconds; never, if 0.
    refresh: u32,
    /// Whether there is nothing to do here but wait.
    waits: bool,
    /// A connector runs: there is a status page to go to.
    is_running: bool,
}

impl Frame {
    fn new(shared: &Shared, caller: &Caller, kind: &'static str, english: &str, german: &str) -> Self {
        Self {
            t: caller.language,
            form_token: shared.form_token(),
            title: caller.language.say(english, german).to_owned(),
            kind,
            way: Vec::new(),
            refresh: 0,
            waits: false,
            is_running: shared.view().is_some(),
        }
    }

    /// This is one of the four steps of the first run. Who comes here later changes one thing, and is not led through all.
    fn at_step(self, step: usize) -> Self {
        if self.is_running && step < LAST_STEP { self } else { Self { way: way(step, self.t), ..self } }
    }

    fn waiting(self) -> Self {
        Self { refresh: WAITING, waits: true, ..self }
    }
}

/// A step of the first run, as all of its pages show it.
struct Step {
    name: &'static str,
    is_past: bool,
    is_current: bool,
}

const LAST_STEP: usize = 4;

fn way(current: usize, t: Language) -> Vec<Step> {
    let names =
        [t.say("Find", "Finden"), t.say("Sign in", "Anmelden"), t.say("Connect", "Verbinden"), t.say("Done", "Fertig")];
    let step = |(at, name)| Step { name, is_past: at + 1 < current, is_current: at + 1 == current };
    names.into_iter().enumerate().map(step).collect()
}

/// Step 1.
#[derive(Template)]
#[template(path = "place.html")]
pub(super) struct PlacePage {
    frame: Frame,
    error: Option<String>,
    typed: String,
    looking: bool,
    found: Vec<(String, String)>,
    present: Option<String>,
}

impl PlacePage {
    pub(super) fn new(shared: &Shared, caller: &Caller) -> Self {
        let frame = Frame::new(shared, caller, "place", "Find Music Assistant", "Music Assistant finden").at_step(1);
        let search = lock(&shared.search).clone();
        let looking = matches!(search, Search::Looking);
        let found = match search {
            Search::Done(found) => found.iter().map(|one| named(one, caller.language)).collect(),
            Search::NotYet | Search::Looking => Vec::new(),
        };
        let frame = if looking { Frame { refresh: 1, waits: true, ..frame } } else { frame };
        let present = shared.place().map(|url| url.to_string());
        Self { frame, error: None, typed: String::new(), looking, found, present }
    }

    /// What was typed is not right.
    pub(super) fn wrong(self, error: String, typed: &str) -> Self {
        Self { error: Some(error), typed: typed.to_owned(), ..self }
    }
}

/// Its address, and what to call it.
fn named(candidate: &Candidate, t: Language) -> (String, String) {
    let is_here = crate::network::is_loopback(&candidate.url);
    let unnamed = if is_here { t.say("On this machine", "Auf diesem Rechner") } else { "Music Assistant" };
    let name = candidate.name.as_deref().map_or_else(|| unnamed.to_owned(), clean_text);
    (candidate.url.to_string(), name)
}

/// Step 2.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub(super) struct SignInPage {
    frame: Frame,
    error: Option<String>,
    username: String,
    place: String,
    has_token: bool,
}

impl SignInPage {
    pub(super) fn new(shared: &Shared, caller: &Caller) -> Self {
        let frame = Frame::new(shared, caller, "sign-in", "Sign in to Music Assistant", "Bei Music Assistant anmelden");
        let place = crate::connector::ma_place(shared.place()).to_string();
        let (frame, has_token) = (frame.at_step(2), shared.has_token());
        Self { frame, error: None, username: String::new(), place, has_token }
    }

    /// What was typed is not right. The password is to be typed again.
    pub(super) fn wrong(self, error: String, username: &str) -> Self {
        Self { error: Some(error), username: username.to_owned(), ..self }
    }
}

/// Step 3.
#[derive(Template)]
#[template(path = "pair.html")]
pub(super) struct PairPage {
    frame: Frame,
    error: Option<String>,
    cloud: String,
    name: String,
    /// As far as pairing itself did not succeed.
    failed: Option<String>,
    asking: bool,
    code: Option<Code>,
    paired: Option<String>,
}

/// What somebody is to approve.
struct Code {
    user_code: String,
    link: String,
    page: String,
    fingerprint: String,
    minutes: u64,
    side: usize,
    dark: String,
}

impl PairPage {
    pub(super) fn new(shared: &Shared, caller: &Caller) -> Self {
        let pairing = lock(&shared.pairing).clone();
        let kind = match &pairing {
            Pairing::Code(..) => "code",
            Pairing::Asking => "asking",
            Pairing::Idle | Pairing::Failed(_) | Pairing::Done => "pair",
        };
        let frame = Frame::new(shared, caller, kind, "Connect to the cloud", "Mit der Cloud verbinden").at_step(3);
        let asking = matches!(pairing, Pairing::Asking);
        let frame = if kind == "pair" { frame } else { frame.waiting() };
        let known = shared.state.pairing().ok().flatten();
        let proposed = known.as_ref().map(|pairing| &pairing.cloud).or(shared.settings.cloud.as_ref());
        let cloud = proposed.map_or_else(String::new, ToString::to_string);
        let failed = if let Pairing::Failed(why) = &pairing { Some(why.clone()) } else { None };
        let code = match pairing {
            Pairing::Code(code, until) => {
                let (side, dark) = drawn(&code.verification_uri_complete);
                let left = until.saturating_duration_since(Instant::now());
                Some(Code {
                    user_code: code.user_code,
                    link: web_link(code.verification_uri_complete),
                    page: code.verification_uri,
                    fingerprint: code.fingerprint,
                    minutes: left.as_secs().div_ceil(60),
                    side,
                    dark,
                })
            }
            _ => None,
        };
        let paired = known.map(|pairing| pairing.home_name);
        Self { frame, error: None, cloud, name: String::new(), failed, asking, code, paired }
    }

    /// What was typed is not right.
    pub(super) fn wrong(self, error: &str, cloud: &str, name: &str) -> Self {
        Self { error: Some(error.to_owned()), cloud: cloud.to_owned(), name: name.to_owned(), failed: None, ..self }
    }
}

/// What the cloud says becomes a link only if it is one of the web.
fn web_link(text: String) -> String {
    if text.starts_with("https://") || text.starts_with("http://") { text } else { String::new() }
}

/// A QR code as the side of a square and the path that fills its dark modules. Empty when the text is too long for one: the code can
/// be typed, too.
fn drawn(text: &str) -> (usize, String) {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else { return (0, String::new()) };
    let width = code.width();
    let colors = code.to_colors();
    let dark = colors.iter().enumerate().filter(|(_, color)| **color == Color::Dark);
    let squares = dark.map(|(at, _)| format!("M{} {}h1v1h-1z", at % width + QUIET, at / width + QUIET));
    (width + 2 * QUIET, squares.collect())
}

/// Step 4, and the status page: how it stands.
#[derive(Template)]
#[template(path = "done.html")]
pub(super) struct DonePage {
    frame: Frame,
    hops: Vec<Hop>,
    players: Vec<String>,
    all_good: bool,
}

impl DonePage {
    pub(super) fn new(shared: &Shared, caller: &Caller, view: Option<&View>) -> Self {
        let frame = Frame::new(shared, caller, "done", "Connected", "Verbunden");
        let hops = hops(view, caller.language);
        let players = view.map_or_else(Vec::new, |view| {
            let rules = shared.state.rules().unwrap_or_default();
            let directory = view.music_assistant().directory();
            let exposed = directory.exposed().filter(|player| rules.expose(player));
            exposed.map(|player| clean_text(rules.name_of(player))).collect()
        });
        let all_good = hops.iter().all(|hop| hop.state == State::Good) && !players.is_empty();
        let frame = frame.at_step(LAST_STEP);
        let frame = if all_good { frame } else { frame.waiting() };
        Self { frame, hops, players, all_good }
    }
}

/// The status page.
#[derive(Template)]
#[template(path = "status.html")]
pub(super) struct StatusPage {
    frame: Frame,
    home: String,
    fingerprint: String,
    stopped: bool,
    hops: Vec<Hop>,
    players: Vec<PlayerRow>,
    current: bool,
    quiet: Option<(String, String)>,
    clock: String,
    tells: bool,
    recent: Vec<RecentRow>,
    rules_error: Option<String>,
    /// What the form says that was sent last, if it was not understood.
    error: Option<String>,
    version: &'static str,
}

struct PlayerRow {
    id: String,
    /// Where on the page it is.
    place: usize,
    name: String,
    alias: String,
    exposed: bool,
    max_volume: Option<u8>,
    available: bool,
    is_group: bool,
    shares_name: bool,
    unspeakable: bool,
}

struct RecentRow {
    time: String,
    what: &'static str,
    player: Option<String>,
    /// Why not.
    refused: Option<&'static str>,
}

impl StatusPage {
    pub(super) fn new(shared: &Shared, caller: &Caller, view: &View) -> Self {
        let t = caller.language;
        let frame = Frame::new(shared, caller, "status", "This home", "Dieses Zuhause");
        let frame = Frame { refresh: WATCHING, ..frame };
        let status = view.status();
        let (rules, rules_error) = match shared.state.rules() {
            Ok(rules) => (rules, None),
            Err(error) => (Rules::default(), Some(error.to_string())),
        };
        let now = status.updated_at;
        let recent = view.recent();
        let recent = recent.into_iter().map(|command| RecentRow::new(command, view, now, t)).collect();
        Self {
            frame,
            home: clean_text(&status.home_name),
            stopped: shared.state.is_stopped(),
            hops: hops(Some(view), t),
            players: players(view, &rules),
            current: status.music_assistant.players_current,
            quiet: rules.quiet_hours.map(|hours| (hours.from.to_string(), hours.to.to_string())),
            clock: view.time_of(now).to_string(),
            tells: rules.tell_changes,
            recent,
            rules_error,
            error: None,
            version: env!("CARGO_PKG_VERSION"),
            fingerprint: status.fingerprint,
        }
    }

    /// What was filled in is not right.
    pub(super) fn wrong(self, error: String) -> Self {
        Self { error: Some(error), ..self }
    }
}

fn players(view: &View, rules: &Rules) -> Vec<PlayerRow> {
    let directory = view.music_assistant().directory();
    let namesakes = rules.namesakes(directory.exposed_names());
    let unspeakable = rules.unspeakable(directory.exposed_names());
    let row = |(place, player): (usize, &crate::music_assistant::model::Player)| {
        let own = rules.players.get(&player.id);
        PlayerRow {
            id: player.id.clone(),
            place: place + 1,
            name: clean_text(&player.name),
            alias: own.and_then(|own| own.alias.as_ref()).map_or("", Alias::as_str).to_owned(),
            exposed: rules.expose(player),
            max_volume: own.and_then(|own| own.max_volume).map(Level::value),
            available: player.available,
            is_group: player.kind == PlayerType::Group,
            shares_name: namesakes.contains(player.id.as_str()),
            unspeakable: unspeakable.contains(player.id.as_str()),
        }
    };
    directory.exposed().enumerate().map(row).collect()
}

impl RecentRow {
    fn new(command: RecentCommand, view: &View, now: u64, t: Language) -> Self {
        let days = now.saturating_sub(command.at) / 86_400;
        let time = view.time_of(command.at);
        let time = match days {
            0 => time.to_string(),
            days => format!("{time} (−{days} {})", t.say("d", "T")),
        };
        let player = command.player.map(|name| clean_text(&name));
        Self { time, what: asked(command.kind, t), player, refused: command.refused.map(|word| why_not(word, t)) }
    }
}

/// What was asked, for people.
fn asked(kind: &str, t: Language) -> &'static str {
    let (english, german) = match kind {
        "list" => ("List of players", "Liste der Player"),
        "read" => ("Question how it stands", "Frage nach dem Stand"),
        "on" => ("On", "An"),
        "off" => ("Off", "Aus"),
        "volume" => ("Volume", "Lautstärke"),
        "mute" => ("Mute", "Stumm"),
        "resume" => ("Go on", "Weiter"),
        "pause" => ("Pause", "Pause"),
        "stop" => ("Stop", "Stopp"),
        "next" => ("Next", "Nächstes"),
        "previous" => ("Previous", "Voriges"),
        "seek" => ("Another place in it", "Andere Stelle"),
        "play" => ("Play", "Abspielen"),
        "save" => ("Keep as a favourite", "Als Favorit merken"),
        "order" => ("Order of play", "Reihenfolge"),
        "sleep" => ("Sleep timer", "Schlafzeit"),
        "move" => ("Music to another player", "Musik auf anderen Player"),
        "group" => ("Play together", "Zusammen spielen"),
        "trial" => ("Trial of the whole way", "Probe des ganzen Weges"),
        "device" => ("Player of a voice device", "Player eines Sprachgeräts"),
        _ => ("Something newer than this connector", "Etwas Neueres als dieser Connector"),
    };
    t.say(english, german)
}

/// Why it was not done, for people.
fn why_not(word: &str, t: Language) -> &'static str {
    let (english, german) = match word {
        "no_such_player" => ("no such player", "kein solcher Player"),
        "which_player" => ("asked which player", "gefragt, welcher Player"),
        "player_away" => ("player not reachable", "Player nicht erreichbar"),
        "not_found" => ("not found", "nicht gefunden"),
        "nothing_to_play" => ("nothing there to play", "nichts zum Abspielen"),
        "not_supported" => ("not possible there", "dort nicht möglich"),
        "busy" => ("busy", "beschäftigt"),
        "music_assistant_away" => ("Music Assistant away", "Music Assistant nicht da"),
        "music_assistant_starting" => ("Music Assistant starting", "Music Assistant startet"),
        "token_refused" => ("token refused", "Token abgelehnt"),
        "late" => ("too late", "zu spät"),
        "not_granted" => ("not permitted", "nicht erlaubt"),
        "stopped" => ("stopped here", "hier gestoppt"),
        "unknown_command" => ("not known yet", "noch nicht bekannt"),
        "outcome_unknown" => ("no word whether it was done", "unklar, ob ausgeführt"),
        "volume_limited" => ("louder than allowed", "lauter als erlaubt"),
        "quiet_hours" => ("quiet hours", "Ruhezeit"),
        "asked_back" => ("asked back", "zurückgefragt"),
        _ => ("failed", "fehlgeschlagen"),
    };
    t.say(english, german)
}

/// How well something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Wait,
    Bad,
}

/// One part of the way from the cloud to a speaker.
struct Hop {
    name: &'static str,
    state: State,
    word: &'static str,
    text: String,
    /// In English, because it comes from where there is one language.
    detail: Option<String>,
    cure: Option<&'static str>,
    /// A page that helps, and what it is called.
    helps: Option<(&'static str, &'static str)>,
}

impl Hop {
    /// How its badge looks.
    const fn class(&self) -> &'static str {
        match self.state {
            State::Good => "good",
            State::Wait => "wait",
            State::Bad => "bad",
        }
    }
}

fn hops(view: Option<&View>, t: Language) -> Vec<Hop> {
    let Some(view) = view else {
        let text = t.say("The connector is starting.", "Der Connector startet.").to_owned();
        return vec![hop(t.say("Connector", "Connector"), State::Wait, text, t)];
    };
    let status = view.status();
    vec![cloud(view, &status, t), relay(&status.relay, t), music_assistant(&status, t)]
}

fn hop(name: &'static str, state: State, text: String, t: Language) -> Hop {
    let word = match state {
        State::Good => t.say("Good", "Gut"),
        State::Wait => t.say("Wait", "Warten"),
        State::Bad => t.say("Trouble", "Störung"),
    };
    Hop { name, state, word, text, detail: None, cure: None, helps: None }
}

fn cloud(view: &View, status: &Status, t: Language) -> Hop {
    const NAME: &str = "Cloud";
    let host = view.pairing().cloud.host_str().unwrap_or_default().to_owned();
    if let Some(trouble) = &status.key_trouble {
        let text = t.say(
            "The cloud's keys are not those of the pairing.",
            "Die Schlüssel der Cloud sind nicht die der Kopplung.",
        );
        let helps = Some(("/pair", t.say("Pair again", "Neu koppeln")));
        return Hop { detail: Some(trouble.clone()), helps, ..hop(NAME, State::Bad, text.to_owned(), t) };
    }
    match &status.relay {
        LinkState::Online { paused: true, .. } => {
            let text = t.say(
                "This home is paused on the cloud's web page.",
                "Dieses Zuhause ist auf der Webseite der Cloud angehalten.",
            );
            let cure = t.say("Resume it there, under Homes.", "Setze es dort fort, unter Zuhause.");
            Hop { cure: Some(cure), ..hop(NAME, State::Bad, text.to_owned(), t) }
        }
        LinkState::Online { .. } => {
            let known = t.say("It knows this home:", "Sie kennt dieses Zuhause:");
            hop(NAME, State::Good, format!("{known} {host}"), t)
        }
        LinkState::Unauthorized { explanation, .. } => {
            let text =
                t.say("The cloud does not accept this home.", "Die Cloud nimmt dieses Zuhause nicht an.").to_owned();
            let helps = Some(("/pair", t.say("Pair again", "Neu koppeln")));
            Hop { detail: Some(explanation.clone()), helps, ..hop(NAME, State::Bad, text, t) }
        }
        LinkState::Connecting | LinkState::Waiting { .. } | LinkState::Replaced { .. } => {
            let known = t.say("Paired with", "Gekoppelt mit");
            hop(NAME, State::Wait, format!("{known} {host}"), t)
        }
    }
}

fn relay(link: &LinkState, t: Language) -> Hop {
    let name = t.say("Way to the cloud", "Weg zur Cloud");
    let again = |seconds: &u64| match t {
        Language::English => format!("Not connected. Next attempt within {seconds} s."),
        Language::German => format!("Nicht verbunden. Nächster Versuch in höchstens {seconds} s."),
    };
    match link {
        LinkState::Connecting => hop(name, State::Wait, t.say("Connecting …", "Verbindet sich …").to_owned(), t),
        LinkState::Online { contested: true, .. } => {
            let text = t.say(
                "Another connector keeps connecting with this home's key: commands get lost.",
                "Ein anderer Connector verbindet sich immer wieder mit dem Schlüssel dieses Zuhauses: Befehle gehen verloren.",
            );
            let cure = t.say(
                "Stop one of the two. If you did not copy this one, pair this home again.",
                "Halte einen der beiden an. Wenn du diesen nicht kopiert hast, kopple dieses Zuhause neu.",
            );
            Hop { cure: Some(cure), ..hop(name, State::Bad, text.to_owned(), t) }
        }
        LinkState::Online { node, .. } => {
            let connected = t.say("Connected, through", "Verbunden, über");
            hop(name, State::Good, format!("{connected} {}", clean_text(node)), t)
        }
        LinkState::Waiting { explanation, retry_in_seconds } => {
            Hop { detail: Some(explanation.clone()), ..hop(name, State::Bad, again(retry_in_seconds), t) }
        }
        LinkState::Replaced { retry_in_seconds, .. } => {
            let cure = t.say(
                "Another connector took over with this home's key. If you moved it, stop this one; if not, pair this home again.",
                "Ein anderer Connector hat mit dem Schlüssel dieses Zuhauses übernommen. Bist du damit umgezogen, halte diesen an; sonst kopple dieses Zuhause neu.",
            );
            let helps = Some(("/pair", t.say("Pair again", "Neu koppeln")));
            Hop { cure: Some(cure), helps, ..hop(name, State::Bad, again(retry_in_seconds), t) }
        }
        LinkState::Unauthorized { retry_in_seconds, .. } => hop(name, State::Bad, again(retry_in_seconds), t),
    }
}

fn music_assistant(status: &Status, t: Language) -> Hop {
    const NAME: &str = "Music Assistant";
    let ma = &status.music_assistant;
    let place = Some(("/music-assistant", t.say("Change the address", "Adresse ändern")));
    let sign_in = Some(("/sign-in", t.say("Sign in again", "Neu anmelden")));
    if ma.state == "ready" {
        let text = format!(
            "{}: {}",
            t.say("Connected. Players that Alexa may use", "Verbunden. Player, die Alexa benutzen darf"),
            ma.players
        );
        let ends = ma.token_ends_on.as_ref().map(|day| match t {
            Language::English => format!("Its token ends on {day}."),
            Language::German => format!("Sein Token endet am {day}."),
        });
        return match ends {
            Some(ends) => {
                let cure = t.say("Sign in again before that.", "Melde dich vorher neu an.");
                Hop { cure: Some(cure), helps: sign_in, ..hop(NAME, State::Wait, format!("{text}. {ends}"), t) }
            }
            None => hop(NAME, State::Good, text, t),
        };
    }
    let (english, german, helps) = match ma.state.as_str() {
        "connecting" => ("Connecting …", "Verbindet sich …", None),
        "starting" => ("It is starting.", "Es startet.", None),
        "unreachable" => (
            "It does not answer. Check that it runs, and that its address is right.",
            "Es antwortet nicht. Prüfe, ob es läuft und ob die Adresse stimmt.",
            place,
        ),
        "not_music_assistant" => (
            "What answers at its address is not Music Assistant.",
            "Was dort antwortet, ist nicht Music Assistant.",
            place,
        ),
        "too_old" => ("It is too old. Update it.", "Es ist zu alt. Aktualisiere es.", None),
        "set_up_needed" => (
            "It is not set up yet. Open its own web page and finish the set-up.",
            "Es ist noch nicht eingerichtet. Öffne seine eigene Webseite und richte es fertig ein.",
            None,
        ),
        "no_token" => ("Nobody has signed in to it yet.", "Dort hat sich noch niemand angemeldet.", sign_in),
        "token_doubted" => (
            "It refused the token; that can pass after a restart.",
            "Es hat das Token abgelehnt; nach einem Neustart gibt sich das manchmal.",
            None,
        ),
        "token_refused" => ("It refuses the token.", "Es lehnt das Token ab.", sign_in),
        _ => (ma.explanation.as_str(), ma.explanation.as_str(), None),
    };
    let passes = is_healthy(&ma.state) || ["connecting", "token_doubted"].contains(&ma.state.as_str());
    let state = if passes { State::Wait } else { State::Bad };
    Hop { helps, ..hop(NAME, state, t.say(english, german).to_owned(), t) }
}

/// What `doctor` says.
#[derive(Template)]
#[template(path = "doctor.html")]
pub(super) struct DoctorPage {
    frame: Frame,
    running: bool,
    /// As text to copy.
    report: Option<String>,
    all_good: bool,
}

impl DoctorPage {
    pub(super) fn new(shared: &Shared, caller: &Caller) -> Self {
        let found = lock(&shared.diagnosis).clone();
        let kind = if matches!(found, Diagnosis::Running) { "examining" } else { "doctor" };
        let frame = Frame::new(shared, caller, kind, "Look at every step of the way", "Jede Station ansehen");
        let running = matches!(found, Diagnosis::Running);
        let frame = if running { Frame { refresh: 1, waits: true, ..frame } } else { frame };
        let found = if let Diagnosis::Done(found) = found { Some(found) } else { None };
        let all_good = found.as_ref().is_some_and(|found| found.ok);
        Self { frame, running, report: found.as_ref().map(report), all_good }
    }
}

fn report(found: &doctor::Diagnosis) -> String {
    let mut text = format!("ma-connector {}\n", env!("CARGO_PKG_VERSION"));
    for check in &found.checks {
        text.push_str(&format!("{} {}: {}\n", if check.ok { "ok  " } else { "FAIL" }, check.name, check.detail));
        if let Some(fix) = &check.fix {
            text.push_str(&format!("     → {fix}\n"));
        }
    }
    text
}

/// What could not be shown or done.
#[derive(Template)]
#[template(path = "trouble.html")]
pub(super) struct TroublePage {
    frame: Frame,
    text: String,
}

impl TroublePage {
    pub(super) fn new(shared: &Shared, caller: &Caller, text: String) -> Self {
        Self { frame: Frame::new(shared, caller, "trouble", "That did not work", "Das hat nicht geklappt"), text }
    }
}
