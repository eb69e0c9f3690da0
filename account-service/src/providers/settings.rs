//! What an operator sets for a provider: one small TOML file each.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::fetch;

/// Other OpenID providers to sign in with, as they are given on the command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct IdentityProviderArgs {
    /// TOML file with an OpenID provider that people may sign in with: id, name, issuer, client_id and client_secret_file;
    /// see docs/SIGNING-IN.md. May be given several times.
    #[arg(long, value_name = "FILE")]
    pub identity_provider_file: Vec<PathBuf>,
}

/// An OpenID provider that people may sign in with.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityProvider {
    /// Its name in our addresses: 1 to 32 small letters, digits and hyphens. It must not change.
    pub id: String,
    /// As people know it.
    pub name: String,
    /// Its issuer, exactly as it names itself.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// File with our secret there, if we have one. Relative to the settings file.
    pub client_secret_file: Option<PathBuf>,
    /// What that file holds.
    #[serde(skip)]
    pub client_secret: Option<String>,
    /// What we ask for.
    #[serde(default = "usual_scopes")]
    pub scopes: Vec<String>,
    /// Whether an address that it calls verified may become that of a new account. It never opens an account that is there.
    #[serde(default = "yes")]
    pub trust_verified_email: bool,
    /// Dangerous: reach it at private addresses, and on this machine without TLS.
    #[serde(default)]
    pub dangerous_allow_private_addresses: bool,
}

/// Why a provider's settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityProviderError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The file is not what is expected.
    #[error("the identity provider's file {path} is not right: {why}")]
    Form {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
    /// The id cannot be part of an address.
    #[error("an identity provider's id has 1 to 32 small letters, digits and hyphens: {0:?}")]
    Id(String),
    /// Two have one id or issuer.
    #[error("two identity providers have the id or issuer of {0:?}")]
    Twice(String),
    /// Not https.
    #[error(
        "the issuer of the identity provider {0:?} must be an https address on the internet (private ones, and plain http on \
         this machine, only with dangerous_allow_private_addresses)"
    )]
    Issuer(String),
}

impl std::fmt::Debug for IdentityProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentityProvider").field("id", &self.id).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl IdentityProviderArgs {
    /// Read all of them.
    ///
    /// # Errors
    /// See [`IdentityProviderError`].
    pub fn read(&self) -> Result<Vec<IdentityProvider>, IdentityProviderError> {
        let providers: Vec<IdentityProvider> =
            self.identity_provider_file.iter().map(|path| IdentityProvider::read(path)).collect::<Result<_, _>>()?;
        for (at, one) in providers.iter().enumerate() {
            if providers[..at].iter().any(|other| other.id == one.id || other.issuer == one.issuer) {
                return Err(IdentityProviderError::Twice(one.id.clone()));
            }
        }
        Ok(providers)
    }
}

impl IdentityProvider {
    fn read(path: &Path) -> Result<Self, IdentityProviderError> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|source| IdentityProviderError::Read { path: path.into(), source })
        };
        let wrong = |why: String| IdentityProviderError::Form { path: path.into(), why };
        let mut provider: Self = toml::from_str(&read(path)?).map_err(|error| wrong(error.message().to_owned()))?;
        if let Some(secret) = &provider.client_secret_file {
            let beside = path.parent().unwrap_or(Path::new("."));
            provider.client_secret = Some(read(&beside.join(secret))?.trim().to_owned());
        }
        provider.check()?;
        Ok(provider)
    }

    /// Whether it can be used at all.
    ///
    /// # Errors
    /// See [`IdentityProviderError`].
    pub fn check(&self) -> Result<(), IdentityProviderError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !(1..=32).contains(&self.id.len()) || !self.id.bytes().all(plain) {
            return Err(IdentityProviderError::Id(self.id.clone()));
        }
        let url = url::Url::parse(&self.issuer).ok();
        let usable = url.is_some_and(|url| {
            let clean = url.query().is_none() && url.fragment().is_none();
            clean && fetch::may_reach(&url, self.dangerous_allow_private_addresses)
        });
        if usable { Ok(()) } else { Err(IdentityProviderError::Issuer(self.id.clone())) }
    }
}

fn usual_scopes() -> Vec<String> {
    ["openid", "email"].map(str::to_owned).into()
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<IdentityProvider, String> {
        let provider: IdentityProvider = toml::from_str(text).map_err(|error| error.to_string())?;
        provider.check().map_err(|error| error.to_string())?;
        Ok(provider)
    }

    #[test]
    fn a_providers_file_is_read_or_refused() {
        let good = "id = \"home\"\nname = \"Home\"\nissuer = \"https://id.example\"\nclient_id = \"cloud\"\n";
        let provider = read(good).unwrap();
        assert!(provider.trust_verified_email && !provider.dangerous_allow_private_addresses);
        assert_eq!(provider.scopes, ["openid", "email"]);
        for (from, to) in [
            ("\"home\"", "\"Home!\""),
            ("\"home\"", "\"\""),
            ("https://", "http://"),
            ("https://", "ftp://"),
            ("https://id.example", "https://id.example?x"),
            ("https://id.example", "https://user@id.example"),
            ("client_id", "client"),
        ] {
            assert!(read(&good.replacen(from, to, 1)).is_err(), "{to}");
        }
        let private = |issuer: &str| {
            read(&(good.replacen("https://id.example", issuer, 1) + "dangerous_allow_private_addresses = true")).is_ok()
        };
        assert!(private("http://127.0.0.1:9000") && private("http://localhost:9000") && private("https://10.0.0.2"));
        // It would be refused at every sign-in.
        assert!(!private("http://id.example") && !private("http://10.0.0.2"));
        assert!(read(&good.replacen("https://id.example", "https://10.0.0.2", 1)).is_err());
    }
}
