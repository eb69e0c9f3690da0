//! Finding what a person wants to hear: first in the home's own library, then everywhere.
//!
//! The library is known by name ([`crate::library`]), and what was heard is compared with all of it. Until it has been read,
//! and for what it has not, Music Assistant is asked: a part of it has what sounds like the thing that was meant, when that is in the rest. Two quirks of it shape this. Its general search keeps results for ten
//! minutes, empty ones too, so the library is asked through its lists, which are always fresh. And `play_media` with
//! "replace" empties the queue before it notices that the item does not exist, so nothing is played that was not just seen.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use macloud_e2ee::vocabulary::{MediaKind, MediaQuery, Refusal};

use super::ranking::{CERTAIN, Found, Ranked, Verdict, Wanted, in_library, judge, of_a_part, rank, ranked};
use super::words::normalized;
use super::{refusal_of, report};
use crate::library::{item, kind_word, list_name};
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

/// Results that are looked at once more before one is played.
const RESOLVED: usize = 3;

/// Readings for which Music Assistant's lists are asked: each is a request per kind.
const LISTED_READINGS: usize = 3;

/// Find the one thing that `query` means, by `deadline`. What is found and not sure is refused with
/// [`Refusal::DidYouMean`], unless the person has confirmed it already.
pub(super) async fn find(ma: &MusicAssistant, query: &MediaQuery, deadline: Instant) -> Result<Media, Refusal> {
    let search = Search { ma, readings: Wanted::readings(query), confirmed: query.sure, deadline };
    if search.readings.is_empty() {
        return Err(Refusal::MediaNotFound);
    }
    let known = search.known();
    if ma.library().is_complete() && !known.is_empty() {
        if let Some(media) = search.certain(&known, &HashSet::new()).await {
            return Ok(media);
        }
        let everywhere = search.everywhere().await;
        return search.decide(known, everywhere, &HashSet::new()).await;
    }
    // Of a part of the library nothing is taken without asking Music Assistant for the rest.
    let mut listed = search.library().await?;
    let own = search.rank_with(&known, &listed);
    if let Some(media) = search.certain(&own, &uris_of(&listed)).await {
        return Ok(media);
    }
    listed.extend(search.library_by_parts().await);
    let own = search.rank_with(&known, &listed);
    let fresh = uris_of(&listed);
    if let Some(media) = search.certain(&own, &fresh).await {
        return Ok(media);
    }
    let everywhere = search.everywhere().await;
    search.decide(own, everywhere, &fresh).await
}

struct Search<'a> {
    ma: &'a MusicAssistant,
    readings: Vec<Wanted>,
    confirmed: bool,
    deadline: Instant,
}

impl Search<'_> {
    /// What the library has, as far as it is known.
    fn known(&self) -> Ranked {
        in_library(self.ma.library(), &self.readings)
    }

    /// The first one, if nothing better is worth waiting for.
    async fn certain(&self, own: &[(f32, Found)], fresh: &HashSet<String>) -> Option<Media> {
        let (score, found) = own.first()?;
        let certain = *score >= CERTAIN && judge(own) == Verdict::Sure;
        if certain && self.is_there(&found.media, fresh).await { Some(found.media.clone()) } else { None }
    }

    /// The first one that is still there, if it is sure enough.
    async fn decide(&self, own: Ranked, everywhere: Ranked, fresh: &HashSet<String>) -> Result<Media, Refusal> {
        let elsewhere = everywhere.into_iter().map(|(score, found)| (score - OWN_FIRST, found));
        let mut all: Ranked = own.into_iter().chain(elsewhere).collect();
        all.sort_by(|one, other| other.0.total_cmp(&one.0));
        let mut seen = HashSet::new();
        all.retain(|(_, found)| seen.insert(found.media.uri.clone()));
        for _ in 0..RESOLVED {
            let verdict = judge(&all);
            if verdict == Verdict::Nothing {
                break;
            }
            let (_, found) = all.remove(0);
            if self.is_there(&found.media, fresh).await {
                return if verdict == Verdict::Sure || self.confirmed {
                    Ok(found.media)
                } else {
                    Err(Refusal::DidYouMean(report::item(&found.media)))
                };
            }
        }
        Err(self.not_found())
    }

    /// Each reading's title in each kind's list, all at once.
    async fn library(&self) -> Result<Vec<Media>, Refusal> {
        let searches: BTreeSet<(MediaKind, &str)> = self
            .readings
            .iter()
            .take(LISTED_READINGS)
            .flat_map(|wanted| kinds_listed(wanted).map(|kind| (kind, wanted.title.text.as_str())))
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
            _ => Ok(found),
        }
    }

    /// The single words of the titles, and the works of the artists that were named.
    async fn library_by_parts(&self) -> Vec<Media> {
        let words: BTreeSet<(MediaKind, &str)> = self
            .readings
            .iter()
            .take(2)
            .flat_map(|wanted| {
                let words = wanted.search_words();
                kinds_listed(wanted).flat_map(move |kind| words.clone().into_iter().map(move |word| (kind, word)))
            })
            .collect();
        let by_word = join_all(words.into_iter().map(|(kind, word)| self.list(kind, word)));
        let by_artist = self.works_of_named_artist();
        let (by_word, by_artist) = tokio::join!(by_word, by_artist);
        let mut found: Vec<Media> = by_word.into_iter().filter_map(Result::ok).flatten().collect();
        found.extend(by_artist);
        found
    }

    async fn works_of_named_artist(&self) -> Vec<Media> {
        let named = |wanted: &'_ Wanted| Some((wanted.artist.clone()?, wanted.artist_words().join("\n")));
        let Some((name, words)) = self.readings.iter().find_map(named) else { return Vec::new() };
        let names = std::iter::once(name.text.as_str()).chain(words.lines());
        let artists = join_all(names.map(|name| self.list(MediaKind::Artist, name))).await;
        let artists = artists.into_iter().filter_map(Result::ok).flatten().collect();
        let Some((_, artist)) = ranked(&Wanted::artist(&name), artists).into_iter().next() else { return Vec::new() };
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
    async fn everywhere(&self) -> Ranked {
        let Some(wanted) = self.readings.first() else { return Ranked::new() };
        let text = match &wanted.artist {
            Some(artist) => format!("{} {}", wanted.title.text, artist.text),
            None => wanted.title.text.clone(),
        };
        let kinds: BTreeSet<&str> = self.readings.iter().flat_map(kinds_listed).map(kind_word).collect();
        let args = json!({ "search_query": text, "media_types": kinds, "limit": GLOBAL_RESULTS });
        match self.ma.call("music/search", args, self.limit(GLOBAL_LIMIT)).await {
            Ok(Value::Object(lists)) => {
                rank(&self.readings, lists.values().flat_map(media_list).map(Found::from).collect())
            }
            _ => Ranked::new(),
        }
    }

    /// Whether it can be played now. Results of the general search can be ten minutes old, and what is known of the library
    /// older; library ids are given anew, so that something else may be there.
    async fn is_there(&self, media: &Media, fresh: &HashSet<String>) -> bool {
        if media.uri.as_ref().is_some_and(|uri| fresh.contains(uri)) {
            return true;
        }
        let of_library = media.uri.as_ref().is_some_and(|uri| uri.starts_with("library://"));
        let args = json!({ "uri": media.uri });
        match self.ma.call("music/item_by_uri", args, self.limit(RESOLVE_LIMIT)).await {
            Ok(found) => item(&found).is_none_or(|found| {
                found.playable && (!of_library || normalized(&found.title) == normalized(&media.title))
            }),
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

    /// What was listed just now, and of what was known before only what was not.
    fn rank_with(&self, known: &[(f32, Found)], listed: &[Media]) -> Ranked {
        let uris = uris_of(listed);
        let is_listed = |found: &Found| found.media.uri.as_ref().is_some_and(|uri| uris.contains(uri));
        let known = known.iter().filter(|(_, found)| !is_listed(found)).cloned().collect();
        let mut all = rank(&self.readings, listed.iter().cloned().map(Found::from).collect());
        all.extend(of_a_part(&self.readings, known));
        all.sort_by(|one, other| other.0.total_cmp(&one.0));
        all
    }

    /// What is not in a part of the library may be in the rest.
    fn not_found(&self) -> Refusal {
        if self.ma.library().is_unread() { Refusal::MediaNotFoundYet } else { Refusal::MediaNotFound }
    }

    fn limit(&self, most: Duration) -> Duration {
        most.min(self.deadline.saturating_duration_since(Instant::now()))
    }
}

/// The kinds for which Music Assistant is asked: those that every server has, and others if one of these is wanted. A server
/// that does not know one of the kinds that it shall search for refuses the search.
fn kinds_listed(wanted: &Wanted) -> impl Iterator<Item = MediaKind> + use<> {
    let rare = |kind: &MediaKind| matches!(kind, MediaKind::Genre | MediaKind::Audiobook | MediaKind::Podcast);
    let asked_for = wanted.kind;
    wanted.kinds().iter().copied().filter(move |kind| !rare(kind) || asked_for == Some(*kind))
}

fn uris_of(media: &[Media]) -> HashSet<String> {
    media.iter().filter_map(|media| media.uri.clone()).collect()
}

fn media_list(value: &Value) -> Vec<Media> {
    value.as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(item).collect()
}
