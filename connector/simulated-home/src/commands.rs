//! The commands of the API by name: reads their arguments, asks the machine, shapes the answer.

use serde_json::{Value, json};

use crate::accounts::User;
use crate::args::Args;
use crate::catalog::{Item, Kind};
use crate::player::PlayerConfig;
use crate::queue::{self, Repeat};
use crate::search;
use crate::wire::{Answer, Failure, code};
use crate::world::{AUTOPLAY, PlayMedia, Signal, Transport, World};

type Outcome = Result<Answer, Failure>;

/// Executes a command of players, queues or music. `None` if there is no such command.
pub(crate) fn execute(world: &mut World, user: &User, command: &str, args: &Args<'_>) -> Option<Outcome> {
    if let Some(rest) = command.strip_prefix("players/cmd/") {
        return player_command(world, user, rest, args);
    }
    if let Some(rest) = command.strip_prefix("players/") {
        return players(world, user, rest, args);
    }
    if let Some(rest) = command.strip_prefix("player_queues/") {
        return queues(world, user, rest, args);
    }
    music(world, command.strip_prefix("music/")?, args)
}

fn players(world: &mut World, user: &User, command: &str, args: &Args<'_>) -> Option<Outcome> {
    Some(match command {
        "all" => Ok(all_players(world, user, args)),
        "get" => one_player(world, user, args),
        "get_by_name" => args.string("name").map(|name| player_by_name(world, user, &name)),
        "create_group_player" => create_group(world, user, args),
        "add_currently_playing_to_favorites" => save_playing(world, user, args),
        _ => return None,
    })
}

fn all_players(world: &World, user: &User, args: &Args<'_>) -> Answer {
    let unavailable_too = args.optional_boolean("return_unavailable").unwrap_or(true);
    let shown = world
        .visible()
        .iter()
        .enumerate()
        .filter(|(_, player)| user.may_use(&player.id) && (unavailable_too || player.available));
    Answer::Value(shown.map(|(index, _)| world.render_player(index)).collect())
}

fn one_player(world: &World, user: &User, args: &Args<'_>) -> Outcome {
    let id = args.string("player_id")?;
    if !user.may_use(&id) {
        return Err(Failure::forbidden(format!("{} does not have access to player {id}", user.name)));
    }
    let found = world.visible().iter().position(|player| player.id == id);
    match found {
        Some(index) => Ok(Answer::Value(world.render_player(index))),
        None if args.optional_boolean("raise_unavailable").unwrap_or(false) => Err(Failure::unavailable("Player", &id)),
        None => Ok(Answer::null()),
    }
}

fn player_by_name(world: &World, user: &User, name: &str) -> Answer {
    let found = world
        .visible()
        .iter()
        .position(|player| player.name.to_lowercase() == name.to_lowercase() && user.may_use(&player.id));
    found.map_or_else(Answer::null, |index| Answer::Value(world.render_player(index)))
}

/// What a radio station plays is not known by name here, so it cannot be saved.
fn save_playing(world: &mut World, user: &User, args: &Args<'_>) -> Outcome {
    let id = args.string("player_id")?;
    permit(world, user, &id)?;
    let index = queue_index(world, &id).ok_or_else(|| Failure::unavailable("Player", &id))?;
    let leader = world.leader(index)?;
    let playing = world.players[leader].queue.current_item().map(|item| item.media);
    let Some(item) = playing.filter(|item| item.kind != Kind::Radio) else {
        return Err(Failure::player_command("No current item to add to favorites"));
    };
    favorite(world, Some(world.catalog.uri(item)), true)
}

fn create_group(world: &mut World, user: &User, args: &Args<'_>) -> Outcome {
    user.must_be_admin()?;
    let name = args.string("name")?;
    let members = args.strings("members").unwrap_or_default();
    let index = world.add_sync_group(&name, members);
    Ok(Answer::Value(world.render_player(index)))
}

/// Refuses players outside the account's filter. Players are named by their name, as recorded.
fn permit(world: &World, user: &User, id: &str) -> Result<(), Failure> {
    if user.may_use(id) {
        return Ok(());
    }
    let name = world.index(id).map_or(id, |index| &world.players[index].name);
    Err(Failure::forbidden(format!("{} does not have access to player {name}", user.name)))
}

fn player_command(world: &mut World, user: &User, command: &str, args: &Args<'_>) -> Option<Outcome> {
    if command == "ungroup_many" {
        let mut ids = args.strings("player_ids").unwrap_or_default();
        if world.quirks.forgets_to_part && ids.len() > 1 {
            ids.pop();
        }
        let parted = ids.iter().try_for_each(|id| {
            permit(world, user, id)?;
            steer(world, id, "ungroup", args).unwrap_or(Ok(()))
        });
        return Some(parted.map(|()| Answer::null()).map_err(Failure::into_player_command));
    }
    let target = if matches!(command, "set_members" | "group_many") { "target_player" } else { "player_id" };
    let outcome = match args.string(target) {
        Ok(id) => match permit(world, user, &id) {
            Ok(()) => steer(world, &id, command, args)?,
            Err(failure) => Err(failure),
        },
        Err(failure) => Err(failure),
    };
    Some(outcome.map(|()| Answer::null()).map_err(Failure::into_player_command))
}

/// `None` if there is no such command.
fn steer(world: &mut World, id: &str, command: &str, args: &Args<'_>) -> Option<Result<(), Failure>> {
    let what = match command {
        "play" | "resume" => Transport::Play,
        "pause" => Transport::Pause,
        "stop" => Transport::Stop,
        "play_pause" => Transport::PlayPause,
        "next" => Transport::Next,
        "previous" => Transport::Previous,
        "seek" => match args.integer("position") {
            Ok(position) => Transport::Seek(position),
            Err(failure) => return Some(Err(failure)),
        },
        _ => return level_or_group(world, id, command, args),
    };
    Some(world.player_transport(id, what))
}

fn level_or_group(world: &mut World, id: &str, command: &str, args: &Args<'_>) -> Option<Result<(), Failure>> {
    Some(match command {
        "volume_set" => args.integer("volume_level").and_then(|level| world.set_volume(id, level)),
        "volume_up" => world.step_volume(id, true),
        "volume_down" => world.step_volume(id, false),
        "volume_mute" => args.boolean("muted").map(|muted| world.set_muted(id, muted)),
        "power" => args.boolean("powered").map(|powered| world.set_power(id, powered)),
        "group" => args.string("target_player").and_then(|leader| world.group(id, &leader)),
        "group_many" => world.set_members(id, &args.strings("child_player_ids").unwrap_or_default(), &[]),
        "set_members" => {
            let names = |name| args.strings(name).unwrap_or_default();
            world.set_members(id, &names("player_ids_to_add"), &names("player_ids_to_remove"))
        }
        "ungroup" => {
            if let Some(index) = world.index(id) {
                world.ungroup(index);
            }
            Ok(())
        }
        "group_volume" => args.integer("volume_level").map(|level| world.set_group_volume(id, level)),
        "group_volume_up" | "group_volume_down" => {
            let change = if command.ends_with("up") { 5 } else { -5 };
            if let Some(index) = world.index(id) {
                let level = world.group_level(index);
                world.set_group_volume(id, level + change);
            }
            Ok(())
        }
        _ => return None,
    })
}

fn queues(world: &mut World, user: &User, command: &str, args: &Args<'_>) -> Option<Outcome> {
    Some(match command {
        "all" => {
            Ok(Answer::Value(world.visible().iter().enumerate().map(|(index, _)| world.render_queue(index)).collect()))
        }
        "get" => args.string("queue_id").map(|id| {
            let index = queue_index(world, &id);
            Answer::Value(index.map_or(Value::Null, |index| world.render_queue(index)))
        }),
        "get_active_queue" => args.string("player_id").and_then(|id| active_queue(world, &id)),
        "items" => args.string("queue_id").map(|id| queue_items(world, &id, args)),
        "transfer" => transfer(world, user, args),
        "play_media"
        | "play"
        | "pause"
        | "stop"
        | "play_pause"
        | "next"
        | "previous"
        | "resume"
        | "play_index"
        | "seek"
        | "skip"
        | "shuffle"
        | "repeat"
        | "clear"
        | "dont_stop_the_music"
        | "autoplay"
        | "delete_item" => {
            let outcome = args.string("queue_id").and_then(|id| {
                permit(world, user, &id)?;
                queue_command(world, &id, command, args)
            });
            outcome.map(|()| Answer::null())
        }
        _ => return None,
    })
}

/// A queue's place. Degraded players have none, and while the server loads nobody has.
fn queue_index(world: &World, id: &str) -> Option<usize> {
    world.visible().iter().position(|player| player.id == id && !player.degraded)
}

fn active_queue(world: &World, id: &str) -> Outcome {
    let Some(index) = queue_index(world, id) else { return Ok(Answer::null()) };
    let leader = world.leader(index)?;
    Ok(Answer::Value(world.render_queue(leader)))
}

fn queue_items(world: &World, id: &str, args: &Args<'_>) -> Answer {
    let Some(index) = queue_index(world, id) else { return Answer::Value(json!([])) };
    let player = &world.players[index];
    let (limit, offset) = args.page(500);
    let places = (0..player.queue.items.len()).skip(offset).take(limit);
    Answer::Value(places.map(|place| queue::render_item(player, place, &world.catalog)).collect())
}

fn transfer(world: &mut World, user: &User, args: &Args<'_>) -> Outcome {
    let (source, target) = (args.string("source_queue_id")?, args.string("target_queue_id")?);
    permit(world, user, &source)?;
    permit(world, user, &target)?;
    let find = |id: &str| queue_index(world, id).ok_or_else(|| Failure::unavailable("Queue", id));
    let (source, target) = (find(&source)?, find(&target)?);
    world.transfer(source, target, args.optional_boolean("auto_play"))?;
    Ok(Answer::null())
}

/// Commands to one queue. What an unknown queue answers differs from command to command, as recorded.
fn queue_command(world: &mut World, id: &str, command: &str, args: &Args<'_>) -> Result<(), Failure> {
    let Some(index) = queue_index(world, id) else {
        return match command {
            "pause" | "stop" => Ok(()),
            "play_media" => Err(Failure::unavailable("Queue", id)),
            "play" | "play_pause" => Err(Failure::unavailable("Player", id)),
            "skip" | "seek" | "next" | "previous" => Err(not_active(id)),
            _ => Err(Failure::missing_key(id)),
        };
    };
    match command {
        "play_media" => return play_media(world, index, args),
        "play_index" | "resume" if !world.players[index].available => return Err(Failure::unavailable("Player", id)),
        "play_index" => return play_index(world, index, args),
        "resume" => return world.resume(index),
        "shuffle" => world.shuffle(index, args.boolean("shuffle_enabled")?),
        "repeat" => {
            world.players[index].queue.repeat = Repeat::parse(&args.string("repeat_mode")?);
            world.tell_queue(index);
        }
        "dont_stop_the_music" => return keep_going(world, index, args.boolean("dont_stop_the_music_enabled")?),
        "autoplay" if world.schema >= AUTOPLAY => return keep_going(world, index, args.boolean("autoplay_enabled")?),
        "autoplay" => return Err(Failure::invalid_command("Invalid command: player_queues/autoplay")),
        "clear" => world.clear_queue(index),
        "delete_item" => world.delete_item(index, &args.string("item_id_or_index")?),
        _ => return queue_transport(world, id, index, command, args),
    }
    Ok(())
}

/// Older servers refuse where nobody can be asked for similar music.
fn keep_going(world: &mut World, index: usize, on: bool) -> Result<(), Failure> {
    if on && !world.quirks.similar_tracks && world.schema < AUTOPLAY {
        let details = "Don't stop the music is not supported by any of the available music providers";
        return Err(Failure::new(code::UNSUPPORTED, details));
    }
    world.players[index].queue.keeps_going = on;
    world.tell_queue(index);
    Ok(())
}

fn not_active(id: &str) -> Failure {
    Failure::invalid_command(format!("Queue {id} is not active"))
}

fn queue_transport(world: &mut World, id: &str, index: usize, command: &str, args: &Args<'_>) -> Result<(), Failure> {
    let what = match command {
        "play" => Transport::Play,
        "pause" => Transport::Pause,
        "stop" => Transport::Stop,
        "play_pause" => Transport::PlayPause,
        _ if world.players[index].synced_to.is_some() => return Err(not_active(id)),
        "next" => Transport::Next,
        "previous" => Transport::Previous,
        "seek" => Transport::Seek(args.integer("position")?),
        _ => {
            let seconds = args.optional_integer("seconds").unwrap_or(10);
            return world.skip(index, seconds);
        }
    };
    world.player_transport(id, what)
}

fn play_media(world: &mut World, index: usize, args: &Args<'_>) -> Result<(), Failure> {
    let player = &world.players[index];
    if !player.available {
        return Err(Failure::unavailable("Player", &player.id));
    }
    let uri = |value: &Value| value.as_str().or_else(|| value.get("uri")?.as_str()).map(str::to_owned);
    let uris = match args.get("media") {
        Some(Value::Array(values)) => values.iter().filter_map(uri).collect(),
        Some(value) => uri(value).into_iter().collect(),
        None => return Err(Failure::argument("media", "list")),
    };
    let wanted = PlayMedia {
        uris,
        option: args.optional_string("option"),
        radio_mode: args.optional_boolean("radio_mode").unwrap_or(false),
        start_item: args.optional_string("start_item"),
    };
    world.play_media(index, &wanted)
}

/// `index` is a place in the queue or the id of a queue item.
fn play_index(world: &mut World, index: usize, args: &Args<'_>) -> Result<(), Failure> {
    let wanted = args.string("index")?;
    let queue = &world.players[index].queue;
    let place = wanted.parse().ok().or_else(|| queue.items.iter().position(|item| item.id == wanted));
    let place = place.filter(|place| *place < queue.items.len());
    let place =
        place.ok_or_else(|| Failure::new(code::MEDIA_NOT_FOUND, format!("Item {wanted} not found in queue")))?;
    let position = args.optional_integer("seek_position").unwrap_or(0).max(0);
    world.play_index(index, place, position as f64);
    Ok(())
}

fn music(world: &mut World, command: &str, args: &Args<'_>) -> Option<Outcome> {
    if let Some((kind, listing)) = command.split_once('/')
        && let Some(kind) = plural(kind)
    {
        return listed(world, kind, listing, args);
    }
    Some(match command {
        "search" => world.searches.search(&world.catalog, args, world.now).map(Answer::Value),
        "item_by_uri" => args.string("uri").and_then(|uri| item_by_uri(world, &uri)),
        "recently_played_items" => Ok(recently_played(world, args)),
        "favorites/add_item" => favorite(world, args.get("item").and_then(item_uri), true),
        "favorites/remove_item" => {
            let id = args.optional_string("library_item_id").unwrap_or_default();
            let kind = args.optional_string("media_type").unwrap_or_default();
            favorite(world, Some(format!("library://{kind}/{id}")), false)
        }
        "sync" => Ok(Answer::null()),
        _ => return None,
    })
}

fn item_uri(item: &Value) -> Option<String> {
    item.as_str().or_else(|| item.get("uri")?.as_str()).map(str::to_owned)
}

/// The kinds as they stand in command names.
fn plural(word: &str) -> Option<Kind> {
    Kind::named(word.strip_suffix('s')?)
}

fn listed(world: &World, kind: Kind, listing: &str, args: &Args<'_>) -> Option<Outcome> {
    let catalog = &world.catalog;
    let list = |items: Vec<Item>| Answer::Value(items.into_iter().map(|item| catalog.listed(item)).collect());
    let item = || {
        let id = args.string("item_id")?;
        catalog.find(kind, &id).ok_or_else(|| not_in_library(kind, &id))
    };
    Some(match (kind, listing) {
        (_, "library_items") => Ok(Answer::Value(search::library_items(catalog, kind, args))),
        (_, "count") => Ok(Answer::Value(json!(catalog.items(kind).filter(|item| catalog.in_library(*item)).count()))),
        (_, "get") => item().map(|item| Answer::Value(catalog.full(item))),
        (Kind::Artist, "artist_tracks") | (Kind::Album, "album_tracks") => {
            item().map(|item| list(catalog.playable(item)))
        }
        (Kind::Artist, "artist_albums") => item().map(|item| list(catalog.albums_of(item))),
        (Kind::Playlist, "playlist_tracks") => item().map(|item| playlist_tracks(world, item)),
        _ => return None,
    })
}

/// The only result that comes in parts.
fn playlist_tracks(world: &World, playlist: Item) -> Answer {
    let tracks = world.catalog.playable(playlist).into_iter().enumerate().map(|(place, track)| {
        let mut item = world.catalog.listed(track);
        item["position"] = json!(place);
        item
    });
    Answer::Streamed(tracks.collect())
}

fn not_in_library(kind: Kind, id: &str) -> Failure {
    Failure::new(code::MEDIA_NOT_FOUND, format!("{} not found in library: {id}", kind.name()))
}

fn item_by_uri(world: &World, uri: &str) -> Outcome {
    if let Some(item) = world.catalog.by_uri(uri) {
        return Ok(Answer::Value(world.catalog.full(item)));
    }
    let known = uri.strip_prefix("library://").and_then(|rest| rest.split_once('/'));
    Err(match known.and_then(|(kind, id)| Some((Kind::named(kind)?, id))) {
        Some((kind, id)) => not_in_library(kind, id),
        None => Failure::new(code::MEDIA_NOT_FOUND, format!("{uri} not found")),
    })
}

fn recently_played(world: &World, args: &Args<'_>) -> Answer {
    let (limit, _) = args.page(10);
    let kinds = args.strings("media_types");
    let wanted = |item: &&Item| kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|kind| kind == item.kind.name()));
    Answer::Value(world.recent.iter().filter(wanted).take(limit).map(|item| world.catalog.mapping(*item)).collect())
}

fn favorite(world: &mut World, uri: Option<String>, yes: bool) -> Outcome {
    let uri = uri.ok_or_else(|| Failure::argument("item", "str"))?;
    let item =
        world.catalog.by_uri(&uri).ok_or_else(|| Failure::new(code::MEDIA_NOT_FOUND, format!("{uri} not found")))?;
    world.catalog.mark(item, yes);
    world.tell_signal(Signal::MediaItemUpdated(item));
    Ok(Answer::null())
}

/// Every player has an id and a name; the control API checks them with this.
pub(crate) fn usable(config: &PlayerConfig) -> Result<(), &'static str> {
    match config {
        _ if config.id.is_empty() => Err("the player needs an \"id\""),
        _ if config.name.is_empty() => Err("the player needs a \"name\""),
        _ => Ok(()),
    }
}
