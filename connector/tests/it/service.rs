//! The program as a service of systemd: it tells that it goes on.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use macloud_connector::state::{Pairing, StateDir};
use macloud_e2ee::keys::{KeySetRoot, PinnedKeySet, SkillSigner};

use crate::cloud::instance;
use crate::music_assistant::tempdir;
use crate::scripted::PATIENCE;

#[test]
fn the_service_manager_hears_that_the_connector_goes_on_whether_anybody_else_is_there_or_not() {
    let state_dir = tempdir("service");
    let state = StateDir::open(&state_dir).unwrap();
    state.identity().unwrap();
    let nobody: url::Url = "http://127.0.0.1:9/".parse().unwrap();
    let pairing = Pairing {
        cloud: nobody.clone(),
        instance_id: instance(),
        home_name: "Home".into(),
        relay_url: "ws://127.0.0.1:9/relay".parse().unwrap(),
    };
    let signed = KeySetRoot::from_seed(&[1; 32]).sign_key_set(1, &[SkillSigner::from_seed(&[2; 32]).public_key(0)]);
    state.save_pairing(&pairing, &PinnedKeySet::pin(&signed.unwrap()).unwrap()).unwrap();
    let address = state_dir.join("notify");
    let manager = UnixDatagram::bind(&address).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ma-connector"))
        .args(["run", "--ma-url", nobody.as_str(), "--state-dir"])
        .arg(&state_dir)
        .env("NOTIFY_SOCKET", &address)
        .env("WATCHDOG_USEC", Duration::from_millis(300).as_micros().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let hear = || {
        let mut bytes = [0; 64];
        let count = manager.recv(&mut bytes).expect("nothing is told");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    assert_eq!(hear(), "READY=1");
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_dir_all(state_dir).unwrap();
}
