//! Finding what a person wants to hear: first in the home's own library, then everywhere.
//!
//! Two quirks of Music Assistant shape this. Its general search keeps results for ten minutes, empty ones too, so
//! the library is asked through its lists, which are always fresh. And `play_media` with "replace" empties the queue
//! before it notices that the item does not exist, so nothing is played that was not just seen.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use macloud_e2ee::vocabulary::{MediaKind, MediaQuery, Refusal};

use super::ranking::{CERTAIN, Wanted, ranked};
use super::refusal_of;
use crate::music_assistant::message::ErrorCode;
use crate::music_assistant::model::Media;
use crate::music_assistant::{CallError, MusicAssistant, READ_LIMIT};

/// Per kind and search. Ranking needs some to choose from; more only cost time.
const LIBRARY_RESULTS: u32 = 25;

/// Per kind, from all providers.
const GLOBAL_RESULTS: u32 = 8;

/// All streaming providers are asked; the slowest decides how long it takes.
const GLOBAL_LIMIT: Duration = Duration::from_millis(2500);

/// For a last look at one item before it replaces the queue.
const RESOLVE_LIMIT: Duration = Duration::from_millis(1200);

/// Something from everywhere must be this much better than something of the home's own.
const OWN_FIRST: f32 = 0.05;

/// Search results that are looked at once more before one is played.
const RESOLVED: usize = 3;

/// Find the one thing that `query` means, by `deadline`.
pub(super) async fn find(ma: &MusicAssistant, query: &MediaQuery, deadline: Instant) -> Result<Media, Refusal> {
    let search = Search { ma, readings: Wanted::readings(query), deadline };
    if search.readings.is_empty() {
        return Err(Refusal::MediaNotFound);
    }
    let own = search.library().await?;
    if own.first().is_some_and(|(score, _)| *score >= CERTAIN) {
        return first(own);
    }
    let own = search.library_by_parts(own).await;
    if own.first().is_some_and(|(score, _)| *score >= CERTAIN) {
        return first(own);
    }
    let own_score = own.first().map_or(0.0, |(score, _)| *score);
    let everywhere = search.everywhere().await;
    for (score, media) in everywhere.into_iter().take(RESOLVED) {
        if score > own_score + OWN_FIRST && search.still_exists(&media).await {
            return Ok(media);
        }
    }
    first(own)
}

type Scored = Vec<(f32, Media)>;

struct Search<'a> {
    ma: &'a MusicAssistant,
    readings: Vec<Wanted>,
    deadline: Instant,
}

impl Search<'_> {
    /// Each reading's title in each kind's list, all at once.
    async fn library(&self) -> Result<Scored, Refusal> {
        let searches: BTreeSet<(MediaKind, &str)> = self
            .readings
            .iter()
            .flat_map(|wanted| wanted.kinds().iter().map(|kind| (*kind, wanted.title.as_str())))
            .collect();
        let answers = join_all(searches.into_iter().map(|(kind, text)| self.list(kind, text))).await;
        let failure = answers.iter().find_map(|answer| answer.as_ref().err().copied());
        let found: Vec<Media> = answers.into_iter().filter_map(Result::ok).flatten().collect();
        match failure {
            // One list may fail (an old server has no such list); if nothing at all came, that is worth saying.
            Some(error) if found.is_empty() => match error {
                CallError::Refused(code) if !code.refuses_token() && code != ErrorCode::FORBIDDEN => Ok(Vec::new()),
                _ => Err(refusal_of(error, "")),
            },
            _ => Ok(self.rank(found)),
        }
    }

    /// The single words of the titles, and the works of the artists that were named. Added to what is known already.
    async fn library_by_parts(&self, known: Scored) -> Scored {
        let words: BTreeSet<(MediaKind, &str)> = self
            .readings
            .iter()
            .take(2)
            .flat_map(|wanted| {
                let words = wanted.search_words();
                wanted.kinds().iter().flat_map(move |kind| words.clone().into_iter().map(|word| (*kind, word)))
            })
            .collect();
        let by_word = join_all(words.into_iter().map(|(kind, word)| self.list(kind, word)));
        let by_artist = self.works_of_named_artist();
        let (by_word, by_artist) = tokio::join!(by_word, by_artist);
        let mut found: Vec<Media> = by_word.into_iter().filter_map(Result::ok).flatten().collect();
        found.extend(by_artist);
        found.extend(known.into_iter().map(|(_, media)| media));
        self.rank(found)
    }

    async fn works_of_named_artist(&self) -> Vec<Media> {
        let Some(wanted) = self.readings.iter().find(|wanted| wanted.artist.is_some()) else { return Vec::new() };
        let name = wanted.artist.as_deref().unwrap_or_default();
        let names = std::iter::once(name).chain(wanted.artist_words());
        let artists = join_all(names.map(|name| self.list(MediaKind::Artist, name))).await;
        let artists = artists.into_iter().filter_map(Result::ok).flatten().collect();
        let artist = Wanted { title: name.into(), artist: None, kind: Some(MediaKind::Artist) };
        let Some((_, artist)) = ranked(&artist, artists).into_iter().next() else { return Vec::new() };
        // `library://artist/12`: the list below wants the two parts.
        let Some((provider, id)) = artist.uri.as_deref().and_then(|uri| uri.split_once("://artist/")) else {
            return Vec::new();
        };
        let args = json!({ "item_id": id, "provider_instance_id_or_domain": provider });
        let works = ["music/artists/artist_tracks", "music/artists/artist_albums"];
        let answers = join_all(works.map(|command| self.ma.call(command, args.clone(), self.limit(READ_LIMIT)))).await;
        answers.into_iter().filter_map(Result::ok).flat_map(|answer| media_list(&answer)).collect()
    }

    /// All providers. An empty answer, an error and a late answer are the same: nothing was found there.
    async fn everywhere(&self) -> Scored {
        let Some(wanted) = self.readings.first() else { return Vec::new() };
        let text = match &wanted.artist {
            Some(artist) => format!("{} {artist}", wanted.title),
            None => wanted.title.clone(),
        };
        let kinds: BTreeSet<&str> = self.readings.iter().flat_map(Wanted::kinds).map(|kind| word(*kind)).collect();
        let args = json!({ "search_query": text, "media_types": kinds, "limit": GLOBAL_RESULTS });
        match self.ma.call("music/search", args, self.limit(GLOBAL_LIMIT)).await {
            Ok(Value::Object(lists)) => self.rank(lists.values().flat_map(media_list).collect()),
            _ => Vec::new(),
        }
    }

    /// Results of the general search can be ten minutes old.
    async fn still_exists(&self, media: &Media) -> bool {
        let args = json!({ "uri": media.uri });
        match self.ma.call("music/item_by_uri", args, self.limit(RESOLVE_LIMIT)).await {
            Ok(item) => Media::read(&item).is_none_or(|item| item.playable),
            Err(CallError::Refused(_)) => false,
            // Slow is not gone.
            Err(_) => true,
        }
    }

    async fn list(&self, kind: MediaKind, search: &str) -> Result<Vec<Media>, CallError> {
        let command = format!("music/{}/library_items", list_name(kind));
        let args = json!({ "search": search, "limit": LIBRARY_RESULTS });
        Ok(media_list(&self.ma.call(&command, args, self.limit(READ_LIMIT)).await?))
    }

    /// The best score that any reading gives; a later reading counts a little less.
    fn rank(&self, found: Vec<Media>) -> Scored {
        let mut all: Scored = Vec::new();
        for (at, wanted) in self.readings.iter().enumerate() {
            let less = at as f32 * 0.01;
            all.extend(ranked(wanted, found.clone()).into_iter().map(|(score, media)| (score - less, media)));
        }
        all.sort_by(|one, other| other.0.total_cmp(&one.0));
        let mut seen = BTreeSet::new();
        all.retain(|(_, media)| seen.insert(media.uri.clone()));
        all
    }

    fn limit(&self, most: Duration) -> Duration {
        most.min(self.deadline.saturating_duration_since(Instant::now()))
    }
}

fn first(scored: Scored) -> Result<Media, Refusal> {
    scored.into_iter().next().map(|(_, media)| media).ok_or(Refusal::MediaNotFound)
}

fn media_list(value: &Value) -> Vec<Media> {
    value.as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(Media::read).collect()
}

const fn list_name(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Track => "tracks",
        MediaKind::Album => "albums",
        MediaKind::Artist => "artists",
        MediaKind::Playlist => "playlists",
        MediaKind::Radio => "radios",
        MediaKind::Genre => "genres",
        MediaKind::Audiobook => "audiobooks",
        MediaKind::Podcast => "podcasts",
    }
}

const fn word(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Track => "track",
        MediaKind::Album => "album",
        MediaKind::Artist => "artist",
        MediaKind::Playlist => "playlist",
        MediaKind::Radio => "radio",
        MediaKind::Genre => "genre",
        MediaKind::Audiobook => "audiobook",
        MediaKind::Podcast => "podcast",
    }
}
