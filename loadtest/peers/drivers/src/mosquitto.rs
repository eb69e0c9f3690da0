//! mosquitto: MQTT 3.1.1 at QoS 0. Each home is a connection that subscribes to a topic of its own; the caller has one topic
//! for all replies.

use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use macloud_loadtest::driver::Server;
use macloud_loadtest::sample::Outcome;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Packet, QoS};

use crate::peer::{Caller, Peer, each_home};
use crate::program::{Directory, Program, foreign, free_port};
use crate::replies::{Waiting, answer};

pub(crate) struct Mosquitto {
    server: Program,
    port: u16,
}

impl Mosquitto {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let (directory, port) = (Directory::new()?, free_port()?);
        // As root it would become another user, and the kernel would forget that it is to end with this process.
        let configuration = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\npersistence false\n\
             log_dest stderr\nlog_type error\nuser root\n"
        );
        let mut command = foreign("mosquitto", "apt-get install mosquitto")?;
        command.arg("-c").arg(directory.write("mosquitto.conf", &configuration)?);
        Ok(Self { server: Program::listening("mosquitto", command, port, &directory).await?, port })
    }

    /// Connected, and subscribed to a topic.
    async fn client(&self, name: &str, topic: &str) -> anyhow::Result<(AsyncClient, EventLoop)> {
        let mut options = MqttOptions::new(name, Ipv4Addr::LOCALHOST.to_string(), self.port);
        options.set_max_packet_size(MAX_PACKET, MAX_PACKET);
        let (client, mut connection) = AsyncClient::new(options, QUEUE);
        // Off by default, which adds tens of milliseconds to much of what it measures.
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        connection.set_network_options(network);
        client.subscribe(topic, QoS::AtMostOnce).await?;
        while !matches!(connection.poll().await?, Event::Incoming(Packet::SubAck(_))) {}
        Ok((client, connection))
    }

    async fn connect_home(&self, home: usize) -> anyhow::Result<()> {
        let (client, connection) = self.client(&format!("home-{home}"), &topic(home)).await?;
        let obey = move |command: Bytes| {
            if let Some(reply) = answer(home, &command)
                && client.try_publish(REPLIES, QoS::AtMostOnce, false, reply).is_err()
            {
                eprintln!("home {home} has lost a reply: its client's queue is full");
            }
        };
        tokio::spawn(receive(connection, obey));
        Ok(())
    }
}

impl Peer for Mosquitto {
    type Caller = MosquittoCaller;

    async fn connect(&self, homes: usize) -> anyhow::Result<MosquittoCaller> {
        each_home(homes, |home| self.connect_home(home)).await?;
        let (client, connection) = self.client("caller", REPLIES).await?;
        let waiting = Arc::new(Waiting::default());
        let replies = waiting.clone();
        tokio::spawn(receive(connection, move |reply| replies.arrived(reply)));
        Ok(MosquittoCaller { client, waiting })
    }

    fn servers(&self) -> Vec<Server> {
        vec![self.server.server()]
    }
}

/// Drive a connection; hand over what is published to it.
async fn receive(mut connection: EventLoop, take: impl Fn(Bytes)) {
    loop {
        match connection.poll().await {
            Ok(Event::Incoming(Packet::Publish(publish))) => take(publish.payload),
            Ok(_) => {}
            Err(error) => return eprintln!("a connection has ended: {error}"),
        }
    }
}

/// One connection.
pub(crate) struct MosquittoCaller {
    client: AsyncClient,
    waiting: Arc<Waiting>,
}

impl Caller for MosquittoCaller {
    async fn ask(&self, home: usize, command: Bytes) -> Result<Bytes, Outcome> {
        let (message, reply) = self.waiting.add(&command);
        let sent = self.client.publish_bytes(topic(home), QoS::AtMostOnce, false, message.into()).await;
        sent.map_err(|_| Outcome::Refused("not connected".into()))?;
        reply.come().await
    }
}

fn topic(home: usize) -> String {
    format!("homes/{home}")
}

const REPLIES: &str = "replies";
/// Messages that wait in a client.
const QUEUE: usize = 4096;
/// The client's own limit is 10 KiB.
const MAX_PACKET: usize = 1024 * 1024;
