//! `ma-cloud admin`: people and OAuth clients, on the database itself. Works whether or not `serve` runs beside it.

use std::io::BufRead as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use macloud_account_service::{AccountService, Client, Config, DatabaseSettings, NewClient};
use macloud_service_kit::clock;
use serde_json::{Value, json};

use crate::cli::{AdminArgs, AdminSubject, ClientVerb, KeysVerb, SkillKeysVerb, UserVerb};
use crate::{admin_plans, cloud, skill_keys};

/// Do what was asked; what to print.
///
/// # Errors
/// With a sentence for the operator.
pub async fn run(args: AdminArgs) -> anyhow::Result<String> {
    let print = |answer: Value| if args.json { answer.to_string() } else { as_text(&answer) };
    if let AdminSubject::SkillKeys(SkillKeysVerb::Create { out }) = &args.subject {
        return skill_keys::create_files(out).map(print);
    }
    let accounts = match (&args.database_url, &args.account_key_file) {
        (Some(url), Some(key_file)) => open_hosted(url, key_file).await?,
        _ => open(&args.data.data_dir, args.subject.creates()).await?,
    };
    let answer = match args.subject {
        AdminSubject::User(verb) => user(&accounts, verb).await,
        AdminSubject::Client(verb) => client(&accounts, verb).await,
        AdminSubject::Plan(verb) => admin_plans::plan(&accounts, verb).await,
        AdminSubject::LinkAttempts { most } => admin_plans::link_attempts(&accounts, most).await,
        AdminSubject::Keys(verb) => keys(&accounts, &verb).await,
        AdminSubject::SkillKeys(_) => unreachable!("needs no database"),
    };
    accounts.close().await;
    answer.map(print)
}

async fn open(data_dir: &Path, may_make: bool) -> anyhow::Result<AccountService> {
    if !cloud::database_file(data_dir).exists() {
        // A mistyped directory would show a cloud without people, or take a change to where nobody ever looks.
        ensure!(
            may_make,
            "there is no MA Cloud database in {}: check --data-dir. \"ma-cloud serve\" makes one there, and so do the \
             \"create\" verbs of \"ma-cloud admin\"",
            data_dir.display()
        );
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

/// The database of a hosted cloud.
async fn open_hosted(url: &str, key_file: &Path) -> anyhow::Result<AccountService> {
    ensure!(key_file.exists(), "there is no key file {}: give the one of the account services", key_file.display());
    let config = Config::new("http://localhost", key_file);
    let database = DatabaseSettings::Postgres { url: url.to_owned(), max_connections: 1 };
    AccountService::open(config, &database, clock::system()).await.context("cannot open the database of --database-url")
}

async fn user(accounts: &AccountService, verb: UserVerb) -> anyhow::Result<Value> {
    match verb {
        UserVerb::Create { email, password_stdin: _ } => {
            let id = accounts.create_user(&email, &password_from_stdin()?).await?;
            Ok(json!({"account_id": id, "email": email}))
        }
        UserVerb::List => Ok(serde_json::to_value(accounts.list_users().await?)?),
        UserVerb::Suspend { email } => suspend(accounts, &email, true).await,
        UserVerb::Delete { email } => {
            accounts.delete_user(&email).await?;
            Ok(json!({"email": email, "deleted": true}))
        }
        UserVerb::ResetSecondStep { email } => {
            let was_on = accounts.reset_second_step(&email).await?;
            Ok(json!({"email": email, "second_step_was_on": was_on}))
        }
        UserVerb::Resume { email } => suspend(accounts, &email, false).await,
    }
}

async fn suspend(accounts: &AccountService, email: &str, suspended: bool) -> anyhow::Result<Value> {
    accounts.set_user_suspended(email, suspended).await?;
    Ok(json!({"email": email, "suspended": suspended}))
}

fn password_from_stdin() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("cannot read the password from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

async fn client(accounts: &AccountService, verb: ClientVerb) -> anyhow::Result<Value> {
    match verb {
        ClientVerb::Create {
            client_id,
            redirect_uri,
            post_logout_redirect_uri,
            require_pkce,
            public,
            access_token_seconds,
            name,
        } => {
            let new = NewClient {
                client_id,
                name,
                redirect_uris: redirect_uri,
                post_logout_redirect_uris: post_logout_redirect_uri,
                require_pkce,
                public,
                access_token_seconds,
                rotation: None,
            };
            let created = accounts.create_client(new).await?;
            let mut answer = describe(&created.client);
            if let Some(secret) = created.client_secret {
                answer["client_secret"] = secret.into();
            }
            Ok(answer)
        }
        ClientVerb::List => Ok(accounts.list_clients().await?.iter().map(describe).collect()),
        ClientVerb::Delete { client_id } => {
            accounts.delete_client(&client_id).await?;
            Ok(json!({"client_id": client_id, "deleted": true}))
        }
    }
}

async fn keys(accounts: &AccountService, verb: &KeysVerb) -> anyhow::Result<Value> {
    match verb {
        KeysVerb::Rotate => Ok(json!({"key_id": accounts.rotate_signing_key().await?})),
        KeysVerb::List => Ok(serde_json::to_value(accounts.list_signing_keys())?),
    }
}

fn describe(client: &Client) -> Value {
    json!({
        "client_id": client.id,
        "name": client.name,
        "redirect_uris": client.redirect_uris,
        "require_pkce": client.require_pkce,
        "public": client.is_public(),
        "access_token_seconds": client.access_token_seconds,
    })
}

/// The same facts, a line each.
fn as_text(answer: &Value) -> String {
    match answer {
        Value::Array(items) if items.is_empty() => "none".into(),
        Value::Array(items) => items.iter().map(as_text).collect::<Vec<_>>().join("\n\n"),
        Value::Object(fields) => {
            let line = |(name, value): (&String, &Value)| format!("{name}: {}", plain(value));
            fields.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        other => plain(other),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
