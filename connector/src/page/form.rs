//! What was filled in, read strictly: a field that comes twice, is not text, or holds control characters is nobody's who used the page.

use zeroize::Zeroizing;

/// No form of the page is longer.
pub const MAX_BYTES: usize = 16 << 10;

/// No form of the page has more fields.
const MAX_FIELDS: usize = 16;

/// The fields of a form. They may hold a password, and are wiped when this is dropped.
#[derive(Default)]
pub struct Form(Vec<(String, Zeroizing<String>)>);

/// Why it is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// It is longer than any form of the page.
    #[error("the form is too long")]
    TooLong,
    /// It does not have the form of one.
    #[error("the form is not understood")]
    Malformed,
}

impl Form {
    /// Read `application/x-www-form-urlencoded` text.
    ///
    /// # Errors
    /// [`FormError`].
    pub fn parse(text: &[u8]) -> Result<Self, FormError> {
        if text.len() > MAX_BYTES {
            return Err(FormError::TooLong);
        }
        let mut fields: Vec<(String, Zeroizing<String>)> = Vec::new();
        for part in text.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
            let at = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
            let (name, value) = (decode(&part[..at])?, decode(part.get(at + 1..).unwrap_or_default())?);
            if fields.len() >= MAX_FIELDS {
                return Err(FormError::TooLong);
            }
            if fields.iter().any(|(known, _)| *known == *name) {
                return Err(FormError::Malformed);
            }
            fields.push((name.to_string(), value));
        }
        Ok(Self(fields))
    }

    /// What is in this field, if it was filled in.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }
}

fn decode(text: &[u8]) -> Result<Zeroizing<String>, FormError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(*digit).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else { return Err(FormError::Malformed) };
                (high << 4 | low) as u8
            }
            byte => *byte,
        });
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| FormError::Malformed)?;
    if text.chars().any(char::is_control) { Err(FormError::Malformed) } else { Ok(Zeroizing::new(text.to_owned())) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_read_as_browsers_write_them() {
        let form = Form::parse(b"alias=K%C3%BCche+unten&max_volume=&exposed=on&").unwrap_or_default();
        assert_eq!(form.value("alias"), Some("Küche unten"));
        assert_eq!((form.value("max_volume"), form.value("exposed"), form.value("id")), (None, Some("on"), None));
    }

    #[test]
    fn what_no_browser_writes_is_refused() {
        for wrong in [&b"a=1&a=2"[..], b"a=%2", b"a=%zz", b"a=%ff", b"a=%00", b"a=%0d%0a", b"a=\xff", b"%41=1&A=2"] {
            assert!(matches!(Form::parse(wrong), Err(FormError::Malformed)), "{}", String::from_utf8_lossy(wrong));
        }
        let many: String = (0..17).map(|number| format!("f{number}=&")).collect();
        for long in [vec![b'a'; MAX_BYTES + 1], many.into_bytes()] {
            assert!(matches!(Form::parse(&long), Err(FormError::TooLong)));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(fields in proptest::collection::btree_map("[a-z_]{1,8}", "\\PC{0,40}", 0..8)) {
            let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
            let form = Form::parse(text.as_bytes()).unwrap();
            for (name, value) in &fields {
                prop_assert_eq!(form.value(name).unwrap_or_default(), value);
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Form::parse(&bytes);
        }
    }
}
