//! `ma-cloud admin`: people, homes, OAuth clients and keys, on the database itself. Works whether or not `serve` runs
//! beside it. What it does is noted in the audit, under the name of who is at the command line.

mod terminal;
mod text;
mod when;

use std::path::Path;

use anyhow::{Context as _, ensure};
use macloud_account_service::{
    AccountService, Actor, AuditQuery, Client, ClientChange, Config, DatabaseSettings, MailSettings, NewClient,
    check_new_client, check_new_user, try_mail,
};
use macloud_service_kit::clock;
use serde_json::{Value, json};

use crate::cli::{
    AdminArgs, AdminSubject, AuditArgs, BackupVerb, ClientSettings, ClientVerb, HomeVerb, KeysVerb, MailVerb,
    SkillKeysVerb, UserVerb, Who,
};
use crate::{admin_plans, backup, cloud, skill_keys};

/// Do what was asked; what to print.
///
/// # Errors
/// With a sentence for the operator.
pub async fn run(args: AdminArgs) -> anyhow::Result<String> {
    let print = |answer: Value| if args.json { answer.to_string() } else { text::of(&answer) };
    match &args.subject {
        AdminSubject::SkillKeys(verb) => return skill_keys_of(verb, &args).map(print),
        AdminSubject::Mail(MailVerb::Test { to, mail }) => {
            return mail_test(to, &mail.settings(&args.data.data_dir)?, &args.data.data_dir).await.map(print);
        }
        AdminSubject::Backup(verb) if !matches!(verb, BackupVerb::MarkRestored | BackupVerb::Examine) => {
            ensure!(args.database_url.is_none(), "PostgreSQL is backed up by its own tools: see docs/OPERATING.md");
            return backup_file(verb, &args.data.data_dir).await.map(print);
        }
        _ => {}
    }
    let asked = Asked::of(&args.subject)?;
    let (accounts, database) = match (&args.database_url, &args.account_key_file) {
        (Some(url), Some(key_file)) => (open_hosted(url, key_file).await?, None),
        _ => (open(&args.data.data_dir, &asked).await?, Some(cloud::database_file(&args.data.data_dir))),
    };
    let accounts = accounts.acting_as(Actor::CommandLine(who_is_here()));
    let creates = !matches!(asked, Asked::Other);
    let answer = match (args.subject, asked) {
        (_, Asked::NewUser { email, password }) => new_user(&accounts, &email, &password).await,
        (_, Asked::NewClient(new)) => new_client(&accounts, *new).await,
        (subject, Asked::Other) => act(&accounts, subject).await,
    };
    accounts.close().await;
    let mut answer = answer?;
    if let Some(database) = database.filter(|_| creates) {
        // A mistyped directory is noticed here, at the latest.
        let database = std::path::absolute(&database).unwrap_or(database);
        answer["database"] = database.display().to_string().into();
    }
    Ok(print(answer))
}

async fn act(accounts: &AccountService, subject: AdminSubject) -> anyhow::Result<Value> {
    match subject {
        AdminSubject::User(verb) => user(accounts, verb).await,
        AdminSubject::Home(verb) => home(accounts, verb).await,
        AdminSubject::Client(verb) => client(accounts, verb).await,
        AdminSubject::Plan(verb) => admin_plans::plan(accounts, verb).await,
        AdminSubject::LinkAttempts { most } => admin_plans::link_attempts(accounts, most).await,
        AdminSubject::Keys(verb) => keys(accounts, &verb).await,
        AdminSubject::Audit(args) => audit(accounts, args).await,
        AdminSubject::Backup(BackupVerb::MarkRestored) => Ok(serde_json::to_value(accounts.mark_restored().await?)?),
        AdminSubject::Backup(_) => Ok(serde_json::to_value(accounts.examine().await?)?),
        AdminSubject::SkillKeys(_) | AdminSubject::Mail(_) => unreachable!("needs no database"),
    }
}

fn skill_keys_of(verb: &SkillKeysVerb, args: &AdminArgs) -> anyhow::Result<Value> {
    match verb {
        SkillKeysVerb::Replace => {
            ensure!(args.database_url.is_none(), "these keys are files of their own: see docs/OPERATING.md");
            skill_keys::replace(&args.data.data_dir)
        }
        SkillKeysVerb::Create { out } => skill_keys::create_files(out),
        SkillKeysVerb::Add { root_seed_file, key_set_file, out } => {
            skill_keys::add_key(root_seed_file, key_set_file, out)
        }
        SkillKeysVerb::Keep { root_seed_file, key_set_file, signing_key_file, out } => {
            skill_keys::keep_only(root_seed_file, key_set_file, signing_key_file, out)
        }
    }
}

async fn backup_file(verb: &BackupVerb, data_dir: &Path) -> anyhow::Result<Value> {
    match verb {
        BackupVerb::Create { out, passphrase_file } => backup::create(data_dir, out, passphrase_file).await,
        BackupVerb::Verify { backup, passphrase_file } => backup::verify(backup, passphrase_file).await,
        BackupVerb::Restore { backup, passphrase_file } => {
            let actor = Actor::CommandLine(who_is_here());
            backup::restore(backup, data_dir, passphrase_file, actor).await
        }
        BackupVerb::MarkRestored | BackupVerb::Examine => unreachable!("needs the database"),
    }
}

/// What adds something, so that it may be the first thing that is ever done with a data directory. Known as a whole before
/// the directory is made: what cannot be done leaves nothing behind.
enum Asked {
    NewUser { email: String, password: String },
    NewClient(Box<NewClient>),
    Other,
}

impl Asked {
    fn of(subject: &AdminSubject) -> anyhow::Result<Self> {
        match subject {
            AdminSubject::User(UserVerb::Create { email, password_stdin: _ }) => {
                Ok(Self::NewUser { email: email.clone(), password: terminal::password()? })
            }
            AdminSubject::Client(ClientVerb::Create {
                client_id,
                redirect_uri,
                public,
                require_pkce,
                require_dpop,
                settings,
            }) => Ok(Self::NewClient(Box::new(NewClient {
                client_id: client_id.clone(),
                name: settings.name.clone(),
                redirect_uris: redirect_uri.clone(),
                post_logout_redirect_uris: settings.post_logout_redirect_uri.clone(),
                require_pkce: *require_pkce,
                public: *public,
                access_token_seconds: settings.access_token_seconds,
                rotation: None,
                jwks: jwks(settings)?,
                own_scopes: settings.own_scope.clone(),
                require_dpop: *require_dpop,
            }))),
            _ => Ok(Self::Other),
        }
    }

    /// Whether this could be done in a database that is still to be made.
    fn check_alone(&self) -> anyhow::Result<bool> {
        match self {
            Self::NewUser { email, password } => check_new_user(email, password).map(drop)?,
            Self::NewClient(new) => check_new_client((**new).clone())?,
            Self::Other => return Ok(false),
        }
        Ok(true)
    }
}

async fn open(data_dir: &Path, asked: &Asked) -> anyhow::Result<AccountService> {
    if !cloud::has_database(data_dir)? {
        // A mistyped directory would show a cloud without people, or take a change to where nobody ever looks.
        ensure!(asked.check_alone()?, "{}", no_cloud(data_dir));
        tracing::warn!(data_dir = %data_dir.display(), "there was no MA Cloud database here: making one");
    }
    cloud::prepare_data_dir(data_dir)?;
    // The issuer matters to tokens only, and none are issued here.
    let config = Config::new("http://localhost", cloud::key_file(data_dir));
    let database = DatabaseSettings::Sqlite(cloud::database_file(data_dir));
    AccountService::open(config, &database, clock::system())
        .await
        .with_context(|| format!("cannot open the data directory {}", data_dir.display()))
}

fn no_cloud(data_dir: &Path) -> String {
    format!(
        "there is no MA Cloud database in {}: check --data-dir. \"ma-cloud serve\" makes one there, and so do the \"create\" \
         verbs of \"ma-cloud admin\"",
        data_dir.display()
    )
}

/// The database of a hosted cloud.
async fn open_hosted(url: &str, key_file: &Path) -> anyhow::Result<AccountService> {
    ensure!(key_file.exists(), "there is no key file {}: give the one of the account services", key_file.display());
    let config = Config::new("http://localhost", key_file);
    let database = DatabaseSettings::Postgres { url: url.to_owned(), max_connections: 1 };
    AccountService::open(config, &database, clock::system()).await.context("cannot open the database of --database-url")
}

async fn mail_test(to: &str, settings: &MailSettings, data_dir: &Path) -> anyhow::Result<Value> {
    let way = match settings {
        MailSettings::Directory(_) => {
            ensure!(cloud::has_database(data_dir)?, "{}", no_cloud(data_dir));
            "written_to"
        }
        MailSettings::Server { .. } => "taken_by",
    };
    let place = try_mail(settings, to, clock::system()).await.context("the mail did not leave")?;
    Ok(json!({"to": to, way: place}))
}

/// Who is at the command line, as far as the environment tells. Whoever can write the database could claim anything; this
/// is for honest people who want to know later which of them it was.
fn who_is_here() -> String {
    let named = ["SUDO_USER", "LOGNAME", "USER"].into_iter().find_map(|name| std::env::var(name).ok());
    let plain = |name: &String| (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
    named.filter(plain).unwrap_or_else(|| match rustix::process::getuid() {
        root if root.is_root() => "root".into(),
        user => format!("uid-{}", user.as_raw()),
    })
}

async fn new_user(accounts: &AccountService, email: &str, password: &str) -> anyhow::Result<Value> {
    let id = accounts.create_user(email, password).await?;
    Ok(json!({"account_id": id, "email": email}))
}

async fn user(accounts: &AccountService, verb: UserVerb) -> anyhow::Result<Value> {
    match verb {
        UserVerb::Create { .. } => unreachable!("what adds something is asked for in its own way"),
        UserVerb::List => Ok(serde_json::to_value(accounts.list_users().await?)?),
        UserVerb::Show(who) => Ok(serde_json::to_value(accounts.show_user(who.text()).await?)?),
        UserVerb::Suspend(who) => suspend(accounts, &who, true).await,
        UserVerb::Resume(who) => suspend(accounts, &who, false).await,
        UserVerb::Delete { who, yes } => {
            let gone = format!("This deletes {} and everything that is kept about them.", who.text());
            ensure!(yes || terminal::agrees(&gone)?, "nothing was deleted");
            accounts.delete_user(who.text()).await?;
            Ok(about(&who, "deleted", true.into()))
        }
        UserVerb::ResetSecondStep(who) => {
            let was_on = accounts.reset_second_step(who.text()).await?;
            Ok(about(&who, "second_step_was_on", was_on.into()))
        }
        UserVerb::EndSessions(who) => {
            let ended = accounts.end_sessions(who.text()).await?;
            Ok(about(&who, "sessions_ended", ended.into()))
        }
    }
}

async fn suspend(accounts: &AccountService, who: &Who, suspended: bool) -> anyhow::Result<Value> {
    accounts.set_user_suspended(who.text(), suspended).await?;
    Ok(about(who, "suspended", suspended.into()))
}

pub(crate) fn about(who: &Who, what: &str, value: Value) -> Value {
    let mut answer = json!({});
    answer[if who.email.is_some() { "email" } else { "account_id" }] = who.text().into();
    answer[what] = value;
    answer
}

async fn home(accounts: &AccountService, verb: HomeVerb) -> anyhow::Result<Value> {
    match verb {
        HomeVerb::List { account } => {
            let account =
                account.map(|id| id.parse().context("--account takes the id of an account: \"user list\" shows them"));
            let account = account.transpose()?;
            let (mut homes, mut after) = (Vec::new(), String::new());
            loop {
                let page = accounts.page_of_homes(account.as_ref(), &after, PAGE).await?;
                let is_last = page.len() < PAGE as usize;
                after = page.last().map(|home| home.id.to_string()).unwrap_or_default();
                homes.extend(page);
                if is_last {
                    return Ok(serde_json::to_value(homes)?);
                }
            }
        }
        HomeVerb::Show { home } => Ok(serde_json::to_value(accounts.show_home(&home).await?)?),
        HomeVerb::Unlink { home } => {
            accounts.unlink_home(&home).await?;
            Ok(json!({"home": home, "unlinked": true}))
        }
        HomeVerb::Pause { home } => pause(accounts, &home, true).await,
        HomeVerb::Resume { home } => pause(accounts, &home, false).await,
    }
}

const PAGE: u32 = 1000;

async fn pause(accounts: &AccountService, home: &str, paused: bool) -> anyhow::Result<Value> {
    accounts.set_home_paused(home, paused).await?;
    Ok(json!({"home": home, "paused": paused}))
}

async fn new_client(accounts: &AccountService, new: NewClient) -> anyhow::Result<Value> {
    let created = accounts.create_client(new).await?;
    let mut answer = describe(&created.client)?;
    if let Some(secret) = created.client_secret {
        answer["client_secret"] = secret.into();
    }
    Ok(answer)
}

async fn client(accounts: &AccountService, verb: ClientVerb) -> anyhow::Result<Value> {
    match verb {
        ClientVerb::Create { .. } => unreachable!("what adds something is asked for in its own way"),
        ClientVerb::List => accounts.list_clients().await?.iter().map(describe).collect(),
        ClientVerb::Show { client_id } => describe(&accounts.show_client(&client_id).await?),
        ClientVerb::Update { client_id, redirect_uri, require_pkce, require_dpop, settings } => {
            let jwks = jwks(&settings)?;
            let given = |list: Vec<String>| (!list.is_empty()).then_some(list);
            let change = ClientChange {
                name: settings.name,
                redirect_uris: given(redirect_uri),
                post_logout_redirect_uris: given(settings.post_logout_redirect_uri),
                require_pkce,
                require_dpop,
                access_token_seconds: settings.access_token_seconds,
                jwks,
                own_scopes: given(settings.own_scope),
            };
            describe(&accounts.update_client(&client_id, change).await?)
        }
        ClientVerb::RotateSecret { client_id, overlap_seconds } => {
            let secret = accounts.rotate_client_secret(&client_id, overlap_seconds).await?;
            let until = now() + i64::from(overlap_seconds);
            Ok(json!({"client_id": client_id, "client_secret": secret, "old_secret_until": until}))
        }
        ClientVerb::Delete { client_id } => {
            accounts.delete_client(&client_id).await?;
            Ok(json!({"client_id": client_id, "deleted": true}))
        }
    }
}

fn jwks(settings: &ClientSettings) -> anyhow::Result<Option<Value>> {
    let Some(file) = &settings.jwks_file else { return Ok(None) };
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read --jwks-file {}", file.display()))?;
    let jwks = serde_json::from_str(&text).with_context(|| format!("--jwks-file {} is not JSON", file.display()))?;
    Ok(Some(jwks))
}

fn describe(client: &Client) -> anyhow::Result<Value> {
    Ok(serde_json::to_value(client.view(now()))?)
}

fn now() -> i64 {
    clock::system().unix_seconds() as i64
}

async fn keys(accounts: &AccountService, verb: &KeysVerb) -> anyhow::Result<Value> {
    match verb {
        KeysVerb::Rotate => Ok(json!({"key_id": accounts.rotate_signing_key().await?})),
        KeysVerb::List => Ok(serde_json::to_value(accounts.list_signing_keys())?),
        KeysVerb::File => Ok(serde_json::to_value(accounts.list_file_keys())?),
        KeysVerb::RotateFile { after_seconds } => {
            Ok(serde_json::to_value(accounts.add_file_key(*after_seconds).await?)?)
        }
        KeysVerb::ReEncrypt => Ok(serde_json::to_value(accounts.re_encrypt().await?)?),
        KeysVerb::DropOld => Ok(json!({"dropped": accounts.drop_old_file_keys().await?})),
    }
}

async fn audit(accounts: &AccountService, args: AuditArgs) -> anyhow::Result<Value> {
    let time = |text: &Option<String>| text.as_deref().map(|text| when::parse(text, now())).transpose();
    let query = AuditQuery {
        account: args.account.map(|id| id.parse().context("--account takes the id of an account")).transpose()?,
        kind: args.kind,
        actor: args.actor,
        since: time(&args.since).context("--since")?,
        until: time(&args.until).context("--until")?,
        before: args.before,
        limit: args.limit,
    };
    Ok(serde_json::to_value(accounts.search_audit(&query).await?)?)
}
