//! What all measurements of relays have in common: on what they were made, and where their results go.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use macloud_proto::jose::{self, SigningKey};
use ring::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey as AgreementKey, X25519};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

use crate::report;
use crate::report::results::{Machine, Results};

/// The machine as it was before a measurement.
pub(crate) struct Before(String);

impl Before {
    pub(crate) fn now() -> Self {
        Self(load_average())
    }

    /// With how it is now.
    pub(crate) fn and_after(self) -> Machine {
        Machine {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            load_before: self.0,
            load_after: load_average(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// What the public-key cryptography of one home's connect takes here and now on one processor, for the relay: a key agreement
/// and a signature for TLS 1.3, and the verification of the home's token and of its proof. The median of many.
///
/// The yardstick for what a connect costs: virtual machines differ several times in speed, the same one from hour to hour.
pub(crate) fn cryptography_of_a_connect() -> anyhow::Result<Duration> {
    let random = SystemRandom::new();
    let broken = |_| anyhow::anyhow!("ring cannot do its work");
    let refused = |_| anyhow::anyhow!("ring refuses a key");
    let server = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).map_err(broken)?;
    let server =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, server.as_ref(), &random).map_err(refused)?;
    let signer = SigningKey::from_seed(&[7; 32]);
    let text = [b'x'; 512];
    let signature = signer.sign(&text);
    let theirs = EphemeralPrivateKey::generate(&X25519, &random).and_then(|ours| ours.compute_public_key());
    let theirs = AgreementKey::new(&X25519, theirs.map_err(broken)?);
    let mut took = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        let ours = EphemeralPrivateKey::generate(&X25519, &random).map_err(broken)?;
        ours.compute_public_key().map_err(broken)?;
        agreement::agree_ephemeral(ours, &theirs, |_| ()).map_err(broken)?;
        server.sign(&random, &text).map_err(broken)?;
        jose::verify(signer.public(), &text, &signature)?;
        jose::verify(signer.public(), &text, &signature)?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    Ok(took[took.len() / 2])
}

/// Over 1, 5 and 15 minutes.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Print results, and keep them for `loadtest report`.
#[expect(clippy::print_stdout, reason = "the result of a measurement belongs on standard output")]
pub(crate) fn publish(results: &Results, out: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let document = serde_json::to_string(results)?;
    if let Some(path) = out {
        std::fs::write(path, &document).with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("{}", if json { document } else { report::text(results) });
    Ok(())
}
