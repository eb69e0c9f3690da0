//! URLs in files and answers as their text. (`url` has a feature for this; it would recompile half of the workspace.)

use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
use url::Url;

pub(crate) fn serialize<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_str().serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(|_| serde::de::Error::custom("not a URL"))
}

/// The same for one that may be missing.
pub(crate) mod option {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use url::Url;

    pub(crate) fn serialize<S: Serializer>(url: &Option<Url>, serializer: S) -> Result<S::Ok, S::Error> {
        url.as_ref().map(Url::as_str).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse()).transpose().map_err(|_| serde::de::Error::custom("not a URL"))
    }
}
