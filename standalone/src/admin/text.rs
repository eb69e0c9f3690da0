//! An answer for people: one thing as lines, several as a table. The JSON form is for programs, and says the same.

use serde_json::{Map, Value};

use super::when;

/// The answer as text.
pub(super) fn of(answer: &Value) -> String {
    match answer {
        Value::Array(items) => table(items),
        Value::Object(fields) => lines(fields),
        other => plain("", other),
    }
}

fn lines(fields: &Map<String, Value>) -> String {
    // What has nothing to say only takes room, unless nothing else is there.
    let mut said: Vec<(&str, String)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), plain(name, value)))
        .filter(|(_, text)| !text.is_empty())
        .collect();
    if said.is_empty() {
        said = fields.keys().map(|name| (name.as_str(), "none".into())).collect();
    }
    said.sort_by_key(|(name, _)| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    let width = said.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let lines = said.iter().map(|(name, text)| format!("{:<width$}  {text}", label(name)));
    let text = lines.collect::<Vec<_>>().join("\n");
    [Some(text.as_str())].into_iter().chain(remarks(fields)).flatten().collect::<Vec<_>>().join("\n\n")
}

/// What somebody who reads it should do.
fn remarks(fields: &Map<String, Value>) -> [Option<&'static str>; 2] {
    let redirects = fields.get("redirect_uris").and_then(Value::as_array);
    let is_copied = redirects.is_some_and(|uris| uris.iter().any(is_example));
    [
        fields
            .contains_key("client_secret")
            .then_some("The secret is shown this once, and only a hash of it is kept: store it now."),
        is_copied.then_some(
            "YOURS stands in the documents for your vendor id, and nobody can link with it: give the redirect addresses that Alexa's \
             console shows with `client update`.",
        ),
    ]
}

/// Whether it was copied from a document as it is.
fn is_example(redirect_uri: &Value) -> bool {
    redirect_uri.as_str().is_some_and(|uri| uri.ends_with("/YOURS"))
}

/// What a thing is called comes before what it is.
const FIRST: [&str; 3] = ["client_id", "client_secret", "email"];

fn table(items: &[Value]) -> String {
    let rows: Vec<&Map<String, Value>> = items.iter().filter_map(Value::as_object).collect();
    let Some(first) = rows.first() else { return "none".into() };
    // What no row has anything to say about only takes room.
    let says = |name: &&String| rows.iter().any(|row| !plain(name, &row[name.as_str()]).is_empty());
    let names: Vec<&String> = first.keys().filter(says).collect();
    let mut cells: Vec<Vec<String>> = vec![names.iter().map(|name| label(name)).collect()];
    cells.extend(rows.iter().map(|row| names.iter().map(|name| plain(name, &row[name.as_str()])).collect()));
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    cells.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn label(name: &str) -> String {
    name.replace('_', " ")
}

/// A value as people read it; the name tells times from other numbers.
fn plain(name: &str, value: &Value) -> String {
    let is_time = ["_at", "_until", "_from"].iter().any(|end| name.ends_with(end));
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Number(number) if name.ends_with("_from") && number.as_i64() == Some(0) => "the start".into(),
        Value::Number(number) if is_time => number.as_i64().map_or_else(|| number.to_string(), when::text),
        Value::Array(items) => items.iter().map(|item| plain(name, item)).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn several_things_are_a_table_with_readable_times() {
        let homes = json!([
            { "id": "a", "paired_at": 1_795_305_600, "last_token_at": null, "paused": false, "uris": ["x", "y"], "old_secret_until": null },
            { "id": "longer", "paired_at": 0, "last_token_at": null, "paused": true, "uris": [], "old_secret_until": null },
        ]);
        let expected = "id      paired at                paused  uris\n\
                        a       2026-11-22 00:00:00 UTC  no      x y\n\
                        longer  1970-01-01 00:00:00 UTC  yes";
        assert_eq!(of(&homes), expected);
        assert_eq!(of(&json!([])), "none");
    }

    #[test]
    fn a_secret_comes_with_a_warning_and_a_number_stays_a_number() {
        let text = of(&json!({ "access_token_seconds": 3600, "client_id": "a", "client_secret": "mcs_x", "keys": [] }));
        assert!(text.contains("access token seconds  3600") && text.ends_with("store it now."), "{text}");
        assert!(text.starts_with("client id             a\nclient secret         mcs_x\n"), "{text}");
        assert!(!text.contains("keys"), "what is empty takes no room: {text}");
        assert!(!of(&json!({ "client_id": "a" })).contains("secret"));
    }

    #[test]
    fn what_was_copied_from_a_document_as_it_is_is_noticed() {
        let shown = |uri: &str| {
            of(&json!({ "client_id": "alexa", "client_secret": "mcs_x", "redirect_uris": ["https://x.example/", uri] }))
        };
        let copied = shown("https://layla.amazon.com/api/skill/link/YOURS");
        assert!(copied.contains("store it now.\n\nYOURS stands") && copied.ends_with("`client update`."), "{copied}");
        assert!(!shown("https://layla.amazon.com/api/skill/link/M2ABC").contains("YOURS"));
    }

    #[test]
    fn nothing_and_no_time_have_words_of_their_own() {
        assert_eq!(of(&json!({ "dropped": [] })), "dropped  none");
        assert_eq!(of(&json!({ "use_from": 0 })), "use from  the start");
    }
}
