//! Published vectors for the primitives, as the libraries we use compute them.
//!
//! A few stand here, with their sources; all of Wycheproof and the whole HPKE file are used where they stand beside the
//! project.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _, setup_receiver, setup_sender_with_rng};
use macloud_proto::jose::{SigningKey, verify};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use serde_json::Value;

use crate::support::{hex, shared_vectors, unhex, vectors};

fn chacha_open(key: &[u8], nonce: &[u8], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).ok()?);
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut buffer = sealed.to_vec();
    Some(key.open_in_place(nonce, Aad::from(aad), &mut buffer).ok()?.to_vec())
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn hkdf(salt: &[u8], secret: &[u8], info: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut out = vec![0; length];
    let pseudorandom = Salt::new(HKDF_SHA256, salt).extract(secret);
    pseudorandom.expand(&[info], Length(length)).ok()?.fill(&mut out).ok()?;
    Some(out)
}

#[test]
fn chacha20_poly1305_is_that_of_rfc_8439_section_2_8_2() {
    let plaintext = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                      sunscreen would be it.";
    let sealed = unhex(
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e06\
         0b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d265\
         86cec64b61161ae10b594f09e26a7e902ecbd0600691",
    );
    let key = unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
    let (nonce, aad) = (unhex("070000004041424344454647"), unhex("50515253c0c1c2c3c4c5c6c7"));
    assert_eq!(chacha_open(&key, &nonce, &aad, &sealed).as_deref(), Some(&plaintext[..]));
}

#[test]
fn ed25519_is_that_of_rfc_8032_section_7_1() {
    let cases = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
    ];
    for (seed, public, message, signature) in cases {
        let key = SigningKey::from_seed(&unhex(seed).try_into().unwrap());
        assert_eq!(hex(key.public()), public);
        assert_eq!(hex(&key.sign(&unhex(message))), signature);
        assert!(verify(key.public(), &unhex(message), &unhex(signature)).is_ok());
    }
}

#[test]
fn hkdf_sha256_is_that_of_rfc_5869_appendix_a() {
    let first = hkdf(&unhex("000102030405060708090a0b0c"), &[0x0b; 22], &unhex("f0f1f2f3f4f5f6f7f8f9"), 42).unwrap();
    assert_eq!(hex(&first), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    let third = hkdf(&[], &[0x0b; 22], &[], 42).unwrap();
    assert_eq!(hex(&third), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

#[test]
fn hpke_with_x_wing_is_that_of_the_published_vector() {
    let file = std::fs::read_to_string(vectors("hpke-xwing.json")).unwrap();
    check_hpke(&serde_json::from_str(&file).unwrap());
}

#[test]
fn hpke_with_x_wing_is_that_of_the_whole_published_file() {
    let Some(file) = shared_vectors("hpke-xwing.json") else { return };
    let cases: Vec<Value> = serde_json::from_str(&file).unwrap();
    let ours: Vec<_> =
        cases.iter().filter(|case| case["kem_id"] == 25722 && case["kdf_id"] == 1 && case["aead_id"] == 3).collect();
    assert_eq!(ours.len(), 1, "the file has our suite");
    ours.into_iter().for_each(check_hpke);
}

fn check_hpke(case: &Value) {
    let field = |name: &str| unhex(case[name].as_str().unwrap());
    let (private, public) = XWing::derive_keypair(&field("ikmR"));
    assert_eq!(private.to_bytes().as_slice(), field("skRm"));
    assert_eq!(public.to_bytes().as_slice(), field("pkRm"));
    let mut random = Fixed(field("ikmE"));
    let (encapsulated, mut sender) = setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        &public,
        &field("info"),
        &mut random,
    )
    .unwrap();
    assert!(random.0.is_empty(), "exactly the published randomness was used");
    assert_eq!(encapsulated.to_bytes().as_slice(), field("enc"));
    let encapsulated = <XWing as hpke::Kem>::EncappedKey::from_bytes(&field("enc")).unwrap();
    let mut receiver =
        setup_receiver::<ChaCha20Poly1305, HkdfSha256, XWing>(&OpModeR::Base, &private, &encapsulated, &field("info"))
            .unwrap();
    for export in case["exports"].as_array().unwrap() {
        let context = unhex(export["exporter_context"].as_str().unwrap());
        let (mut at_sender, mut at_receiver) = ([0; 32], [0; 32]);
        sender.export(&context, &mut at_sender).unwrap();
        receiver.export(&context, &mut at_receiver).unwrap();
        assert_eq!(hex(&at_sender), export["exported_value"].as_str().unwrap());
        assert_eq!(at_sender, at_receiver);
    }
    for message in case["encryptions"].as_array().unwrap() {
        let field = |name: &str| unhex(message[name].as_str().unwrap());
        assert_eq!(sender.seal(&field("pt"), &field("aad")).unwrap(), field("ct"));
        assert_eq!(receiver.open(&field("ct"), &field("aad")).unwrap(), field("pt"));
    }
}

struct Fixed(Vec<u8>);

impl TryRng for Fixed {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        panic!("X-Wing takes its randomness as bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        panic!("X-Wing takes its randomness as bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        out.copy_from_slice(&self.0[..out.len()]);
        self.0.drain(..out.len());
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

/// Runs `check` on every case of a Wycheproof file; it gives whether the case was accepted (or nothing, if the library
/// cannot be asked).
fn wycheproof(file: &str, check: impl Fn(&Value, &Value) -> Option<bool>) {
    let Some(text) = shared_vectors(file) else { return };
    let file: Value = serde_json::from_str(&text).unwrap();
    let mut checked = 0;
    for group in file["testGroups"].as_array().unwrap() {
        for case in group["tests"].as_array().unwrap() {
            let Some(accepted) = check(group, case) else { continue };
            match case["result"].as_str().unwrap() {
                "valid" => assert!(accepted, "case {} is valid", case["tcId"]),
                "invalid" => assert!(!accepted, "case {} is invalid: {}", case["tcId"], case["comment"]),
                _ => {}
            }
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} cases were checked");
}

fn bytes(value: &Value) -> Vec<u8> {
    unhex(value.as_str().unwrap())
}

#[test]
fn chacha20_poly1305_withstands_wycheproof() {
    wycheproof("wycheproof_chacha20_poly1305.json", |_, case| {
        let sealed = [bytes(&case["ct"]), bytes(&case["tag"])].concat();
        let opened = chacha_open(&bytes(&case["key"]), &bytes(&case["iv"]), &bytes(&case["aad"]), &sealed);
        Some(opened.is_some_and(|plaintext| plaintext == bytes(&case["msg"])))
    });
}

#[test]
fn ed25519_withstands_wycheproof() {
    wycheproof("wycheproof_ed25519.json", |group, case| {
        let public: [u8; 32] = bytes(&group["publicKey"]["pk"]).try_into().unwrap();
        Some(verify(&public, &bytes(&case["msg"]), &bytes(&case["sig"])).is_ok())
    });
}

#[test]
fn hkdf_sha256_withstands_wycheproof() {
    wycheproof("wycheproof_hkdf_sha256.json", |_, case| {
        let length = case["size"].as_u64().unwrap() as usize;
        let made = hkdf(&bytes(&case["salt"]), &bytes(&case["ikm"]), &bytes(&case["info"]), length);
        Some(made.is_some_and(|made| made == bytes(&case["okm"])))
    });
}
