//! The library with numbers on it: items by URI, as Music Assistant's JSON, and the playlists' contents.
//!
//! Items come in three degrees of detail, as recorded: a *mapping* (inside other items), a *listed* item (lists, search,
//! queues) whose artists and album are mappings, and a *full* item (`music/item_by_uri`) whose artists and album are listed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::library::{Library, TrackName};

/// The music provider that all items come from.
pub(crate) const PROVIDER_INSTANCE: &str = "filesystem_local--Sim0home";

const DATE_ADDED: &str = "2026-11-21T22:25:13";

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Artist,
    Album,
    Track,
    Playlist,
    Radio,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Artist => "artist",
            Self::Album => "album",
            Self::Track => "track",
            Self::Playlist => "playlist",
            Self::Radio => "radio",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Artist, Self::Album, Self::Track, Self::Playlist, Self::Radio]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// An item: its kind and its place in that kind's list. Its library id is the place plus one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) index: usize,
}

impl Item {
    pub(crate) fn uri(self) -> String {
        format!("library://{}/{}", self.kind.name(), self.index + 1)
    }
}

#[derive(Debug)]
struct ArtistEntry {
    name: String,
}

#[derive(Debug)]
struct AlbumEntry {
    title: String,
    year: Option<u16>,
    artist: usize,
}

#[derive(Debug)]
struct TrackEntry {
    title: String,
    seconds: u32,
    artist: usize,
    album: usize,
    number: usize,
    genres: Vec<String>,
}

#[derive(Debug)]
struct PlaylistEntry {
    name: String,
    tracks: Vec<usize>,
    editable: bool,
    file: bool,
}

#[derive(Debug)]
struct RadioEntry {
    name: String,
    url: Option<String>,
}

/// All items of a home.
#[derive(Debug)]
pub(crate) struct Catalog {
    artists: Vec<ArtistEntry>,
    albums: Vec<AlbumEntry>,
    tracks: Vec<TrackEntry>,
    playlists: Vec<PlaylistEntry>,
    radios: Vec<RadioEntry>,
    favorites: BTreeSet<Item>,
}

impl Catalog {
    pub(crate) fn new(library: &Library) -> Self {
        let mut catalog = Self {
            artists: Vec::new(),
            albums: Vec::new(),
            tracks: Vec::new(),
            playlists: Vec::new(),
            radios: Vec::new(),
            favorites: BTreeSet::new(),
        };
        for artist in &library.artists {
            catalog.add_artist(artist);
        }
        for playlist in &library.playlists {
            let item = catalog.add_playlist(&playlist.name, &playlist.tracks, playlist.repeat_to, false);
            catalog.playlists[item.index].file = playlist.file;
            catalog.mark(item, playlist.favorite);
        }
        for radio in &library.radios {
            let item = Item { kind: Kind::Radio, index: catalog.radios.len() };
            catalog.radios.push(RadioEntry { name: radio.name.clone(), url: radio.url.clone() });
            catalog.mark(item, radio.favorite);
        }
        catalog
    }

    fn add_artist(&mut self, artist: &crate::library::Artist) {
        let artist_index = self.artists.len();
        self.artists.push(ArtistEntry { name: artist.name.clone() });
        self.mark(Item { kind: Kind::Artist, index: artist_index }, artist.favorite);
        for album in &artist.albums {
            let album_index = self.albums.len();
            self.albums.push(AlbumEntry { title: album.title.clone(), year: album.year, artist: artist_index });
            self.mark(Item { kind: Kind::Album, index: album_index }, album.favorite);
            for (place, track) in album.tracks.iter().enumerate() {
                let item = Item { kind: Kind::Track, index: self.tracks.len() };
                self.tracks.push(TrackEntry {
                    title: track.title.clone(),
                    seconds: track.seconds,
                    artist: artist_index,
                    album: album_index,
                    number: place + 1,
                    genres: artist.genres.clone(),
                });
                self.mark(item, track.favorite);
            }
        }
    }

    /// Adds a playlist; entries that name no track are left out (a library file with such entries is refused earlier).
    pub(crate) fn add_playlist(
        &mut self,
        name: &str,
        entries: &[TrackName],
        repeat_to: Option<usize>,
        editable: bool,
    ) -> Item {
        let once: Vec<usize> = entries.iter().filter_map(|entry| self.track_named(entry)).collect();
        let count = repeat_to.unwrap_or(once.len());
        let tracks = once.iter().copied().cycle().take(count).collect();
        self.playlists.push(PlaylistEntry { name: name.to_owned(), tracks, editable, file: false });
        Item { kind: Kind::Playlist, index: self.playlists.len() - 1 }
    }

    pub(crate) fn track_named(&self, entry: &TrackName) -> Option<usize> {
        let (artist, title) = entry.parts()?;
        self.tracks.iter().position(|track| track.title == title && self.artists[track.artist].name == artist)
    }

    pub(crate) fn mark(&mut self, item: Item, favorite: bool) {
        if favorite {
            self.favorites.insert(item);
        } else {
            self.favorites.remove(&item);
        }
    }

    pub(crate) fn is_favorite(&self, item: Item) -> bool {
        self.favorites.contains(&item)
    }

    pub(crate) fn items(&self, kind: Kind) -> impl Iterator<Item = Item> + use<> {
        let count = match kind {
            Kind::Artist => self.artists.len(),
            Kind::Album => self.albums.len(),
            Kind::Track => self.tracks.len(),
            Kind::Playlist => self.playlists.len(),
            Kind::Radio => self.radios.len(),
        };
        (0..count).map(move |index| Item { kind, index })
    }

    pub(crate) fn find(&self, kind: Kind, item_id: &str) -> Option<Item> {
        let number: usize = item_id.parse().ok()?;
        self.items(kind).find(|item| item.index + 1 == number)
    }

    /// The item of `library://type/id`, or of a playlist file's URI. Nothing else is understood, free text least of all.
    pub(crate) fn by_uri(&self, uri: &str) -> Option<Item> {
        let (provider, rest) = uri.split_once("://")?;
        let (kind, id) = rest.split_once('/')?;
        let kind = Kind::named(kind)?;
        if provider == "library" {
            return self.find(kind, id).filter(|item| self.in_library(*item));
        }
        self.items(kind).find(|item| !self.in_library(*item) && self.provider_id(*item) == id)
    }

    /// Whether an item is in the library. Playlist files are only at their provider.
    pub(crate) fn in_library(&self, item: Item) -> bool {
        item.kind != Kind::Playlist || !self.playlists[item.index].file
    }

    /// How clients name an item.
    pub(crate) fn uri(&self, item: Item) -> String {
        if self.in_library(item) {
            return item.uri();
        }
        format!("{PROVIDER_INSTANCE}://{}/{}", item.kind.name(), self.provider_id(item))
    }

    /// Id and provider, as clients see them.
    fn address(&self, item: Item) -> (String, &'static str) {
        if self.in_library(item) {
            return ((item.index + 1).to_string(), "library");
        }
        (self.provider_id(item), PROVIDER_INSTANCE)
    }

    pub(crate) fn name(&self, item: Item) -> &str {
        match item.kind {
            Kind::Artist => &self.artists[item.index].name,
            Kind::Album => &self.albums[item.index].title,
            Kind::Track => &self.tracks[item.index].title,
            Kind::Playlist => &self.playlists[item.index].name,
            Kind::Radio => &self.radios[item.index].name,
        }
    }

    /// The artist an album or a track is by.
    pub(crate) fn artist_name(&self, item: Item) -> Option<&str> {
        self.artist_of(item).map(|artist| self.name(artist))
    }

    fn artist_of(&self, item: Item) -> Option<Item> {
        let index = match item.kind {
            Kind::Album => self.albums[item.index].artist,
            Kind::Track => self.tracks[item.index].artist,
            _ => return None,
        };
        Some(Item { kind: Kind::Artist, index })
    }

    fn album_of(&self, item: Item) -> Option<Item> {
        (item.kind == Kind::Track).then(|| Item { kind: Kind::Album, index: self.tracks[item.index].album })
    }

    pub(crate) fn album_name(&self, item: Item) -> Option<&str> {
        self.album_of(item).map(|album| self.name(album))
    }

    /// How long an item plays; radio never ends.
    pub(crate) fn duration(&self, item: Item) -> Option<u32> {
        (item.kind == Kind::Track).then(|| self.tracks[item.index].seconds)
    }

    /// What playing this item puts into a queue.
    pub(crate) fn playable(&self, item: Item) -> Vec<Item> {
        let track = |index: usize| Item { kind: Kind::Track, index };
        match item.kind {
            Kind::Track | Kind::Radio => vec![item],
            Kind::Playlist => self.playlists[item.index].tracks.iter().copied().map(track).collect(),
            Kind::Album => {
                self.items(Kind::Track).filter(|found| self.tracks[found.index].album == item.index).collect()
            }
            Kind::Artist => {
                self.items(Kind::Track).filter(|found| self.tracks[found.index].artist == item.index).collect()
            }
        }
    }

    pub(crate) fn albums_of(&self, artist: Item) -> Vec<Item> {
        self.items(Kind::Album).filter(|album| self.albums[album.index].artist == artist.index).collect()
    }

    /// Tracks that share a genre with what `item` plays, the item's own first: what "radio mode" continues with.
    pub(crate) fn similar(&self, item: Item) -> Vec<Item> {
        let own = self.playable(item);
        let genres: BTreeSet<&String> = own
            .iter()
            .filter(|item| item.kind == Kind::Track)
            .flat_map(|item| &self.tracks[item.index].genres)
            .collect();
        let others = self.items(Kind::Track).filter(|found| {
            !own.contains(found) && self.tracks[found.index].genres.iter().any(|genre| genres.contains(genre))
        });
        own.iter().copied().chain(others).collect()
    }

    /// "Artist - Title", the name of a queue item.
    pub(crate) fn queue_name(&self, item: Item) -> String {
        self.artist_name(item)
            .map_or_else(|| self.name(item).to_owned(), |artist| format!("{artist} - {}", self.name(item)))
    }

    pub(crate) fn year(&self, item: Item) -> Option<u16> {
        (item.kind == Kind::Album).then(|| self.albums[item.index].year).flatten()
    }

    /// The little that other items and "recently played" carry of an item.
    pub(crate) fn mapping(&self, item: Item) -> Value {
        let (id, provider) = self.address(item);
        json!({
            "item_id": id,
            "provider": provider,
            "name": self.name(item),
            "version": "",
            "sort_name": sort_name(self.name(item)),
            "uri": self.uri(item),
            "external_ids": [],
            "is_playable": true,
            "translation_key": null,
            "media_type": item.kind.name(),
            "available": true,
            "image": null,
            "year": self.year(item),
        })
    }

    /// A track's album as a listed item.
    pub(crate) fn album_listed(&self, track: Item) -> Value {
        self.album_of(track).map_or(Value::Null, |album| self.listed(album))
    }

    /// An item as lists, search results and queues show it.
    pub(crate) fn listed(&self, item: Item) -> Value {
        self.render(item, Self::mapping)
    }

    /// An item as `music/item_by_uri` shows it.
    pub(crate) fn full(&self, item: Item) -> Value {
        self.render(item, Self::listed)
    }

    fn render(&self, item: Item, inner: impl Fn(&Self, Item) -> Value) -> Value {
        let mut value = self.base(item);
        let artists = || json!([self.artist_of(item).map(|artist| inner(self, artist))]);
        match item.kind {
            Kind::Artist => {}
            Kind::Album => {
                value["year"] = json!(self.albums[item.index].year);
                value["artists"] = artists();
                value["album_type"] = json!("unknown");
            }
            Kind::Track => {
                let track = &self.tracks[item.index];
                value["duration"] = json!(track.seconds);
                value["artists"] = artists();
                value["last_played"] = json!(0);
                value["album"] = json!(self.album_of(item).map(|album| inner(self, album)));
                value["disc_number"] = json!(0);
                value["track_number"] = json!(track.number);
            }
            Kind::Playlist => {
                value["owner"] = json!("Music Assistant");
                value["is_editable"] = json!(self.playlists[item.index].editable);
                value["supported_mediatypes"] = json!(["track"]);
            }
            Kind::Radio => value["duration"] = Value::Null,
        }
        value
    }

    fn base(&self, item: Item) -> Value {
        let (id, provider) = self.address(item);
        json!({
            "item_id": id,
            "provider": provider,
            "name": self.name(item),
            "version": "",
            "sort_name": sort_name(self.name(item)),
            "uri": self.uri(item),
            "external_ids": [],
            "is_playable": true,
            "translation_key": null,
            "media_type": item.kind.name(),
            "provider_mappings": [self.provider_mapping(item)],
            "metadata": self.metadata(item),
            "favorite": self.is_favorite(item),
            "position": null,
            "date_added": DATE_ADDED,
        })
    }

    fn provider_mapping(&self, item: Item) -> Value {
        let builtin = matches!(item.kind, Kind::Playlist | Kind::Radio) && self.in_library(item);
        let flac = item.kind == Kind::Track;
        let url = match item.kind {
            Kind::Artist | Kind::Album => Some(self.provider_id(item)),
            Kind::Radio => self.radios[item.index].url.clone(),
            Kind::Track | Kind::Playlist => None,
        };
        json!({
            "item_id": self.provider_id(item),
            "provider_domain": if builtin { "builtin" } else { "filesystem_local" },
            "provider_instance": if builtin { "builtin" } else { PROVIDER_INSTANCE },
            "available": true,
            "in_library": self.in_library(item),
            "is_unique": null,
            "audio_format": audio_format(if flac { "flac" } else { "?" }, "?"),
            "url": url,
            "details": if flac { json!("1795299913") } else { Value::Null },
        })
    }

    /// The item's id at its provider: for files, the path.
    pub(crate) fn provider_id(&self, item: Item) -> String {
        match item.kind {
            Kind::Artist => self.name(item).to_owned(),
            Kind::Album => format!("{}/{}", self.artist_name(item).unwrap_or_default(), self.name(item)),
            Kind::Track => {
                let album = self.album_of(item).map(|album| self.provider_id(album)).unwrap_or_default();
                format!("{album}/{:02} - {}.flac", self.tracks[item.index].number, self.name(item))
            }
            Kind::Playlist if self.playlists[item.index].file => format!("{}.m3u", self.name(item)),
            Kind::Playlist => format!("playlist{:04}", item.index + 1),
            Kind::Radio => format!("radio{:04}", item.index + 1),
        }
    }

    fn metadata(&self, item: Item) -> Value {
        let genres = (item.kind == Kind::Track).then(|| &self.tracks[item.index].genres);
        json!({
            "description": null, "review": null, "explicit": null, "images": null, "grouping": null, "genres": genres,
            "mood": null, "style": null, "copyright": null, "lyrics": null, "lrc_lyrics": null, "label": null, "links": null,
            "performers": null, "preview": null, "popularity": null, "release_date": null, "languages": null,
            "chapters": null, "last_refresh": null,
        })
    }
}

/// The format of a file's audio; `"?"` stands for what is not known.
pub(crate) fn audio_format(content: &str, codec: &str) -> Value {
    json!({
        "content_type": content,
        "codec_type": codec,
        "sample_rate": 44100,
        "bit_depth": 16,
        "channels": 2,
        "output_format_str": content,
        "bit_rate": if content == "flac" { 99 } else { 0 },
    })
}

/// The name as lists are sorted: lower case, accents folded, nothing else dropped.
pub(crate) fn sort_name(name: &str) -> String {
    crate::search::fold(name)
}
