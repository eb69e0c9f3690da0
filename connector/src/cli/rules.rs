//! `rules`: what the owner allows, shown and changed.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{ArgGroup, Args, Subcommand};
use macloud_e2ee::vocabulary::clean_text;
use macloud_service_kit::clock;

use super::{Json, Place, all_causes, complain, line, say};
use crate::connector::{is_healthy, ma_settings};
use crate::doctor::judge_ma;
use crate::execute::names::{self, Match};
use crate::memory::Device;
use crate::music_assistant::MusicAssistant;
use crate::music_assistant::model::PlayerType;
use crate::rules::local_time::Zone;
use crate::rules::namesakes::Named;
use crate::rules::{Alias, HouseRules, Level, QuietHours, Rules, TimeOfDay};
use crate::state::StateDir;

#[derive(Debug, Subcommand)]
pub(super) enum RulesVerb {
    /// Show the rules.
    Show {
        #[command(flatten)]
        common: Common,
    },
    /// Hide a player: through the cloud it can be neither seen nor used, but for what is heard on it because it plays along with others.
    Hide {
        /// Its name, or its id in Music Assistant.
        player: String,
        #[command(flatten)]
        common: Common,
    },
    /// Undo `hide`.
    Expose {
        /// Its name, or its id in Music Assistant.
        player: String,
        #[command(flatten)]
        common: Common,
    },
    /// Let a player be made no louder than this through the cloud.
    #[command(group(ArgGroup::new("limit").required(true).args(["volume", "off"])))]
    Limit {
        /// Its name, or its id in Music Assistant.
        player: String,
        /// The highest volume, 0 to 100.
        #[arg(long, value_name = "PERCENT")]
        volume: Option<Level>,
        /// Take the limit away.
        #[arg(long)]
        off: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Call a player something else through the cloud. Its name in Music Assistant is understood as well.
    #[command(group(ArgGroup::new("called").required(true).args(["as_", "off"])))]
    Call {
        /// Its name, or its id in Music Assistant.
        player: String,
        /// What to call it.
        #[arg(long = "as", value_name = "NAME")]
        as_: Option<Alias>,
        /// Call it by its own name again.
        #[arg(long)]
        off: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Forget which player voice devices are used with. A device learns it when somebody first names a player to it.
    #[command(group(ArgGroup::new("which").required(true).args(["device", "all"])))]
    Forget {
        /// The beginning of the device's key, as `show` shows it; or the name of the player that it is used with.
        device: Option<String>,
        /// All devices.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Between two times of day, start nothing and turn nothing up. Pausing and turning down work always.
    #[command(group(ArgGroup::new("hours").required(true).args(["from", "off"])))]
    Quiet {
        /// When it begins, such as 22:00, by this machine's clock.
        #[arg(long, value_name = "TIME", requires = "to")]
        from: Option<TimeOfDay>,
        /// When it ends, such as 07:00.
        #[arg(long, value_name = "TIME", requires = "from")]
        to: Option<TimeOfDay>,
        /// Have no quiet hours.
        #[arg(long, conflicts_with = "to")]
        off: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Tell the cloud how players are whenever that changes, so that the Alexa app and routines know at once: on or off, volume,
    /// playing or not, reachable or not; never what plays. Off unless you turn it on.
    Tell {
        /// Whether to.
        switch: Switch,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Switch {
    On,
    Off,
}

#[derive(Debug, Args)]
pub(super) struct Common {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    json: Json,
}

/// Change what is to be changed, and show the rules as they are then.
pub(super) async fn run(verb: RulesVerb) -> anyhow::Result<ExitCode> {
    let common = verb.common();
    let state = common.place.existing_state()?;
    // Music Assistant is asked first: whoever else changes the rules does not wait for that.
    let player = verb.player(&state, &common.place).await?;
    let (rules, ()) = state.change_rules(|rules| verb.change(rules, player.as_ref()))?;
    let forgotten = match &verb {
        RulesVerb::Forget { device, .. } => Some(forget(device.as_deref(), &state)?),
        _ => None,
    };
    if let Some((id, name)) = &player {
        verb.warn(id, name, &rules, &state, &common.place).await;
    }
    show(rules, &state.devices()?, forgotten, common.json.json)?;
    Ok(ExitCode::SUCCESS)
}

impl RulesVerb {
    /// Id and name of the player that it is about, if it is about one and may be done.
    async fn player(&self, state: &StateDir, place: &Place) -> anyhow::Result<Option<(String, String)>> {
        let (Self::Hide { player, .. }
        | Self::Expose { player, .. }
        | Self::Limit { player, .. }
        | Self::Call { player, .. }) = self
        else {
            return Ok(None);
        };
        let rules = state.rules()?;
        let (id, name) = find(player, &rules, state, place).await?;
        if let Self::Call { as_: Some(alias), .. } = self {
            refuse_taken(alias, &id, &rules, state, place).await?;
        }
        Ok(Some((id, name)))
    }

    fn change(&self, rules: &mut Rules, player: Option<&(String, String)>) {
        match (self, player) {
            (Self::Hide { .. }, Some((id, name))) => rules.change(id, name, |own| own.hidden = true),
            (Self::Expose { .. }, Some((id, name))) => rules.change(id, name, |own| own.hidden = false),
            (Self::Limit { volume, .. }, Some((id, name))) => rules.change(id, name, |own| own.max_volume = *volume),
            (Self::Call { as_, .. }, Some((id, name))) => rules.change(id, name, |own| own.alias.clone_from(as_)),
            (Self::Quiet { from, to, .. }, _) => {
                rules.quiet_hours = from.zip(*to).map(|(from, to)| QuietHours { from, to });
            }
            (Self::Tell { switch, .. }, _) => rules.tell_changes = *switch == Switch::On,
            _ => {}
        }
    }

    /// Say what the owner may not expect of the rules as they are now.
    async fn warn(&self, id: &str, name: &str, rules: &Rules, state: &StateDir, place: &Place) {
        if matches!(self, Self::Expose { .. } | Self::Call { off: true, .. }) {
            let players = players(state, place).await.unwrap_or_default();
            if let Some((other, other_name)) = rules.namesake(named(&players), id, name) {
                complain(&format!("{other_name} ({other}) is called {name}, too: call one of the two something else"));
            }
        }
        if let Self::Hide { .. } = self {
            for group in groups_of(id, rules, state, place).await {
                complain(&format!("{name} can still be heard through the group {group}, which is not hidden"));
            }
        }
    }
}

/// Forget the devices that are meant: all, if none is. How many there were.
fn forget(wanted: Option<&str>, state: &StateDir) -> anyhow::Result<usize> {
    let devices = state.devices()?;
    let is_meant = |device: &Device| match wanted.map(str::trim) {
        None => true,
        Some(wanted) if device.name.to_lowercase() == wanted.to_lowercase() => true,
        Some(wanted) => wanted.len() >= SHOWN && device.device.starts_with(&wanted.to_lowercase()),
    };
    let kept: Vec<Device> = devices.iter().filter(|device| !is_meant(device)).cloned().collect();
    if kept.len() == devices.len() && wanted.is_some() {
        bail!(
            "no voice device is used with a player of that name, or has such a key; ma-connector rules show lists them"
        )
    }
    state.save_devices(&kept)?;
    Ok(devices.len() - kept.len())
}

fn show(rules: Rules, devices: &[Device], forgotten: Option<usize>, json: bool) -> anyhow::Result<()> {
    let house = HouseRules::new(rules, clock::system(), Zone::of_this_machine());
    let (rules, now) = (house.current(), house.time_of_day());
    if json {
        let mut value = serde_json::to_value(&*rules)?;
        value["local_time"] = now.to_string().into();
        if !devices.is_empty() {
            value["devices"] = serde_json::to_value(devices)?;
        }
        if let Some(count) = forgotten {
            value["forgotten"] = count.into();
        }
        line(&value);
        return Ok(());
    }
    match forgotten {
        Some(0) => say("There was no voice device to forget."),
        Some(1) => say("Forgot which player 1 voice device is used with."),
        Some(count) => say(&format!("Forgot which player {count} voice devices are used with.")),
        None => {}
    }
    for (id, player) in &rules.players {
        let mut what: Vec<String> = player.hidden.then(|| "hidden".into()).into_iter().collect();
        what.extend(player.alias.as_ref().map(|alias| format!("called {}", alias.as_str())));
        what.extend(player.max_volume.map(|level| format!("no louder than {}", level.value())));
        say(&format!("{} ({id}): {}", player.name, what.join(", ")));
    }
    for device in devices {
        let key: String = device.device.chars().take(SHOWN).collect();
        say(&format!("Voice device {key}: is used with {}", device.name));
    }
    if rules.tell_changes {
        say("Changes: the cloud is told how players are whenever that changes");
    }
    match rules.quiet_hours {
        Some(hours) => say(&format!("Quiet hours: {} to {} (here it is {now} now)", hours.from, hours.to)),
        None if rules.players.is_empty() && !rules.tell_changes => {
            say("No rules: every player may be used, as loud as it can, at any time.");
        }
        None => {}
    }
    Ok(())
}

/// Characters of a device's key that are shown: enough to tell those of a household apart.
const SHOWN: usize = 8;

/// Id and name of the player that is meant: one that has rules already, else one that Music Assistant has. A rule falls on
/// no player that was not named: unlike in speech, a likely one is only proposed.
async fn find(wanted: &str, rules: &Rules, state: &StateDir, place: &Place) -> anyhow::Result<(String, String)> {
    let is_wanted = |name: &str| name.to_lowercase() == wanted.trim().to_lowercase();
    let is_alias = |alias: &Option<Alias>| alias.as_ref().is_some_and(|alias| is_wanted(alias.as_str()));
    let mut ruled = rules.players.iter();
    let ruled = ruled.find(|(id, player)| *id == wanted || is_wanted(&player.name) || is_alias(&player.alias));
    if let Some((id, player)) = ruled {
        return Ok((id.clone(), player.name.clone()));
    }
    let players = players(state, place).await?;
    if let Some(found) = players.iter().find(|(id, _)| id == wanted) {
        return Ok(found.clone());
    }
    let mut named: Vec<&(String, String)> = players.iter().filter(|(_, name)| is_wanted(name)).collect();
    if named.len() > 1 {
        let several: Vec<String> = named.iter().map(|(id, name)| format!("{name} ({id})")).collect();
        bail!("several players are called that; give the id of one: {}", several.join(", "))
    }
    if let Some(found) = named.pop() {
        return Ok(found.clone());
    }
    let known: Vec<&str> = players.iter().map(|(_, name)| name.as_str()).collect();
    let likely: Vec<&str> = match names::find(wanted, &known) {
        Match::One(at) => vec![known[at]],
        Match::Several(several) => several.into_iter().map(|at| known[at]).collect(),
        Match::None => bail!("there is no player {wanted:?}; there are: {}", known.join(", ")),
    };
    bail!("there is no player {wanted:?}; did you mean {}?", likely.join(" or "))
}

/// Fail, if another player answers to this name already.
async fn refuse_taken(alias: &Alias, id: &str, rules: &Rules, state: &StateDir, place: &Place) -> anyhow::Result<()> {
    let (alias, there) = (alias.as_str(), players(state, place).await);
    let taken = match &there {
        Ok(players) => rules.namesake(named(players), id, alias),
        Err(error) => {
            complain(&format!("compared with the names of players that have rules only: {}", all_causes(error)));
            rules.namesake(rules.ruled(), id, alias)
        }
    };
    let Some((other, name)) = taken else { return Ok(()) };
    bail!(
        "another player is called {alias:?} already: {name} ({other}). Who says it could not tell which of the two is meant. Choose another name, or hide that player first"
    )
}

fn named(players: &[(String, String)]) -> impl Iterator<Item = Named<'_>> {
    players.iter().map(|(id, name)| (id.as_str(), name.as_str()))
}

/// The exposed groups that player `id` belongs to, as far as can be seen now. An idle group may name nobody.
async fn groups_of(id: &str, rules: &Rules, state: &StateDir, place: &Place) -> Vec<String> {
    let Ok(ma) = music_assistant(state, place).await else { return Vec::new() };
    let directory = ma.directory();
    let groups = directory.exposed().filter(|group| group.kind == PlayerType::Group && rules.expose(group));
    groups.filter(|group| directory.members_of(group).contains(id)).map(|group| clean_text(&group.name)).collect()
}

async fn players(state: &StateDir, place: &Place) -> anyhow::Result<Vec<(String, String)>> {
    let ma = music_assistant(state, place).await.context("the player cannot be looked up")?;
    let directory = ma.directory();
    Ok(directory.exposed().map(|player| (player.id.clone(), clean_text(&player.name))).collect())
}

/// Music Assistant, once it has told its players.
///
/// # Errors
/// Why it has not, with its remedy.
pub(super) async fn music_assistant(state: &StateDir, place: &Place) -> anyhow::Result<MusicAssistant> {
    let ma = MusicAssistant::new(ma_settings(state, &place.options()?)?);
    let condition = judge_ma(&ma).await;
    if !is_healthy(condition.word()) {
        bail!(condition.explanation());
    }
    Ok(ma)
}

impl RulesVerb {
    const fn common(&self) -> &Common {
        match self {
            Self::Show { common }
            | Self::Hide { common, .. }
            | Self::Expose { common, .. }
            | Self::Limit { common, .. }
            | Self::Call { common, .. }
            | Self::Forget { common, .. }
            | Self::Quiet { common, .. }
            | Self::Tell { common, .. } => common,
        }
    }
}
