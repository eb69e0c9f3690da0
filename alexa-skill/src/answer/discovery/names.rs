//! What endpoints are called: so that Alexa can hear and say it, and no two the same.

use std::collections::HashMap;

use macloud_proto::ids::InstanceId;
use unicode_normalization::UnicodeNormalization as _;

/// Longest friendly name by Amazon's message schema, in characters.
const MAX_NAME_CHARS: usize = 128;

/// The names that are given out, and which home has them.
#[derive(Default)]
pub(super) struct Names(HashMap<String, InstanceId>);

impl Names {
    /// `name`, or a longer one if it is taken: told apart by the home, where another one has it, and else by a number.
    pub(super) fn give(&mut self, name: &str, home: &InstanceId, home_name: &str) -> String {
        let given = self.free(name, home, home_name);
        self.0.insert(given.to_lowercase(), home.clone());
        given
    }

    fn free(&self, name: &str, home: &InstanceId, home_name: &str) -> String {
        let Some(taken_by) = self.0.get(&name.to_lowercase()) else { return name.to_owned() };
        let is_free = |candidate: &String| !self.0.contains_key(&candidate.to_lowercase());
        let of_home = || speakable(home_name).map(|home| with_suffix(name, &home)).filter(is_free);
        let with_home = if taken_by == home { None } else { of_home() };
        let numbered = || (2..).map(|n: u32| with_suffix(name, &n.to_string())).find(is_free);
        with_home.or_else(numbered).unwrap_or_else(|| name.to_owned())
    }
}

/// Letters, digits and single spaces: what Alexa can hear and say. `None` when nothing of it is left.
pub(super) fn speakable(name: &str) -> Option<String> {
    // A letter and its accent are one letter, however they are written: some file systems part them, and what sounds the
    // same must not be two names. An apostrophe joins what it stands in ("Anna's" is heard as one word), and so do the marks without a width that
    // join or part letters in Persian and Indian scripts; everything else separates.
    let spaced: String = name
        .nfc()
        .filter(|c| !matches!(c, '\'' | '’' | '\u{200c}' | '\u{200d}'))
        .map(|c| if c.is_alphanumeric() || is_mark(c) { c } else { ' ' })
        .collect();
    let words = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().any(char::is_alphanumeric).then(|| cut(&words, MAX_NAME_CHARS))
}

/// Printable, trimmed, bounded; `None` when nothing is left.
pub(super) fn plain(text: Option<&str>, chars: usize) -> Option<String> {
    let printable: String = text?.chars().filter(|c| !c.is_control()).collect();
    let text = cut(printable.trim(), chars);
    (!text.is_empty()).then_some(text)
}

pub(super) fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect::<String>().trim_end().to_owned()
}

/// Both, with the name cut rather than what tells it apart.
fn with_suffix(name: &str, suffix: &str) -> String {
    let suffix = cut(suffix, MAX_NAME_CHARS / 2);
    let room = MAX_NAME_CHARS - 1 - suffix.chars().count();
    format!("{} {suffix}", cut(name, room).trim_end())
}

/// Combining marks belong to the letter before them: without them, names in many scripts are misspelt. Those that are
/// not letters by themselves to [`char::is_alphanumeric`], script by script.
const fn is_mark(c: char) -> bool {
    match c {
        // The scripts of India, each with 128 places in the same order: the dot below, and the sign that takes the
        // vowel away.
        '\u{900}'..='\u{d7f}' if matches!(c as u32 & 0x7f, 0x3c | 0x4d) => true,
        '\u{951}'..='\u{954}' | '\u{afa}'..='\u{aff}' | '\u{d3b}' | '\u{dca}' => true,
        // Latin, Greek, Cyrillic and whatever else takes accents.
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{1ab0}'..='\u{1abd}' | '\u{1abf}'..='\u{1ace}' => true,
        '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20dc}' | '\u{20e1}' | '\u{20e5}'..='\u{20f0}' => true,
        '\u{2cef}'..='\u{2cf1}' | '\u{2d7f}' | '\u{a66f}' | '\u{a67c}' | '\u{a67d}' | '\u{fe20}'..='\u{fe2f}' => true,
        // Hebrew, Arabic, Syriac, Thaana, N'Ko, Samaritan, Mandaic.
        '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}' => true,
        '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}' => true,
        '\u{6df}'..='\u{6e4}' | '\u{6e7}' | '\u{6e8}' | '\u{6ea}'..='\u{6ed}' | '\u{711}' => true,
        '\u{730}'..='\u{74a}' | '\u{7a6}'..='\u{7b0}' | '\u{7eb}'..='\u{7f3}' | '\u{7fd}' => true,
        '\u{816}'..='\u{82d}' | '\u{859}'..='\u{85b}' | '\u{897}'..='\u{89f}' | '\u{8ca}'..='\u{8e1}' => true,
        '\u{8e3}'..='\u{8ff}' => true,
        // Thai, Lao, Tibetan, Burmese, Khmer.
        '\u{e38}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}' | '\u{eb8}'..='\u{ebc}' | '\u{ec8}'..='\u{ece}' => true,
        '\u{f18}' | '\u{f19}' | '\u{f35}' | '\u{f37}' | '\u{f39}' | '\u{f71}'..='\u{f84}' => true,
        '\u{f86}' | '\u{f87}' | '\u{fc6}' | '\u{1037}' | '\u{1039}' | '\u{103a}' | '\u{108d}' => true,
        '\u{135d}'..='\u{135f}' | '\u{1714}' | '\u{1734}' | '\u{17c9}'..='\u{17d3}' | '\u{17dd}' => true,
        // Balinese, Sundanese, Javanese and neighbours.
        '\u{1a60}' | '\u{1a75}'..='\u{1a7c}' | '\u{1a7f}' | '\u{1b34}' | '\u{1b44}' | '\u{1b6b}'..='\u{1b73}' => true,
        '\u{1baa}' | '\u{1bab}' | '\u{1be6}' | '\u{1bf2}' | '\u{1bf3}' | '\u{1c37}' | '\u{1cd0}'..='\u{1cd2}' => true,
        '\u{a806}' | '\u{a8c4}' | '\u{a8e0}'..='\u{a8f1}' | '\u{a92b}'..='\u{a92d}' | '\u{a953}' => true,
        '\u{a9b3}' | '\u{a9c0}' | '\u{aabf}' | '\u{aac1}' | '\u{aaf6}' | '\u{abec}' | '\u{abed}' => true,
        // Chinese tones and Japanese voicing.
        '\u{302a}'..='\u{302f}' | '\u{3099}' | '\u{309a}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_letters_of_every_script_and_lose_the_rest() {
        assert_eq!(speakable("  Küche / Wohn-Zimmer!! ").as_deref(), Some("Küche Wohn Zimmer"));
        assert_eq!(speakable("Anna's 📻 radio").as_deref(), Some("Annas radio"));
        assert_eq!(speakable("お風呂").as_deref(), Some("お風呂"));
        assert_eq!(speakable("Ku\u{308}che"), speakable("Küche"), "it is heard as the same");
        for whole in [
            "रसोई",
            "क्लब",
            "சமையலறை",
            "వంటగది",
            "ห้องครัว",
            "ຫ້ອງຄົວ",
            "מִטְבָּח",
            "مَطبخ",
            "မီးဖိုချောင်",
            "ផ្ទះបាយ",
            "Cafe\u{301}",
            "が",
        ] {
            assert_eq!(speakable(whole), Some(whole.nfc().collect()));
        }
        assert_eq!(speakable("آشپز\u{200c}خانه").as_deref(), Some("آشپزخانه"));
        assert_eq!(speakable("घर। रसोई").as_deref(), Some("घर रसोई"), "a danda is no mark");
        assert_eq!(speakable("🎵 !!"), None);
        assert_eq!(speakable(&"x".repeat(500)).map(|name| name.len()), Some(128));
    }

    #[test]
    fn taken_names_get_the_home_or_a_number() {
        let (home, cottage) = (InstanceId::from_bytes(&[1; 16]), InstanceId::from_bytes(&[2; 16]));
        let mut names = Names::default();
        assert_eq!(names.give("kitchen", &home, "Home"), "kitchen");
        assert_eq!(names.give("Kitchen", &home, "Home"), "Kitchen 2", "the home says nothing within it");
        assert_eq!(names.give("Kitchen", &cottage, "Cottage"), "Kitchen Cottage");
        assert_eq!(names.give("Kitchen", &cottage, "Cottage"), "Kitchen 3");
        assert_eq!(names.give("Kitchen", &cottage, "!!"), "Kitchen 4");
        let long = "k".repeat(128);
        assert_eq!(names.give(&long, &home, "Home"), long);
        assert_eq!(names.give(&long, &home, "Home").chars().count(), 128);
    }
}
