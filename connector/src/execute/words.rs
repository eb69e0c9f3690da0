//! Bringing what people say and what things are called to the same form.

/// Lower case, accents folded, punctuation gone, single spaces. `&` is read as "and".
///
/// `AC/DC` becomes `ac dc`, `Björk` `bjork`, `P!nk` `p nk`, `D'Angelo` `dangelo`. Scripts without such rules are kept.
#[must_use]
pub fn normalized(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase) {
        match letter {
            '\'' | '’' | '`' | '\u{300}'..='\u{36f}' => {}
            '&' => push_word(&mut out, "and"),
            _ if letter.is_alphanumeric() => match folded(letter) {
                Some(letters) => out.push_str(letters),
                None => out.push(letter),
            },
            _ => push_word(&mut out, ""),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// The words of a normalized text.
pub fn words(normalized: &str) -> Vec<&str> {
    normalized.split(' ').filter(|word| !word.is_empty()).collect()
}

/// How alike two words are: 1 for equal, 0 for different. A slip of one letter in four is forgiven, because speech
/// recognition makes it.
#[must_use]
pub fn alike(one: &str, other: &str) -> f32 {
    if one == other {
        return 1.0;
    }
    let longest = one.chars().count().max(other.chars().count());
    let slips = distance(one, other, longest / 4);
    slips.map_or(0.0, |slips| 1.0 - slips as f32 / longest as f32)
}

/// Edits between two words if there are at most `most`.
fn distance(one: &str, other: &str, most: usize) -> Option<usize> {
    let other: Vec<char> = other.chars().collect();
    if most == 0 || one.chars().count().abs_diff(other.len()) > most {
        return None;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().filter(|edits| *edits <= most)
}

fn push_word(out: &mut String, word: &str) {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
    if !word.is_empty() {
        out.push_str(word);
        out.push(' ');
    }
}

/// Letters of the Latin script without their accents, in lower case.
const fn folded(letter: char) -> Option<&'static str> {
    Some(match letter {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' | 'ǎ' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ð' | 'ď' | 'đ' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì' | 'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ĵ' => "j",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' | 'ŋ' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
        'þ' => "th",
        'ù' | 'ú' | 'û' | 'ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_come_to_one_form() {
        for (text, form) in [
            ("AC/DC", "ac dc"),
            ("Björk Guðmundsdóttir", "bjork gudmundsdottir"),
            ("  The   Test-Tones! ", "the test tones"),
            ("Simon & Garfunkel", "simon and garfunkel"),
            ("D'Angelo", "dangelo"),
            ("Straße", "strasse"),
            ("東京 事変", "東京 事変"),
            ("e\u{301}te\u{301}", "ete"),
            ("!!!", ""),
        ] {
            assert_eq!(normalized(text), form);
        }
    }

    #[test]
    fn slips_are_forgiven_in_longer_words_only() {
        assert!(alike("kitchen", "kichen") > 0.8);
        assert!(alike("hyperballad", "hyperbalad") > 0.8);
        assert!(alike("den", "pen") < 0.1);
        assert!(alike("kitchen", "chicken") < 0.1);
    }

    proptest! {
        #[test]
        fn normalizing_twice_changes_nothing(text in ".{0,60}") {
            let once = normalized(&text);
            prop_assert_eq!(normalized(&once), once);
        }

        #[test]
        fn likeness_has_no_order(one in "[a-z]{1,12}", other in "[a-z]{1,12}") {
            prop_assert_eq!(alike(&one, &other), alike(&other, &one));
        }
    }
}
