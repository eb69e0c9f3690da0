//! Passwords that everybody tries first.
//!
//! Strangers get some hundred guesses an hour at one account, so what matters are the commonest passwords and their usual
//! disguises. A list does that in linear time; the well-known estimator `zxcvbn` was measured here at twelve seconds for
//! a crafted password of 48 characters (unoptimised), which any stranger could send. The list holds the cores of common
//! passwords, without digits around them (from zxcvbn's, MIT, and German ones).

use std::collections::HashSet;
use std::sync::LazyLock;

static CORES: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("common.txt").lines().collect());

/// Whether this password is among those that are tried first for this person.
pub(super) fn is_common(password: &str, email: &str) -> bool {
    let text = password.to_lowercase();
    let variety = text.chars().collect::<HashSet<_>>().len();
    variety < 4
        || text.chars().all(|c| c.is_ascii_digit()) && text.len() < 12
        || is_one_step(&text)
        // Nothing but digits and signs has no core to know.
        || text.chars().any(char::is_alphabetic)
            && cores(&text).iter().any(|core| is_known(core, &text, email) || is_known(repeated(core), &text, email))
}

/// What is left of `Passw0rd1!`: without what stands around its letters, and with letters for what looks like them;
/// in both orders, because a digit at the end may be either.
fn cores(text: &str) -> [String; 4] {
    let letters = |text: &str| text.trim_matches(|c: char| !c.is_alphabetic()).to_owned();
    let [l, i] = [plain(text, 'l'), plain(text, 'i')];
    [letters(text), plain(&letters(text), 'i'), letters(&l), letters(&i)]
}

fn plain(text: &str, one: char) -> String {
    let plain = |c| match c {
        '@' | '4' => 'a',
        '0' => 'o',
        '1' | '!' => one,
        '3' => 'e',
        '$' | '5' => 's',
        '7' => 't',
        'ä' => 'a',
        'ö' => 'o',
        'ü' => 'u',
        _ => c,
    };
    text.chars().map(plain).collect()
}

/// Nothing but a common word, or what is known about the person.
fn is_known(core: &str, text: &str, email: &str) -> bool {
    let (name, domain) = email.split_once('@').unwrap_or_default();
    let host = domain.split('.').next().unwrap_or_default();
    // Three letters with a few digits around them are soon tried; longer ones, or with more around them, have to be known.
    (core.chars().count() < 4 && text.chars().count() < 12)
        || CORES.contains(core)
        || [name, domain, host].contains(&core)
        || name.split(['.', '-', '_', '+']).any(|part| part == core)
}

/// `abcabc` as `abc`.
fn repeated(text: &str) -> &str {
    let length = text.len();
    let of = |size: usize| {
        text.is_char_boundary(size) && length.is_multiple_of(size) && text[..size].repeat(length / size) == text
    };
    (1..=length / 2).find(|size| of(*size)).map_or(text, |size| &text[..size])
}

/// Each character next to the one before, in the alphabet, among the digits or on a keyboard.
fn is_one_step(text: &str) -> bool {
    const ROWS: [&str; 8] = [
        "abcdefghijklmnopqrstuvwxyz",
        "01234567890",
        "qwertzuiop\u{fc}",
        "qwertyuiop",
        "asdfghjkl\u{f6}\u{e4}",
        "yxcvbnm",
        "zxcvbnm",
        "azertyuiop",
    ];
    let characters: Vec<char> = text.chars().collect();
    let near = |pair: &[char]| {
        pair[0] == pair[1]
            || ROWS.iter().any(|row| {
                let row: Vec<char> = row.chars().collect();
                row.windows(2).any(|two| *two == *pair || [two[1], two[0]] == *pair)
            })
    };
    let steps = characters.windows(2).filter(|pair| near(pair)).count();
    // A break or two, as in 1234abcd or qwertasdfg.
    steps + 3 >= characters.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_tries_first() {
        let email = "marlene.dietrich@example.org";
        for common in [
            "password",
            "Password1",
            "passw0rd!",
            "P@$$w0rd",
            "12345678",
            "qwertyuiop",
            "Qwertz123",
            "aaaaaaaa",
            "abababababab",
            "iloveyou1",
            "1loveyou!",
            "marlene.dietrich",
            "Dietrich1930",
            "macloud1",
            "11111111111111111111",
            "19991231",
            "Sommer2026!",
            "passwordpassword",
            "passwort123",
            "abcdefgh",
            "87654321",
            "1234qwer",
            "abc12345",
            "schatzi7",
            "dragon99!",
        ] {
            assert!(is_common(common, email), "{common}");
        }
    }

    #[test]
    fn what_people_may_use() {
        let email = "marlene.dietrich@example.org";
        for good in [
            "correct horse battery",
            "482190735514a",
            "7#93!20%k41$58",
            "a new long one",
            "long enough",
            "another long one",
            "stolen password",
            "Tr0ub4dour&3x",
            "wolke-sieben-tanzt",
            "x7!mQ2pL",
            "ein blauer hund",
            "kaffeetasse am meer",
            "4821907355148",
            "\u{6b63}\u{786e}\u{7684}\u{9a6c}\u{7535}\u{6c60}\u{8ba2}\u{4e66}",
        ] {
            assert!(!is_common(good, email), "{good}");
        }
    }

    #[test]
    fn any_text_is_judged_quickly() {
        // What was slow elsewhere, and the longest.
        let hostile = "4@8({[<369!1|0$5+7%2z".repeat(48);
        for text in [&hostile[..1000], &"ab".repeat(512), "", "\u{df}\u{130}\u{1f600}"] {
            is_common(text, "");
        }
    }
}
