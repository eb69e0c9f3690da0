//! An order at the authority, from end to end.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, Key, NewOrder, Order, OrderStatus, Problem,
    RetryPolicy,
};
use macloud_service_kit::tls::{Answering, Certificate, TlsError};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::Settings;
use super::client::Client;
use super::kept::KeepError;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The authority did not find its proof at the name.
    #[error("the authority did not find the proof that the name is this machine's: {}", detail(.0))]
    Proof(Problem),
    /// It did not find it, and does not say why.
    #[error("the authority did not find the proof that the name is this machine's, and does not say why")]
    ProofUnexplained,
    /// It wants a proof of another kind.
    #[error("the authority does not take the proof TLS-ALPN-01")]
    NoSuchChallenge,
    /// It refused something, or could not be asked.
    #[error("the authority: {}", words(.0))]
    Authority(Error),
    /// It took too long.
    #[error("no certificate after {} s", .0.as_secs())]
    Late(Duration),
    /// A key or a request cannot be made.
    #[error("cannot make keys and requests: {0}")]
    Make(#[from] rcgen::Error),
    /// What was made or issued cannot be used.
    #[error(transparent)]
    Use(#[from] TlsError),
    /// It cannot be kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Authority(error)
    }
}

impl Failure {
    /// What helps, as a sentence. Empty where nobody knows.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Proof(problem) | Self::Authority(Error::Api(problem)) => remedy_for(problem),
            Self::NoSuchChallenge => {
                "Take another authority (--acme-directory), or a certificate from files (--tls-cert)."
            }
            Self::Authority(Error::Timeout(_)) | Self::Late(_) => "It may be busy.",
            Self::Authority(_) => {
                "Can this machine reach --acme-directory over HTTPS, and is its clock right? An authority of your own wants --acme-root."
            }
            Self::Keep(error) => error.remedy(),
            Self::ProofUnexplained | Self::Make(_) | Self::Use(_) => "",
        }
    }
}

/// By the kinds of RFC 8555, section 6.7.
fn remedy_for(problem: &Problem) -> &'static str {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    match kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or_default() {
        "connection" => {
            "Port 443 of the name must lead to this program's --listen from everywhere: look at the firewall, at the router, and at the name's A and AAAA records."
        }
        "dns" => "The name's A (and AAAA) record must be this machine's address: look at the DNS.",
        "unauthorized" | "tls" | "incorrectResponse" => {
            "Something else answers on port 443 of the name: its A or AAAA record leads elsewhere, or a proxy or CDN in front ends TLS."
        }
        "caa" => "A CAA record of the name's domain does not let this authority issue: change it, or --acme-directory.",
        "rateLimited" => {
            "Too many certificates or failures for this name: wait. To try things out, use the staging directory (serve --help says which)."
        }
        "rejectedIdentifier" | "unsupportedIdentifier" => {
            "The authority does not issue for this name: give another --public-url."
        }
        "externalAccountRequired" => {
            "This authority wants accounts made with it beforehand, which is not supported: take another."
        }
        "invalidContact" | "unsupportedContact" => "It does not take --acme-email.",
        _ => "",
    }
}

fn detail(problem: &Problem) -> String {
    problem.to_string().trim_start_matches("API error: ").to_owned()
}

/// With all causes, those left out that were said already.
fn words(error: &Error) -> String {
    if let Error::Api(problem) = error {
        return detail(problem);
    }
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes
        .map(ToString::to_string)
        .fold(error.to_string(), |told, cause| if told.contains(&cause) { told } else { format!("{told}: {cause}") })
}

/// Have a certificate issued: its chain and key, as PEM. Meanwhile `certificate` answers the authority's challenge.
pub(super) async fn order(
    settings: &Settings,
    account_key: &KeyPair,
    certificate: &Arc<Certificate>,
    client: Client,
) -> Result<String, Failure> {
    let account = account(settings, account_key, client).await?;
    let names = [Identifier::Dns(settings.name.clone())];
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    let answering = answer_challenges(&mut order, settings, certificate).await?;
    let proved = order.poll_ready(&PATIENCE).await;
    drop(answering);
    match proved {
        Ok(OrderStatus::Ready) => {}
        Err(error @ (Error::Timeout(_) | Error::Other(_) | Error::Json(_))) => return Err(error.into()),
        refused => return Err(why_refused(&mut order, refused.err()).await),
    }
    let key = KeyPair::generate()?;
    let mut request = CertificateParams::new([settings.name.clone()])?;
    request.distinguished_name = DistinguishedName::new();
    order.finalize_csr(request.serialize_request(&key)?.der()).await?;
    let chain = order.poll_certificate(&PATIENCE).await?;
    Ok(format!("{}\n{}", chain.trim_end(), key.serialize_pem()))
}

/// The account of this key: made on first use, found from then on.
async fn account(settings: &Settings, key: &KeyPair, client: Client) -> Result<Account, Failure> {
    let pkcs8 = PrivatePkcs8KeyDer::from(key.serialize_der());
    let ours = (Key::from_pkcs8_der(pkcs8.clone_key())?, PrivateKeyDer::Pkcs8(pkcs8));
    let builder = Account::builder_with_http(Box::new(client));
    let (account, _) = builder.create_from_key(ours, settings.directory.clone()).await?;
    if let Some(address) = &settings.email {
        account.update_contacts(&[&format!("mailto:{address}")]).await?;
    }
    Ok(account)
}

/// Prepare for each proof that is still wanted, then say so. They are answered until the answers are dropped.
async fn answer_challenges(
    order: &mut Order,
    settings: &Settings,
    certificate: &Arc<Certificate>,
) -> Result<Vec<Answering>, Failure> {
    let mut answering = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            _ => return Err(Failure::ProofUnexplained),
        }
        let mut challenge = authorization.challenge(ChallengeType::TlsAlpn01).ok_or(Failure::NoSuchChallenge)?;
        answering.push(answer(&settings.name, challenge.key_authorization().digest().as_ref(), certificate)?);
        challenge.set_ready().await?;
    }
    Ok(answering)
}

/// The certificate that RFC 8737 (section 3) describes: for the name, and with the digest in a critical extension.
fn answer(name: &str, digest: &[u8], certificate: &Arc<Certificate>) -> Result<Answering, Failure> {
    let key = KeyPair::generate()?;
    let mut shown = CertificateParams::new([name.to_owned()])?;
    shown.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let shown = shown.self_signed(&key)?.der().clone();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Ok(certificate.answer_challenge(name, shown, &key)?)
}

/// The challenge knows more than the order, which often says nothing.
async fn why_refused(order: &mut Order, told: Option<Error>) -> Failure {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.clone()) {
            return Failure::Proof(problem);
        }
    }
    told.map_or(Failure::ProofUnexplained, Failure::Authority)
}

/// With the authority's own word on when to ask again, where it gives one.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(120));
