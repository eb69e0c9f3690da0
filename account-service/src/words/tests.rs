//! The languages are complete and equal, and the sources use what there is and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;

/// One message of a file: its key, and all of its text.
fn messages(text: &'static str) -> Vec<(&'static str, String)> {
    let mut all: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        match line.split_once(" =") {
            Some((key, rest)) if key.starts_with(|c: char| c.is_ascii_lowercase()) => {
                all.push((key, rest.to_owned()));
            }
            _ if line.starts_with(' ') => {
                let (_, message) = all.last_mut().expect("a file begins with a key");
                message.push('\n');
                message.push_str(line);
            }
            _ => assert!(line.is_empty() || line.starts_with('#'), "neither message nor comment: {line}"),
        }
    }
    all
}

fn in_all(text: fn(&Area) -> &'static str) -> BTreeMap<&'static str, String> {
    AREAS.iter().flat_map(|area| messages(text(area))).collect()
}

fn variables(message: &str) -> BTreeSet<&str> {
    let names = message.split('$').skip(1);
    names.map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap()).collect()
}

fn tags(message: &str) -> Vec<&str> {
    let mut all: Vec<&str> = message.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()).collect();
    all.sort_unstable();
    all
}

#[test]
fn every_message_is_there_in_both_languages_with_the_same_arguments_and_tags() {
    let (english, german) = (in_all(|area| area.en), in_all(|area| area.de));
    let keys = |all: &BTreeMap<&'static str, String>| all.keys().copied().collect::<Vec<_>>();
    assert_eq!(keys(&english), keys(&german));
    for (key, text) in &english {
        assert_eq!(variables(text), variables(&german[key]), "{key}");
        assert_eq!(tags(text), tags(&german[key]), "{key}");
    }
}

#[test]
fn keys_are_unique_and_begin_with_their_area() {
    for area in AREAS {
        for text in [area.en, area.de] {
            let found = messages(text);
            let unique: BTreeSet<_> = found.iter().map(|(key, _)| key).collect();
            assert_eq!(unique.len(), found.len(), "a key is there twice in {}", area.name);
            for (key, _) in &found {
                assert!(key.starts_with(&format!("{}-", area.name)), "{key} in {}", area.name);
            }
        }
    }
}

#[test]
fn files_parse_and_every_message_formats() {
    for (language, bundle, text) in
        [("en", &ENGLISH, (|area: &Area| area.en) as fn(&Area) -> &'static str), ("de", &GERMAN, |area| area.de)]
    {
        for area in AREAS {
            let parsed = FluentResource::try_new(text(area).to_owned());
            assert!(parsed.is_ok(), "{language}/{}: {:?}", area.name, parsed.err().map(|(_, errors)| errors));
        }
        for (key, message) in in_all(text) {
            let pattern = bundle.get_message(key).and_then(|message| message.value());
            let pattern = pattern.unwrap_or_else(|| panic!("{language}: {key}"));
            for value in [FluentValue::from(1), FluentValue::from(2), FluentValue::from(7), FluentValue::from("x")] {
                let arguments: FluentArgs<'_> =
                    variables(&message).into_iter().map(|name| (name, value.clone())).collect();
                let mut errors = Vec::new();
                let text = bundle.format_pattern(pattern, Some(&arguments), &mut errors);
                assert!(errors.is_empty(), "{language}: {key}: {errors:?}");
                assert!(!text.trim().is_empty() && !text.contains(['{', '}']), "{language}: {key}: {text}");
            }
        }
    }
}

#[test]
fn german_is_german() {
    let (english, german) = (in_all(|area| area.en), in_all(|area| area.de));
    // Names, and words that both languages have.
    let words = |text: &str| text.split_whitespace().filter(|word| word.chars().all(char::is_alphabetic)).count();
    let same: Vec<_> = english.iter().filter(|(key, text)| words(text) >= 3 && german[*key] == **text).collect();
    assert!(same.is_empty(), "not translated: {same:?}");
}

#[test]
fn sources_use_every_message_and_no_other() {
    let known: BTreeSet<&str> = in_all(|area| area.en).into_keys().collect();
    let areas: BTreeSet<&str> = AREAS.iter().map(|area| area.name).collect();
    let marked: BTreeSet<&str> =
        in_all(|area| area.en).into_iter().filter(|(_, text)| text.contains('<')).map(|(key, _)| key).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for (directory, ending) in [("src", "rs"), ("templates", "html")] {
        collect(&root.join(directory), ending, &mut sources);
    }
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for (name, source) in &sources {
        for (at, _) in source.match_indices('"') {
            // Between two literals there is text as well, but none that looks like a key.
            let (before, rest) = (&source[..at], &source[at + 1..]);
            let Some((literal, _)) = rest.split_once('"') else { break };
            let called = |function: &str| before.ends_with(function);
            let said = called("say(") || called("words::with(");
            let looks_like_one = literal.split_once('-').is_some_and(|(area, _)| areas.contains(area))
                && literal.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            match known.get(literal) {
                Some(key) => {
                    used.insert(*key);
                    if said && marked.contains(key) {
                        wrong.push(format!("{name}: {key} has tags: use words::html"));
                    }
                }
                None if said || called("words::html(") || looks_like_one && name.ends_with(".rs") => {
                    wrong.push(format!("{name}: no message {literal}"));
                }
                None => {}
            }
        }
    }
    let unused: Vec<_> = known.difference(&used).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(unused.is_empty(), "nothing says {unused:?}");
}

fn collect(directory: &Path, ending: &str, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, ending, found);
        } else if path.extension().is_some_and(|extension| extension == ending) && !path.ends_with("words/tests.rs") {
            found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn arguments_are_text_in_markup_and_numbers_choose_the_plural() {
    let asked = InRequest {
        language: Cell::new(Language::German),
        chosen: true,
        asked: Cell::new(false),
        here: RefCell::default(),
    };
    REQUEST.sync_scope(asked, || {
        assert_eq!(with("when-minutes-ago", &[("count", 1.into())]), "vor 1 Minute");
        assert_eq!(with("when-minutes-ago", &[("count", 2.into())]), "vor 2 Minuten");
        assert_eq!(escape("<b a=\"'\">&"), "&#60;b a=&#34;&#39;&#34;&#62;&#38;");
        assert_eq!(say("no-such-message"), "no-such-message");
    });
    assert_eq!(with("when-minutes-ago", &[("count", 2.into())]), "2 minutes ago");
}
