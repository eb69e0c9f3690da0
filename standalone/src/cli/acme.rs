//! Settings of the certificate that `serve` gets by itself.

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, DnsName};
use url::{Host, Url};

use super::ServeArgs;
use crate::serve::acme::Settings;

/// Let's Encrypt.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// How `serve` gets a certificate by itself.
#[derive(Debug, Args, Clone)]
pub struct AcmeArgs {
    /// Get the certificate for the name in --public-url from an authority (ACME), and renew it when a third of its life is left. The
    /// authority dials port 443 of that name (TLS-ALPN-01), which must lead to --listen; port 80 is not needed. What must be
    /// kept lies in `acme` in the data directory.
    #[arg(long)]
    pub acme: bool,

    /// You agree to the terms of service of the authority, which --acme needs. Let's Encrypt's: `https://letsencrypt.org/repository/`
    #[arg(long)]
    pub acme_terms_agreed: bool,

    /// Address that the authority may write to about the account. Let's Encrypt keeps none.
    #[arg(long, value_name = "ADDRESS")]
    pub acme_email: Option<String>,

    /// The authority's directory. To try things out without its limits: `https://acme-staging-v02.api.letsencrypt.org/directory`,
    /// whose certificates nobody believes.
    #[arg(long, value_name = "URL", default_value = LETS_ENCRYPT)]
    pub acme_directory: String,

    /// Also trust the roots (PEM) in this file when speaking to the authority: for one of your own.
    #[arg(long, value_name = "FILE")]
    pub acme_root: Option<PathBuf>,
}

impl ServeArgs {
    /// Whether TLS ends in this program.
    #[must_use]
    pub const fn ends_tls(&self) -> bool {
        self.acme.acme || self.tls_cert.is_some()
    }

    /// What is needed to get a certificate, if it is to be got.
    ///
    /// # Errors
    /// When that cannot go well.
    pub fn acme_settings(&self) -> anyhow::Result<Option<Settings>> {
        let AcmeArgs { acme: true, acme_terms_agreed, acme_email, acme_directory, acme_root } = &self.acme else {
            return Ok(None);
        };
        ensure!(self.tls_cert.is_none(), "--acme gets a certificate, and --tls-cert gives one: leave one of them out");
        ensure!(
            !self.behind_proxy,
            "--acme does not go with --behind-proxy: TLS ends at the proxy, which needs the certificate, not this program"
        );
        ensure!(
            *acme_terms_agreed,
            "--acme needs --acme-terms-agreed: read the authority's terms of service first (Let's Encrypt's are at \
             https://letsencrypt.org/repository/)"
        );
        let directory: Url = acme_directory.parse().context("--acme-directory is not a URL")?;
        ensure!(directory.scheme() == "https", "--acme-directory {directory}: an authority is asked over https only");
        if let Some(address) = acme_email {
            ensure!(address.contains('@'), "--acme-email {address} is not an address");
        }
        let roots = acme_root.as_deref().map(|file| {
            let roots = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            roots.with_context(|| format!("cannot read certificates from --acme-root {}", file.display()))
        });
        Ok(Some(Settings {
            name: certified_name(self.public_url.as_deref())?,
            directory: directory.into(),
            email: acme_email.clone(),
            roots: roots.transpose()?.unwrap_or_default(),
        }))
    }
}

/// The name in the public URL, if an authority can look it up and dial it.
fn certified_name(public_url: Option<&str>) -> anyhow::Result<String> {
    let url = public_url.context("--acme needs --public-url https://NAME: the name that the certificate is for")?;
    let parsed: Url = url.parse().with_context(|| format!("--public-url {url:?} is not a URL"))?;
    match parsed.host() {
        Some(Host::Domain(name)) if name == "localhost" || name.ends_with(".localhost") => {
            bail!(
                "--acme does not go with --public-url {url}: no authority can reach localhost; on loopback, leave --acme out"
            )
        }
        Some(Host::Domain(name)) if DnsName::try_from(name).is_err() => {
            bail!("--acme does not go with --public-url {url}: its name is none that the DNS can have")
        }
        Some(Host::Domain(name)) => Ok(name.to_ascii_lowercase()),
        _ => bail!(
            "--acme does not go with --public-url {url}: a certificate is for a name in the DNS, not for an address"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_for_a_name_that_others_can_reach() {
        let name = |url: &str| certified_name(Some(url)).map_err(|error| error.to_string());
        assert_eq!(name("https://Music.Example.org"), Ok("music.example.org".into()));
        assert_eq!(name("https://music.example.org:8443/"), Ok("music.example.org".into()));
        assert_eq!(name("https://müsic.example.org"), Ok("xn--msic-0ra.example.org".into()));
        for local in ["https://localhost", "https://ma.localhost:8443"] {
            assert!(name(local).unwrap_err().contains("no authority can reach localhost"), "{local}");
        }
        for address in ["https://192.0.2.1", "https://[2001:db8::1]:443"] {
            assert!(name(address).unwrap_err().contains("not for an address"), "{address}");
        }
        for odd in ["https://..", "https://*.example.org", "https://a..example.org"] {
            assert!(name(odd).unwrap_err().contains("none that the DNS can have"), "{odd}");
        }
        assert!(certified_name(None).unwrap_err().to_string().contains("--public-url"));
    }
}
