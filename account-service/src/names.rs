//! Names that people give, as they may be stored and shown to other people.

/// A home's name: trimmed, at most 40 characters, nothing invisible. `None` when nothing is left.
pub(crate) fn clean_name(text: &str) -> Option<String> {
    let kept: String = text.chars().map(plain_space).filter(|c| !is_hidden(*c)).collect();
    let name: String = kept.trim().chars().take(MAX_CHARACTERS).collect();
    let name = name.trim().to_owned();
    name.chars().any(is_seen).then_some(name)
}

/// One kind of space, and no line breaks.
fn plain_space(c: char) -> char {
    if c.is_whitespace() { ' ' } else { c }
}

/// Whether a character shows nothing by itself but changes how its neighbours are shown, or hides: Unicode's categories
/// Cc and Cf, and blank letters. A name with U+202E in it reads backwards, together with the page around it; one with
/// U+200B looks like another that has none. The joiners stay: Persian and Hindi words and family emoji need them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}'
            // Blank letters and symbols.
            | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

fn is_seen(c: char) -> bool {
    const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];
    const VARIATIONS: std::ops::RangeInclusive<char> = '\u{fe00}'..='\u{fe0f}';
    !c.is_whitespace() && !JOINERS.contains(&c) && !VARIATIONS.contains(&c)
}

const MAX_CHARACTERS: usize = 40;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_hides_in_a_name_and_nothing_turns_the_page_around() {
        for (given, kept) in [
            (" Beach house ", Some("Beach house")),
            ("Bob\u{202e}esuoh", Some("Bobesuoh")),
            ("\u{2066}Home\u{2069}", Some("Home")),
            ("Ho\u{200b}me\u{feff}", Some("Home")),
            ("a\tb\nc\u{2028}d", Some("a b c d")),
            ("می\u{200c}خانه", Some("می\u{200c}خانه")),
            ("👨\u{200d}👩\u{200d}👧", Some("👨\u{200d}👩\u{200d}👧")),
            ("", None),
            ("\u{200d}\u{200c}\u{fe0f}", None),
            ("\u{3164}\u{2800}", None),
            ("\u{202e}", None),
        ] {
            assert_eq!(clean_name(given).as_deref(), kept, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_short_visible_and_stays_as_it_is(text in any::<String>()) {
            if let Some(name) = clean_name(&text) {
                prop_assert!((1..=MAX_CHARACTERS).contains(&name.chars().count()));
                prop_assert!(!name.chars().any(is_hidden));
                prop_assert_eq!(clean_name(&name), Some(name.clone()));
            }
        }
    }
}
