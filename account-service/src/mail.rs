//! Mail to people: codes and notices, short and plain.
//!
//! Either into files of a directory, for whoever runs a small cloud to read, or through a mail server. With a server,
//! messages wait in a bounded queue and are sent by [`Mailer::deliver`]; nobody at a browser waits for it, so nobody can
//! tell by the time an answer takes whether mail was sent.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use futures_util::StreamExt as _;
use lettre::message::Mailbox;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use macloud_proto::ids::base32;
use macloud_service_kit::random;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// How mail leaves.
#[derive(Clone)]
pub enum MailSettings {
    /// Into files of this directory, readable by their owner only. Made when it is needed.
    Directory(PathBuf),
    /// Through a mail server.
    Server {
        /// `smtps://user:password@host`, or `smtp://user:password@host?tls=required`.
        url: String,
        /// Whom it is from, such as `MA Cloud <no-reply@example.org>`.
        from: String,
    },
}

impl fmt::Debug for MailSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            // The URL may hold a password.
            Self::Server { from, .. } => f.debug_struct("Server").field("from", from).finish_non_exhaustive(),
        }
    }
}

/// How mail leaves, as it is given on the command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct MailArgs {
    /// File with the mail server's URL: smtps://USER:PASSWORD@HOST, or smtp://USER:PASSWORD@HOST?tls=required. Without it, mail
    /// becomes files in `mail` in the data directory.
    #[arg(long, value_name = "FILE", requires = "mail_from")]
    pub mail_server_file: Option<PathBuf>,
    /// Whom mail is from, such as "MA Cloud <no-reply@example.org>".
    #[arg(long, value_name = "ADDRESS")]
    pub mail_from: Option<String>,
}

impl MailArgs {
    /// The settings; files go to `mail` in `data_dir`.
    ///
    /// # Errors
    /// When the file with the URL cannot be read.
    pub fn settings(&self, data_dir: &Path) -> std::io::Result<MailSettings> {
        match (&self.mail_server_file, &self.mail_from) {
            (Some(path), Some(from)) => {
                let url = std::fs::read_to_string(path)?.trim().to_owned();
                Ok(MailSettings::Server { url, from: from.clone() })
            }
            _ => Ok(MailSettings::Directory(data_dir.join("mail"))),
        }
    }
}

/// Why mail cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Not an address.
    #[error("--mail-from must be an address such as \"MA Cloud <no-reply@example.org>\"")]
    From,
    /// Not a mail server's URL, or one without encryption.
    #[error("the mail server's URL must be smtps://USER:PASSWORD@HOST or smtp://USER:PASSWORD@HOST?tls=required")]
    Url,
}

/// Sends mail.
pub(crate) struct Mailer {
    from: Mailbox,
    way: Way,
}

enum Way {
    Directory(PathBuf),
    Server {
        transport: AsyncSmtpTransport<Tokio1Executor>,
        queue: mpsc::Sender<Message>,
        /// Taken by whoever delivers.
        waiting: Mutex<Option<mpsc::Receiver<Message>>>,
    },
}

impl Mailer {
    pub(crate) fn new(settings: &MailSettings) -> Result<Self, MailError> {
        match settings {
            MailSettings::Directory(path) => {
                let from = "MA Cloud <ma-cloud@localhost>".parse().map_err(|_| MailError::From)?;
                Ok(Self { from, way: Way::Directory(path.clone()) })
            }
            MailSettings::Server { url, from } => {
                let encrypted =
                    url.starts_with("smtps://") || url.starts_with("smtp://") && url.ends_with("tls=required");
                if !encrypted {
                    return Err(MailError::Url);
                }
                let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| MailError::Url)?;
                let transport = transport.timeout(Some(SEND_LIMIT)).build();
                let (queue, waiting) = mpsc::channel(QUEUE);
                let way = Way::Server { transport, queue, waiting: Mutex::new(Some(waiting)) };
                Ok(Self { from: from.parse().map_err(|_| MailError::From)?, way })
            }
        }
    }

    /// Whether mail stays on this machine: then people have to be told where.
    pub(crate) const fn writes_files(&self) -> bool {
        matches!(self.way, Way::Directory(_))
    }

    /// Send, or queue. What fails is logged without the address, and whoever asked may ask for another.
    pub(crate) fn send(&self, to: &str, subject: &str, text: &str) {
        let Ok(to) = to.parse::<Address>().map(|to| Mailbox::new(None, to)) else {
            tracing::warn!("an account's address is none that mail can be sent to");
            return;
        };
        let message = Message::builder().from(self.from.clone()).to(to).subject(subject).body(text.to_owned());
        let Ok(message) = message else {
            tracing::error!("a mail could not be put together");
            return;
        };
        match &self.way {
            Way::Directory(path) => {
                if let Err(error) = write(path, &message.formatted()) {
                    tracing::error!(%error, directory = %path.display(), "a mail could not be written");
                }
            }
            Way::Server { queue, .. } => {
                if queue.try_send(message).is_err() {
                    tracing::error!("a mail was dropped: too many wait for the mail server");
                }
            }
        }
    }

    /// Send what is queued, for as long as this is polled. Without a server, there is nothing to do.
    pub(crate) async fn deliver(&self) {
        let Way::Server { transport, waiting, .. } = &self.way else { return std::future::pending().await };
        let taken = waiting.lock().expect("no code panics while holding this lock").take();
        let Some(waiting) = taken else { return std::future::pending().await };
        ReceiverStream::new(waiting).for_each_concurrent(AT_ONCE, |message| deliver_one(transport, message)).await;
    }
}

async fn deliver_one(transport: &AsyncSmtpTransport<Tokio1Executor>, message: Message) {
    for pause in RETRIES {
        match transport.send(message.clone()).await {
            Ok(_) => return,
            // The server's own words may quote the address: only their kind is told.
            Err(error) if error.is_permanent() => {
                tracing::warn!("the mail server refused a mail for good");
                return;
            }
            Err(error) => {
                tracing::warn!(timeout = error.is_timeout(), "the mail server did not take a mail: trying again");
                tokio::time::sleep(pause).await;
            }
        }
    }
    tracing::error!("a mail was given up: the mail server does not take it");
}

fn write(directory: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    builder.create(directory)?;
    let name = format!("{}.eml", base32(&random::bytes::<10>()));
    options.open(directory.join(name))?.write_all(bytes)
}

const SEND_LIMIT: Duration = Duration::from_secs(20);
const AT_ONCE: usize = 4;
/// Some minutes' worth at four at once.
const QUEUE: usize = 256;
const RETRIES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(30)];

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn mail_never_leaves_unencrypted() {
        let server = |url: &str| {
            let from = "MA Cloud <no-reply@example.org>".to_owned();
            Mailer::new(&MailSettings::Server { url: url.into(), from }).map(drop)
        };
        assert!(server("smtps://user:secret@mail.example.org").is_ok());
        assert!(server("smtp://user:secret@mail.example.org?tls=required").is_ok());
        for wrong in
            ["", "smtp://mail.example.org", "smtp://mail.example.org?tls=opportunistic", "https://x", "smtps://"]
        {
            assert!(matches!(server(wrong), Err(MailError::Url)), "{wrong}");
        }
        let settings =
            MailSettings::Server { url: "smtps://user:secret@mail.example.org".into(), from: "nobody".into() };
        assert!(!format!("{settings:?}").contains("secret"));
        assert!(matches!(Mailer::new(&settings), Err(MailError::From)));
    }
}
