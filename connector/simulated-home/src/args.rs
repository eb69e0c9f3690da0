//! Arguments of a command, read as leniently and as strictly as Music Assistant reads them.

use serde_json::{Map, Value};

use crate::wire::Failure;

/// The `args` object of a request.
pub(crate) struct Args<'a>(&'a Map<String, Value>);

impl<'a> Args<'a> {
    pub(crate) fn new(map: &'a Map<String, Value>) -> Self {
        Self(map)
    }

    /// All of them, as they arrived.
    pub(crate) fn as_map(&self) -> &'a Map<String, Value> {
        self.0
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A required string. Numbers are turned into text, as Python's `str()` would.
    pub(crate) fn string(&self, name: &str) -> Result<String, Failure> {
        self.optional_string(name).ok_or_else(|| Failure::argument(name, "str"))
    }

    pub(crate) fn optional_string(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A required whole number: `"40"` is taken as 40, 40.6 is cut to 40.
    pub(crate) fn integer(&self, name: &str) -> Result<i64, Failure> {
        let value = self.get(name).ok_or_else(|| Failure::argument(name, "int"))?;
        as_integer(value).ok_or_else(|| Failure::internal(format!("invalid literal for int() with base 10: '{value}'")))
    }

    pub(crate) fn optional_integer(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(as_integer)
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<bool, Failure> {
        self.optional_boolean(name).ok_or_else(|| Failure::argument(name, "bool"))
    }

    pub(crate) fn optional_boolean(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(value) => Some(*value),
            Value::Number(number) => number.as_f64().map(|number| number != 0.0),
            Value::String(text) => Some(text.eq_ignore_ascii_case("true")),
            _ => None,
        }
    }

    /// A list of strings; a single string counts as a list of one.
    pub(crate) fn strings(&self, name: &str) -> Option<Vec<String>> {
        match self.get(name)? {
            Value::String(text) => Some(vec![text.clone()]),
            Value::Array(values) => Some(values.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            _ => None,
        }
    }

    /// `limit` and `offset` of a listing.
    pub(crate) fn page(&self, default_limit: usize) -> (usize, usize) {
        let bound = |value: i64| usize::try_from(value).unwrap_or(0);
        let limit = self.optional_integer("limit").map_or(default_limit, bound);
        (limit, self.optional_integer("offset").map_or(0, bound))
    }
}

fn as_integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)),
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(flag) => Some(i64::from(*flag)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_coerced_as_recorded() {
        let value = json!({"text": "40", "float": 40.6, "word": "loud"});
        let args = Args::new(value.as_object().unwrap());
        assert_eq!(args.integer("text"), Ok(40));
        assert_eq!(args.integer("float"), Ok(40));
        assert_eq!(args.integer("word").unwrap_err().code, 999);
        let missing = args.integer("volume_level").unwrap_err();
        assert_eq!(missing.details, "\"`volume_level` of type `<class 'int'>` is required.\"");
    }
}
