//! The players and queues of the home as last seen, and the questions asked of them.
//!
//! What was once known is kept while Music Assistant is away or starting: an empty or unavailable list then says nothing
//! about the home, and must never make its speakers vanish from anybody's account.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use macloud_proto::ids::{PlayerKey, PresetKey};
use serde_json::Value;
use tokio::time::Instant;

use super::model::{Activity, Player, PlayerType, Queue};

/// Longest chain of "follows" that is walked to find who leads.
const MAX_CHAIN: usize = 8;

/// A player that has just come (back) says this level until it recalls its own. "Ten louder" must not start from there.
const FORGOTTEN: u8 = 50;

/// It does within 0.5 to 1.5 s.
const RECALLED_WITHIN: Duration = Duration::from_secs(3);

/// A server whose clock is right says times that are this many seconds old at the least: what it tells is seconds old at most,
/// and a clock may run a little ahead.
const RIGHT_CLOCKS: std::ops::Range<f64> = -1.0..30.0;

/// Everything known of the home.
#[derive(Debug, Default)]
pub struct Directory {
    server_id: Option<String>,
    players: BTreeMap<String, Player>,
    queues: HashMap<String, Queue>,
    by_key: HashMap<PlayerKey, String>,
    /// Players in the order in which they were last seen playing, the latest last.
    last_played: Vec<String>,
    /// Players that have been available since the server was last met.
    seen: HashSet<String>,
    levels: HashMap<String, Level>,
    /// Everybody who was ever seen in a permanent group: an idle one names nobody.
    members: HashMap<String, BTreeSet<String>>,
    /// Players that were seen to play together with others, or to be able to: while they do, they list nobody.
    sociable: HashSet<String>,
    progress: HashMap<String, Progress>,
    /// The time by the clock here, in seconds since 1970, when the last list or event came.
    now: f64,
    /// How much the server's clock seems to be behind: the least that was seen between a time it gave and its coming.
    behind: Option<f64>,
}

/// How far a queue has come.
#[derive(Debug, Clone, Copy)]
struct Progress {
    seconds: f64,
    at: Instant,
    /// What the server said of it, to notice that it says nothing new.
    said: Option<(f64, f64)>,
}

/// What is known of a player's level beside what it says.
#[derive(Debug, Default)]
struct Level {
    known: Option<u8>,
    doubted_until: Option<Instant>,
}

impl Directory {
    /// Say which server is spoken to. Another one, or the same one with its data wiped, has other players, whatever
    /// their ids.
    pub fn meet(&mut self, server_id: &str) {
        if self.server_id.as_deref() != Some(server_id) {
            *self = Self { server_id: Some(server_id.into()), ..Self::default() };
        }
        self.seen.clear();
    }

    /// Say what time it is here, in seconds since 1970, before something is taken over.
    pub fn note_time(&mut self, unix_seconds: f64) {
        self.now = unix_seconds;
    }

    /// Take over what `players/all` says. While `settling`, players that are missing are kept. Always `true`: changed.
    pub fn load_players(&mut self, players: &Value, settling: bool) -> bool {
        let listed: Vec<Player> = list(players).iter().filter_map(Player::read).collect();
        if settling {
            for (id, player) in &mut self.players {
                player.available &= listed.iter().any(|listed| listed.id == *id);
            }
        } else {
            self.players.retain(|id, _| listed.iter().any(|player| player.id == *id));
        }
        for player in listed {
            self.put(player);
        }
        self.index();
        true
    }

    /// Take over what `player_queues/all` says. Always `true`: changed.
    pub fn load_queues(&mut self, queues: &Value, settling: bool) -> bool {
        if !settling {
            self.queues.clear();
        }
        for queue in list(queues).iter().filter_map(Queue::read) {
            self.put_queue(queue);
        }
        true
    }

    /// Take over one event. `false` when it says nothing about players or queues.
    pub fn apply(&mut self, event: &str, object: Option<&str>, data: &Value, settling: bool) -> bool {
        match event {
            "player_added" | "player_updated" => {
                let Some(player) = Player::read(data) else { return false };
                let is_new = !self.players.contains_key(&player.id);
                self.put(player);
                if is_new {
                    self.index();
                }
            }
            "player_removed" => {
                let Some(id) = object else { return false };
                if settling {
                    let Some(player) = self.players.get_mut(id) else { return false };
                    player.available = false;
                } else {
                    self.players.remove(id);
                    self.queues.remove(id);
                    self.index();
                }
            }
            "queue_added" | "queue_updated" | "queue_items_updated" => {
                let Some(queue) = Queue::read(data) else { return false };
                self.put_queue(queue);
            }
            "queue_time_updated" => {
                // Told every few seconds, and nothing that anybody waits for.
                let progress = object.and_then(|id| self.progress.get_mut(id)).zip(data.as_f64());
                if let Some((progress, seconds)) = progress {
                    (progress.seconds, progress.at) = (seconds, Instant::now());
                }
                return false;
            }
            _ => return false,
        }
        true
    }

    /// Whether this player has been available since the server was last met: after a start they come one by one.
    #[must_use]
    pub fn has_been_seen(&self, id: &str) -> bool {
        self.seen.contains(id)
    }

    /// Whether anything was ever learned about the home.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.players.is_empty()
    }

    /// The player of this id.
    #[must_use]
    pub fn player(&self, id: &str) -> Option<&Player> {
        self.players.get(id)
    }

    /// The exposed player of this key.
    #[must_use]
    pub fn by_key(&self, key: &PlayerKey) -> Option<&Player> {
        self.players.get(self.by_key.get(key)?).filter(|player| player.is_exposed())
    }

    /// The stable key of a player. `None` only before the first server was seen.
    #[must_use]
    pub fn key_of(&self, player: &Player) -> Option<PlayerKey> {
        Some(PlayerKey::derive(self.server_id.as_deref()?, &player.id))
    }

    /// The stable key of a favourite of this kind (in Music Assistant's word) and name: not of its id there, which changes when a
    /// provider is read anew. Small changes of how the name is written do not matter. `None` only before the first server was seen.
    #[must_use]
    pub fn preset_key(&self, kind: &str, name: &str) -> Option<PresetKey> {
        let folded = name.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ");
        Some(PresetKey::derive(self.server_id.as_deref()?, kind, &folded))
    }

    /// Those that follow this player, by what they say themselves, or by what it says of them: one is told before the other.
    pub fn followers<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Player> {
        let members = self.players.get(id).map_or(&[][..], |leader| &leader.members);
        self.players.values().filter(move |player| {
            player.id != id && (player.synced_to.as_deref() == Some(id) || members.contains(&player.id))
        })
    }

    /// Whether another player, that is no permanent group, counts player `id` among those that follow it.
    #[must_use]
    pub fn is_member(&self, id: &str) -> bool {
        let mut leaders = self.players.values().filter(|player| player.id != id && player.kind != PlayerType::Group);
        leaders.any(|leader| leader.members.iter().any(|member| member == id))
    }

    /// All players that people may speak to, in a stable order.
    pub fn exposed(&self) -> impl Iterator<Item = &Player> {
        self.players.values().filter(|player| player.is_exposed())
    }

    /// The same, by id and name.
    pub fn exposed_names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.exposed().map(|player| (player.id.as_str(), player.name.as_str()))
    }

    /// Of `players`, the one that was last seen playing.
    #[must_use]
    pub fn last_played<'a>(&'a self, players: &[&'a Player]) -> Option<&'a Player> {
        self.last_played.iter().rev().find_map(|id| players.iter().copied().find(|player| player.id == *id))
    }

    /// The player whose queue is heard on player `id`: itself, unless it follows another or plays for a group.
    ///
    /// Some servers report two synchronised players as each following the other. Of such a circle the one whose queue
    /// has something leads, else the one that was asked for.
    #[must_use]
    pub fn leader_of(&self, id: &str) -> Option<&Player> {
        let asked = self.players.get(id)?;
        let mut seen = vec![asked];
        let mut at = asked;
        while let Some(next) = self.next_to_leader(at) {
            if let Some(start) = seen.iter().position(|player| player.id == *next) {
                let circle = &seen[start..];
                let queued = |player: &&&Player| self.queue(&player.id).is_some_and(|queue| queue.items > 0);
                return Some(circle.iter().find(queued).copied().unwrap_or(asked));
            }
            let Some(player) = self.players.get(next) else { break };
            if seen.len() >= MAX_CHAIN {
                return Some(asked);
            }
            seen.push(player);
            at = player;
        }
        Some(at)
    }

    /// Whom `player` follows or plays for. Within the first second or two of a group's music its members do not say yet that they
    /// play for it: its queue is their source, and their own refuse all commands.
    fn next_to_leader<'a>(&'a self, player: &'a Player) -> Option<&'a String> {
        let takes_from = |source: &&String| {
            player.activity != Activity::Idle
                && self.players.get(*source).is_some_and(|group| group.members.contains(&player.id))
        };
        let source = player.active_source.as_ref().filter(takes_from);
        let next = player.synced_to.as_ref().or(player.active_group.as_ref()).or(source)?;
        (*next != player.id).then_some(next)
    }

    /// Who belongs to a permanent group: those that it plays on, or, while it is idle, those that ever did. Empty when nobody
    /// was seen yet.
    #[must_use]
    pub fn members_of<'a>(&'a self, group: &'a Player) -> BTreeSet<&'a str> {
        let mut members: BTreeSet<&str> = group.members.iter().map(String::as_str).collect();
        members.remove(group.id.as_str());
        if members.is_empty() {
            members.extend(self.members.get(&group.id).into_iter().flatten().map(String::as_str));
        }
        members
    }

    /// The queue of this id.
    #[must_use]
    pub fn queue(&self, id: &str) -> Option<&Queue> {
        self.queues.get(id)
    }

    /// How many seconds of its current item queue `id` has played.
    #[must_use]
    pub fn position(&self, id: &str) -> Option<f64> {
        let (queue, progress) = (self.queues.get(id)?, self.progress.get(id)?);
        let since = if queue.activity == Activity::Playing { progress.at.elapsed().as_secs_f64() } else { 0.0 };
        let seconds = (progress.seconds + since * queue.speed).max(0.0);
        Some(queue.duration.map_or(seconds, |duration| seconds.min(duration)))
    }

    /// Whether player `id` was ever seen to play together with others, or to be able to.
    #[must_use]
    pub fn is_sociable(&self, id: &str) -> bool {
        self.sociable.contains(id)
    }

    /// Whether `player` takes its sound from its own input rather than from a queue of Music Assistant.
    #[must_use]
    pub fn plays_own_source(&self, player: &Player) -> bool {
        player
            .active_source
            .as_ref()
            .is_some_and(|source| !self.queues.contains_key(source) && !self.players.contains_key(source))
    }

    fn put(&mut self, mut player: Player) {
        let known = self.players.get(&player.id);
        let was_playing = known.is_some_and(|known| known.activity == Activity::Playing);
        if player.available {
            let was_there = known.is_some_and(|known| known.available) && self.seen.contains(&player.id);
            let level = self.levels.entry(player.id.clone()).or_default();
            if !was_there {
                level.doubted_until = Some(Instant::now() + RECALLED_WITHIN);
            }
            player.volume = level.judge(player.volume);
        }
        if player.activity == Activity::Playing && !was_playing && player.synced_to.is_none() {
            self.last_played.retain(|id| *id != player.id);
            self.last_played.push(player.id.clone());
        }
        if player.kind == PlayerType::Group {
            let named = player.members.iter().chain(&player.static_members).filter(|id| **id != player.id).cloned();
            self.members.entry(player.id.clone()).or_default().extend(named);
        }
        if player.available {
            self.seen.insert(player.id.clone());
        }
        if !player.can_group_with.is_empty() || player.synced_to.is_some() {
            self.sociable.insert(player.id.clone());
        }
        self.players.insert(player.id.clone(), player);
    }

    /// In the first seconds of a stream a queue says that it plays, and nothing of what (seen on a live server at every start,
    /// for 1 to 2 s). It is what it named before; had the queue been filled anew, it would have been empty in between.
    fn put_queue(&mut self, mut queue: Queue) {
        let known = self.queues.get(&queue.id).filter(|known| known.items == queue.items);
        if let Some(known) = known
            && queue.current.is_none()
            && queue.items > 0
            && queue.activity != Activity::Idle
        {
            queue.current.clone_from(&known.current);
            queue.media.clone_from(&known.media);
            queue.duration = known.duration;
        }
        self.note_progress(&queue);
        self.queues.insert(queue.id.clone(), queue);
    }

    /// Servers repeat what they said long ago, with every change of something else. The time that they give with it is by their
    /// own clock, which is not always right.
    fn note_progress(&mut self, queue: &Queue) {
        let Some((elapsed, updated)) = queue.elapsed else { return };
        let known = self.progress.get(&queue.id);
        if let Some(known) = known.filter(|known| known.said == queue.elapsed) {
            // Paused since: it has played until now.
            let was = self.queues.get(&queue.id);
            let seconds = self.position(&queue.id).unwrap_or(known.seconds);
            if was.is_some_and(|was| was.activity != queue.activity) {
                self.progress.insert(queue.id.clone(), Progress { seconds, at: Instant::now(), said: queue.elapsed });
            }
            return;
        }
        let since = self.now - updated;
        let behind = self.behind.map_or(since, |behind| behind.min(since));
        self.behind = Some(behind);
        let since = if RIGHT_CLOCKS.contains(&behind) { since } else { since - behind };
        let since = if queue.activity == Activity::Playing { since.max(0.0) * queue.speed } else { 0.0 };
        let progress = Progress { seconds: elapsed + since, at: Instant::now(), said: queue.elapsed };
        self.progress.insert(queue.id.clone(), progress);
    }

    fn index(&mut self) {
        let Some(server_id) = &self.server_id else { return };
        self.by_key = self.players.keys().map(|id| (PlayerKey::derive(server_id, id), id.clone())).collect();
        let players = &self.players;
        self.levels.retain(|id, _| players.contains_key(id));
        self.members.retain(|id, _| players.contains_key(id));
        self.last_played.retain(|id| players.contains_key(id));
        self.sociable.retain(|id| players.contains_key(id));
        self.progress.retain(|id, _| players.contains_key(id));
    }
}

impl Level {
    /// The level to believe when a player says `said`.
    fn judge(&mut self, said: Option<u8>) -> Option<u8> {
        let doubted = said == Some(FORGOTTEN) && self.doubted_until.is_some_and(|until| Instant::now() < until);
        if doubted && self.known.is_some() {
            return self.known;
        }
        self.known = said.or(self.known);
        said
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn player(id: &str, extra: Value) -> Value {
        let mut value = json!({"player_id": id, "type": "player", "name": id, "available": true});
        value.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        value
    }

    fn load(directory: &mut Directory, server_id: &str, players: &Value, queues: &Value, settling: bool) {
        directory.meet(server_id);
        directory.load_players(players, settling);
        directory.load_queues(queues, settling);
    }

    fn directory(players: Vec<Value>, queues: Vec<Value>) -> Directory {
        let mut directory = Directory::default();
        load(&mut directory, "server", &Value::Array(players), &Value::Array(queues), false);
        directory
    }

    #[test]
    fn an_empty_list_while_settling_deletes_nothing() {
        let mut directory = directory(vec![player("a", json!({}))], vec![]);
        load(&mut directory, "server", &json!([]), &json!([]), true);
        assert!(!directory.player("a").unwrap().available);
        assert_eq!(directory.exposed().count(), 1);
        load(&mut directory, "server", &json!([]), &json!([]), false);
        assert!(directory.is_empty());
    }

    #[test]
    fn a_new_server_id_is_a_new_home() {
        let mut directory = directory(vec![player("a", json!({}))], vec![]);
        let key = directory.key_of(directory.player("a").unwrap()).unwrap();
        load(&mut directory, "wiped", &json!([player("b", json!({}))]), &json!([]), true);
        assert!(directory.player("a").is_none());
        assert!(directory.by_key(&key).is_none());
    }

    #[test]
    fn a_rename_keeps_the_key() {
        let mut directory = directory(vec![player("a", json!({}))], vec![]);
        let key = directory.key_of(directory.player("a").unwrap()).unwrap();
        assert!(directory.apply("player_updated", Some("a"), &player("a", json!({"name": "Study"})), false));
        assert_eq!(directory.by_key(&key).unwrap().name, "Study");
    }

    #[test]
    fn removal_waits_until_the_server_has_settled() {
        let mut directory = directory(vec![player("a", json!({}))], vec![]);
        assert!(directory.apply("player_removed", Some("a"), &Value::Null, true));
        assert!(directory.player("a").is_some());
        assert!(directory.apply("player_removed", Some("a"), &Value::Null, false));
        assert!(directory.player("a").is_none());
    }

    #[test]
    fn unknown_events_change_nothing() {
        let mut directory = directory(vec![], vec![]);
        for (event, data) in
            [("queue_time_updated", json!(12)), ("dashboard_added", json!({})), ("player_updated", json!(5))]
        {
            assert!(!directory.apply(event, Some("a"), &data, false));
        }
    }

    fn queue_at(state: &str, elapsed: f64, updated: f64) -> Value {
        json!({"queue_id": "a", "items": 1, "state": state, "elapsed_time": elapsed,
            "elapsed_time_last_updated": updated, "current_item": {"queue_item_id": "x", "duration": 200}})
    }

    #[tokio::test(start_paused = true)]
    async fn how_far_a_queue_has_come_is_counted_from_when_the_server_said_so() {
        let mut directory = directory(vec![player("a", json!({}))], vec![]);
        let position = |directory: &Directory| directory.position("a").map(|seconds| seconds.round() as u32);
        assert_eq!(position(&directory), None);
        directory.note_time(1_000.0);
        directory.apply("queue_updated", Some("a"), &queue_at("playing", 30.0, 995.0), false);
        assert_eq!(position(&directory), Some(35), "said five seconds ago");
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(position(&directory), Some(45));
        directory.note_time(1_010.0);
        directory.apply("queue_updated", Some("a"), &queue_at("paused", 30.0, 995.0), false);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(position(&directory), Some(45), "paused since, though nothing new was said of the time");
        directory.apply("queue_updated", Some("a"), &queue_at("playing", 30.0, 995.0), false);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(position(&directory), Some(46));
        assert!(!directory.apply("queue_time_updated", Some("a"), &json!(120), false), "nothing to wake anybody for");
        assert_eq!(position(&directory), Some(120));
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(position(&directory), Some(200), "never beyond the end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_with_a_wrong_clock_is_taken_at_its_word_for_seconds_only() {
        for wrong in [-7_200.0, 7_200.0] {
            let mut directory = directory(vec![player("a", json!({}))], vec![]);
            directory.note_time(100_000.0);
            directory.apply("queue_updated", Some("a"), &queue_at("playing", 30.0, 100_000.0 + wrong), false);
            assert_eq!(directory.position("a").map(f64::round), Some(30.0), "{wrong}");
        }
    }

    #[test]
    fn who_plays_together_with_others_now_can_still_do_so() {
        let mut directory =
            directory(vec![player("a", json!({"can_group_with": ["b"]})), player("b", json!({}))], vec![]);
        assert!(directory.is_sociable("a") && !directory.is_sociable("b"));
        directory.apply("player_updated", Some("a"), &player("a", json!({"can_group_with": []})), false);
        directory.apply("player_updated", Some("b"), &player("b", json!({"synced_to": "a"})), false);
        assert!(directory.is_sociable("a") && directory.is_sociable("b"));
    }

    #[test]
    fn a_group_that_has_just_begun_to_play_is_known_by_its_members_source() {
        let member = |state: &str, source: &str| player("a", json!({"playback_state": state, "active_source": source}));
        let leader_of = |member: Value, members: Value| {
            let group = player("g", json!({"type": "group", "group_members": members}));
            directory(vec![member, group], vec![]).leader_of("a").unwrap().id.clone()
        };
        assert_eq!(leader_of(member("playing", "g"), json!(["a", "b"])), "g");
        assert_eq!(leader_of(member("idle", "g"), json!(["a", "b"])), "a", "what it played last");
        assert_eq!(leader_of(member("playing", "g"), json!(["b"])), "a", "it is no member any more");
        assert_eq!(leader_of(member("playing", "line-in"), json!(["a"])), "a", "an input of its own");
    }

    #[test]
    fn leaders_are_found_through_sync_and_groups() {
        let directory = directory(
            vec![
                player("lead", json!({"group_members": ["lead", "child"]})),
                player("child", json!({"synced_to": "lead"})),
                player("member", json!({"active_group": "group"})),
                player("group", json!({"type": "group"})),
                player("orphan", json!({"synced_to": "gone"})),
                player("self", json!({"synced_to": "self"})),
            ],
            vec![],
        );
        for (asked, leads) in
            [("lead", "lead"), ("child", "lead"), ("member", "group"), ("orphan", "orphan"), ("self", "self")]
        {
            assert_eq!(directory.leader_of(asked).unwrap().id, leads);
        }
    }

    #[test]
    fn a_circle_of_followers_is_led_by_the_one_with_a_queue() {
        let players = vec![player("a", json!({"synced_to": "b"})), player("b", json!({"synced_to": "a"}))];
        let queues = vec![json!({"queue_id": "a", "items": 0}), json!({"queue_id": "b", "items": 3})];
        let directory = directory(players.clone(), queues);
        assert_eq!(directory.leader_of("a").unwrap().id, "b");
        assert_eq!(directory.leader_of("b").unwrap().id, "b");
        let silent = self::directory(players, vec![]);
        assert_eq!(silent.leader_of("a").unwrap().id, "a");
    }

    #[tokio::test(start_paused = true)]
    async fn a_player_that_came_back_keeps_its_level_until_it_recalls_it() {
        let said = |level: u8| player("a", json!({"volume_level": level}));
        let mut directory = directory(vec![said(20)], vec![]);
        let mut after = |object: Value| {
            assert!(directory.apply("player_updated", Some("a"), &object, false));
            directory.player("a").unwrap().volume
        };
        assert_eq!(after(player("a", json!({"available": false, "volume_level": null}))), None);
        assert_eq!(after(said(50)), Some(20), "back, and not itself yet");
        assert_eq!(after(said(31)), Some(31), "recalled, or turned");
        assert_eq!(after(said(50)), Some(31));
        tokio::time::advance(RECALLED_WITHIN).await;
        assert_eq!(after(said(50)), Some(50), "somebody means it");
        load(&mut directory, "server", &json!([said(50)]), &json!([]), true);
        load(&mut directory, "server", &json!([said(30)]), &json!([]), true);
        load(&mut directory, "server", &json!([said(50)]), &json!([]), true);
        assert_eq!(directory.player("a").unwrap().volume, Some(30), "after a restart too");
        load(&mut directory, "other server", &json!([said(50)]), &json!([]), true);
        assert_eq!(directory.player("a").unwrap().volume, Some(50), "all that is known of it");
    }

    #[test]
    fn a_stream_that_starts_plays_what_the_queue_named_before() {
        let named =
            |directory: &Directory| directory.queue("a").unwrap().media.as_ref().map(|media| media.title.clone());
        let queue = |state: &str, items: u64, title: Option<&str>| {
            let item = title.map(|title| json!({"queue_item_id": title, "media_item": {"name": title}}));
            json!({"queue_id": "a", "state": state, "items": items, "current_item": item})
        };
        let mut directory = directory(vec![player("a", json!({}))], vec![]);
        for (said, titled) in [
            (queue("idle", 2, Some("Hells Bells")), Some("Hells Bells")),
            (queue("playing", 2, None), Some("Hells Bells")),
            (queue("paused", 2, Some("Hells Bells")), Some("Hells Bells")),
            (queue("idle", 0, None), None),
            (queue("idle", 2, None), None),
            (queue("playing", 2, None), None),
        ] {
            assert!(directory.apply("queue_updated", Some("a"), &said, false));
            assert_eq!(named(&directory).as_deref(), titled, "{said}");
        }
    }

    #[test]
    fn the_last_player_heard_is_remembered() {
        let mut directory = directory(vec![player("a", json!({})), player("b", json!({}))], vec![]);
        for id in ["a", "b", "a"] {
            directory.apply("player_updated", Some(id), &player(id, json!({"state": "playing"})), false);
            directory.apply("player_updated", Some(id), &player(id, json!({"state": "idle"})), false);
        }
        let all: Vec<&Player> = directory.exposed().collect();
        assert_eq!(directory.last_played(&all).unwrap().id, "a");
    }
}
