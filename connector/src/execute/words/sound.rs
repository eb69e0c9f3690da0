//! How words sound, roughly, and in no one language.
//!
//! What was said in one language is heard by a speech recogniser as the words of another. So letters that any of the six
//! languages speaks alike come to the same letter here. This makes unlike words equal now and then ("bad", "pat"), which is
//! why it only finds candidates and adds to what the spelling says.

/// The sound of a folded word, as letters: `sheeran` and `shearan` are `siran`.
#[must_use]
pub fn sound(word: &str) -> String {
    let letters: Vec<char> = word.chars().collect();
    let mut out = String::with_capacity(letters.len());
    let mut at = 0;
    while at < letters.len() {
        let (sounds, used) = next_sound(&letters, at);
        for sound in sounds.chars() {
            if !out.ends_with(sound) {
                out.push(sound);
            }
        }
        let letter = letters[at];
        // A letter twice is heard once; a digit is not.
        let again = out.ends_with(letter) && !letter.is_ascii_digit();
        if sounds.is_empty() && !is_silent(letter) && !again {
            out.push(letter);
        }
        at += used;
    }
    out
}

/// A number for what is left of the sound without its vowels: words of the same key may be the same word. 0 for words too
/// short to tell.
#[must_use]
pub fn key(sound: &str) -> u32 {
    // FNV-1a: even, quick, and the same everywhere.
    let mut hash: u32 = 0x811c_9dc5;
    let mut count = 0;
    for (at, letter) in sound.chars().enumerate() {
        let letter = match letter {
            'a' | 'e' | 'i' | 'o' | 'u' if at > 0 => continue,
            'a' | 'e' | 'i' | 'o' | 'u' => 'a',
            'm' => 'n',
            other => other,
        };
        hash = (hash ^ letter as u32).wrapping_mul(0x0100_0193);
        count += 1;
    }
    if count < 2 { 0 } else { hash.max(1) }
}

/// The sound that begins at `at`, and how many letters make it. An empty one means: the letter as it is.
fn next_sound(letters: &[char], at: usize) -> (&'static str, usize) {
    let letter = |ahead: usize| letters.get(at + ahead).copied().unwrap_or(' ');
    let before = if at == 0 { ' ' } else { letters[at - 1] };
    let (second, third) = (letter(1), letter(2));
    match letter(0) {
        's' if second == 'c' && third == 'h' => ("s", 3),
        't' if second == 's' && third == 'c' && letter(3) == 'h' => ("s", 4),
        't' if second == 'c' && third == 'h' => ("s", 3),
        's' if second == 'h' => ("s", 2),
        'c' if second == 'h' && matches!(third, 'r' | 'l' | 'o') => ("k", 2),
        'c' if second == 'h' => ("s", 2),
        'c' if second == 'k' => ("k", 2),
        'c' if matches!(second, 'e' | 'i' | 'y') => ("s", 1),
        'c' | 'g' => ("k", 1),
        'q' if second == 'u' => ("k", 2),
        'q' => ("k", 1),
        'x' if at == 0 => ("s", 1),
        'x' => ("ks", 1),
        'p' if second == 'h' => ("f", 2),
        'b' => ("p", 1),
        'd' if second == 't' => ("t", 2),
        'd' => ("t", 1),
        't' if second == 'h' => ("t", 2),
        // "CHVRCHES"
        'v' if !is_vowel(before) && before != ' ' && !is_vowel(second) && second != ' ' => ("u", 1),
        'v' | 'w' => ("f", 1),
        'z' => ("s", 1),
        'e' if matches!(second, 'e' | 'a') => ("i", 2),
        'i' if second == 'e' => ("i", 2),
        'o' if matches!(second, 'o' | 'u') => ("u", 2),
        'e' | 'a' if matches!(second, 'i' | 'y') => ("e", 2),
        'y' | 'j' => ("i", 1),
        _ => ("", 1),
    }
}

const fn is_vowel(letter: char) -> bool {
    matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u' | 'y')
}

const fn is_silent(letter: char) -> bool {
    letter == 'h'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_sounds_alike_is_alike() {
        for (one, other) in [
            ("phil", "fill"),
            ("coldplay", "coldplai"),
            ("metallica", "metalika"),
            ("schubert", "shubert"),
            ("jean", "gean"),
        ] {
            let (one, other) = (sound(one), sound(other));
            assert!(one == other || key(&one) == key(&other) || crate::execute::words::edits(&one, &other) <= 1);
        }
        assert_eq!((sound("12"), sound("11")), ("12".into(), "11".into()));
        assert_eq!(key(&sound("sinfonie")), key(&sound("symphony")));
        assert_ne!(key(&sound("kitchen")), key(&sound("bathroom")));
        assert_eq!(key("a"), 0);
    }

    proptest! {
        #[test]
        fn any_word_has_a_sound(word in ".{0,30}") {
            let _ = key(&sound(&word));
        }
    }
}
