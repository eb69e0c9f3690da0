//! Reading fields of objects whose exact shape depends on the server's version.

use serde_json::Value;

/// An object whose fields may be missing, null, renamed or of another type than expected. Anything unexpected reads
/// as "not there".
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a Value);

impl<'a> Fields<'a> {
    /// The first of these fields that is there and not null. Later names are the aliases of older or newer servers.
    #[must_use]
    pub fn any(self, names: &[&str]) -> Option<&'a Value> {
        names.iter().filter_map(|name| self.0.get(name)).find(|value| !value.is_null())
    }

    /// A text; numbers are taken as their digits.
    #[must_use]
    pub fn text(self, names: &[&str]) -> Option<String> {
        match self.any(names)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A text that says something.
    #[must_use]
    pub fn some_text(self, names: &[&str]) -> Option<String> {
        self.text(names).filter(|text| !text.trim().is_empty())
    }

    /// A truth value.
    #[must_use]
    pub fn flag(self, names: &[&str]) -> Option<bool> {
        self.any(names)?.as_bool()
    }

    /// A number.
    #[must_use]
    pub fn number(self, names: &[&str]) -> Option<f64> {
        self.any(names)?.as_f64().filter(|number| number.is_finite())
    }

    /// A percentage: rounded, and brought into 0 to 100.
    #[must_use]
    pub fn percent(self, names: &[&str]) -> Option<u8> {
        self.number(names).map(|number| number.round().clamp(0.0, 100.0) as u8)
    }

    /// A list of texts; entries of other types are left out.
    #[must_use]
    pub fn texts(self, names: &[&str]) -> Vec<String> {
        self.list(names).iter().filter_map(|value| value.as_str().map(Into::into)).collect()
    }

    /// A list.
    #[must_use]
    pub fn list(self, names: &[&str]) -> &'a [Value] {
        self.any(names).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// An object inside.
    #[must_use]
    pub fn inside(self, names: &[&str]) -> Self {
        Self(self.any(names).unwrap_or(&Value::Null))
    }
}
