//! `peers NAME`: drives one of the systems that carry "caller, server, home, and back" as MA Cloud's relay does. It obeys
//! orders on standard input; see `macloud_loadtest::driver`. What each system is, and what cannot be compared, is in README.md.

mod http;
mod iroh;
mod mosquitto;
mod nats;
mod peer;
mod program;
mod redis;
mod replies;
mod snitun;
mod socket_io;

use macloud_loadtest::driver::serve;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::peer::Checked;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    allow_many_connections()?;
    match std::env::args().nth(1).as_deref() {
        Some("iroh-relay") => serve(Checked::new(iroh::Iroh::start(iroh::Security::Plain).await?)).await,
        Some("iroh-relay-tls") => serve(Checked::new(iroh::Iroh::start(iroh::Security::Tls).await?)).await,
        Some("nats") => serve(Checked::new(nats::Nats::start().await?)).await,
        Some("mosquitto") => serve(Checked::new(mosquitto::Mosquitto::start().await?)).await,
        Some("redis") => serve(Checked::new(redis::Redis::start().await?)).await,
        Some("socket.io") => serve(Checked::new(socket_io::SocketIo::start().await?)).await,
        Some("snitun") => serve(Checked::new(snitun::SniTun::start().await?)).await,
        Some(iroh::SERVE_PLAIN) => iroh::serve_relay(iroh::Security::Plain).await,
        Some(iroh::SERVE_TLS) => iroh::serve_relay(iroh::Security::Tls).await,
        _ => anyhow::bail!("usage: peers iroh-relay|iroh-relay-tls|nats|mosquitto|redis|socket.io|snitun"),
    }
}

/// Both ends of each home's connection are in this process and its children.
fn allow_many_connections() -> anyhow::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
