//! The command line of `ma-cloud admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use macloud_account_service::MailArgs;

use super::DataArgs;

/// `ma-cloud admin …`
#[derive(Debug, Args)]
pub struct AdminArgs {
    /// Where the data lies.
    #[command(flatten)]
    pub data: DataArgs,

    /// The PostgreSQL database of a hosted cloud, instead of the one in the data directory.
    #[arg(long, global = true, value_name = "URL", requires = "account_key_file")]
    pub database_url: Option<String>,

    /// The key file that the account services of that database share.
    #[arg(long, global = true, value_name = "FILE", requires = "database_url")]
    pub account_key_file: Option<PathBuf>,

    /// Print one JSON document instead of text. Times in it are seconds since 1970.
    #[arg(long, global = true)]
    pub json: bool,

    /// What to manage.
    #[command(subcommand)]
    pub subject: AdminSubject,
}

/// What can be managed.
#[derive(Debug, Subcommand)]
pub enum AdminSubject {
    /// People.
    #[command(subcommand)]
    User(UserVerb),
    /// Linked homes.
    #[command(subcommand)]
    Home(HomeVerb),
    /// OAuth clients, such as your Alexa skill.
    #[command(subcommand)]
    Client(ClientVerb),
    /// What accounts may use.
    #[command(subcommand)]
    Plan(PlanVerb),
    /// How mail leaves.
    #[command(subcommand)]
    Mail(MailVerb),
    /// Attempts to link an app: how far each came and what stopped it.
    LinkAttempts {
        /// At most so many, the newest first, 1 to 1000.
        #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        most: u32,
    },
    /// The keys that sign tokens, and the key file.
    #[command(subcommand)]
    Keys(KeysVerb),
    /// Copies of everything that a data directory must not lose.
    #[command(subcommand)]
    Backup(BackupVerb),
    /// What operators did, here or through the API, newest first.
    Audit(AuditArgs),
    /// The keys of a skill deployment. `serve` makes its own, which `replace` is for; the others are for parts that run as processes
    /// of their own.
    #[command(subcommand)]
    SkillKeys(SkillKeysVerb),
}

/// What accounts may use.
#[derive(Debug, Subcommand)]
pub enum PlanVerb {
    /// List everybody's plan. `default` is the first plan that `serve` is configured with.
    List,
    /// Give a person a plan, whatever they pay for. It counts within seconds.
    Set {
        /// Whose.
        #[command(flatten)]
        who: Who,
        /// The plan's name, as `serve --plan` has it; `default` takes back what was given.
        #[arg(long, value_name = "NAME")]
        plan: String,
    },
}

/// How mail leaves.
#[derive(Debug, Subcommand)]
pub enum MailVerb {
    /// Send a mail now, the way that `serve` would with the same settings, and say what is wrong.
    Test {
        /// To this address.
        #[arg(long, value_name = "EMAIL")]
        to: String,
        /// The settings of `serve`.
        #[command(flatten)]
        mail: MailArgs,
    },
}

/// Keys of a skill deployment.
#[derive(Debug, Subcommand)]
pub enum SkillKeysVerb {
    /// Make them: the skill processes take the signing and the vault key, the account service the key set. The root belongs
    /// somewhere safe and away from the cloud: it is needed only to change the others.
    Create {
        /// Directory for the files. What is there is never overwritten.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Make another signing key, and a key set that has it beside those in use. First the set to the account services; when homes
    /// have it, the key to the skill processes.
    Add {
        /// The seed of the root.
        #[arg(long, value_name = "FILE")]
        root_seed_file: PathBuf,
        /// The key set that is in use.
        #[arg(long, value_name = "FILE")]
        key_set_file: PathBuf,
        /// Directory for the new files. What is there is never overwritten.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Make another signing key for `serve`, in --data-dir. It counts from the next start of `serve`; homes stay paired, and refuse the
    /// old key as soon as they have dialled in again.
    Replace,
    /// Make a key set that has one signing key alone: homes that have it refuse what any other signs.
    Keep {
        /// The seed of the root.
        #[arg(long, value_name = "FILE")]
        root_seed_file: PathBuf,
        /// The key set that is in use.
        #[arg(long, value_name = "FILE")]
        key_set_file: PathBuf,
        /// The signing key that stays.
        #[arg(long, value_name = "FILE")]
        signing_key_file: PathBuf,
        /// Directory for the new file. What is there is never overwritten.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// Whom an operator means.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Who {
    /// Their e-mail address.
    #[arg(long)]
    pub email: Option<String>,
    /// The id of their account.
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
}

impl Who {
    /// The one that was given.
    #[must_use]
    pub fn text(&self) -> &str {
        self.email.as_deref().or(self.account.as_deref()).unwrap_or_default()
    }
}

/// People.
#[derive(Debug, Subcommand)]
pub enum UserVerb {
    /// Add a person.
    Create {
        /// Their e-mail address.
        #[arg(long)]
        email: String,
        /// Read the password from standard input, up to the first line end. At a terminal you are asked for it.
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// List people.
    List,
    /// Show one person, and what belongs to them.
    Show(Who),
    /// Suspend a person: their tokens stop working at once, nothing is deleted.
    Suspend(Who),
    /// Undo a suspension.
    Resume(Who),
    /// Delete a person and everything that is kept about them. There is no way back; at a terminal you are asked first.
    Delete {
        /// Whom.
        #[command(flatten)]
        who: Who,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Turn off the second step of signing in, for somebody who lost both phone and recovery codes. Make sure who asks.
    ResetSecondStep(Who),
    /// Sign a person out of every browser. Linked apps and homes keep working.
    EndSessions(Who),
}

/// Linked homes.
#[derive(Debug, Subcommand)]
pub enum HomeVerb {
    /// List homes.
    List {
        /// Only those of this account.
        #[arg(long, value_name = "ID")]
        account: Option<String>,
    },
    /// Show one home.
    Show {
        /// Its id.
        #[arg(long, value_name = "ID")]
        home: String,
    },
    /// Unlink a home: its connection closes at once, and it has to be paired anew.
    Unlink {
        /// Its id.
        #[arg(long, value_name = "ID")]
        home: String,
    },
    /// Refuse commands for a home until it is resumed.
    Pause {
        /// Its id.
        #[arg(long, value_name = "ID")]
        home: String,
    },
    /// Take commands for it again.
    Resume {
        /// Its id.
        #[arg(long, value_name = "ID")]
        home: String,
    },
}

/// OAuth clients.
#[derive(Debug, Subcommand)]
pub enum ClientVerb {
    /// Add a client; its secret is printed once and stored only as a hash.
    Create {
        /// Its id: 1 to 64 letters, digits, `-`, `_` or `.`
        #[arg(long)]
        client_id: String,
        /// Where codes may be sent. Compared character by character. Give each of Amazon's three.
        #[arg(long, required_unless_present = "own_scope", value_name = "URI")]
        redirect_uri: Vec<String>,
        /// It cannot keep a secret: no secret is made, PKCE is required, refresh tokens rotate strictly.
        #[arg(long)]
        public: bool,
        /// Refuse authorization requests without PKCE.
        #[arg(long)]
        require_pkce: bool,
        /// Bind every token to a key that the client proves to have (DPoP).
        #[arg(long)]
        require_dpop: bool,
        /// What else it is.
        #[command(flatten)]
        settings: ClientSettings,
    },
    /// List clients.
    List,
    /// Show one client.
    Show {
        /// Its id.
        #[arg(long)]
        client_id: String,
    },
    /// Change a client. What is not given stays; links live on.
    Update {
        /// Its id.
        #[arg(long)]
        client_id: String,
        /// Where codes may be sent: all of them, not those to add.
        #[arg(long, value_name = "URI")]
        redirect_uri: Vec<String>,
        /// Whether authorization requests without PKCE are refused.
        #[arg(long, value_name = "BOOL")]
        require_pkce: Option<bool>,
        /// Whether every token is bound to a key that the client proves to have (DPoP).
        #[arg(long, value_name = "BOOL")]
        require_dpop: Option<bool>,
        /// What else it is.
        #[command(flatten)]
        settings: ClientSettings,
    },
    /// Give a client another secret, printed once. The one that it has stays good for a while.
    RotateSecret {
        /// Its id.
        #[arg(long)]
        client_id: String,
        /// How long the current secret stays good, 0 to 2592000 seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(0..=2_592_000))]
        overlap_seconds: u32,
    },
    /// Delete a client and end every link made through it.
    Delete {
        /// Its id.
        #[arg(long)]
        client_id: String,
    },
}

/// What a client is, both when it is made and when it is changed.
#[derive(Debug, Args)]
pub struct ClientSettings {
    /// What people read on the consent page. Default: guessed from the redirect URIs.
    #[arg(long)]
    pub name: Option<String>,
    /// Where a browser may be sent after signing out at this client's wish.
    #[arg(long, value_name = "URI")]
    pub post_logout_redirect_uri: Vec<String>,
    /// Life of its access tokens, 1 to 2592000 seconds, instead of the server's setting. Alexa refuses less than 360.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    pub access_token_seconds: Option<u32>,
    /// Its public keys, a JWK or a JWK Set (Ed25519, P-256 or RSA): it then signs assertions (`private_key_jwt`) and has no secret.
    #[arg(long, value_name = "FILE")]
    pub jwks_file: Option<PathBuf>,
    /// Let it act in its own name (client credentials): `ma_cloud.admin` for all of the API for operators, or
    /// `ma_cloud.admin.read` for looking only.
    #[arg(long, value_name = "SCOPE")]
    pub own_scope: Vec<String>,
}

/// The keys that sign tokens. A fresh one follows by itself; these are for the day on which that is too late.
#[derive(Debug, Subcommand)]
pub enum KeysVerb {
    /// Publish a fresh key. It signs from five minutes later on, and what older keys signed stays valid until it expires.
    Rotate,
    /// List the published keys.
    List,
    /// Show the keys of the key file, which seal what is secret in the database.
    File,
    /// Add a key to the key file. Give the file to every process of this cloud before it seals; then run re-encrypt.
    RotateFile {
        /// When it begins to seal, 0 to 604800 seconds from now. Running processes read the changed file within a minute.
        #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(0..=604_800))]
        after_seconds: u32,
    },
    /// Seal everything that is secret in the database with the newest key of the key file. May be repeated.
    ReEncrypt,
    /// Take the keys out of the key file that nothing needs any more.
    DropOld,
}

/// Copies of everything that a data directory must not lose.
#[derive(Debug, Subcommand)]
pub enum BackupVerb {
    /// Make a backup of the data directory, beside a running `serve` if need be: database, key file and the skill's keys in one
    /// file that only the passphrase opens. It is read back before it counts.
    Create {
        /// The file to make. What is there is never overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// File whose first line is the passphrase. Keep it elsewhere, too: without it the backup is worth nothing.
        #[arg(long, value_name = "FILE")]
        passphrase_file: PathBuf,
    },
    /// Read a backup as a restore would, and say what it holds.
    Verify {
        /// The backup.
        #[arg(long = "in", value_name = "FILE")]
        backup: PathBuf,
        /// File whose first line is the passphrase.
        #[arg(long, value_name = "FILE")]
        passphrase_file: PathBuf,
    },
    /// Put a backup into the data directory, which must hold no cloud. Links and homes of then go on; people sign in again.
    Restore {
        /// The backup.
        #[arg(long = "in", value_name = "FILE")]
        backup: PathBuf,
        /// File whose first line is the passphrase.
        #[arg(long, value_name = "FILE")]
        passphrase_file: PathBuf,
    },
    /// Say that a PostgreSQL database was restored, before any account service runs on it: links whose tokens were refreshed
    /// since go on, and what may have been used up or ended since is ended.
    MarkRestored,
    /// See whether a restored PostgreSQL database opens with the key file, and what it holds.
    Examine,
}

/// Which entries of the audit to show.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Only about this account.
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// Only this action, such as `user.suspend`, or all on this kind of thing, such as `user`.
    #[arg(long)]
    pub kind: Option<String>,
    /// Only by this client, or this user of the operating system.
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Not before: `7d`, `12h` or `30m` ago, or a day such as `2026-11-22`, or a time such as `2026-11-22T07:30:00Z`.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before, written in the same way.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only entries with a smaller number: the last of the page before.
    #[arg(long, value_name = "NUMBER")]
    pub before: Option<i64>,
    /// At most so many, 1 to 1000.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}
