//! OAuth clients.

use macloud_proto::jose::{Jwk, PublicKey};

use super::{Db, Result, StoreError, Tx, parse_bytes, statements, values};

statements! {
    INSERT = "INSERT INTO clients (id, name, secret_hash, require_pkce, rotation, access_token_seconds, redirect_uris, created_at, \
              post_logout_redirect_uris, jwks, own_scopes, require_dpop) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (id) DO NOTHING";
    BY_ID = "SELECT id, name, secret_hash, require_pkce, rotation, access_token_seconds, redirect_uris, created_at, \
             post_logout_redirect_uris, jwks, old_secret_hash, old_secret_until, own_scopes, require_dpop \
             FROM clients WHERE id = $1";
    LIST = "SELECT id, name, secret_hash, require_pkce, rotation, access_token_seconds, redirect_uris, created_at, \
            post_logout_redirect_uris, jwks, old_secret_hash, old_secret_until, own_scopes, require_dpop \
            FROM clients ORDER BY id";
    /// Somebody a person can link: it has an address that codes may be sent to.
    TO_LINK = "SELECT id FROM clients WHERE redirect_uris <> '[]' LIMIT 1";
    UPDATE = "UPDATE clients SET name = $2, require_pkce = $3, access_token_seconds = $4, redirect_uris = $5, \
              post_logout_redirect_uris = $6, jwks = $7, own_scopes = $8, require_dpop = $9 WHERE id = $1";
    /// Keeps others from changing it until the transaction ends: a change reads the whole client and writes the whole client.
    HOLD = "UPDATE clients SET id = id WHERE id = $1";
    /// The secret that was the newest stays good for a while; one that was on its way out ends now.
    ROTATE_SECRET = "UPDATE clients SET old_secret_hash = secret_hash, old_secret_until = $3, secret_hash = $2 \
                     WHERE id = $1 AND secret_hash IS NOT NULL";
    DELETE = "DELETE FROM clients WHERE id = $1";
}

/// What happens to a refresh token when it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rotation {
    /// It stays valid until its successor has been used, and for a while after. For confidential clients that retry
    /// and refresh in parallel, as Alexa does: they prove themselves with a secret at every refresh.
    Overlap,
    /// It is spent; a second use ends the whole authorization. For public clients.
    Strict,
}

/// A registered client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// As people read it on the consent page.
    pub name: String,
    /// How it proves that it is itself.
    pub(crate) credentials: Credentials,
    /// Whether an authorization request without PKCE is refused.
    pub require_pkce: bool,
    /// Whether every token is bound to a key that the client proves to have (RFC 9449).
    pub require_dpop: bool,
    /// What happens to used refresh tokens.
    pub rotation: Rotation,
    /// Life of its access tokens.
    pub access_token_seconds: i64,
    /// Where codes may be sent; compared byte by byte.
    pub redirect_uris: Vec<String>,
    /// Where a browser may be sent after signing out at this client's wish; compared byte by byte.
    pub post_logout_redirect_uris: Vec<String>,
    /// What it may do in its own name, separated by blanks. Nothing for clients that act for people.
    pub own_scopes: String,
    /// Seconds since 1970.
    pub created_at: i64,
}

/// How a client proves that it is itself: in exactly one way.
#[derive(Debug, Clone)]
pub(crate) enum Credentials {
    /// It cannot.
    None,
    /// A secret, as its SHA-256.
    Secret { hash: [u8; 32], old: Option<OldSecret> },
    /// Assertions signed with one of these keys.
    Keys(Vec<ClientKey>),
}

/// A secret that was replaced and is still good for a while.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OldSecret {
    pub(crate) hash: [u8; 32],
    pub(crate) until: i64,
}

/// A key of a client.
#[derive(Debug, Clone)]
pub(crate) struct ClientKey {
    pub(crate) jwk: Jwk,
    pub(crate) key: PublicKey,
}

impl Client {
    /// Whether it has neither secret nor key.
    #[must_use]
    pub const fn is_public(&self) -> bool {
        matches!(self.credentials, Credentials::None)
    }

    /// How it authenticates, in the words of OpenID Connect.
    #[must_use]
    pub const fn authentication(&self) -> &'static str {
        match self.credentials {
            Credentials::None => "none",
            Credentials::Secret { .. } => "client_secret",
            Credentials::Keys(_) => "private_key_jwt",
        }
    }

    /// Until when the secret before the current one is good, in seconds since 1970, if it still is at `now`.
    #[must_use]
    pub const fn old_secret_until(&self, now: i64) -> Option<i64> {
        match self.credentials {
            Credentials::Secret { old: Some(old), .. } if old.until > now => Some(old.until),
            _ => None,
        }
    }

    /// The ids of its keys (their thumbprints, where they have no other).
    #[must_use]
    pub fn key_ids(&self) -> Vec<String> {
        let Credentials::Keys(keys) = &self.credentials else { return Vec::new() };
        keys.iter().map(|key| key.jwk.kid.clone().unwrap_or_else(|| key.key.thumbprint())).collect()
    }
}

#[derive(sqlx::FromRow)]
struct ClientRow {
    id: String,
    name: String,
    secret_hash: Option<Vec<u8>>,
    require_pkce: bool,
    rotation: String,
    access_token_seconds: i64,
    redirect_uris: String,
    created_at: i64,
    post_logout_redirect_uris: String,
    jwks: Option<String>,
    old_secret_hash: Option<Vec<u8>>,
    old_secret_until: Option<i64>,
    own_scopes: String,
    require_dpop: bool,
}

impl TryFrom<ClientRow> for Client {
    type Error = StoreError;
    fn try_from(row: ClientRow) -> Result<Self> {
        Ok(Self {
            credentials: credentials(&row)?,
            id: row.id,
            name: row.name,
            require_pkce: row.require_pkce,
            require_dpop: row.require_dpop,
            rotation: match row.rotation.as_str() {
                "overlap" => Rotation::Overlap,
                "strict" => Rotation::Strict,
                _ => return Err(StoreError::Inconsistent { table: "clients", column: "rotation" }),
            },
            access_token_seconds: row.access_token_seconds,
            redirect_uris: parse_list(&row.redirect_uris, "redirect_uris")?,
            post_logout_redirect_uris: parse_list(&row.post_logout_redirect_uris, "post_logout_redirect_uris")?,
            own_scopes: row.own_scopes,
            created_at: row.created_at,
        })
    }
}

fn credentials(row: &ClientRow) -> Result<Credentials> {
    if let Some(jwks) = &row.jwks {
        let wrong = StoreError::Inconsistent { table: "clients", column: "jwks" };
        let jwks: Vec<Jwk> = parse_list(jwks, "jwks")?;
        let keys: std::result::Result<Vec<ClientKey>, _> =
            jwks.into_iter().map(|jwk| PublicKey::from_jwk(&jwk).map(|key| ClientKey { jwk, key })).collect();
        return keys.map(Credentials::Keys).map_err(|_| wrong);
    }
    let Some(hash) = &row.secret_hash else { return Ok(Credentials::None) };
    let old = match (&row.old_secret_hash, row.old_secret_until) {
        (Some(hash), Some(until)) => Some(OldSecret { hash: parse_bytes(hash, "clients", "old_secret_hash")?, until }),
        _ => None,
    };
    Ok(Credentials::Secret { hash: parse_bytes(hash, "clients", "secret_hash")?, old })
}

fn parse_list<T: for<'de> serde::Deserialize<'de>>(text: &str, column: &'static str) -> Result<Vec<T>> {
    serde_json::from_str(text).map_err(|_| StoreError::Inconsistent { table: "clients", column })
}

fn uris(list: &[String]) -> String {
    serde_json::Value::from(list).to_string()
}

/// Its keys as they are stored.
fn jwks(client: &Client) -> Option<String> {
    let Credentials::Keys(keys) = &client.credentials else { return None };
    let keys: Vec<&Jwk> = keys.iter().map(|key| &key.jwk).collect();
    Some(serde_json::json!(keys).to_string())
}

/// Whether it was added; no when the id is taken.
pub(crate) async fn insert(tx: &mut Tx, client: &Client) -> Result<bool> {
    let rotation = match client.rotation {
        Rotation::Overlap => "overlap",
        Rotation::Strict => "strict",
    };
    let secret_hash = match &client.credentials {
        Credentials::Secret { hash, .. } => Some(hash.as_slice()),
        Credentials::None | Credentials::Keys(_) => None,
    };
    let (redirect_uris, post_logout_redirect_uris) =
        (uris(&client.redirect_uris), uris(&client.post_logout_redirect_uris));
    let inserted = tx
        .write(
            INSERT,
            values![
                &client.id,
                &client.name,
                secret_hash,
                client.require_pkce,
                rotation,
                client.access_token_seconds,
                &redirect_uris,
                client.created_at,
                &post_logout_redirect_uris,
                jwks(client).as_deref(),
                &client.own_scopes,
                client.require_dpop
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// Write what may change of a client. Its secret is not among it. Whether it is there.
pub(crate) async fn update(tx: &mut Tx, client: &Client) -> Result<bool> {
    let (redirect_uris, post_logout_redirect_uris) =
        (uris(&client.redirect_uris), uris(&client.post_logout_redirect_uris));
    let updated = tx
        .write(
            UPDATE,
            values![
                &client.id,
                &client.name,
                client.require_pkce,
                client.access_token_seconds,
                &redirect_uris,
                &post_logout_redirect_uris,
                jwks(client).as_deref(),
                &client.own_scopes,
                client.require_dpop
            ],
        )
        .await?;
    Ok(updated == 1)
}

/// Put another secret in the place of the current one, which stays good until `old_until`. Whether there was one.
pub(crate) async fn rotate_secret(tx: &mut Tx, id: &str, hash: &[u8; 32], old_until: i64) -> Result<bool> {
    Ok(tx.write(ROTATE_SECRET, values![id, hash, old_until]).await? == 1)
}

pub(crate) async fn by_id(db: &Db, id: &str) -> Result<Option<Client>> {
    let row: Option<ClientRow> = db.optional(BY_ID, values![id]).await?;
    row.map(Client::try_from).transpose()
}

/// A client that nobody else changes until the transaction ends.
pub(crate) async fn hold(tx: &mut Tx, id: &str) -> Result<Option<Client>> {
    tx.write(HOLD, values![id]).await?;
    by_id_in(tx, id).await
}

/// The same within a transaction.
pub(crate) async fn by_id_in(tx: &mut Tx, id: &str) -> Result<Option<Client>> {
    let row: Option<ClientRow> = tx.optional(BY_ID, values![id]).await?;
    row.map(Client::try_from).transpose()
}

pub(crate) async fn list(db: &Db) -> Result<Vec<Client>> {
    let rows: Vec<ClientRow> = db.rows(LIST, values![]).await?;
    rows.into_iter().map(Client::try_from).collect()
}

/// Whether there is an app to link.
pub(crate) async fn any_to_link(db: &Db) -> Result<bool> {
    let row: Option<(String,)> = db.optional(TO_LINK, values![]).await?;
    Ok(row.is_some())
}

/// Delete a client and, by cascade, its codes, grants and tokens. Whether it was there.
pub(crate) async fn delete(tx: &mut Tx, id: &str) -> Result<bool> {
    Ok(tx.write(DELETE, values![id]).await? == 1)
}
