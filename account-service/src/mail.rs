//! Mail to people: codes and notices, short and plain.
//!
//! Either into files of a directory, for whoever runs a small cloud to read, or through a mail server. With a server,
//! messages wait in a bounded queue and are sent by [`Mailer::deliver`]; nobody at a browser waits for it, so nobody can
//! tell by the time an answer takes whether mail was sent. What the server does not take at the moment is tried again for
//! some minutes. The queue is memory: a stop sends what waits for its first try, and a crash loses it. Every mail is a
//! code or a notice; who waits for a code asks for another.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message};
use macloud_proto::ids::base32;
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::stop::Stop;
use macloud_service_kit::{random, tls};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use url::Url;

use crate::metrics::Mails;

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
    pub fn settings(&self, data_dir: &Path) -> Result<MailSettings, MailError> {
        match (&self.mail_server_file, &self.mail_from) {
            (Some(path), Some(from)) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|source| MailError::File { path: path.clone(), source })?;
                let url = text.trim().to_owned();
                Ok(MailSettings::Server { url, from: from.clone() })
            }
            _ => Ok(MailSettings::Directory(data_dir.join("mail"))),
        }
    }
}

/// Why mail cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The file with the mail server's URL cannot be read.
    #[error("cannot read --mail-server-file {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not an address.
    #[error("--mail-from must be an address such as \"MA Cloud <no-reply@example.org>\"")]
    From,
    /// Not a mail server's URL, or one without encryption.
    #[error("the mail server's URL must be smtps://USER:PASSWORD@HOST or smtp://USER:PASSWORD@HOST?tls=required")]
    Url,
    /// Nobody can be written to there.
    #[error("that is not an address that mail can be sent to")]
    To,
    /// A trial mail did not leave.
    #[error("{0}")]
    Trial(String),
}

/// Sends mail.
pub(crate) struct Mailer {
    from: Mailbox,
    way: Way,
    clock: SharedClock,
    mails: Mails,
}

/// Send a mail to `to` now, the way that `settings` say: where it went.
///
/// # Errors
/// With what is wrong, as far as it can be told.
pub async fn try_mail(settings: &MailSettings, to: &str, clock: SharedClock) -> Result<String, MailError> {
    let mailer = Mailer::new(settings, clock)?;
    let message =
        mailer.message(to, "MA Cloud can send mail", "This is a trial mail, sent by whoever runs this MA Cloud.\n");
    let message = message.ok_or(MailError::To)?;
    match &mailer.way {
        Way::Directory(path) => match write(path, &message.formatted(), mailer.clock.unix_seconds()) {
            Ok(file) => Ok(file.display().to_string()),
            Err(error) => Err(MailError::Trial(format!("cannot write into {}: {error}", path.display()))),
        },
        Way::Server { transport, server, .. } => match transport.send(&message).await {
            Ok(()) => Ok(server.to_string()),
            Err(error) => Err(MailError::Trial(format!("{server}: {}", trouble(&error)))),
        },
    }
}

enum Way {
    Directory(PathBuf),
    Server {
        transport: Box<MailServer>,
        /// Its name and port, for the log.
        server: Arc<str>,
        queue: mpsc::Sender<Message>,
        /// Taken by whoever delivers.
        waiting: Mutex<Option<mpsc::Receiver<Message>>>,
    },
}

impl Mailer {
    pub(crate) fn new(settings: &MailSettings, clock: SharedClock) -> Result<Self, MailError> {
        match settings {
            MailSettings::Directory(path) => {
                let from = "MA Cloud <ma-cloud@localhost>".parse().map_err(|_| MailError::From)?;
                Ok(Self { from, way: Way::Directory(path.clone()), clock, mails: Mails::new() })
            }
            MailSettings::Server { url, from } => {
                let encrypted =
                    url.starts_with("smtps://") || url.starts_with("smtp://") && url.ends_with("tls=required");
                if !encrypted {
                    return Err(MailError::Url);
                }
                let transport = Box::new(MailServer::from_url(url).ok_or(MailError::Url)?);
                let (queue, waiting) = mpsc::channel(QUEUE);
                let way = Way::Server { transport, server: server_of(url), queue, waiting: Mutex::new(Some(waiting)) };
                Ok(Self { from: from.parse().map_err(|_| MailError::From)?, way, clock, mails: Mails::new() })
            }
        }
    }

    /// Whether mail stays on this machine: then people have to be told where.
    pub(crate) const fn writes_files(&self) -> bool {
        matches!(self.way, Way::Directory(_))
    }

    /// Whether mail reaches people by itself.
    pub(crate) fn has_server(&self) -> bool {
        matches!(self.way, Way::Server { .. })
    }

    /// Send, or queue. What fails is logged without the address, and whoever asked may ask for another.
    pub(crate) fn send(&self, to: &str, subject: &str, text: &str) {
        let Some(message) = self.message(to, subject, text) else { return };
        match &self.way {
            Way::Directory(path) => match write(path, &message.formatted(), self.clock.unix_seconds()) {
                Ok(file) => {
                    self.mails.count("written", 1);
                    tracing::info!(file = %file.display(), "a mail waits here to be passed on");
                }
                Err(error) => {
                    self.mails.count("lost", 1);
                    tracing::error!(%error, directory = %path.display(), "a mail could not be written");
                }
            },
            Way::Server { queue, .. } => {
                if queue.try_send(message).is_err() {
                    self.mails.count("dropped", 1);
                    tracing::error!("a mail was dropped: too many wait for the mail server");
                }
            }
        }
    }

    /// None, and a word in the log, where this cannot be a mail.
    fn message(&self, to: &str, subject: &str, text: &str) -> Option<Message> {
        let Ok(to) = to.parse::<Address>().map(|to| Mailbox::new(None, to)) else {
            tracing::warn!("an account's address is none that mail can be sent to");
            return None;
        };
        let message = Message::builder().from(self.from.clone()).to(to).subject(subject).body(text.to_owned());
        if message.is_err() {
            tracing::error!("a mail could not be put together");
        }
        message.ok()
    }

    /// Send what is queued until a soft stop, and then what still waits for its first try. Without a server, there is
    /// nothing to do.
    pub(crate) async fn deliver(&self, stop: &Stop) {
        let Way::Server { transport, server, waiting, .. } = &self.way else { return };
        let taken = waiting.lock().expect("no code panics while holding this lock").take();
        let Some(mut waiting) = taken else { return };
        let mut office = PostOffice::new(transport, server, self.mails.clone());
        tokio::select! {
            () = stop.soft() => {}
            // Whoever runs this is there to read it now, not when the first person waits for a code.
            ((), ()) = async { tokio::join!(meet(transport, server), office.work(&mut waiting, &RETRIES)) } => {}
        }
        // What nobody has asked for yet is refused from here on, and what was asked for goes out.
        waiting.close();
        if tokio::time::timeout(LAST_ROUND, office.work(&mut waiting, &[])).await.is_err() {
            self.mails.count("lost", office.sending.len() + waiting.len());
            tracing::error!("mail was lost: the mail server did not take it before the stop");
        }
        let given_up = office.later.len();
        self.mails.count("lost", given_up);
        if given_up > 0 {
            tracing::error!(given_up, "mail was lost that the mail server had not taken before the stop");
        }
    }
}

type Sending<'a> = Pin<Box<dyn Future<Output = Option<Letter>> + Send + 'a>>;
type Later = Pin<Box<dyn Future<Output = Letter> + Send>>;

/// A message and how often it was tried.
struct Letter {
    message: Message,
    tries: usize,
}

/// What is on its way, and what is to be tried again: that blocks nobody else's mail.
struct PostOffice<'a> {
    transport: &'a MailServer,
    server: &'a str,
    mails: Mails,
    sending: FuturesUnordered<Sending<'a>>,
    later: FuturesUnordered<Later>,
}

impl<'a> PostOffice<'a> {
    fn new(transport: &'a MailServer, server: &'a str, mails: Mails) -> Self {
        Self { transport, server, mails, sending: FuturesUnordered::new(), later: FuturesUnordered::new() }
    }

    /// Send what comes until the queue is closed and empty. `pauses` lie between the tries.
    async fn work(&mut self, waiting: &mut mpsc::Receiver<Message>, pauses: &[Duration]) {
        let mut open = true;
        while open || !self.sending.is_empty() || !self.later.is_empty() && !pauses.is_empty() {
            let free = self.sending.len() < AT_ONCE;
            // Each arm can be dropped at any time: a receiver and two sets of futures lose nothing by it.
            tokio::select! {
                Some(outcome) = self.sending.next() => {
                    if let Some(letter) = outcome {
                        self.put_aside(letter, pauses);
                    }
                }
                Some(letter) = self.later.next(), if free && !pauses.is_empty() => self.send(letter),
                message = waiting.recv(), if free && open => match message {
                    Some(message) => self.send(Letter { message, tries: 0 }),
                    None => open = false,
                },
            }
        }
    }

    fn send(&mut self, letter: Letter) {
        self.sending.push(Box::pin(try_once(self.transport, self.server, self.mails.clone(), letter)));
    }

    fn put_aside(&mut self, letter: Letter, pauses: &[Duration]) {
        match pauses.get(letter.tries - 1) {
            Some(pause) if self.later.len() < QUEUE => {
                let wake = tokio::time::sleep(*pause);
                self.later.push(Box::pin(async move {
                    wake.await;
                    letter
                }));
            }
            Some(_) | None => {
                self.mails.count("given_up", 1);
                tracing::error!(tries = letter.tries, "a mail was given up: the mail server does not take it");
            }
        }
    }
}

/// The letter comes back when it is to be tried again.
async fn try_once(transport: &MailServer, server: &str, mails: Mails, letter: Letter) -> Option<Letter> {
    match transport.send(&letter.message).await {
        Ok(()) => {
            mails.count("sent", 1);
            None
        }
        Err(error) if error.is_permanent() => {
            mails.count("refused", 1);
            tracing::warn!(server, why = trouble(&error), "the mail server refused a mail for good");
            None
        }
        Err(error) => {
            mails.count("put_off", 1);
            tracing::warn!(server, why = trouble(&error), "the mail server did not take a mail: it is tried again");
            Some(Letter { tries: letter.tries + 1, ..letter })
        }
    }
}

/// Whether the mail server would take mail, for the log of the start.
async fn meet(transport: &MailServer, server: &str) {
    match transport.test_connection().await {
        Ok(true) => tracing::info!(server, "the mail server answers"),
        Ok(false) => tracing::warn!(server, "the mail server does not take mail"),
        Err(error) => {
            tracing::error!(
                server,
                why = trouble(&error),
                "the mail server cannot be used: nobody gets mail until it can"
            );
        }
    }
}

/// A mail server, and how to speak with it. Each mail has a connection of its own; what the server says on it is bounded in
/// bytes and in time, as one that never ends a line would fill the memory otherwise.
#[derive(Clone)]
struct MailServer {
    host: String,
    port: u16,
    protection: Protection,
    hello: ClientId,
    credentials: Option<Credentials>,
}

#[derive(Clone)]
enum Protection {
    FromTheStart,
    /// STARTTLS, or nothing is said.
    Upgraded(Box<TlsParameters>),
    #[cfg(test)]
    Nothing,
}

impl MailServer {
    fn from_url(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return None;
        }
        let is_upgraded = url.query_pairs().any(|(name, value)| name == "tls" && value == "required");
        let (port, protection) = match url.scheme() {
            "smtps" => (465, Protection::FromTheStart),
            "smtp" if is_upgraded => (587, Protection::Upgraded(Box::new(TlsParameters::new(host.clone()).ok()?))),
            _ => return None,
        };
        let name = url.path().trim_matches('/');
        let hello = if name.is_empty() { ClientId::default() } else { ClientId::Domain(name.to_owned()) };
        let credentials =
            url.password().map(|password| Credentials::new(percent_decoded(url.username()), percent_decoded(password)));
        Some(Self { host, port: url.port().unwrap_or(port), protection, hello, credentials })
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let sending = async {
            let mut connection = self.connect().await?;
            connection.send(message.envelope(), &message.formatted()).await?;
            // It is taken: what the server says to the goodbye changes nothing.
            let _ = tokio::time::timeout(GOODBYE_LIMIT, connection.abort()).await;
            Ok::<_, Failure>(())
        };
        tokio::time::timeout(SEND_LIMIT, Box::pin(sending)).await.unwrap_or(Err(Failure::Late))
    }

    async fn test_connection(&self) -> Result<bool, Failure> {
        let testing = async {
            let mut connection = self.connect().await?;
            let is_connected = connection.test_connected().await;
            connection.abort().await;
            Ok::<_, Failure>(is_connected)
        };
        tokio::time::timeout(SEND_LIMIT, Box::pin(testing)).await.unwrap_or(Err(Failure::Late))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let tcp = self.reach().await?;
        let peer = tcp.peer_addr()?;
        let stream: Box<dyn AsyncTokioStream> = match &self.protection {
            Protection::FromTheStart => {
                Box::new(Bounded { stream: tls::connect(&self.host, tcp).await?, peer, left: SAID_LIMIT })
            }
            _ => Box::new(Bounded { stream: tcp, peer, left: SAID_LIMIT }),
        };
        let mut connection = AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await?;
        if let Protection::Upgraded(parameters) = &self.protection {
            connection.starttls(TlsParameters::clone(parameters), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    /// One address after the other, so that one that is silent does not use up all the time.
    async fn reach(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in tokio::net::lookup_host((self.host.as_str(), self.port)).await? {
            match tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }
}

/// Part of a URL as it was meant.
fn percent_decoded(part: &str) -> String {
    // What forms write differently from URLs stays as it is.
    let form = part.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(form.as_bytes()).next().map(|(text, _)| text.into_owned()).unwrap_or_default()
}

/// A stream that ends when the other side has said too much.
#[derive(Debug)]
struct Bounded<S> {
    stream: S,
    peer: std::net::SocketAddr,
    /// Bytes that may still come.
    left: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        match self.left.checked_sub(buffer.filled().len() - before) {
            Some(left) => {
                self.left = left;
                read
            }
            None => Poll::Ready(Err(io::Error::other("the mail server says too much"))),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin + fmt::Debug> AsyncTokioStream for Bounded<S> {
    fn peer_addr(&self) -> io::Result<std::net::SocketAddr> {
        Ok(self.peer)
    }
}

/// Why a mail did not leave.
#[derive(Debug)]
enum Failure {
    Smtp(lettre::transport::smtp::Error),
    Connection(io::Error),
    Late,
}

impl Failure {
    fn is_permanent(&self) -> bool {
        matches!(self, Self::Smtp(error) if error.is_permanent())
    }
}

impl From<lettre::transport::smtp::Error> for Failure {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        Self::Smtp(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Connection(error)
    }
}

/// What kind of trouble this is. The server's own words may quote an address: only its number is told.
fn trouble(failure: &Failure) -> String {
    let error = match failure {
        Failure::Late => return "no answer in time".into(),
        Failure::Connection(error) => return broken(error),
        Failure::Smtp(error) => error,
    };
    if error.is_timeout() {
        return "no answer in time".into();
    }
    if let Some(code) = error.status() {
        let code = u16::from(code);
        return match code {
            530 | 534 | 535 | 538 => format!("it refuses the sign-in ({code}): look at user and password"),
            400..=499 => format!("it refuses for now ({code})"),
            _ => format!("it refuses ({code})"),
        };
    }
    let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let connection = causes.find_map(|cause| cause.downcast_ref::<io::Error>());
    match connection {
        Some(error) => broken(error),
        None if error.is_tls() => "the encrypted connection fails: look at host name and certificate".into(),
        None => "it does not speak as a mail server does: look at host, port and smtps:// or smtp://".into(),
    }
}

fn broken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "no answer in time".into(),
        // What the TLS library says comes wrapped like this.
        io::ErrorKind::InvalidData => format!("the encrypted connection fails: {error}"),
        _ => format!("no connection: {error}"),
    }
}

/// Name and port of a mail server, without what is secret in its URL.
fn server_of(url: &str) -> Arc<str> {
    let Ok(url) = Url::parse(url) else { return "".into() };
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.into(), |port| format!("{host}:{port}").into())
}

/// As a file whose name begins with the time, so that a list of them is in order.
fn write(directory: &Path, bytes: &[u8], now: u64) -> io::Result<PathBuf> {
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
    let format = time::macros::format_description!("[year]-[month]-[day]T[hour][minute][second]Z");
    let time = i64::try_from(now).ok().and_then(|now| time::OffsetDateTime::from_unix_timestamp(now).ok());
    let time = time.and_then(|time| time.format(format).ok()).unwrap_or_default();
    let path = directory.join(format!("{time}-{}.eml", base32(&random::bytes::<5>())));
    options.open(&path)?.write_all(bytes)?;
    Ok(path)
}

/// For a whole try, from the server's name to its last word.
const SEND_LIMIT: Duration = Duration::from_secs(30);
/// For each of the server's addresses.
const CONNECT_LIMIT: Duration = Duration::from_secs(8);
const GOODBYE_LIMIT: Duration = Duration::from_secs(2);
/// What a mail server may say on a connection: its longest answers are a few KiB.
const SAID_LIMIT: usize = 256 * 1024;
const AT_ONCE: usize = 4;
/// Some minutes' worth at four at once.
const QUEUE: usize = 256;
/// As long as the code in the mail is good. Servers that greylist want a minute or five.
const RETRIES: [Duration; 5] = [
    Duration::from_secs(2),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(180),
    Duration::from_secs(360),
];
/// A stop waits this long for the mail server.
const LAST_ROUND: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    /// A mail server that answers the recipient of each mail in turn with one of these, and counts what it took.
    async fn mail_server(answers: &'static [&'static str]) -> (u16, mpsc::UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (took, taken) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut answers = answers.iter();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                write.write_all(b"220 here\r\n").await.unwrap();
                let mut data = false;
                while let Ok(Some(line)) = lines.next_line().await {
                    let answer = match line.split(' ').next().unwrap_or_default() {
                        "." if data => {
                            data = false;
                            "250 taken"
                        }
                        _ if data => {
                            if let Some(subject) = line.strip_prefix("Subject: ") {
                                took.send(subject.to_owned()).unwrap();
                            }
                            continue;
                        }
                        "RCPT" => answers.next().copied().unwrap_or("250 fine"),
                        "DATA" => {
                            data = true;
                            "354 go on"
                        }
                        _ => "250 fine",
                    };
                    if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                        break;
                    }
                }
            }
        });
        (port, taken)
    }

    fn mailer(port: u16) -> (Mailer, MailServer) {
        let transport = MailServer {
            host: "127.0.0.1".into(),
            port,
            protection: Protection::Nothing,
            hello: ClientId::Domain("here".into()),
            credentials: None,
        };
        let (queue, waiting) = mpsc::channel(QUEUE);
        let server = format!("127.0.0.1:{port}").into();
        let way =
            Way::Server { transport: Box::new(transport.clone()), server, queue, waiting: Mutex::new(Some(waiting)) };
        let clock = macloud_service_kit::clock::system();
        (Mailer { from: "cloud@example.org".parse().unwrap(), way, clock, mails: Mails::new() }, transport)
    }

    fn queue_of(mailer: &Mailer) -> mpsc::Receiver<Message> {
        let Way::Server { waiting, .. } = &mailer.way else { panic!("a server") };
        waiting.lock().unwrap().take().unwrap()
    }

    #[tokio::test]
    async fn what_is_refused_for_now_is_tried_again_and_what_is_refused_for_good_is_not() {
        let (port, mut taken) = mail_server(&["451 greylisted", "550 nobody", "450 later", "250 fine"]).await;
        let (mailer, transport) = mailer(port);
        let mut waiting = queue_of(&mailer);
        mailer.send("ada@example.org", "greylisted", "x");
        let mut office = PostOffice::new(&transport, "", Mails::new());
        let pauses = [Duration::ZERO; 3];
        let first = tokio::select! {
            () = office.work(&mut waiting, &pauses) => panic!("the queue is open"),
            first = async {
                // The second of the answers is for this one.
                mailer.send("eve@example.org", "refused", "x");
                taken.recv().await
            } => first,
        };
        assert_eq!(first.as_deref(), Some("greylisted"));
        waiting.close();
        office.work(&mut waiting, &pauses).await;
        assert!(taken.try_recv().is_err(), "what was refused for good is not sent");
    }

    #[tokio::test]
    async fn a_stop_sends_what_waits() {
        let (port, mut taken) = mail_server(&[]).await;
        let (mailer, _) = mailer(port);
        for subject in ["one", "two", "three", "four", "five", "six"] {
            mailer.send("ada@example.org", subject, "x");
        }
        let stop = Stop::new();
        stop.stop_soft();
        mailer.deliver(&stop).await;
        let mut all = Vec::new();
        while let Ok(subject) = taken.try_recv() {
            all.push(subject);
        }
        assert_eq!(all.len(), 6, "{all:?}");
    }

    #[tokio::test]
    async fn mail_never_leaves_unencrypted() {
        let server = |url: &str| {
            let from = "MA Cloud <no-reply@example.org>".to_owned();
            Mailer::new(&MailSettings::Server { url: url.into(), from }, macloud_service_kit::clock::system()).map(drop)
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
        let clock = macloud_service_kit::clock::system();
        assert!(matches!(Mailer::new(&settings, clock), Err(MailError::From)));
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_mail_server_is_told_by_its_kind_and_without_an_address() {
        let said = async |answer: &'static [&'static str]| {
            let (port, _taken) = mail_server(answer).await;
            let (mailer, transport) = mailer(port);
            let message = mailer.message("ada@example.org", "x", "x").unwrap();
            trouble(&transport.send(&message).await.unwrap_err())
        };
        assert_eq!(said(&["451 ada@example.org is greylisted"]).await, "it refuses for now (451)");
        assert_eq!(said(&["550 no ada@example.org"]).await, "it refuses (550)");
        assert!(said(&["535 no"]).await.contains("user and password"));
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let (_, transport) = mailer(free);
        let refused = trouble(&transport.test_connection().await.unwrap_err());
        assert!(refused.starts_with("no connection: "), "{refused}");
        assert_eq!(&*server_of("smtps://user:secret@mail.example.org:465"), "mail.example.org:465");
    }

    #[tokio::test]
    async fn a_mail_server_that_never_ends_its_line_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let flood = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220-").await.unwrap();
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        });
        let (_, transport) = mailer(port);
        let said = trouble(&transport.test_connection().await.unwrap_err());
        assert!(said.contains("says too much"), "{said}");
        flood.await.unwrap();
    }

    #[test]
    fn a_mail_servers_url_is_read_whole() {
        let server = MailServer::from_url("smtps://a%40b:p+%26=%20q@mail.example.org/cloud.example").unwrap();
        assert_eq!((server.host.as_str(), server.port), ("mail.example.org", 465));
        assert!(server.hello == ClientId::Domain("cloud.example".into()));
        assert!(server.credentials == Some(Credentials::new("a@b".into(), "p+&= q".into())));
        assert_eq!(MailServer::from_url("smtp://mail.example.org?tls=required").unwrap().port, 587);
        assert!(MailServer::from_url("smtp://mail.example.org").is_none());
    }

    #[tokio::test]
    async fn mail_as_files_is_in_the_order_in_which_it_was_written() {
        let directory = std::env::temp_dir().join(format!("macloud-mail-{}", base32(&random::bytes::<10>())));
        let clock = macloud_service_kit::clock::ManualClock::at(1_795_305_600);
        let settings = MailSettings::Directory(directory.clone());
        let first = try_mail(&settings, "ada@example.org", clock).await.unwrap();
        let name = first.rsplit('/').next().unwrap();
        assert!(name.starts_with("2026-11-22T000000Z-") && name.ends_with(".eml"), "{name}");
        assert!(matches!(
            try_mail(&settings, "nobody", macloud_service_kit::clock::system()).await,
            Err(MailError::To)
        ));
        std::fs::remove_dir_all(directory).unwrap();
    }
}
