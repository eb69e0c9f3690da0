//! Messages changed in ways that keep most of their structure: what a newer Alexa, a broken forwarder or a stranger might send.

use serde_json::{Value, json};

/// Numbers that look random, the same ones for the same seed (SplitMix64): a case that failed can be had again by its number.
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn roll(&mut self, below: usize) -> usize {
        (self.next() % below.max(1) as u64) as usize
    }

    pub fn is_one_in(&mut self, count: usize) -> bool {
        self.roll(count) == 0
    }

    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.roll(from.len())]
    }
}

/// `message` with one to five changes, as bytes; sometimes as it is, and sometimes no JSON any more. `others` lend their parts.
pub fn mutated(message: &Value, others: &[Value], dice: &mut Dice) -> Vec<u8> {
    let mut message = message.clone();
    if !dice.is_one_in(32) {
        change(&mut message, others, dice);
        while dice.is_one_in(2) {
            change(&mut message, others, dice);
        }
    }
    let mut bytes = written(&message).into_bytes();
    if dice.is_one_in(16) {
        damage(&mut bytes, dice);
    }
    bytes
}

fn change(message: &mut Value, others: &[Value], dice: &mut Dice) {
    let mut at = dice.roll(size(message));
    let Some(place) = nth(message, &mut at) else { return };
    match dice.roll(8) {
        0 => *place = some_value(dice),
        1 => *place = part_of(dice.pick(others), dice),
        2 => *place = json!([place.take()]),
        3 => *place = marked(dice.roll(RAW_COUNT)),
        4 | 5 => change_members(place, dice),
        _ => bend(place, dice),
    }
}

/// A value that is nearly what it was.
fn bend(place: &mut Value, dice: &mut Dice) {
    *place = match place.take() {
        Value::Bool(is) => json!(!is),
        Value::Number(number) => bent_number(number.as_f64().unwrap_or_default(), dice),
        Value::String(text) => json!(bent_text(&text, dice)),
        Value::Null => json!({}),
        mut members => {
            change_members(&mut members, dice);
            members
        }
    };
}

fn bent_number(number: f64, dice: &mut Dice) -> Value {
    match dice.roll(7) {
        0 => json!(number + 1.0),
        1 => json!(-number),
        2 => json!(number + 0.5),
        3 => json!(number * 1e9),
        4 => json!(number.to_string()),
        5 => json!((number as i64).saturating_mul(101)),
        _ => json!((number as i64).saturating_sub(1)),
    }
}

fn bent_text(text: &str, dice: &mut Dice) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let at = dice.roll(chars.len() + 1);
    match dice.roll(7) {
        0 => chars.truncate(at),
        1 => drop(chars.drain(..at)),
        2 => chars.extend(text.chars()),
        3 => return text.to_uppercase(),
        4 => return dice.pick(WORDS).to_string(),
        5 => chars.insert(at, *dice.pick(CHARS)),
        _ => chars.splice(at..at, dice.pick(WORDS).chars()).for_each(drop),
    }
    chars.into_iter().collect()
}

/// Members go, come, stand twice or are called otherwise.
fn change_members(place: &mut Value, dice: &mut Dice) {
    match place {
        Value::Object(members) if !members.is_empty() => {
            let names: Vec<String> = members.keys().cloned().collect();
            let name = dice.pick(&names);
            match dice.roll(4) {
                0 => drop(members.insert(format!("{name}{MARK}"), some_value(dice))),
                1 => drop(members.remove(name).map(|value| members.insert(bent_text(name, dice), value))),
                2 => drop(members.insert(dice.pick(NAMES).to_string(), some_value(dice))),
                _ => drop(members.remove(name)),
            }
        }
        Value::Array(items) if !items.is_empty() => match dice.roll(3) {
            0 => drop(items.pop()),
            1 => items.extend(items.clone()),
            _ => items.reverse(),
        },
        place => *place = json!({*dice.pick(NAMES): place.take()}),
    }
}

fn some_value(dice: &mut Dice) -> Value {
    match dice.roll(12) {
        0 => Value::Null,
        1 => json!(dice.is_one_in(2)),
        2 => json!(*dice.pick(&[0, 1, -1, 100, 101, 255, 256, 720, 86_400_001, i64::MAX, i64::MIN])),
        3 => json!(*dice.pick(&[0.5, -0.0, 50.0, 1e300, f64::MIN_POSITIVE, 1.8e19])),
        4 => json!(u64::MAX),
        5 => json!([]),
        6 => json!({}),
        7 => json!([some_value(dice), some_value(dice)]),
        8 => json!({*dice.pick(NAMES): some_value(dice)}),
        9 => json!(dice.pick(CHARS).to_string().repeat(1 << dice.roll(13))),
        _ => json!(*dice.pick(WORDS)),
    }
}

fn part_of(other: &Value, dice: &mut Dice) -> Value {
    let (mut other, mut at) = (other.clone(), dice.roll(size(other)));
    nth(&mut other, &mut at).map(Value::take).unwrap_or_default()
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.values().map(size).sum(),
        _ => 0,
    }
}

/// The value at this place, counted from the outside in.
fn nth<'v>(value: &'v mut Value, at: &mut usize) -> Option<&'v mut Value> {
    if *at == 0 {
        return Some(value);
    }
    *at -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, at)),
        Value::Object(members) => members.values_mut().find_map(|member| nth(member, at)),
        _ => None,
    }
}

/// What no [`Value`] can hold is marked with this character until it is written: a name that stands twice, and [`raw`].
const MARK: char = '\u{1}';

fn marked(number: usize) -> Value {
    json!(format!("{MARK}{number}{MARK}"))
}

/// As text, with what was marked.
fn written(message: &Value) -> String {
    let mut text = message.to_string();
    if !text.contains("\\u0001") {
        return text;
    }
    for number in 0..RAW_COUNT {
        text = text.replace(&format!("\"\\u0001{number}\\u0001\""), &raw(number));
    }
    text.replace("\\u0001\":", "\":")
}

const RAW_COUNT: usize = 10;

/// JSON, or nearly, that is seldom made but often taken.
fn raw(number: usize) -> String {
    match number {
        0 => "1e999".into(),
        1 => "-0".into(),
        2 => "1".repeat(400),
        3 => "NaN".into(),
        4 => r#""\ud800""#.into(),
        5 => r#""\u0000\uffff""#.into(),
        6 => format!("{}{}", "[".repeat(100), "]".repeat(100)),
        7 => format!("{}{}", "[".repeat(5_000), "]".repeat(5_000)),
        8 => format!("{}0{}", r#"{"a":"#.repeat(60), "}".repeat(60)),
        _ => format!("\"{}\"", "x".repeat(40_000)),
    }
}

fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.roll(bytes.len());
    match dice.roll(4) {
        0 => bytes.truncate(at),
        1 => drop(bytes.remove(at)),
        2 => bytes.insert(at, dice.roll(256) as u8),
        _ => bytes[at] ^= 1 << dice.roll(8),
    }
}

/// What is special in JSON, in SSML, in names, in writing systems.
const CHARS: &[char] = &[
    '"',
    '\\',
    '<',
    '>',
    '&',
    '\'',
    '?',
    '{',
    '%',
    '_',
    '\0',
    '\n',
    '\u{7f}',
    '\u{ad}',
    'ß',
    'İ',
    'é',
    '\u{301}',
    '\u{200d}',
    '\u{202e}',
    '\u{feff}',
    '\u{fffd}',
    '中',
    '𝄞',
    '🎵',
    '\u{10ffff}',
    ' ',
    '0',
];

const WORDS: &[&str] = &[
    "",
    " ",
    "?",
    "x",
    "3",
    "50",
    "100",
    "101",
    "-1",
    "1e9",
    "PT5M",
    "PT0S",
    "P1D",
    "PT99999999999S",
    "P",
    "true",
    "null",
    "Alexa",
    "Alexa.Discovery",
    "Alexa.Speaker",
    "Alexa.ModeController",
    "Alexa.SceneController",
    "Discover",
    "Activate",
    "ReportState",
    "SetMode",
    "AdjustVolume",
    "BearerToken",
    "IntentRequest",
    "LaunchRequest",
    "SessionEndedRequest",
    "AlexaSkillEvent.SkillDisabled",
    "PlayMediaIntent",
    "AMAZON.YesIntent",
    "AMAZON.StopIntent",
    "AMAZON.FallbackIntent",
    "de-DE",
    "ja-JP",
    "xx",
    "kitchen",
    "bathroom",
    "kitchen in home",
    "album",
    "ALBUM",
    "play",
    "next",
    "ER_SUCCESS_MATCH",
    "amzn1.er-authority.echo-sdk.dynamic.PLAYER",
    "</speak><audio src='x'/>",
    "&amp;&lt;",
    "]]>",
    "2026-11-22T00:00:00Z",
    "9999-99-99T99:99:99Z",
    "../../etc",
    "http://127.0.0.1/",
    "מוזיקה",
    "e\u{301}\u{301}\u{301}",
];

const NAMES: &[&str] = &[
    "directive",
    "header",
    "namespace",
    "name",
    "instance",
    "payloadVersion",
    "correlationToken",
    "endpoint",
    "endpointId",
    "scope",
    "type",
    "token",
    "payload",
    "volume",
    "volumeDefault",
    "mode",
    "rangeValue",
    "rangeValueDelta",
    "rangeValueDeltaDefault",
    "cookie",
    "session",
    "context",
    "System",
    "user",
    "accessToken",
    "device",
    "deviceId",
    "request",
    "intent",
    "slots",
    "media",
    "value",
    "resolutions",
    "resolutionsPerAuthority",
    "values",
    "attributes",
    "open",
    "do",
    "amount",
    "locale",
    "timestamp",
    "a",
    "",
];

#[test]
fn what_a_value_cannot_hold_is_written_all_the_same() {
    assert_eq!(written(&json!({"a": 1, "a\u{1}": marked(0)})), r#"{"a":1,"a":1e999}"#);
    let message = json!({"a": [1, {"b": "c"}], "d": true});
    let all: std::collections::HashSet<Vec<u8>> =
        (0..2_000).map(|seed| mutated(&message, std::slice::from_ref(&message), &mut Dice::new(seed))).collect();
    assert!(all.len() > 1_000 && all.contains(message.to_string().as_bytes()), "{} of 2000 differ", all.len());
}
