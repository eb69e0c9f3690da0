//! Who gets in, and what the others are told.

use std::time::Duration;

use macloud_proto::instance_token;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::cloud::{Cloud, Dial, Home, HomeKey, NOW, URL, account_key, prove, until};

#[tokio::test(start_paused = true)]
async fn a_home_with_token_and_proof_is_welcomed() {
    let cloud = Cloud::start().await;
    let home = cloud.home(&HomeKey::new(1)).await;
    assert_eq!(home.welcome.node_id, "relay-1");
    assert_eq!(home.welcome.version, 1);
    assert!(home.welcome.session_epoch >= NOW * 1000);
    assert_eq!(cloud.relay.connected(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_welcomes_nonce_is_good_for_the_next_dial_in() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    let home = cloud.home(&key).await;
    let again = Dial::of(&key, key.token(), Some(&home.welcome.dpop_nonce));
    Home::greet(cloud.dial_with(again).await.unwrap(), 1).await;
}

#[tokio::test(start_paused = true)]
async fn credentials_that_do_not_hold_are_refused() {
    let cloud = Cloud::start().await;
    let (home, other) = (HomeKey::new(1), HomeKey::new(2));
    let nonce = cloud.nonce(&home).await;
    let good = || Dial::of(&home, home.token(), Some(&nonce));
    let signed = |change: fn(&mut instance_token::Claims)| {
        let mut claims = home.claims();
        change(&mut claims);
        let token = instance_token::sign(&account_key(1), "k1", &claims);
        Dial::of(&home, token, Some(&nonce))
    };
    let forged = instance_token::sign(&account_key(9), "k1", &home.claims());
    let elsewhere = prove(&home, "https://evil.example/relay/v1/connect", &home.token(), Some(&nonce));
    let for_another_token = prove(&home, URL, &other.token(), Some(&nonce));
    let cases = [
        ("no token", good().without("authorization"), "invalid_request"),
        ("bearer", good().set("authorization", &format!("Bearer {}", home.token())), "invalid_request"),
        ("no proof", good().without("dpop"), "use_dpop_nonce"),
        ("nonsense proof", good().set("dpop", "x"), "invalid_dpop_proof"),
        ("no nonce", Dial::of(&home, home.token(), None), "use_dpop_nonce"),
        ("made-up nonce", Dial::of(&home, home.token(), Some("n")), "use_dpop_nonce"),
        ("another key's proof", Dial::of(&other, home.token(), Some(&nonce)), "invalid_token"),
        ("another URL", Dial::with_proof(home.token(), elsewhere), "invalid_dpop_proof"),
        ("another token's proof", Dial::with_proof(home.token(), for_another_token), "invalid_dpop_proof"),
        ("nonsense token", Dial::of(&home, "a.b.c".into(), Some(&nonce)), "invalid_token"),
        ("wrong audience", signed(|claims| claims.aud = "alexa".into()), "invalid_token"),
        ("wrong issuer", signed(|claims| claims.iss = "https://other.example".into()), "invalid_token"),
        ("expired", signed(|claims| claims.exp = NOW - 100), "invalid_token"),
        ("lives too long", signed(|claims| claims.exp = NOW + 3_700), "invalid_token"),
        ("from the future", signed(|claims| claims.iat = NOW + 100), "invalid_token"),
        ("forged", Dial::of(&home, forged, Some(&nonce)), "invalid_token"),
    ];
    for (name, dial, error) in cases {
        let refused = cloud.dial_with(dial).await.unwrap_err();
        assert_eq!((refused.status, refused.error.as_str()), (401, error), "{name}");
        assert!(refused.nonce.is_some(), "{name} comes without a nonce");
        assert!(refused.challenge.starts_with("DPoP "), "{name}: {}", refused.challenge);
        if error != "invalid_request" {
            assert!(refused.challenge.contains(&format!("error=\"{error}\"")), "{name}: {}", refused.challenge);
        }
    }
    assert_eq!(cloud.relay.connected(), 0);
    cloud.dial_with(good()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_proof_opens_one_socket_only() {
    let cloud = Cloud::start_with(|config| config.max_dial_ins_per_minute = 2).await;
    let home = HomeKey::new(1);
    let nonce = cloud.nonce(&home).await;
    let dial = Dial::of(&home, home.token(), Some(&nonce));
    cloud.dial_with(dial.clone()).await.unwrap();
    for _ in 0..5 {
        let refused = cloud.dial_with(dial.clone()).await.unwrap_err();
        assert_eq!(refused.error, "invalid_dpop_proof");
    }
    cloud
        .dial_with(Dial::of(&home, home.token(), Some(&nonce)))
        .await
        .expect("repeating it does not keep the home out");
}

#[tokio::test(start_paused = true)]
async fn a_nonce_ages_out_and_a_new_one_comes_with_the_answer() {
    let cloud = Cloud::start().await;
    let home = HomeKey::new(1);
    let old = cloud.nonce(&home).await;
    cloud.clock.advance(Duration::from_secs(240));
    let refused = cloud.dial_with(Dial::of(&home, home.token(), Some(&old))).await.unwrap_err();
    assert_eq!(refused.error, "use_dpop_nonce");
    let nonce = refused.nonce.unwrap();
    cloud.dial_with(Dial::of(&home, home.token(), Some(&nonce))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_id_fetches_the_keys_once() {
    let cloud = Cloud::start().await;
    let home = HomeKey::new(1);
    cloud.home(&home).await;
    let before = cloud.accounts.key_fetches();
    cloud.accounts.publish_keys(&[1, 2]);
    tokio::time::advance(Duration::from_secs(11)).await;
    let token = instance_token::sign(&account_key(2), "k2", &home.claims());
    let nonce = cloud.nonce(&home).await;
    cloud.dial_with(Dial::of(&home, token, Some(&nonce))).await.unwrap();
    assert_eq!(cloud.accounts.key_fetches(), before + 1);
    for number in 0..20 {
        let token = instance_token::sign(&account_key(9), &format!("made-up-{number}"), &home.claims());
        let refused = cloud.dial_with(Dial::of(&home, token, Some(&nonce))).await.unwrap_err();
        assert_eq!(refused.error, "invalid_token");
    }
    assert_eq!(cloud.accounts.key_fetches(), before + 1, "made-up key ids must not load the account service");
}

#[tokio::test(start_paused = true)]
async fn without_keys_a_home_is_asked_to_come_again() {
    let cloud = Cloud::start().await;
    cloud.accounts.set_away(true);
    let home = HomeKey::new(1);
    let nonce = cloud.nonce(&home).await;
    let refused = cloud.dial_with(Dial::of(&home, home.token(), Some(&nonce))).await.unwrap_err();
    assert_eq!((refused.status, refused.error.as_str()), (503, "temporarily_unavailable"));
    assert!(refused.retry_after.is_some());
    cloud.accounts.set_away(false);
    tokio::time::advance(Duration::from_secs(1)).await;
    cloud.home(&home).await;
}

#[tokio::test(start_paused = true)]
async fn known_keys_are_enough_while_the_account_service_is_away() {
    let cloud = Cloud::start().await;
    cloud.home(&HomeKey::new(1)).await;
    cloud.accounts.set_away(true);
    cloud.accounts.break_streams(false);
    cloud.home(&HomeKey::new(2)).await;
}

#[tokio::test(start_paused = true)]
async fn handshakes_and_connections_are_bounded() {
    let cloud = Cloud::start_with(|config| {
        config.max_handshakes = 2;
        config.max_connections = 3;
    })
    .await;
    let dial = async |number| {
        let home = HomeKey::new(number);
        let nonce = cloud.nonce(&HomeKey::new(100)).await;
        cloud.dial_with(Dial::of(&home, home.token(), Some(&nonce))).await
    };
    let nonce = cloud.nonce(&HomeKey::new(100)).await;
    // Two that do not say hello hold both places.
    let (one, two) = (dial(1).await.unwrap(), dial(2).await.unwrap());
    let home = HomeKey::new(3);
    let refused = cloud.dial_with(Dial::of(&home, home.token(), Some(&nonce))).await.unwrap_err();
    assert_eq!((refused.status, refused.error.as_str()), (503, "temporarily_unavailable"));
    assert!((1..=5).contains(&refused.retry_after.unwrap()));
    let _one = Home::greet(one, 1).await;
    let _two = Home::greet(two, 1).await;
    let _three = Home::greet(dial(3).await.unwrap(), 1).await;
    let refused = cloud.dial_with(Dial::of(&home, home.token(), Some(&nonce))).await.unwrap_err();
    assert_eq!(refused.status, 503, "the node is full");
}

#[tokio::test(start_paused = true)]
async fn one_home_cannot_hold_the_places_of_others() {
    let cloud = Cloud::start_with(|config| config.max_handshakes = 6).await;
    let nonce = cloud.nonce(&HomeKey::new(100)).await;
    let dial = async |number| {
        let home = HomeKey::new(number);
        cloud.dial_with(Dial::of(&home, home.token(), Some(&nonce))).await
    };
    // It never says hello, and never closes.
    let mut silent = vec![dial(1).await.unwrap(), dial(1).await.unwrap()];
    for _ in 0..10 {
        let refused = dial(1).await.unwrap_err();
        assert_eq!((refused.status, refused.error.as_str()), (429, "too_many_requests"));
        assert!((1..=5).contains(&refused.retry_after.unwrap()));
    }
    Home::greet(dial(2).await.unwrap(), 1).await;
    // Half are taken: from now on each home gets one.
    silent.push(dial(3).await.unwrap());
    silent.push(dial(4).await.unwrap());
    assert_eq!(dial(4).await.unwrap_err().status, 429);
    Home::greet(dial(5).await.unwrap(), 1).await;
    // Whoever has said hello, or was let go without, may dial again.
    Home::greet(dial(5).await.unwrap(), 1).await;
    for mut socket in silent {
        crate::cloud::goodbye(&mut socket).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    Home::greet(dial(1).await.unwrap(), 1).await;
}

#[tokio::test(start_paused = true)]
async fn one_home_cannot_use_up_the_memory_of_proofs() {
    let cloud = Cloud::start_with(|config| {
        config.max_dial_ins_per_minute = 10;
        config.max_remembered_proofs = 20;
    })
    .await;
    let (greedy, other) = (HomeKey::new(1), HomeKey::new(2));
    for _ in 0..10 {
        cloud.home(&greedy).await;
    }
    for _ in 0..20 {
        let refused = cloud.try_dial(&greedy).await.unwrap_err();
        assert_eq!((refused.status, refused.error.as_str()), (429, "too_many_requests"));
        assert!(refused.retry_after.is_some());
    }
    cloud.home(&other).await;
    tokio::time::advance(Duration::from_secs(6)).await;
    cloud.home(&greedy).await;
}

#[tokio::test(start_paused = true)]
async fn one_network_cannot_hold_every_place() {
    let cloud = Cloud::start_with(|config| {
        config.client_address_header = Some("x-client".into());
        config.max_handshakes_per_network = 2;
    })
    .await;
    let nonce = cloud.nonce(&HomeKey::new(100)).await;
    let dial = async |number, from: &str| {
        let home = HomeKey::new(number);
        cloud.dial_with(Dial::of(&home, home.token(), Some(&nonce)).set("x-client", from)).await
    };
    let _silent = [dial(1, "2001:db8::1").await.unwrap(), dial(2, "2001:db8::2").await.unwrap()];
    let refused = dial(3, "2001:db8::3").await.unwrap_err();
    assert_eq!((refused.status, refused.error.as_str()), (429, "too_many_requests"));
    assert!(refused.nonce.is_none() && refused.retry_after.is_some(), "refused before anything is looked at");
    Home::greet(dial(3, "2001:db8:0:1::3").await.unwrap(), 1).await;
    Home::greet(dial(4, "192.0.2.1").await.unwrap(), 1).await;
    for number in 5..9 {
        // Whoever has been welcomed does not count.
        Home::greet(dial(number, "192.0.2.1").await.unwrap(), 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_home_that_says_nothing_is_let_go_and_its_room_given_back() {
    let cloud = Cloud::start_with(|config| config.max_handshakes = 1).await;
    let home = HomeKey::new(1);
    let nonce = cloud.nonce(&home).await;
    let mut silent = cloud.dial_with(Dial::of(&home, home.token(), Some(&nonce))).await.unwrap();
    let reason = crate::cloud::goodbye(&mut silent).await;
    assert_eq!(reason, macloud_proto::link::GoodbyeReason::Protocol);
    drop(silent);
    tokio::time::sleep(Duration::from_secs(2)).await;
    cloud.home(&home).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_websocket_is_told_so() {
    let cloud = Cloud::start().await;
    let home = HomeKey::new(1);
    let nonce = cloud.nonce(&home).await;
    let good = || Dial::of(&home, home.token(), Some(&nonce));
    let cases = [
        ("no upgrade", good().without("upgrade"), 426),
        ("no connection upgrade", good().set("connection", "keep-alive"), 426),
        ("another version", good().set("sec-websocket-version", "8"), 426),
        ("no key", good().without("sec-websocket-key"), 400),
        ("a short key", good().set("sec-websocket-key", "c2hvcnQ="), 400),
        ("no subprotocol", good().without("sec-websocket-protocol"), 400),
        ("another subprotocol", good().set("sec-websocket-protocol", "chat, mqtt"), 400),
        ("post", good(), 405),
    ];
    for (name, dial, status) in cases {
        let mut connection = cloud.connection();
        let mut raw = dial.raw();
        if name == "post" {
            raw = raw.replacen("GET", "POST", 1);
        }
        connection.write_all(raw.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        connection.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), format!("HTTP/1.1 {status}"), "{name}");
    }
    until(|| cloud.relay.connected() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn two_headers_where_one_belongs_are_refused() {
    let cloud = Cloud::start().await;
    let home = HomeKey::new(1);
    let nonce = cloud.nonce(&home).await;
    let mut dial = Dial::of(&home, home.token(), Some(&nonce));
    dial.headers.push(("authorization", "DPoP other".into()));
    assert_eq!(cloud.dial_with(dial).await.unwrap_err().status, 401);
}

#[tokio::test(start_paused = true)]
async fn old_tls_is_refused_before_anything_is_looked_at() {
    use macloud_service_kit::http::{Peer, Security};
    let cloud = Cloud::start().await;
    let home = HomeKey::new(1);
    let nonce = cloud.nonce(&home).await;
    for (security, refused) in [(Security::Tls12, true), (Security::Tls13, false), (Security::Plain, false)] {
        let request = Dial::of(&home, home.token(), Some(&nonce)).into_request();
        let mut request = request.map(|()| axum::body::Body::empty());
        request.extensions_mut().insert(Peer { addr: ([127, 0, 0, 1], 1).into(), security });
        let answer = tower::ServiceExt::oneshot(cloud.relay.router(), request).await.unwrap();
        assert_eq!(answer.status() == http::StatusCode::FORBIDDEN, refused, "{security:?}");
    }
}
