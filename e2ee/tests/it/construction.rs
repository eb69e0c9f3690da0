//! The construction as a second implementer would see it: `tests/vectors/sealed-session.json` holds a whole session with
//! fixed randomness. One test makes it again and compares; the other reads it with nothing but the libraries, following
//! `docs/PROTOCOL.md`, so that the document and the code cannot drift apart unnoticed.
//!
//! After a deliberate change of the format (which needs a new version): `MACLOUD_WRITE_VECTORS=1 cargo test -p macloud-e2ee`.

use std::collections::BTreeMap;
use std::time::Duration;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem as _, OpModeR, Serializable as _, setup_receiver};
use macloud_e2ee::skill::Answer;
use macloud_e2ee::vocabulary::{Action, MediaKind, MediaQuery, Placement, Refusal, Reply};
use macloud_proto::ids::InstanceId;
use macloud_proto::jose::{SigningKey, verify};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::support::{BOTH, Ends, SIX_SECONDS, command_id, done, hex, on_kitchen, pause, unhex, vectors};

type Vector = BTreeMap<String, String>;

const FILE: &str = "sealed-session.json";

const ABOUT: &str = "A sealed session of MA Cloud, version 1, as docs/PROTOCOL.md describes it. All values in hex. Seeds are \
                     of Ed25519 keys; the pre-key pair is DeriveKeyPair of HPKE's X-Wing; encapsulation randomness \
                     is what X-Wing calls eseed.";

#[test]
fn our_vectors_are_what_the_code_makes() {
    let made = make();
    if std::env::var_os("MACLOUD_WRITE_VECTORS").is_some() {
        std::fs::write(vectors(FILE), serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    assert_eq!(made, read());
}

fn read() -> Vector {
    serde_json::from_str(&std::fs::read_to_string(vectors(FILE)).unwrap()).unwrap()
}

fn make() -> Vector {
    let mut vector = Vector::from([("00 about".to_owned(), ABOUT.to_owned())]);
    let mut put = |name: &str, bytes: &[u8]| {
        assert!(vector.insert(name.to_owned(), hex(bytes)).is_none());
    };
    let mut ends = Ends::seeded(42);
    put("01 instance id (ASCII)", ends.instance.as_str().as_bytes());
    put("02 identity seed", &[142; 32]);
    put("03 root seed", &[2; 32]);
    put("04 skill seed", &[3; 32]);
    put("05 signed key set", &ends.home.skill_keys().to_bytes());
    let mut random = crate::support::Seeded { seed: 42, counter: 0 };
    let mut draw = |length: usize| {
        let mut out = vec![0; length];
        macloud_proto::random::Random::fill(&mut random, &mut out);
        out
    };
    put("06 pre-key epoch", &draw(8));
    put("07 pre-key ikm (DeriveKeyPair)", &draw(32));
    put("08 session id", &draw(16));
    put("09 encapsulation randomness", &draw(64));
    let pre_key = ends.pre_key();
    put("10 signed pre-key", &pre_key);
    ends.wait(Duration::from_millis(15));
    let session = ends.establish_to(&pre_key);

    let (artist, kind) = (Some("Miles Davis".into()), Some(MediaKind::Album));
    let media = MediaQuery { text: "Kind of Blue".into(), artist, kind, sure: false };
    let play = on_kitchen(Action::Play { media, placement: Placement::Replace });
    let (sealed, opener) = session.seal(command_id(0xc1), &play, BOTH, SIX_SECONDS, ends.skill_now()).unwrap();
    put("11 first command id", command_id(0xc1).as_bytes());
    put("12 first sealed command", &sealed);
    ends.wait(Duration::from_millis(20));
    let opened = ends.open(0xc1, &sealed).unwrap();
    assert_eq!(opened.command, Ok(play));
    let reply = opened.reply.seal(&done(), ends.home_now());
    put("13 first sealed reply", &reply);
    ends.wait(Duration::from_millis(18));
    assert_eq!(opener.open(&reply, ends.skill_now()), Ok(Answer::Reply(done())));

    let (sealed, opener) = session.seal(command_id(0xc2), &pause(), BOTH, SIX_SECONDS, ends.skill_now()).unwrap();
    put("14 later command id", command_id(0xc2).as_bytes());
    put("15 later sealed command", &sealed);
    let opened = ends.open(0xc2, &sealed).unwrap();
    let refused = Reply::Refused(Refusal::PlayerUnavailable("Kitchen".into()));
    let reply = opened.reply.seal(&refused, ends.home_now());
    put("16 later sealed reply", &reply);
    assert_eq!(opener.open(&reply, ends.skill_now()), Ok(Answer::Reply(refused)));

    let (sealed, _) = session.seal(command_id(0xc3), &pause(), BOTH, SIX_SECONDS, ends.skill_now()).unwrap();
    ends.restart_home();
    put("17 lost command id", command_id(0xc3).as_bytes());
    put("18 lost sealed command", &sealed);
    put("19 set up again", &ends.open(0xc3, &sealed).unwrap_err().answer.unwrap());
    vector
}

#[test]
fn our_vectors_read_by_the_document() {
    let vector = read();
    let field = |prefix: &str| {
        let (_, value) = vector.iter().find(|(name, _)| name.starts_with(prefix)).unwrap();
        unhex(value)
    };
    let instance = field("01");
    assert_eq!(std::str::from_utf8(&instance).unwrap().parse::<InstanceId>().unwrap().as_str().len(), 26);
    let public_of = |name: &str| *SigningKey::from_seed(&field(name).try_into().unwrap()).public();
    let (identity, root, skill) = (public_of("02"), public_of("03"), public_of("04"));

    let set = field("05");
    assert_eq!(set[..2], [1, 6]);
    assert_eq!(set[2..34], root);
    assert_eq!(number(&set[34..42]), 1, "version");
    assert_eq!(set[42], 1, "one key");
    let key_id = &set[43..51];
    assert_eq!(set[51..83], skill);
    assert_eq!(number(&set[83..91]), 0, "no end");
    check(&root, &[b"macloud/e2ee/1 key set\0", &set[..91]], &set[91..155]);
    assert_eq!(set.len(), 155);

    let pre_key = field("10");
    assert_eq!(pre_key[..2], [1, 5]);
    let epoch = &pre_key[2..10];
    assert_eq!(epoch, field("06"));
    let reading = &pre_key[10..18];
    let (private, public) = XWing::derive_keypair(&field("07"));
    assert_eq!(pre_key[18..1234], *public.to_bytes().as_slice());
    check(&identity, &[b"macloud/e2ee/1 pre-key\0", &instance, &pre_key[..1234]], &pre_key[1234..1298]);

    let first = field("12");
    assert_eq!(first[..2], [1, 2]);
    let session = &first[2..18];
    assert_eq!(session, field("08"));
    assert_eq!(number(&first[18..26]), 0, "sequence");
    assert_eq!(number(&first[26..34]), number(reading) + 6000, "deadline");
    assert_eq!(&first[34..42], key_id);
    assert_eq!(&first[42..50], epoch);
    assert_eq!(&first[50..58], reading);
    let encapsulated = &first[58..1178];
    let terms: [&[u8]; 7] = [&instance, &identity, &skill, key_id, epoch, session, reading];
    let terms = terms.concat();
    check(&skill, &[b"macloud/e2ee/1 setup signature\0", &terms, encapsulated], &first[1178..1242]);

    let info = [b"macloud/e2ee/1 setup\0", &terms[..]].concat();
    let encapsulated = <XWing as hpke::Kem>::EncappedKey::from_bytes(encapsulated).unwrap();
    let context =
        setup_receiver::<ChaCha20Poly1305, HkdfSha256, XWing>(&OpModeR::Base, &private, &encapsulated, &info).unwrap();
    let (mut command_key, mut reply_key) = ([0; 32], [0; 32]);
    context.export(b"macloud/e2ee/1 command key", &mut command_key).unwrap();
    context.export(b"macloud/e2ee/1 reply key", &mut reply_key).unwrap();

    let command = |name: &str, sealed: &[u8], sequence: u64, clear: usize| {
        let aad = [b"macloud/e2ee/1 command\0", &instance[..], &field(name), &sealed[..clear]].concat();
        open(&command_key, sequence, &aad, &sealed[clear..])
    };
    let reply = |name: &str, sealed: &[u8], sequence: u64| {
        assert_eq!(sealed[..2], [1, 3]);
        let at = sequence.to_be_bytes();
        let aad = [b"macloud/e2ee/1 reply\0", &instance[..], &field(name), session, &at, &[1, 3]].concat();
        open(&reply_key, sequence, &aad, &sealed[2..])
    };
    let body = command("11", &first, 0, 1242);
    assert_eq!(hex(&body[..4]), "08011001", "both scopes");
    assert!(body.windows(12).any(|window| window == b"Kind of Blue"));
    let body = reply("11", &field("13"), 0);
    assert!(body.windows(7).any(|window| window == b"Kitchen"));

    let later = field("15");
    assert_eq!(later[..2], [1, 1]);
    assert_eq!((&later[2..18], number(&later[18..26]), later.len()), (session, 1, 34 + 256 + 16));
    command("14", &later, 1, 34);
    assert!(reply("14", &field("16"), 1).windows(7).any(|window| window == b"Kitchen"));

    let (lost, again) = (field("18"), field("19"));
    assert_eq!(again[..2], [1, 4]);
    let signed = [b"macloud/e2ee/1 set up again\0", &instance[..], &field("17"), &lost[2..26], &again[2..1300]];
    check(&identity, &signed, &again[1300..1364]);
    assert_eq!(again.len(), 1364);
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().unwrap())
}

fn check(public: &[u8; 32], message: &[&[u8]], signature: &[u8]) {
    verify(public, &message.concat(), signature).unwrap();
}

/// The body inside of `sealed`.
fn open(key: &[u8; 32], sequence: u64, aad: &[u8], sealed: &[u8]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).unwrap());
    let nonce = [&[0; 4][..], &sequence.to_be_bytes()].concat();
    let mut buffer = sealed.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(&nonce).unwrap();
    let padded = key.open_in_place(nonce, Aad::from(aad), &mut buffer).unwrap();
    assert_eq!(padded.len(), 256);
    let length = usize::from(u16::from_be_bytes([padded[0], padded[1]]));
    assert!(padded[2 + length..].iter().all(|byte| *byte == 0));
    padded[2..2 + length].to_vec()
}

#[test]
fn the_document_shows_the_bytes_of_our_vectors() {
    let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PROTOCOL.md");
    let document = std::fs::read_to_string(document).unwrap();
    let vector = read();
    let mut shown = 0;
    for excerpt in document.split("<!-- vector ").skip(1) {
        let (name, rest) = excerpt.split_once(" -->\n```\n").unwrap();
        let (lines, _) = rest.split_once("\n```").unwrap();
        let (_, bytes) = vector.iter().find(|(vector, _)| vector.starts_with(name)).unwrap();
        for line in lines.lines() {
            let mut words = line.split_whitespace();
            let at: usize = words.next().unwrap().parse().unwrap();
            let field = words.next().unwrap().trim_end_matches('…');
            assert!(field.len() >= 2 && bytes[2 * at..].starts_with(field), "vector {name}: {line}");
            shown += 1;
        }
    }
    assert_eq!(shown, 39);
}
