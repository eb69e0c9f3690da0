//! Which player a person means by a name.

use super::words::{alike, normalized, words};

/// Below this a name is another name.
const GOOD_ENOUGH: f32 = 0.75;

/// What a spoken name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// This one.
    One(usize),
    /// One of these.
    Several(Vec<usize>),
    /// Nothing.
    None,
}

/// Find the one of `names` that `spoken` means: the best, if it is good enough and alone.
///
/// "the kitchen", "kitchen speaker" and "kichen" all mean "Kitchen"; "living room" means "Living Room TV" if there is no
/// better. Two equally good ones are for the person to choose between.
#[must_use]
pub fn find(spoken: &str, names: &[&str]) -> Match {
    let spoken = normalized(spoken);
    let scores: Vec<f32> = names.iter().map(|name| score(&spoken, &normalized(name))).collect();
    let best = scores.iter().copied().fold(0.0, f32::max);
    if best < GOOD_ENOUGH {
        return Match::None;
    }
    let at_best: Vec<usize> = (0..names.len()).filter(|&at| scores[at] > best - 0.01).collect();
    match at_best.as_slice() {
        [one] => Match::One(*one),
        _ => Match::Several(at_best),
    }
}

/// From 0 to 1.2: exact names beat names that match after leaving words out, those beat names that contain the words,
/// and those beat slips.
fn score(spoken: &str, name: &str) -> f32 {
    if spoken == name {
        return if name.is_empty() { 0.0 } else { 1.2 };
    }
    let said = telling(spoken);
    let called = telling(name);
    if said.is_empty() || called.is_empty() {
        return 0.0;
    }
    if said == called || said.concat() == called.concat() {
        return 1.1;
    }
    let part = |some: &[&str], of: &[&str]| {
        let found: f32 = some.iter().map(|word| best_of(word, of)).sum();
        found / some.len() as f32
    };
    let heard = part(&said, &called);
    let covered = part(&called, &said);
    let whole = alike(&said.concat(), &called.concat());
    // All that was said is in the name: good, the better the less of the name was left out.
    let contained = if heard >= 0.75 { heard * (0.8 + 0.2 * covered) } else { 0.0 };
    // All of the name is in what was said ("kitchen sonos" for "Kitchen"): less sure.
    let contains = if covered >= 0.8 { covered * (0.75 + 0.2 * heard) } else { 0.0 };
    contained.max(contains).max(whole)
}

fn best_of(word: &str, of: &[&str]) -> f32 {
    of.iter().map(|other| alike(word, other)).fold(0.0, f32::max)
}

/// The words that tell one room from another. If none are left, all of them.
fn telling(normalized: &str) -> Vec<&str> {
    let all = words(normalized);
    let telling: Vec<&str> = all.iter().copied().filter(|word| !FILLERS.contains(word)).collect();
    if telling.is_empty() { all } else { telling }
}

/// Articles, prepositions and words for "speaker" in the languages that are spoken to the skill, in normalized form.
const FILLERS: &[&str] = &[
    "the",
    "a",
    "an",
    "my",
    "our",
    "in",
    "on",
    "at",
    "to",
    "speaker",
    "speakers",
    "player",
    "music", // en
    "der",
    "die",
    "das",
    "den",
    "dem",
    "im",
    "auf",
    "mein",
    "meine",
    "meinem",
    "lautsprecher",
    "box",
    "boxen", // de
    "le",
    "la",
    "les",
    "l",
    "du",
    "dans",
    "sur",
    "mon",
    "ma",
    "enceinte",
    "enceintes", // fr
    "el",
    "los",
    "las",
    "en",
    "de",
    "mi",
    "altavoz",
    "altavoces", // es
    "il",
    "lo",
    "i",
    "gli",
    "nel",
    "nella",
    "mio",
    "mia",
    "altoparlante",
    "cassa", // it
    "het",
    "op",
    "mijn",
    "luidspreker",
    "speler", // nl
];

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: [&str; 7] =
        ["Kitchen", "Living Room", "Garden Späti", "Kids' Room", "Bedroom Sonos", "Whole House", "Büro"];

    #[test]
    fn names_are_found_as_people_say_them() {
        for (spoken, name) in [
            ("kitchen", "Kitchen"),
            ("the Kitchen", "Kitchen"),
            ("kitchen speaker", "Kitchen"),
            ("in the kitchen", "Kitchen"),
            ("kichen", "Kitchen"),
            ("living room", "Living Room"),
            ("livingroom", "Living Room"),
            ("the living room speakers", "Living Room"),
            ("garden spati", "Garden Späti"),
            ("garden", "Garden Späti"),
            ("kids room", "Kids' Room"),
            ("bedroom", "Bedroom Sonos"),
            ("the whole house", "Whole House"),
            ("im Büro", "Büro"),
            ("buro", "Büro"),
            ("kitchen sonos", "Kitchen"),
        ] {
            let found = find(spoken, &HOME);
            let Match::One(at) = found else { panic!("{spoken:?} gave {found:?}") };
            assert_eq!(HOME[at], name, "{spoken:?}");
        }
    }

    #[test]
    fn other_names_are_not_found() {
        for spoken in ["bathroom", "attic", "", "the", "chicken", "speaker", "house music"] {
            assert_ne!(find(spoken, &HOME), Match::One(0), "{spoken:?}");
            if spoken != "house music" {
                assert_eq!(find(spoken, &HOME), Match::None, "{spoken:?}");
            }
        }
    }

    #[test]
    fn equal_names_are_for_the_person_to_choose() {
        assert_eq!(find("living room", &["Living Room", "Kitchen", "Living Room"]), Match::Several(vec![0, 2]));
        assert_eq!(find("kids", &["Kids Upstairs", "Kids Downstairs"]), Match::Several(vec![0, 1]));
    }

    #[test]
    fn the_exact_name_wins_over_a_longer_one() {
        assert_eq!(find("kitchen", &["Kitchen Display", "Kitchen"]), Match::One(1));
        assert_eq!(find("speaker", &["Speaker", "Kitchen"]), Match::One(0));
    }
}
