//! OAuth clients, as operators make and change them.

use macloud_proto::jose::{Jwk, PublicKey};
use serde::Deserialize;

use super::AdminError;
use super::audit::Act;
use crate::AccountService;
use crate::oauth::{OWN_SCOPES, PAIRING_CLIENT, is_honest_key};
use crate::secrets::{Kind, Secret};
use crate::shared::is_client_id;
use crate::store::clients::{self, Client, ClientKey, Credentials, Rotation};
use crate::store::{Tx, changes, grants};

/// A client to be.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewClient {
    /// Its `client_id`.
    pub client_id: String,
    /// As people read it on the consent page; by default guessed from the redirect URIs, or the id.
    pub name: Option<String>,
    /// Where codes may be sent.
    pub redirect_uris: Vec<String>,
    /// Where a browser may be sent after signing out at this client's wish.
    pub post_logout_redirect_uris: Vec<String>,
    /// Refuse authorization requests without PKCE. Public clients always need it.
    pub require_pkce: bool,
    /// Without a secret.
    pub public: bool,
    /// Life of its access tokens; by default as configured, ten minutes where it acts in its own name.
    pub access_token_seconds: Option<u32>,
    /// By default overlap for confidential clients, strict for public ones.
    pub rotation: Option<Rotation>,
    /// Its public keys, as a JWK or a JWK Set: it then signs assertions and has no secret.
    pub jwks: Option<serde_json::Value>,
    /// What it may do in its own name: for operators' programs.
    pub own_scopes: Vec<String>,
    /// Bind every token to a key that the client proves to have.
    pub require_dpop: bool,
}

/// What is to change of a client. What is `None` stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientChange {
    /// As people read it.
    pub name: Option<String>,
    /// Where codes may be sent: all of them, not those to add.
    pub redirect_uris: Option<Vec<String>>,
    /// Where a browser may be sent after signing out: all of them.
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// Refuse authorization requests without PKCE.
    pub require_pkce: Option<bool>,
    /// Bind every token to a key.
    pub require_dpop: Option<bool>,
    /// Life of its access tokens.
    pub access_token_seconds: Option<u32>,
    /// Its public keys, as a JWK or a JWK Set, in the place of those it has.
    pub jwks: Option<serde_json::Value>,
    /// What it may do in its own name.
    pub own_scopes: Option<Vec<String>>,
}

/// A client as operators see it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ClientView {
    /// Its `client_id`.
    pub client_id: String,
    /// As people read it.
    pub name: String,
    /// How it authenticates: `client_secret`, `private_key_jwt` or `none`.
    pub authentication: &'static str,
    /// The ids of its keys.
    pub key_ids: Vec<String>,
    /// Until when the secret before the current one is good, in seconds since 1970.
    pub old_secret_until: Option<i64>,
    /// Whether it has neither secret nor keys.
    pub public: bool,
    /// Where codes may be sent.
    pub redirect_uris: Vec<String>,
    /// Where a browser may be sent after signing out.
    pub post_logout_redirect_uris: Vec<String>,
    /// Whether authorization requests need PKCE.
    pub require_pkce: bool,
    /// Whether every token is bound to a key.
    pub require_dpop: bool,
    /// Life of its access tokens.
    pub access_token_seconds: i64,
    /// What it may do in its own name.
    pub own_scopes: Vec<String>,
    /// Seconds since 1970.
    pub created_at: i64,
}

impl Client {
    /// As operators see it at the time `now`.
    #[must_use]
    pub fn view(&self, now: i64) -> ClientView {
        ClientView {
            client_id: self.id.clone(),
            name: self.name.clone(),
            authentication: self.authentication(),
            key_ids: self.key_ids(),
            old_secret_until: self.old_secret_until(now),
            public: self.is_public(),
            redirect_uris: self.redirect_uris.clone(),
            post_logout_redirect_uris: self.post_logout_redirect_uris.clone(),
            require_pkce: self.require_pkce,
            require_dpop: self.require_dpop,
            access_token_seconds: self.access_token_seconds,
            own_scopes: self.own_scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
            created_at: self.created_at,
        }
    }
}

/// A client as it was created. The secret is shown once and kept nowhere.
pub struct CreatedClient {
    /// The client.
    pub client: Client,
    /// Its secret, if it has one.
    pub client_secret: Option<String>,
}

/// Whether there can be such a client.
///
/// # Errors
/// What [`AccountService::create_client`] would say before it looks at the database.
pub fn check_new_client(new: NewClient) -> Result<(), AdminError> {
    client_to_be(new, 3600, 0).map(drop)
}

fn client_to_be(new: NewClient, default_seconds: u32, now: i64) -> Result<(Client, Option<Secret>), AdminError> {
    check_client_id(&new.client_id)?;
    let rotation = new.rotation.unwrap_or(if new.public { Rotation::Strict } else { Rotation::Overlap });
    if new.public && rotation == Rotation::Overlap {
        return Err(AdminError::Rotation);
    }
    let keys = new.jwks.clone().map(parse_keys).transpose()?;
    let secret = (!new.public && keys.is_none()).then(|| Secret::new(Kind::Client));
    let credentials = match (keys, &secret) {
        (Some(_), _) if new.public => {
            return Err(AdminError::Combination("a client with keys is not public: leave --public away"));
        }
        (Some(keys), _) => Credentials::Keys(keys),
        (None, Some(secret)) => Credentials::Secret { hash: secret.hash(), old: None },
        (None, None) => Credentials::None,
    };
    let default_seconds = if new.own_scopes.is_empty() { default_seconds } else { OPERATOR_TOKEN_SECONDS };
    let client = Client {
        name: new.name.unwrap_or_else(|| guess_name(&new.client_id, &new.redirect_uris)),
        credentials,
        require_pkce: new.require_pkce || new.public,
        require_dpop: new.require_dpop,
        rotation,
        access_token_seconds: new.access_token_seconds.unwrap_or(default_seconds).into(),
        redirect_uris: new.redirect_uris,
        post_logout_redirect_uris: new.post_logout_redirect_uris,
        own_scopes: new.own_scopes.join(" "),
        created_at: now,
        id: new.client_id,
    };
    check_client(&client)?;
    Ok((client, secret))
}

impl AccountService {
    /// Register a client.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn create_client(&self, new: NewClient) -> Result<CreatedClient, AdminError> {
        let act = Act::new("client.create").on(&new.client_id);
        let default_seconds = self.shared.config.lives.default_access_token_seconds;
        let (client, secret) = match client_to_be(new, default_seconds, self.shared.now()) {
            Ok(client) => client,
            Err(error) => return Err(self.refused(&act, error).await),
        };
        let mut tx = self.shared.db.begin().await?;
        let outcome = match clients::insert(&mut tx, &client).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(AdminError::Exists("a client with this id")),
            Err(error) => Err(error.into()),
        };
        self.finish(tx, &act, outcome).await?;
        Ok(CreatedClient { client, client_secret: secret.map(Secret::into_string) })
    }

    /// All clients.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_clients(&self) -> Result<Vec<Client>, AdminError> {
        Ok(clients::list(&self.shared.db).await?)
    }

    /// One client.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn show_client(&self, client_id: &str) -> Result<Client, AdminError> {
        let client = if is_client_id(client_id) { clients::by_id(&self.shared.db, client_id).await? } else { None };
        client.ok_or(AdminError::Unknown("client"))
    }

    /// Change a client. Its links live on.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn update_client(&self, client_id: &str, change: ClientChange) -> Result<Client, AdminError> {
        let act = Act::new("client.update").on(client_id);
        let mut tx = self.shared.db.begin().await?;
        let outcome = change_client(&mut tx, client_id, change).await;
        let client = self.finish(tx, &act, outcome).await?;
        self.shared.forget_client(client_id);
        Ok(client)
    }

    /// Give a client another secret. The one that it has stays good for `overlap_seconds`; 0 ends it at once here, and in
    /// other processes, which remember a client that long, within ten seconds.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn rotate_client_secret(&self, client_id: &str, overlap_seconds: u32) -> Result<String, AdminError> {
        let act = Act::new("client.rotate_secret").on(client_id);
        let secret = Secret::new(Kind::Client);
        let mut tx = self.shared.db.begin().await?;
        let until = self.shared.now() + i64::from(overlap_seconds);
        let outcome = match overlap_seconds {
            ..=MAX_OVERLAP_SECONDS => replace_secret(&mut tx, client_id, &secret, until).await,
            _ => Err(AdminError::SecretOverlap),
        };
        self.finish(tx, &act, outcome).await?;
        self.shared.forget_client(client_id);
        Ok(secret.into_string())
    }

    /// Delete a client and everything people allowed it. Everyone who linked it has to link again.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn delete_client(&self, client_id: &str) -> Result<(), AdminError> {
        let act = Act::new("client.delete").on(client_id);
        let mut tx = self.shared.db.begin().await?;
        let outcome = delete(&mut tx, client_id, self.shared.now()).await;
        self.finish(tx, &act, outcome).await?;
        self.shared.forget_client(client_id);
        Ok(())
    }
}

async fn change_client(tx: &mut Tx, client_id: &str, change: ClientChange) -> Result<Client, AdminError> {
    let mut client = clients::hold(tx, client_id).await?.ok_or(AdminError::Unknown("client"))?;
    if let Some(jwks) = change.jwks {
        if !matches!(client.credentials, Credentials::Keys(_)) {
            return Err(AdminError::Combination("only a client that was created with keys can get others"));
        }
        client.credentials = Credentials::Keys(parse_keys(jwks)?);
    }
    client.name = change.name.unwrap_or(client.name);
    client.redirect_uris = change.redirect_uris.unwrap_or(client.redirect_uris);
    client.post_logout_redirect_uris = change.post_logout_redirect_uris.unwrap_or(client.post_logout_redirect_uris);
    client.require_pkce = change.require_pkce.unwrap_or(client.require_pkce) || client.is_public();
    client.require_dpop = change.require_dpop.unwrap_or(client.require_dpop);
    client.access_token_seconds = change.access_token_seconds.map_or(client.access_token_seconds, i64::from);
    client.own_scopes = change.own_scopes.map_or(client.own_scopes, |scopes| scopes.join(" "));
    check_client(&client)?;
    clients::update(tx, &client).await?;
    Ok(client)
}

async fn replace_secret(tx: &mut Tx, client_id: &str, secret: &Secret, until: i64) -> Result<(), AdminError> {
    if clients::rotate_secret(tx, client_id, &secret.hash(), until).await? {
        return Ok(());
    }
    let client = clients::by_id_in(tx, client_id).await?.ok_or(AdminError::Unknown("client"))?;
    Err(AdminError::NoSecret(if client.is_public() { "it is public" } else { "it signs with its own keys" }))
}

async fn delete(tx: &mut Tx, client_id: &str, now: i64) -> Result<(), AdminError> {
    let ended = grants::living_of_client(tx, client_id).await?;
    if !clients::delete(tx, client_id).await? {
        return Err(AdminError::Unknown("client"));
    }
    for grant in ended {
        changes::append(tx, &changes::Subject::GrantEnded(grant), now).await?;
    }
    Ok(())
}

/// What must hold for every client, new or changed.
fn check_client(client: &Client) -> Result<(), AdminError> {
    let mut uris = client.redirect_uris.iter().chain(&client.post_logout_redirect_uris);
    if let Some(wrong) = uris.find(|uri| !is_acceptable_redirect(uri)) {
        return Err(AdminError::RedirectUri(wrong.clone()));
    }
    if client.redirect_uris.is_empty() && client.own_scopes.is_empty() {
        return Err(AdminError::RedirectUri(String::new()));
    }
    if !(1..=30 * 24 * 3600).contains(&client.access_token_seconds) {
        return Err(AdminError::AccessTokenSeconds);
    }
    if client.own_scopes.split(' ').any(|scope| !scope.is_empty() && !OWN_SCOPES.contains(&scope)) {
        return Err(AdminError::OwnScopes);
    }
    if !client.own_scopes.is_empty() && client.is_public() {
        return Err(AdminError::Combination("a public client cannot act in its own name: anybody could be it"));
    }
    let is_plain = |text: &str| (1..=80).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if !is_plain(&client.name) {
        return Err(AdminError::Combination("a client's name has 1 to 80 characters"));
    }
    Ok(())
}

/// The public keys of a client: one JWK, or a JWK Set.
fn parse_keys(jwks: serde_json::Value) -> Result<Vec<ClientKey>, AdminError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Set { keys: Vec<Jwk> },
        One(Jwk),
    }
    let given = serde_json::from_value(jwks).map_err(|_| AdminError::Keys("neither a JWK nor a JWK Set"))?;
    let keys = match given {
        Given::Set { keys } => keys,
        Given::One(key) => vec![key],
    };
    if !(1..=16).contains(&keys.len()) {
        return Err(AdminError::Keys("there must be 1 to 16"));
    }
    keys.into_iter().map(parse_key).collect()
}

fn parse_key(jwk: Jwk) -> Result<ClientKey, AdminError> {
    if jwk.private {
        return Err(AdminError::Keys(
            "one shows its private half (d), which belongs to the client alone: make a new one",
        ));
    }
    let key = PublicKey::from_jwk(&jwk).map_err(|_| {
        AdminError::Keys("one is not a public signing key (Ed25519, P-256, or RSA of 2048 bits or more)")
    })?;
    match &key {
        PublicKey::Ed25519(key) if !is_honest_key(key) => Err(AdminError::Keys("one takes forged signatures")),
        PublicKey::Ed25519(_) | PublicKey::P256 { .. } | PublicKey::Rsa { .. } => Ok(ClientKey { jwk, key }),
    }
}

/// A token that does what an operator can do need not live long: getting another takes a moment.
const OPERATOR_TOKEN_SECONDS: u32 = 600;
const MAX_OVERLAP_SECONDS: u32 = 30 * 24 * 3600;

fn check_client_id(id: &str) -> Result<(), AdminError> {
    // An instance id is a client id too: no other client may look like one.
    let taken = id == PAIRING_CLIENT || id.parse::<macloud_proto::ids::InstanceId>().is_ok();
    if is_client_id(id) && !taken { Ok(()) } else { Err(AdminError::ClientId) }
}

fn is_acceptable_redirect(uri: &str) -> bool {
    let Ok(url) = url::Url::parse(uri) else { return false };
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    let printable = uri.bytes().all(|b| b.is_ascii_graphic());
    printable && url.fragment().is_none() && (url.scheme() == "https" || url.scheme() == "http" && loopback)
}

fn guess_name(id: &str, redirect_uris: &[String]) -> String {
    let amazon = ["pitangui.amazon.com", "layla.amazon.com", "alexa.amazon.co.jp", "skills-store.amazon.com"];
    let is_amazon =
        |uri: &String| url::Url::parse(uri).is_ok_and(|url| url.host_str().is_some_and(|host| amazon.contains(&host)));
    if redirect_uris.iter().any(is_amazon) || id.to_ascii_lowercase().starts_with("alexa") {
        "Amazon Alexa".into()
    } else {
        id.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_that_codes_may_go_to() {
        for good in ["https://layla.amazon.com/api/skill/link/M1", "http://127.0.0.1:9/cb", "http://localhost/cb?x=1"] {
            assert!(is_acceptable_redirect(good), "{good}");
        }
        for bad in [
            "",
            "javascript:alert(1)",
            "http://example.com/cb",
            "https://a/b#c",
            "https://a/b c",
            "//a/b",
            "data:text/html,x",
        ] {
            assert!(!is_acceptable_redirect(bad), "{bad}");
        }
    }

    #[test]
    fn a_client_cannot_pose_as_a_home_or_the_connector() {
        assert!(check_client_id("alexa").is_ok());
        for bad in ["", "ma-connector", "0123456789abcdefghjkmnpqrs", "a b", "a:b", &"x".repeat(65)] {
            assert!(check_client_id(bad).is_err(), "{bad}");
        }
    }
}
