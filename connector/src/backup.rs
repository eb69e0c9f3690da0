//! A home in one file, encrypted by a passphrase: what it takes to go on elsewhere as the same home.
//!
//! The format is in `docs/PROTOCOL.md`, section 4. Nothing of a file is believed before its seal was opened but how much work
//! that takes, and that has limits: a hostile file costs neither memory nor time worth mentioning.

use std::path::PathBuf;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_e2ee::keys::PinnedKeySet;
use macloud_proto::jose::SigningKey;
use macloud_service_kit::random;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::connector::ma_url;
use crate::memory::Device;
use crate::music_assistant::token::Token;
use crate::network::{Dialer, certificates};
use crate::rules::Rules;
use crate::state::{MusicAssistantPlace, Pairing, StateDir, StateError};

/// What a backup begins with.
const MAGIC: &[u8; 16] = b"MACLOUD-HOME-BAK";

/// The version of the format.
const VERSION: u8 = 1;

const SALT: usize = 16;

/// Up to where the sealed part begins: magic, version, lanes, passes, memory, salt, nonce.
const HEADER: usize = MAGIC.len() + 1 + 1 + 2 + 4 + SALT + NONCE_LEN;

/// No backup is longer: rules and devices are the most of it, and have limits of their own.
pub const MAX_BACKUP: usize = 4 << 20;

/// A passphrase that is shorter is guessed.
pub const MIN_PASSPHRASE: usize = 12;

/// Why there is no backup, or none can be restored. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is nothing to back up.
    #[error("this connector is not paired with a cloud: there is nothing to back up")]
    NotPaired,
    /// What is to protect everything protects nothing.
    #[error("the passphrase is too short: give at least {} characters, such as five words by chance", MIN_PASSPHRASE)]
    ShortPassphrase,
    /// Something else, or not all of it.
    #[error("this is not a backup of ma-connector, or not all of it")]
    NotABackup,
    /// Made by a newer program.
    #[error("this backup has format {0}, which this ma-connector does not know. Update ma-connector.")]
    Version(u8),
    /// No program of ours asks for that.
    #[error(
        "this backup asks for more work than any that this ma-connector makes: a newer one has made it, or nobody's"
    )]
    Cost,
    /// It does not open.
    #[error("the passphrase is wrong, or the backup was changed")]
    Sealed,
    /// It opens, and says something that is not understood.
    #[error("what is in the backup is not understood ({0}). Update ma-connector.")]
    Contents(&'static str),
    /// It would have the home dial where no home would be paired.
    #[error("the backup has an address that cannot be used, {0}: {1}. Whoever made it may not mean well.")]
    Address(&'static str, String),
    /// Somebody has made rules there.
    #[error(
        "{0} has rules already that are not those of the backup. Restore into another --state-dir, or remove rules.json there first"
    )]
    OtherRules(PathBuf),
    /// Another home is there.
    #[error("{0} holds a home already. Restore into another --state-dir, or let that one go first: ma-connector leave")]
    Occupied(PathBuf),
}

/// How much work it is to try a passphrase (Argon2id).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u16,
    lanes: u8,
}

impl Cost {
    /// What RFC 9106 recommends where memory is scarce, on one core: 64 MiB.
    pub const USUAL: Self = Self { memory_kib: 64 << 10, passes: 3, lanes: 1 };

    /// Little enough for tests.
    #[doc(hidden)]
    pub const LEAST: Self = Self { memory_kib: 8, passes: 1, lanes: 1 };

    /// The most that is accepted, because it is what is written: the work is done before it is known whose file it is.
    const MOST: Self = Self::USUAL;

    const fn is_acceptable(self) -> bool {
        let Self { memory_kib, passes, lanes } = self;
        memory_kib >= 8 * lanes as u32
            && memory_kib <= Self::MOST.memory_kib
            && passes >= 1
            && passes <= Self::MOST.passes
            && lanes >= 1
            && lanes <= Self::MOST.lanes
    }
}

/// What a backup says in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    cost: Cost,
    salt: [u8; SALT],
    nonce: [u8; NONCE_LEN],
}

impl Header {
    /// Read it, and what is sealed after it.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn read(bytes: &[u8]) -> Result<(Self, &[u8]), BackupError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(BackupError::NotABackup)?;
        let (&version, rest) = rest.split_first().ok_or(BackupError::NotABackup)?;
        if version != VERSION {
            return Err(BackupError::Version(version));
        }
        if bytes.len() > MAX_BACKUP {
            return Err(BackupError::NotABackup);
        }
        let (lanes, rest) = part::<1>(rest)?;
        let (passes, rest) = part(rest)?;
        let (memory, rest) = part(rest)?;
        let (salt, rest) = part(rest)?;
        let (nonce, sealed) = part(rest)?;
        let cost = Cost { memory_kib: u32::from_be_bytes(memory), passes: u16::from_be_bytes(passes), lanes: lanes[0] };
        if !cost.is_acceptable() {
            return Err(BackupError::Cost);
        }
        Ok((Self { cost, salt, nonce }, sealed))
    }

    fn to_bytes(self) -> [u8; HEADER] {
        let Self { cost: Cost { memory_kib, passes, lanes }, salt, nonce } = self;
        let mut bytes = [0; HEADER];
        let parts: [&[u8]; 7] =
            [MAGIC, &[VERSION], &[lanes], &passes.to_be_bytes(), &memory_kib.to_be_bytes(), &salt, &nonce];
        let mut at = 0;
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        bytes
    }

    /// The key that this passphrase makes.
    fn key(&self, passphrase: &str) -> Result<LessSafeKey, BackupError> {
        let Cost { memory_kib, passes, lanes } = self.cost;
        let params = Params::new(memory_kib, passes.into(), lanes.into(), Some(32)).map_err(|_| BackupError::Cost)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &self.salt, &mut *key)
            .map_err(|_| BackupError::Cost)?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &*key).map_err(|_| BackupError::Cost)?;
        Ok(LessSafeKey::new(key))
    }

    fn nonce(&self) -> Nonce {
        // Of a key that is made for one file, from a salt of its own.
        Nonce::assume_unique_for_key(self.nonce)
    }
}

fn part<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), BackupError> {
    let (part, rest) = bytes.split_first_chunk().ok_or(BackupError::NotABackup)?;
    Ok((*part, rest))
}

/// A home, as it is carried.
pub struct HomeBackup {
    seed: Zeroizing<[u8; 32]>,
    keys: PinnedKeySet,
    pairing: Pairing,
    rules: Rules,
    devices: Vec<Device>,
    place: MusicAssistantPlace,
    token: Option<Token>,
    /// Certificates, as PEM.
    authorities: Option<String>,
    made_at: u64,
}

/// The same as it is written.
#[derive(Serialize, Deserialize)]
struct Contents {
    /// Seconds since 1970.
    made_at: u64,
    identity_seed: String,
    skill_keys: String,
    pairing: Pairing,
    #[serde(default)]
    rules: Rules,
    #[serde(default)]
    devices: Vec<Device>,
    #[serde(default)]
    music_assistant: MusicAssistantPlace,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    music_assistant_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authorities: Option<String>,
}

impl Drop for Contents {
    fn drop(&mut self) {
        self.identity_seed.zeroize();
        self.music_assistant_token.zeroize();
    }
}

impl HomeBackup {
    /// Of the home in this directory, which may be running. Music Assistant's token opens Music Assistant: it is taken along only
    /// `with_token`.
    ///
    /// # Errors
    /// [`BackupError::NotPaired`]; [`BackupError::State`] when something is missing or damaged.
    pub fn of(state: &StateDir, with_token: bool, now: u64) -> Result<Self, BackupError> {
        let (Some(pairing), Some(seed)) = (state.pairing()?, state.existing_identity()?) else {
            return Err(BackupError::NotPaired);
        };
        Ok(Self {
            seed,
            keys: state.kept_skill_keys()?,
            pairing,
            rules: state.rules()?,
            // What is damaged there is learned again.
            devices: state.devices().unwrap_or_default(),
            place: state.music_assistant()?,
            token: state.token().filter(|_| with_token),
            authorities: state.authorities()?,
            made_at: now,
        })
    }

    /// The home's name.
    #[must_use]
    pub fn home_name(&self) -> &str {
        &self.pairing.home_name
    }

    /// Whether Music Assistant's token is in it.
    #[must_use]
    pub const fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// When it was made, in seconds since 1970.
    #[must_use]
    pub const fn made_at(&self) -> u64 {
        self.made_at
    }

    /// The file.
    ///
    /// # Errors
    /// [`BackupError::ShortPassphrase`].
    pub fn seal(&self, passphrase: &str, cost: Cost) -> Result<Vec<u8>, BackupError> {
        if passphrase.chars().count() < MIN_PASSPHRASE {
            return Err(BackupError::ShortPassphrase);
        }
        let header = Header { cost, salt: random::bytes(), nonce: random::bytes() };
        let key = header.key(passphrase)?;
        let mut sealed = self.encode()?;
        let header_bytes = header.to_bytes();
        key.seal_in_place_append_tag(header.nonce(), Aad::from(header_bytes), &mut *sealed)
            .map_err(|_| BackupError::Sealed)?;
        Ok([&header_bytes[..], &sealed].concat())
    }

    /// What is in this file.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn open(bytes: &[u8], passphrase: &str) -> Result<Self, BackupError> {
        let (header, sealed) = Header::read(bytes)?;
        let key = header.key(passphrase)?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        let plain = key
            .open_in_place(header.nonce(), Aad::from(header.to_bytes()), &mut plain)
            .map_err(|_| BackupError::Sealed)?;
        Self::decode(plain)
    }

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, BackupError> {
        let contents = Contents {
            made_at: self.made_at,
            identity_seed: URL_SAFE_NO_PAD.encode(*self.seed),
            skill_keys: URL_SAFE_NO_PAD.encode(self.keys.to_bytes()),
            pairing: self.pairing.clone(),
            rules: self.rules.clone(),
            devices: self.devices.clone(),
            music_assistant: self.place.clone(),
            music_assistant_token: self.token.as_ref().map(|token| token.as_stored_text().to_owned()),
            authorities: self.authorities.clone(),
        };
        let text = serde_json::to_vec(&contents).map_err(|_| BackupError::Contents("it cannot be written"))?;
        Ok(Zeroizing::new(text))
    }

    /// What was sealed. Parsed as if the passphrase meant nothing: whoever knows it may be somebody else.
    ///
    /// # Errors
    /// [`BackupError::Contents`].
    pub fn decode(plain: &[u8]) -> Result<Self, BackupError> {
        let contents: Contents = serde_json::from_slice(plain).map_err(|_| BackupError::Contents("its parts"))?;
        let mut seed = Zeroizing::new([0; 32]);
        let length = URL_SAFE_NO_PAD.decode_slice(&contents.identity_seed, &mut *seed);
        if length != Ok(seed.len()) {
            return Err(BackupError::Contents("the home's key"));
        }
        let keys = URL_SAFE_NO_PAD.decode(&contents.skill_keys).ok();
        let keys = keys.and_then(|keys| PinnedKeySet::from_bytes(&keys).ok());
        let authorities = contents.authorities.as_ref().map(|pem| certificates(pem.as_bytes())).transpose();
        Ok(Self {
            seed,
            keys: keys.ok_or(BackupError::Contents("the cloud's keys"))?,
            pairing: contents.pairing.clone(),
            rules: contents.rules.clone(),
            devices: contents.devices.clone(),
            place: contents.music_assistant.clone(),
            token: contents.music_assistant_token.as_deref().and_then(Token::parse),
            authorities: authorities.map_err(|_| BackupError::Contents("the authorities that it trusts"))?,
            made_at: contents.made_at,
        })
    }

    /// Whether the home may go where the backup sends it: to a cloud by these rules, and to some Music Assistant.
    fn check_addresses(&self, cloud: &Dialer) -> Result<(), BackupError> {
        let (Pairing { cloud: account, relay_url, .. }, place) = (&self.pairing, &self.place.url);
        for (what, url) in [("of the cloud", account), ("of its relay", relay_url)] {
            cloud.check(url).map_err(|error| BackupError::Address(what, error.to_string()))?;
        }
        let Some(place) = place else { return Ok(()) };
        ma_url(place.as_str()).map_err(|error| BackupError::Address("of Music Assistant", error))?;
        Ok(())
    }

    /// Put the home into this directory, which has none, or this one already: a restore that was cut short is simply done again.
    /// The home is to reach its cloud by the rules of `cloud`. The lock is to be held.
    ///
    /// # Errors
    /// [`BackupError::Address`]; [`BackupError::Occupied`]; [`BackupError::OtherRules`]; [`BackupError::State`].
    pub fn restore(&self, state: &StateDir, cloud: &Dialer) -> Result<(), BackupError> {
        self.check_addresses(cloud)?;
        let own = *SigningKey::from_seed(&self.seed).public();
        let there = state.public_identity()?;
        if state.is_paired() || there.is_some_and(|there| there != own) {
            return Err(BackupError::Occupied(state.path().to_owned()));
        }
        let rules = state.rules()?;
        if rules != Rules::default() && rules != self.rules {
            return Err(BackupError::OtherRules(state.path().to_owned()));
        }
        if there.is_none() {
            state.adopt_identity(&self.seed)?;
        }
        state.save_rules(&self.rules)?;
        state.save_devices(&self.devices)?;
        state.save_music_assistant(&self.place)?;
        if let Some(token) = &self.token {
            state.save_token(token)?;
        }
        if let Some(authorities) = &self.authorities {
            state.save_authorities(Some(authorities.as_bytes()))?;
        }
        // Last: from here on it is a home.
        state.save_pairing(&self.pairing, &self.keys)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use macloud_e2ee::keys::{KeySetRoot, SkillSigner};
    use macloud_proto::ids::{InstanceId, PlayerKey};
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    const PASSPHRASE: &str = "a passphrase of some words";

    fn home(devices: usize, token: Option<&str>) -> HomeBackup {
        let (root, signer) = (KeySetRoot::from_seed(&[1; 32]), SkillSigner::from_seed(&[2; 32]));
        let keys = root.sign_key_set(1, &[signer.public_key(0)]).unwrap();
        let device = |number: usize| Device {
            device: format!("device{number}"),
            player: PlayerKey::derive("server", &number.to_string()),
            name: "Kitchen".into(),
            used_at: 7,
        };
        HomeBackup {
            seed: Zeroizing::new([7; 32]),
            keys: PinnedKeySet::pin(&keys).unwrap(),
            pairing: Pairing {
                cloud: "https://cloud.example/".parse().unwrap(),
                instance_id: InstanceId::from_bytes(&[9; 16]),
                home_name: "Home".into(),
                relay_url: "wss://relay.example/".parse().unwrap(),
            },
            rules: serde_json::from_str(r#"{"quiet_hours": {"from": "22:00", "to": "07:00"}}"#).unwrap(),
            devices: (0..devices).map(device).collect(),
            place: MusicAssistantPlace { url: "http://192.168.1.5:8095".parse().ok() },
            token: token.and_then(Token::parse),
            authorities: None,
            made_at: 1_795_000_000,
        }
    }

    fn sealed() -> Vec<u8> {
        home(1, Some("secret-token")).seal(PASSPHRASE, Cost::LEAST).unwrap()
    }

    fn with_cost(cost: Cost) -> Vec<u8> {
        let header = Header { cost, salt: [1; SALT], nonce: [2; NONCE_LEN] };
        [&header.to_bytes()[..], &[0; 64]].concat()
    }

    #[test]
    fn authorities_come_along_and_what_are_none_are_refused() {
        let mut home = home(0, None);
        home.authorities = Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into());
        let same = HomeBackup::decode(&home.encode().unwrap()).unwrap();
        assert_eq!(same.authorities, home.authorities);
        home.authorities = Some("trust me".into());
        assert!(matches!(HomeBackup::decode(&home.encode().unwrap()), Err(BackupError::Contents(_))));
    }

    #[test]
    fn what_is_sealed_opens_with_the_passphrase_alone() {
        let bytes = sealed();
        for secret in ["secret-token", "cloud.example", "Kitchen", "22:00"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} in clear");
        }
        assert_ne!(bytes, sealed(), "salt and nonce are fresh");
        assert!(matches!(HomeBackup::open(&bytes, "another passphrase"), Err(BackupError::Sealed)));
        assert!(matches!(home(0, None).seal("short", Cost::LEAST), Err(BackupError::ShortPassphrase)));
    }

    #[test]
    fn nothing_but_a_backup_is_opened() {
        let bytes = sealed();
        for cut in 0..bytes.len() {
            assert!(HomeBackup::open(&bytes[..cut], PASSPHRASE).is_err(), "{cut}");
        }
        let mut newer = bytes.clone();
        newer[MAGIC.len()] = 2;
        assert!(matches!(HomeBackup::open(&newer, PASSPHRASE), Err(BackupError::Version(2))));
        assert!(matches!(HomeBackup::open(b"something else", PASSPHRASE), Err(BackupError::NotABackup)));
        let long = [&bytes[..], &vec![0; MAX_BACKUP]].concat();
        assert!(matches!(HomeBackup::open(&long, PASSPHRASE), Err(BackupError::NotABackup)));
    }

    #[test]
    fn a_name_in_a_hostile_file_does_nothing_to_a_terminal() {
        let mut written = home(0, None);
        written.pairing.home_name = format!("\u{1b}]0;Home\u{7}\u{202e}{}", "x".repeat(100_000));
        let read = HomeBackup::decode(&written.encode().unwrap()).unwrap();
        let name = read.home_name();
        assert!(name.starts_with("]0;Homexxx") && name.len() < 1000, "{name:?}");
    }

    #[test]
    fn a_home_is_not_sent_where_none_would_be_paired() {
        let dialer = Dialer::new(None, false).unwrap();
        let url = |text: &str| text.parse().unwrap();
        assert!(home(0, None).check_addresses(&dialer).is_ok());
        let here: [fn(&mut HomeBackup, Url); 3] = [
            |home, url| home.pairing.cloud = url,
            |home, url| home.pairing.relay_url = url,
            |home, url| home.place.url = Some(url),
        ];
        for (place, address, is_fine) in [
            (0, "http://127.0.0.1:8080/", true),
            (0, "http://cloud.example/", false),
            (0, "file:///etc/passwd", false),
            (1, "ws://[::1]:8080/", true),
            (1, "ws://relay.example/", false),
            (1, "data:,x", false),
            (2, "http://192.168.1.5:8095/", true),
            (2, "file:///etc/passwd", false),
        ] {
            let mut home = home(0, None);
            here[place](&mut home, url(address));
            let checked = home.check_addresses(&dialer);
            assert_eq!(checked.is_ok(), is_fine, "{address}: {checked:?}");
        }
    }

    #[test]
    fn a_hostile_file_costs_nothing() {
        let fine = Cost::LEAST;
        for cost in [
            Cost { memory_kib: u32::MAX, ..fine },
            Cost { memory_kib: Cost::MOST.memory_kib + 1, ..fine },
            Cost { memory_kib: 0, ..fine },
            Cost { memory_kib: 7, ..fine },
            Cost { lanes: 2, memory_kib: 16, ..fine },
            Cost { passes: 0, ..fine },
            Cost { passes: u16::MAX, ..fine },
            Cost { lanes: 0, ..fine },
            Cost { lanes: u8::MAX, memory_kib: Cost::MOST.memory_kib, ..fine },
        ] {
            assert!(matches!(HomeBackup::open(&with_cost(cost), PASSPHRASE), Err(BackupError::Cost)), "{cost:?}");
        }
        // Argon2 itself takes all that is accepted.
        for cost in [Cost::LEAST, Cost::USUAL, Cost::MOST] {
            assert!(Header::read(&with_cost(cost)).is_ok());
            Params::new(cost.memory_kib, cost.passes.into(), cost.lanes.into(), Some(32)).unwrap();
        }
    }

    /// Made by version 1, and to be opened by every version after it.
    #[test]
    fn the_header_is_laid_out_as_the_documents_say() {
        let header =
            Header { cost: Cost { memory_kib: 0x0102_0304, passes: 0x0506, lanes: 7 }, salt: [8; 16], nonce: [9; 12] };
        let mut expected = b"MACLOUD-HOME-BAK\x01\x07\x05\x06\x01\x02\x03\x04".to_vec();
        expected.extend([8; 16]);
        expected.extend([9; 12]);
        assert_eq!(header.to_bytes().to_vec(), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_home_comes_back_as_it_was(devices in 0_usize..5, token in proptest::option::of("[!-~]{1,40}")) {
            let home = home(devices, token.as_deref());
            let opened = HomeBackup::open(&home.seal(PASSPHRASE, Cost::LEAST).unwrap(), PASSPHRASE).unwrap();
            prop_assert_eq!(opened.encode().unwrap().to_vec(), home.encode().unwrap().to_vec());
        }

        #[test]
        fn no_bit_can_be_changed(at in any::<proptest::sample::Index>(), bit in 0_u8..8) {
            let mut bytes = sealed();
            let at = at.index(bytes.len());
            // More work than is asked for is refused or done; that is of its limits.
            prop_assume!(!(MAGIC.len() + 1..MAGIC.len() + 8).contains(&at));
            bytes[at] ^= 1 << bit;
            prop_assert!(HomeBackup::open(&bytes, PASSPHRASE).is_err());
        }

        #[test]
        fn nothing_that_is_sealed_brings_it_down(plain in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = HomeBackup::decode(&plain);
        }
    }
}
