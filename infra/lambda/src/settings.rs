//! What the function's environment says, read once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::uri::Authority;
use ring::hmac;

/// Where the skill backend is, as `https://HOST` or `https://HOST:PORT`.
pub const SKILL_URL: &str = "MACLOUD_SKILL_URL";

/// The key (32 bytes in base64) that directives are signed with, if the backend asks for that (`--forwarder-key-file`).
pub const FORWARDER_KEY: &str = "MACLOUD_FORWARDER_KEY";

/// Set by Lambda: where its runtime API is.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// What the function is told by its operator.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The skill backend.
    pub skill: Origin,
    /// What directives are signed with.
    pub key: Option<hmac::Key>,
}

/// A server, and whether to speak TLS to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// TLS, or plain HTTP on this machine.
    pub tls: bool,
    /// As it stands in `Host`.
    pub authority: Authority,
    /// A name or an address, without brackets.
    pub host: String,
    /// Where it listens.
    pub port: u16,
}

/// Why the environment cannot be used. Names variables, not what they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Lambda always sets it.
    #[error("AWS_LAMBDA_RUNTIME_API is not set, or no address")]
    NoRuntimeApi,
    /// It has to be given.
    #[error("MACLOUD_SKILL_URL is not set: where is the cloud? https://HOST, or https://HOST:PORT")]
    NoSkillUrl,
    /// It is none.
    #[error("MACLOUD_SKILL_URL is not https://HOST or https://HOST:PORT")]
    NotAnOrigin,
    /// What directives carry would be readable on the way.
    #[error("MACLOUD_SKILL_URL must be https: directives carry people's access tokens")]
    NotSecure,
    /// It is none.
    #[error("MACLOUD_FORWARDER_KEY does not hold 32 bytes in base64")]
    NotAKey,
}

impl Settings {
    /// Read the settings; `variable` gives an environment variable.
    ///
    /// # Errors
    /// When something is missing or cannot be used.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let skill = Origin::parse(variable(SKILL_URL).ok_or(SettingsError::NoSkillUrl)?.trim())?;
        // Templates set what is not wanted to nothing.
        let key = variable(FORWARDER_KEY).filter(|text| !text.trim().is_empty());
        Ok(Self { skill, key: key.map(|text| key_of(&text)).transpose()? })
    }
}

impl Origin {
    fn parse(text: &str) -> Result<Self, SettingsError> {
        let uri: Uri = text.parse().map_err(|_| SettingsError::NotAnOrigin)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or(SettingsError::NotAnOrigin)?.clone();
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() || uri.query().is_some() || !matches!(uri.path(), "" | "/") {
            return Err(SettingsError::NotAnOrigin);
        }
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_this_machine(&host) => false,
            Some("http") => return Err(SettingsError::NotSecure),
            _ => return Err(SettingsError::NotAnOrigin),
        };
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { tls, authority, host, port })
    }
}

/// Where Lambda's runtime API is; `variable` gives an environment variable.
///
/// # Errors
/// When this was not started by Lambda.
pub fn runtime_api(variable: impl Fn(&str) -> Option<String>) -> Result<Authority, SettingsError> {
    variable(RUNTIME_API).and_then(|text| text.parse().ok()).ok_or(SettingsError::NoRuntimeApi)
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn key_of(text: &str) -> Result<hmac::Key, SettingsError> {
    let bytes = STANDARD.decode(text.trim()).unwrap_or_default();
    if bytes.len() != 32 {
        return Err(SettingsError::NotAKey);
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: Option<&str>, key: Option<&str>) -> Result<Settings, SettingsError> {
        Settings::read(|name| match name {
            SKILL_URL => url.map(str::to_owned),
            FORWARDER_KEY => key.map(str::to_owned),
            _ => None,
        })
    }

    #[test]
    fn the_cloud_is_an_origin_and_reached_by_tls() {
        let origin = |url| read(Some(url), None).map(|settings| settings.skill);
        let there = origin("https://music.example.org").unwrap();
        assert_eq!((there.tls, there.host.as_str(), there.port), (true, "music.example.org", 443));
        assert_eq!(origin("https://music.example.org/").unwrap(), there, "people copy it with a slash");
        let there = origin(" https://[2001:db8::1]:8443\n").unwrap();
        assert_eq!(
            (there.host.as_str(), there.port, there.authority.as_str()),
            ("2001:db8::1", 8443, "[2001:db8::1]:8443")
        );
        assert!(!origin("http://127.0.0.1:8082").unwrap().tls);
        for plain in ["http://music.example.org", "http://192.168.1.2:8082"] {
            assert_eq!(origin(plain), Err(SettingsError::NotSecure), "{plain}");
        }
        for none in [
            "",
            "music.example.org",
            "/",
            "https://",
            "https://a/b",
            "https://a?b",
            "wss://a",
            "https://u:p@a",
            "https://a b",
        ] {
            assert_eq!(origin(none), Err(SettingsError::NotAnOrigin), "{none}");
        }
        assert_eq!(read(None, None).unwrap_err(), SettingsError::NoSkillUrl);
    }

    #[test]
    fn a_key_is_32_bytes_in_base64_and_may_be_left_out() {
        let key = |text| read(Some("https://a"), text).map(|settings| settings.key.is_some());
        assert_eq!(key(None), Ok(false));
        assert_eq!(key(Some(" ")), Ok(false));
        assert_eq!(key(Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")), Ok(true));
        for bad in ["AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "not base64"] {
            assert_eq!(key(Some(bad)), Err(SettingsError::NotAKey), "{bad}");
        }
    }

    #[test]
    fn no_error_tells_what_a_variable_holds() {
        let told = [read(Some("https://u:secret@a"), None), read(Some("https://a"), Some("secret"))];
        for error in told.map(Result::unwrap_err) {
            assert!(!error.to_string().contains("secret") && !format!("{error:?}").contains("secret"));
        }
    }
}
