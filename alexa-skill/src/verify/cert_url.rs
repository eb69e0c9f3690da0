//! Where Alexa's signing certificates may come from. Anything else would let a stranger choose our certificate.

use url::Url;

/// A URL below `https://s3.amazonaws.com/echo.api/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertUrl {
    path: String,
}

const HOST: &str = "s3.amazonaws.com";
const FOLDER: &str = "/echo.api/";
const SCHEME: &str = "https://";

/// Real ones have about 60 characters.
const MAX_CHARS: usize = 512;

impl CertUrl {
    /// `text` if it points where Alexa keeps its certificates.
    ///
    /// Stricter than the verifiers that Amazon publishes: they let escapes in the path and user names pass. Characters
    /// that URL parsers disagree about are refused before parsing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let unambiguous = |b: u8| b.is_ascii_graphic() && !b"\\%?#@".contains(&b);
        let scheme = text.get(..SCHEME.len())?;
        let rest = text.get(SCHEME.len()..)?;
        let has_form = text.len() <= MAX_CHARS
            && text.bytes().all(unambiguous)
            && scheme.eq_ignore_ascii_case(SCHEME)
            && !rest.starts_with('/');
        if !has_form {
            return None;
        }
        // Resolves `..`, so that the folder below is the real one.
        let url = Url::parse(text).ok()?;
        let is_alexas =
            url.host_str() == Some(HOST) && url.port_or_known_default() == Some(443) && url.path().starts_with(FOLDER);
        is_alexas.then(|| Self { path: url.path().to_owned() })
    }

    /// The path, normalised: what chains are remembered under.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where to fetch from, or the same path at `base`.
    #[must_use]
    pub fn at(&self, base: Option<&Url>) -> String {
        match base {
            Some(base) => format!("{}{}", base.as_str().trim_end_matches('/'), self.path),
            None => format!("{SCHEME}{HOST}{}", self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_alexas_folder_is_accepted() {
        for good in [
            "https://s3.amazonaws.com/echo.api/echo-api-cert.pem",
            "https://s3.amazonaws.com:443/echo.api/echo-api-cert.pem",
            "https://s3.amazonaws.com/echo.api/../echo.api/echo-api-cert.pem",
            "HTTPS://S3.AmazonAWS.com/echo.api/c.pem",
            "https://s3.amazonaws.com/echo.api/c..",
        ] {
            assert!(CertUrl::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "http://s3.amazonaws.com/echo.api/c.pem",
            "https:s3.amazonaws.com/echo.api/c.pem",
            "https:///s3.amazonaws.com/echo.api/c.pem",
            "https://notamazon.com/echo.api/c.pem",
            "https://s3.amazonaws.com/EcHo.aPi/c.pem",
            "https://s3.amazonaws.com/echo.apix/c.pem",
            "https://s3.amazonaws.com/echo.api/../evil/c.pem",
            "https://s3.amazonaws.com/echo.api/%2e%2e/evil/c.pem",
            "https://s3.amazonaws.com:563/echo.api/c.pem",
            "https://user:pw@s3.amazonaws.com/echo.api/c.pem",
            "https://s3.amazonaws.com\\@evil.example/echo.api/c.pem",
            "https://s3.amazonaws.com./echo.api/c.pem",
            "https://s3.amazonaws.com/echo.api/c.pem?x=1",
            "https://s3.amazonaws.com/ec\tho.api/c.pem",
        ] {
            assert_eq!(CertUrl::parse(bad), None, "{bad}");
        }
    }
}
