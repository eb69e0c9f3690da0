//! The endpoints in the answer to `Discover`: players and favourites as Alexa may know them.
//!
//! Promises: the same homes, players and favourites give the same list in the same order; every name can be spoken and no two are
//! the same; one player that cannot be an endpoint is left out alone; never more than Alexa takes, by number or by bytes.
//! What had to be left out for that is said in a [`Report`].
//!
//! Room goes to players first, and to a little of every home before much of one. Where all cannot be said of all, less is said of
//! each, the same of all of them: see [`LADDER`].

mod capabilities;
mod names;
mod words;

use std::collections::HashSet;
use std::{fmt, io};

use macloud_e2ee::vocabulary::{Player, PlayerKind, Preset};
use macloud_proto::ids::InstanceId;
use serde_json::{Value, json};

use crate::directive::{Endpoint, Thing};
use capabilities::{Describer, Detail, PresetMode, scene};
use names::{Names, cut, plain, speakable};
use words::{LOCALES, MAIN};

/// Alexa takes at most this many endpoints per customer.
pub const MAX_ENDPOINTS: usize = 300;

/// The longest message with endpoints, in bytes: 256 KB is what Amazon takes of a list that is told without being asked for, and
/// the only bound that it names.
pub const MAX_BYTES: usize = 256_000;

/// What is left of [`MAX_BYTES`] beside an event's header and a token of Amazon's.
const ROOM: usize = MAX_BYTES - 4_000;

/// What is said of each player, from everything to what it can be told by voice and no more. The first that all have room
/// with is taken.
const LADDER: [Detail; 7] = [
    Detail { label: "everything", locales: &LOCALES, presets: usize::MAX, whole: true },
    Detail { label: "few_presets", locales: &LOCALES, presets: FEW, whole: true },
    Detail { label: "main_languages", locales: LOCALES.split_at(MAIN).0, presets: usize::MAX, whole: true },
    Detail { label: "main_languages_few_presets", locales: LOCALES.split_at(MAIN).0, presets: FEW, whole: true },
    Detail { label: "main_languages_no_presets", locales: LOCALES.split_at(MAIN).0, presets: 0, whole: true },
    Detail { label: "no_settings", locales: &[], presets: 0, whole: true },
    LEAST,
];
const LEAST: Detail = Detail { label: "least", locales: &[], presets: 0, whole: false };
const FEW: usize = 12;

/// What a home has that can be an endpoint.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Which home.
    pub instance: InstanceId,
    /// As its owner named it.
    pub home: String,
    /// Its players.
    pub players: Vec<Player>,
    /// Its favourites.
    pub presets: Vec<Preset>,
}

/// The endpoints of all homes, and what is not among them.
#[derive(Debug)]
pub struct Listing {
    /// In Alexa's words.
    pub endpoints: Vec<Value>,
    /// For whoever wants to know why something is missing.
    pub report: Report,
}

/// What was listed and what was not: numbers, fixed words and ids, no names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Players that are endpoints.
    pub players: usize,
    /// Favourites that are endpoints.
    pub scenes: usize,
    /// Of all endpoints together, as JSON.
    pub bytes: usize,
    /// How much is said of each player: `everything`, or less.
    pub detail: &'static str,
    /// Favourites that a player should have among its modes and has not, over all players.
    pub modes_left_out: usize,
    /// Players and favourites that are no endpoints, or not under their own name. Of many, only the first.
    pub remarks: Vec<Remark>,
    /// How many there are of each kind.
    pub unspeakable: usize,
    /// Likewise.
    pub renamed: usize,
    /// Likewise.
    pub no_room: usize,
}

/// Why a player or a favourite is no endpoint, or not under its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Its endpoint's id.
    pub endpoint: Endpoint,
    /// Why.
    pub why: Why,
}

/// What became of a player or a favourite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nothing in its name can be spoken: it is left out.
    Unspeakable,
    /// Something else has its name: it has a longer one.
    Renamed,
    /// Alexa takes no more: it is left out.
    NoRoom,
}

impl Report {
    fn remark(&mut self, endpoint: Endpoint, why: Why) {
        match why {
            Why::Unspeakable => self.unspeakable += 1,
            Why::Renamed => self.renamed += 1,
            Why::NoRoom => self.no_room += 1,
        }
        if self.remarks.len() < MOST_REMARKS {
            self.remarks.push(Remark { endpoint, why });
        }
    }
}

/// More help nobody, and a report is kept with its directive's trace.
const MOST_REMARKS: usize = 50;

/// The endpoints of all homes that answered.
#[must_use]
pub fn list(mut offers: Vec<Offer>, tells_changes: bool) -> Listing {
    let mut report = Report::default();
    offers.sort_by(|a, b| a.instance.cmp(&b.instance));
    for offer in &mut offers {
        offer.tidy(&mut report);
    }
    let mut attempts = LADDER.iter().map(|detail| Attempt::make(&offers, MAX_ENDPOINTS, *detail, tells_changes, ROOM));
    let attempt =
        attempts.find(|attempt| attempt.bytes <= ROOM).unwrap_or_else(|| as_many_as_fit(&offers, tells_changes));
    let Attempt { endpoints, bytes, detail, players, scenes, modes_left_out, remarks } = attempt;
    report = Report { players, scenes, bytes, detail: detail.label, modes_left_out, ..report };
    for Remark { endpoint, why } in remarks {
        report.remark(endpoint, why);
    }
    report.log();
    Listing { endpoints, report }
}

/// The endpoints of one home, in as many messages as they take: what is told without being asked for has room for everything, where
/// one answer has not. Less is said of them only where one alone would be too long.
#[must_use]
pub fn in_parts(mut offer: Offer) -> Vec<Vec<Value>> {
    offer.tidy(&mut Report::default());
    let offers = [offer];
    let mut attempts = LADDER.iter().map(|detail| Attempt::make(&offers, MAX_ENDPOINTS, *detail, true, usize::MAX));
    let each_fits = |attempt: &Attempt| attempt.endpoints.iter().all(|endpoint| bytes(endpoint) < ROOM);
    let endpoints = attempts.find(each_fits).map(|attempt| attempt.endpoints).unwrap_or_default();
    let (mut parts, mut room) = (Vec::<Vec<Value>>::new(), 0);
    for endpoint in endpoints {
        let takes = bytes(&endpoint) + 1;
        match parts.last_mut().filter(|_| takes <= room) {
            Some(part) => part.push(endpoint),
            None => {
                room = ROOM;
                parts.push(vec![endpoint]);
            }
        }
        room = room.saturating_sub(takes);
    }
    parts
}

/// The least is said of each, and that is still too much.
fn as_many_as_fit(offers: &[Offer], tells_changes: bool) -> Attempt {
    let mut most = MAX_ENDPOINTS;
    loop {
        let attempt = Attempt::make(offers, most, LEAST, tells_changes, usize::MAX);
        if attempt.bytes <= ROOM || most == 0 {
            return attempt;
        }
        // They are much alike, so this is near to what fits; and less than before, so it ends.
        most = (most * ROOM / attempt.bytes).min(attempt.endpoints.len().saturating_sub(1));
    }
}

impl Offer {
    /// In one order, each once, and only what has a name that can be spoken.
    fn tidy(&mut self, report: &mut Report) {
        self.players.sort_by(|a, b| a.key.cmp(&b.key));
        self.players.dedup_by(|a, b| a.key == b.key);
        self.presets.sort_by_cached_key(|preset| (preset.name.to_lowercase(), preset.key.clone()));
        let mut seen = HashSet::new();
        self.presets.retain(|preset| seen.insert(preset.key.clone()));
        let instance = &self.instance;
        let mut can_be_said = |name: &str, thing: Thing| {
            let can = speakable(name).is_some();
            if !can {
                report.remark(Endpoint { instance: instance.clone(), thing }, Why::Unspeakable);
            }
            can
        };
        self.players.retain(|player| can_be_said(&player.name, Thing::Player(player.key.clone())));
        self.presets.retain(|preset| can_be_said(&preset.name, Thing::Scene(preset.key.clone())));
    }

    /// As modes of its players: a name that two have stands for the first.
    fn modes(&self) -> Vec<PresetMode> {
        let mut seen = HashSet::new();
        let named = self.presets.iter().filter_map(|preset| Some((preset.key.clone(), speakable(&preset.name)?)));
        named.filter(|(_, name)| seen.insert(name.to_lowercase())).collect()
    }
}

/// All endpoints with one [`Detail`], as far as they were made.
struct Attempt {
    endpoints: Vec<Value>,
    bytes: usize,
    detail: Detail,
    players: usize,
    scenes: usize,
    modes_left_out: usize,
    remarks: Vec<Remark>,
}

impl Attempt {
    /// Given up as soon as it takes more than `room`.
    fn make(offers: &[Offer], most: usize, detail: Detail, tells_changes: bool, room: usize) -> Self {
        let mut attempt = Self {
            endpoints: Vec::new(),
            bytes: 0,
            detail,
            players: 0,
            scenes: 0,
            modes_left_out: 0,
            remarks: Vec::new(),
        };
        let mut names = Names::default();
        let shares = shares(most, offers.iter().map(|offer| offer.players.len()));
        let left = most - shares.iter().sum::<usize>();
        for (offer, share) in offers.iter().zip(shares) {
            let modes = offer.modes();
            let describer = Describer { detail, presets: &modes, tells_changes };
            attempt.modes_left_out += modes.len().saturating_sub(detail.presets) * share;
            for (at, player) in offer.players.iter().enumerate() {
                let id = Endpoint { instance: offer.instance.clone(), thing: Thing::Player(player.key.clone()) };
                if at >= share {
                    attempt.remarks.push(Remark { endpoint: id, why: Why::NoRoom });
                    continue;
                }
                let name = attempt.name(&mut names, offer, &player.name, &id);
                attempt.add(player_endpoint(&id, player, &name, &describer));
                attempt.players += 1;
                if attempt.bytes > room {
                    return attempt;
                }
            }
        }
        let shares = self::shares(left, offers.iter().map(|offer| offer.presets.len()));
        for (offer, share) in offers.iter().zip(shares) {
            for (at, preset) in offer.presets.iter().enumerate() {
                let id = Endpoint { instance: offer.instance.clone(), thing: Thing::Scene(preset.key.clone()) };
                if at >= share {
                    attempt.remarks.push(Remark { endpoint: id, why: Why::NoRoom });
                    continue;
                }
                let name = attempt.name(&mut names, offer, &preset.name, &id);
                attempt.add(scene_endpoint(&id, &name));
                attempt.scenes += 1;
                if attempt.bytes > room {
                    return attempt;
                }
            }
        }
        attempt
    }

    fn name(&mut self, names: &mut Names, offer: &Offer, own: &str, id: &Endpoint) -> String {
        // Whatever cannot be spoken was left out before.
        let own = speakable(own).unwrap_or_default();
        let given = names.give(&own, &offer.instance, &offer.home);
        if given != own {
            self.remarks.push(Remark { endpoint: id.clone(), why: Why::Renamed });
        }
        given
    }

    fn add(&mut self, endpoint: Value) {
        // With the comma after it.
        self.bytes += bytes(&endpoint) + 1;
        self.endpoints.push(endpoint);
    }
}

/// For people: what there is, and what is missing and why.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { players, scenes, bytes, detail, modes_left_out, unspeakable, renamed, no_room, .. } = self;
        write!(f, "{players} players and {scenes} favourites listed, {bytes} bytes, {detail} said of each")?;
        let missing = [
            (unspeakable, "left out for a name that cannot be spoken"),
            (no_room, "left out because Alexa takes no more"),
            (renamed, "under a longer name because another has theirs"),
            (modes_left_out, "favourites not among the modes of players"),
        ];
        missing.into_iter().filter(|(count, _)| **count > 0).try_for_each(|(count, what)| write!(f, "; {count} {what}"))
    }
}

impl Report {
    /// Ids only in debugging: who looks after many homes wants to know how many.
    fn log(&self) {
        let Self { players, scenes, bytes, detail, modes_left_out, unspeakable, renamed, no_room, .. } = self;
        if *no_room > 0 {
            tracing::warn!(
                players,
                scenes,
                bytes,
                detail,
                unspeakable,
                no_room,
                "Alexa takes no more: endpoints are left out"
            );
        } else if *unspeakable > 0 || *modes_left_out > 0 {
            tracing::info!(
                players,
                scenes,
                bytes,
                detail,
                unspeakable,
                modes_left_out,
                "something is not among the endpoints"
            );
        }
        tracing::debug!(
            players,
            scenes,
            bytes,
            detail,
            modes_left_out,
            unspeakable,
            renamed,
            no_room,
            "endpoints are listed"
        );
        for Remark { endpoint, why } in &self.remarks {
            tracing::debug!(%endpoint, ?why, "not an endpoint, or not under its own name");
        }
    }
}

/// How many of each home's are listed, so that all together are no more than `most`: a small home is not left out because of a
/// large one.
fn shares(most: usize, wanted: impl Iterator<Item = usize>) -> Vec<usize> {
    let wanted: Vec<usize> = wanted.collect();
    let mut shares = vec![0; wanted.len()];
    let mut by_size: Vec<usize> = (0..wanted.len()).collect();
    by_size.sort_by_key(|&home| wanted[home]);
    let mut left = most;
    for (dealt, &home) in by_size.iter().enumerate() {
        let fair = left / (by_size.len() - dealt);
        shares[home] = wanted[home].min(fair);
        left -= shares[home];
    }
    shares
}

fn player_endpoint(id: &Endpoint, player: &Player, name: &str, describer: &Describer<'_>) -> Value {
    let known = if describer.detail.whole { player.manufacturer.as_deref() } else { None };
    let maker = plain(known, 128).unwrap_or_else(|| "Music Assistant".into());
    let model = plain(player.model.as_deref(), 80).filter(|_| describer.detail.whole);
    let description = match &model {
        Some(model) => cut(&format!("{maker} {model}, played by Music Assistant"), 128),
        None => "Music Assistant player".to_owned(),
    };
    let mut endpoint = json!({
        "endpointId": id.to_string(),
        "friendlyName": name,
        "manufacturerName": maker,
        "description": description,
        "displayCategories": categories(player.kind),
        "capabilities": describer.player(player)
    });
    if describer.detail.whole {
        endpoint["additionalAttributes"] = json!({"manufacturer": maker});
    }
    if let Some(model) = model {
        endpoint["additionalAttributes"]["model"] = json!(model);
    }
    endpoint
}

/// Played where music plays, or did last.
fn scene_endpoint(id: &Endpoint, name: &str) -> Value {
    json!({
        "endpointId": id.to_string(),
        "friendlyName": name,
        "manufacturerName": "Music Assistant",
        "description": "Favourite, played by Music Assistant",
        "displayCategories": ["SCENE_TRIGGER"],
        "capabilities": scene()
    })
}

const fn categories(kind: PlayerKind) -> &'static [&'static str] {
    match kind {
        PlayerKind::Speaker | PlayerKind::StereoPair => &["SPEAKER"],
        PlayerKind::Group => &["SPEAKER", "MUSIC_SYSTEM"],
    }
}

/// As JSON.
fn bytes(value: &Value) -> usize {
    let mut count = Count(0);
    // Counting does not fail, nor does a value made here.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use macloud_e2ee::vocabulary::{Capabilities, MediaKind, PlayerState};
    use macloud_proto::ids::{PlayerKey, PresetKey};

    fn player(number: u8, room: usize) -> Player {
        let can = Capabilities {
            power: true,
            volume: true,
            mute: true,
            order: true,
            seek: true,
            autoplay: true,
            sleep: true,
            ..Capabilities::default()
        };
        Player {
            key: PlayerKey::derive(&format!("server-{number}"), &format!("player-{room}")),
            name: format!("Room {room}"),
            kind: PlayerKind::Speaker,
            manufacturer: Some("Sonos".into()),
            model: Some("Play One".into()),
            can,
            state: PlayerState::default(),
        }
    }

    fn preset(name: &str) -> Preset {
        Preset { key: PresetKey::derive("server", "playlist", name), name: name.into(), kind: MediaKind::Playlist }
    }

    fn offer(number: u8, players: usize, presets: usize) -> Offer {
        Offer {
            instance: InstanceId::from_bytes(&[number; 16]),
            home: format!("Home {number}"),
            players: (0..players).map(|room| player(number, room)).collect(),
            presets: (0..presets).map(|at| preset(&format!("Jazz Evening {at:02}"))).collect(),
        }
    }

    fn whole(listing: &Listing) -> usize {
        bytes(&json!({"endpoints": listing.endpoints}))
    }

    #[test]
    fn a_small_home_is_not_left_out_because_of_a_large_one() {
        let shares = |wanted: &[usize]| shares(MAX_ENDPOINTS, wanted.iter().copied());
        assert_eq!(shares(&[]), [0; 0]);
        assert_eq!(shares(&[3, 200]), [3, 200]);
        assert_eq!(shares(&[400, 10]), [290, 10]);
        assert_eq!(shares(&[500, 100, 500]), [100, 100, 100]);
        assert_eq!(shares(&[150, 20, 400]), [140, 20, 140]);
        assert_eq!(shares(&[7; 100]).iter().sum::<usize>(), 300);
        assert_eq!(shares(&[1; 400]).iter().sum::<usize>(), 300);
    }

    #[test]
    fn of_a_home_like_most_everything_is_said() {
        let Listing { endpoints, report } = list(vec![offer(1, 6, 20)], false);
        assert_eq!((endpoints.len(), report.detail), (26, "everything"), "{report:?}");
        assert_eq!((report.modes_left_out, report.no_room, report.remarks.len()), (0, 0, 0));
    }

    #[test]
    fn as_homes_grow_less_is_said_of_each_and_none_is_left_out() {
        let mut steps = Vec::new();
        for players in [1, 10, 14, 20, 26, 30, 40, 60, 100, 150, 200, 260, 300] {
            let listing = list(vec![offer(1, players, 40)], true);
            assert!(whole(&listing) <= MAX_BYTES, "{players}: {}", whole(&listing));
            assert_eq!(listing.report.players, players, "{:?}", listing.report);
            assert_eq!(listing.endpoints.len(), (players + 40).min(300), "{:?}", listing.report);
            steps.push(LADDER.iter().position(|detail| detail.label == listing.report.detail).unwrap());
        }
        assert!(steps.is_sorted(), "{steps:?}");
        assert_eq!((steps[0], steps.last()), (0, Some(&6)));
    }

    #[test]
    fn what_is_told_unasked_says_everything_of_everyone_in_as_many_messages_as_it_takes() {
        let parts = in_parts(offer(1, 60, 40));
        assert!(parts.len() > 1 && parts.iter().flatten().count() == 100);
        for part in &parts {
            assert!(bytes(&json!(part)) <= ROOM && !part.is_empty());
        }
        let has_presets = |endpoint: &Value| {
            endpoint["capabilities"].as_array().unwrap().iter().any(|can| can["instance"] == "Player.Preset")
        };
        assert_eq!(parts.iter().flatten().filter(|endpoint| has_presets(endpoint)).count(), 60);
        assert_eq!(in_parts(offer(1, 3, 0)).len(), 1);
        let mut wordy = offer(1, 2, 0);
        wordy.presets = (0..100).map(|at| preset(&format!("{at} {}", "ﷺ".repeat(120)))).collect();
        assert_eq!(in_parts(wordy).iter().flatten().count(), 102, "each of them fits, with less said of it");
        assert_eq!(in_parts(offer(1, 0, 0)).len(), 0);
    }

    #[test]
    fn what_has_no_room_even_then_is_left_out_of_large_homes_and_counted() {
        let mut large = offer(1, 300, 40);
        for player in &mut large.players {
            player.name = format!("{} {}", "ﷺ".repeat(100), player.name);
        }
        let listing = list(vec![large, offer(2, 3, 0)], true);
        let Report { players, scenes, no_room, ref remarks, .. } = listing.report;
        assert!(whole(&listing) <= MAX_BYTES && whole(&listing) > MAX_BYTES / 2, "{}", whole(&listing));
        assert!(players > 100, "{:?}", listing.report);
        assert_eq!((scenes, no_room, remarks.len()), (0, 303 - players + 40, MOST_REMARKS));
        let of_small = listing.endpoints.iter().filter(|endpoint| {
            let id = endpoint["endpointId"].as_str().unwrap();
            id.starts_with(InstanceId::from_bytes(&[2; 16]).as_str())
        });
        assert_eq!(of_small.count(), 3);
    }

    #[test]
    fn what_cannot_be_spoken_and_what_is_renamed_is_reported() {
        let mut home = offer(1, 3, 0);
        home.players[0].name = "🎵 !!".into();
        home.players[1].name = "Jazz".into();
        home.players[2].name = "jazz".into();
        home.presets = vec![preset("Jazz"), preset("♫"), preset("Rock & Roll")];
        let Listing { endpoints, report } = list(vec![home], false);
        let mut names: Vec<&str> =
            endpoints.iter().map(|endpoint| endpoint["friendlyName"].as_str().unwrap()).collect();
        names.sort_unstable_by_key(|name| name.to_lowercase());
        assert_eq!(names.len(), 4, "{names:?}");
        assert_eq!(names[..3].iter().map(|name| name.to_lowercase()).collect::<Vec<_>>(), ["jazz", "jazz 2", "jazz 3"]);
        assert_eq!(names[3], "Rock Roll");
        assert_eq!((report.unspeakable, report.renamed, report.remarks.len()), (2, 2, 4));
        assert!(report.remarks.iter().any(|remark| remark.why == Why::Unspeakable
            && remark.endpoint.thing == Thing::Scene(PresetKey::derive("server", "playlist", "♫"))));
    }

    #[test]
    fn a_player_offers_the_operations_that_work_on_it_and_no_others() {
        for (seek, wanted) in [(true, 8), (false, 5)] {
            let mut home = offer(1, 1, 0);
            home.players[0].can.seek = seek;
            let Listing { endpoints, .. } = list(vec![home], false);
            let capabilities = endpoints[0]["capabilities"].as_array().unwrap();
            let of = |name: &str| capabilities.iter().find(|capability| capability["interface"] == name);
            let operations = of("Alexa.PlaybackController").unwrap()["supportedOperations"].as_array().unwrap();
            assert_eq!((operations.len(), operations.contains(&json!("Rewind"))), (wanted, seek));
            assert_eq!(of("Alexa.SeekController").is_some(), seek);
        }
    }

    #[test]
    fn presets_are_modes_of_every_player_under_names_that_differ() {
        let mut home = offer(1, 2, 0);
        home.presets = vec![preset("Jazz"), preset("JAZZ!"), preset("Rock & Roll")];
        let Listing { endpoints, .. } = list(vec![home], false);
        for endpoint in &endpoints[..2] {
            let capabilities = endpoint["capabilities"].as_array().unwrap();
            let preset = capabilities.iter().find(|capability| capability["instance"] == "Player.Preset").unwrap();
            let modes = preset["configuration"]["supportedModes"].as_array().unwrap();
            let names: Vec<&Value> =
                modes.iter().map(|mode| &mode["modeResources"]["friendlyNames"][0]["value"]["text"]).collect();
            assert_eq!(names.len(), 2, "{names:?}");
            assert_eq!(names[1], "Rock Roll");
            assert_eq!(preset["properties"]["retrievable"], false);
            for mode in modes {
                let value = mode["value"].as_str().unwrap().strip_prefix("Preset.").unwrap();
                assert!(value.parse::<PresetKey>().is_ok());
                assert_eq!(mode["modeResources"]["friendlyNames"].as_array().unwrap().len(), 16);
            }
        }
        assert_eq!(endpoints.len(), 5, "and three scenes");
    }

    #[test]
    fn the_same_is_listed_whatever_the_order_and_counted_as_it_is_sent() {
        let (mut one, mut other) = (offer(1, 9, 9), offer(2, 4, 5));
        let listing = list(vec![one.clone(), other.clone()], true);
        for offer in [&mut one, &mut other] {
            offer.players.reverse();
            offer.presets.reverse();
        }
        let again = list(vec![other, one], true);
        assert_eq!(listing.endpoints, again.endpoints);
        assert_eq!(listing.report.bytes, serde_json::to_vec(&listing.endpoints).unwrap().len() - 1);
    }
}
