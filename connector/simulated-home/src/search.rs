//! Searching as Music Assistant searches its own library: no better, on purpose.
//!
//! Accents are folded and everything but letters and digits is dropped, then the query must occur in the item's name as it
//! stands, or in its artist's. There is no matching of artist *and* title, no fuzziness, no word order. Results of
//! `music/search` are kept for ten minutes per exact query, empty ones too, and outlive a restart.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::catalog::{Catalog, Item, Kind};
use crate::wire::Failure;

/// How long `music/search` repeats an answer, in seconds.
const CACHED_FOR: f64 = 600.0;

/// The arrays of a search result and the media type that fills each. Note the singular `radio`.
const SECTIONS: [(&str, &str, Option<Kind>); 8] = [
    ("artists", "artist", Some(Kind::Artist)),
    ("albums", "album", Some(Kind::Album)),
    ("genres", "genre", None),
    ("tracks", "track", Some(Kind::Track)),
    ("playlists", "playlist", Some(Kind::Playlist)),
    ("radio", "radio", Some(Kind::Radio)),
    ("audiobooks", "audiobook", None),
    ("podcasts", "podcast", None),
];

/// Remembered answers of `music/search`.
#[derive(Debug, Default)]
pub(crate) struct SearchCache(HashMap<String, (f64, Value)>);

impl SearchCache {
    /// `music/search`.
    pub(crate) fn search(&mut self, catalog: &Catalog, args: &Args<'_>, now: f64) -> Result<Value, Failure> {
        let query = args.string("search_query")?;
        let types = args.strings("media_types").filter(|types| !types.is_empty());
        let (limit, _) = args.page(25);
        if types.iter().flatten().any(|wanted| !SECTIONS.iter().any(|(_, name, _)| name == wanted)) {
            return Err(Failure::internal("NotImplementedError"));
        }
        // Newer servers name the providers instead, of which the library is one.
        let only = |names: Vec<String>| names.iter().all(|name| name == "library");
        let library_only = match args.strings("providers") {
            Some(names) if !names.is_empty() => only(names),
            _ => args.optional_boolean("library_only").unwrap_or(false),
        };
        let key = format!("{query}\n{types:?}\n{limit}\n{library_only}");
        if let Some((kept_at, result)) = self.0.get(&key)
            && now - kept_at < CACHED_FOR
        {
            return Ok(result.clone());
        }
        let wants = |name: &str| types.as_ref().is_none_or(|types| types.iter().any(|wanted| wanted == name));
        let section = |name: &str, kind: Option<Kind>| match kind.filter(|_| wants(name)) {
            Some(kind) => matching(catalog, kind, &query)
                .filter(|item| !library_only || catalog.in_library(*item))
                .take(limit)
                .map(|item| catalog.listed(item))
                .collect(),
            None => Vec::new(),
        };
        let result: Map<String, Value> =
            SECTIONS.iter().map(|(key, name, kind)| ((*key).to_owned(), json!(section(name, *kind)))).collect();
        let result = Value::Object(result);
        self.0.insert(key, (now, result.clone()));
        Ok(result)
    }
}

/// `music/<kind>/library_items`. Never cached.
pub(crate) fn library_items(catalog: &Catalog, kind: Kind, args: &Args<'_>) -> Value {
    let query = args.optional_string("search").unwrap_or_default();
    let favorite = args.optional_boolean("favorite");
    let mut found: Vec<Item> = matching(catalog, kind, &query)
        .filter(|item| catalog.in_library(*item))
        .filter(|item| favorite.is_none_or(|wanted| catalog.is_favorite(*item) == wanted))
        .collect();
    order(catalog, &mut found, args.optional_string("order_by").as_deref().unwrap_or("sort_name"));
    let (limit, offset) = args.page(500);
    found.into_iter().skip(offset).take(limit).map(|item| catalog.listed(item)).collect()
}

fn order(catalog: &Catalog, items: &mut [Item], order_by: &str) {
    let (field, descending) = order_by.strip_suffix("_desc").map_or((order_by, false), |field| (field, true));
    match field {
        // Keys are made once each: made anew for each comparison, every page of 50,000 tracks kept a core for tens of milliseconds.
        "name" => items.sort_by_cached_key(|item| catalog.name(*item).to_lowercase()),
        "sort_name" => items.sort_by_cached_key(|item| fold(catalog.name(*item))),
        "year" => items.sort_by_key(|item| catalog.year(*item)),
        _ => {}
    }
    if descending {
        items.reverse();
    }
}

/// Items of a kind that a query finds: first those of that name, then those by an artist of that name, each by name.
fn matching(catalog: &Catalog, kind: Kind, query: &str) -> impl Iterator<Item = Item> + use<> {
    let wanted = condensed_query(query);
    let (mut by_name, mut by_artist) = (Vec::new(), Vec::new());
    for item in catalog.items(kind) {
        if wanted.is_empty() || condensed(catalog.name(item)).contains(&wanted) {
            by_name.push(item);
        } else if catalog.artist_name(item).is_some_and(|artist| condensed(artist).contains(&wanted)) {
            by_artist.push(item);
        }
    }
    by_name.sort_by_cached_key(|item| fold(catalog.name(*item)));
    by_artist.sort_by_cached_key(|item| fold(catalog.name(*item)));
    by_name.into_iter().chain(by_artist)
}

/// A name as it is stored for searching.
fn condensed(name: &str) -> String {
    fold(name).chars().filter(|character| character.is_alphanumeric()).collect()
}

/// A query is condensed like a name, but an exclamation mark spoils it: the recorded server did not find "P!nk Noise" by
/// "P!nk", nor by "pink".
fn condensed_query(query: &str) -> String {
    if query.contains('!') { fold(query) + "!" } else { condensed(query) }
}

/// Lower case without accents.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for character in text.chars().flat_map(char::to_lowercase) {
        match plain(character) {
            Some(letters) => folded.push_str(letters),
            None => folded.push(character),
        }
    }
    folded
}

/// The plain letters of an accented one, for the Latin scripts.
fn plain(character: char) -> Option<&'static str> {
    Some(match character {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ð' | 'đ' | 'ď' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ř' => "r",
        'ś' | 'š' | 'ş' => "s",
        'ß' => "ss",
        'ť' | 'ţ' => "t",
        'þ' => "th",
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::{Library, TrackName};

    fn names(result: &Value, section: &str) -> Vec<String> {
        result[section].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    }

    fn search(catalog: &Catalog, query: Value) -> Result<Value, Failure> {
        SearchCache::default().search(catalog, &Args::new(query.as_object().unwrap()), 0.0)
    }

    #[test]
    fn accents_and_punctuation_do_not_matter() {
        let catalog = Catalog::new(&Library::demo());
        let found = search(&catalog, json!({"search_query": "joga", "media_types": ["track"]})).unwrap();
        assert_eq!(names(&found, "tracks"), ["Jóga"]);
        for query in ["acdc", "ac dc", "AC-DC"] {
            let found = search(&catalog, json!({"search_query": query, "media_types": ["artist"]})).unwrap();
            assert_eq!(names(&found, "artists"), ["AC/DC"], "{query}");
        }
    }

    #[test]
    fn an_artist_brings_albums_and_tracks_along() {
        let catalog = Catalog::new(&Library::demo());
        let found = search(&catalog, json!({"search_query": "miles davis"})).unwrap();
        assert_eq!(names(&found, "albums"), ["Bitches Brew", "Kind of Blue"]);
        assert_eq!(names(&found, "tracks").len(), 9);
    }

    #[test]
    fn artist_and_title_together_find_nothing() {
        let catalog = Catalog::new(&Library::demo());
        for query in
            ["kind of blue by miles davis", "miles davis kind of blue", "hyperballad bjork", "P!nk", "kind of bleu"]
        {
            let found = search(&catalog, json!({"search_query": query})).unwrap();
            assert!(found.as_object().unwrap().values().all(|section| section == &json!([])), "{query}");
        }
    }

    #[test]
    fn unknown_types_fail_and_an_empty_query_finds_everything() {
        let catalog = Catalog::new(&Library::demo());
        let failure = search(&catalog, json!({"search_query": "blue", "media_types": ["nonsense"]})).unwrap_err();
        assert_eq!((failure.code, failure.details.as_str()), (999, "NotImplementedError"));
        assert_eq!(names(&search(&catalog, json!({"search_query": "", "limit": 5})).unwrap(), "tracks").len(), 5);
    }

    #[test]
    fn empty_results_are_remembered_for_ten_minutes_but_listings_are_fresh() {
        let mut catalog = Catalog::new(&Library::demo());
        let mut cache = SearchCache::default();
        let query = json!({"search_query": "new mix", "media_types": ["playlist"]});
        let mut at = |catalog: &Catalog, now| {
            let found = cache.search(catalog, &Args::new(query.as_object().unwrap()), now).unwrap();
            names(&found, "playlists").len()
        };
        assert_eq!(at(&catalog, 0.0), 0);
        catalog.add_playlist("New Mix", &[TrackName::from("Queen - '39")], None, true);
        assert_eq!(at(&catalog, 599.0), 0);
        let listing = json!({"search": "new mix"});
        let listed = library_items(&catalog, Kind::Playlist, &Args::new(listing.as_object().unwrap()));
        assert_eq!(listed.as_array().unwrap().len(), 1);
        assert_eq!(at(&catalog, 601.0), 1);
    }

    #[test]
    fn listings_are_sorted_paged_and_filtered() {
        let catalog = Catalog::new(&Library::demo());
        let args = json!({"order_by": "name_desc", "limit": 2, "offset": 1});
        let listed = library_items(&catalog, Kind::Radio, &Args::new(args.as_object().unwrap()));
        let listed: Vec<&str> = listed.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
        assert_eq!(listed, ["Jazz FM", "FIP"]);
        let args = json!({"favorite": true});
        let hearts = library_items(&catalog, Kind::Album, &Args::new(args.as_object().unwrap()));
        assert_eq!(hearts[0]["name"], "Kind of Blue");
    }
}
