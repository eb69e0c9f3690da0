//! OAuth clients.

use super::{Db, Result, StoreError, parse_bytes, statements, values};

statements! {
    INSERT = "INSERT INTO clients (id, name, secret_hash, require_pkce, rotation, access_token_seconds, redirect_uris, created_at, post_logout_redirect_uris) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING";
    BY_ID = "SELECT id, name, secret_hash, require_pkce, rotation, access_token_seconds, redirect_uris, created_at, post_logout_redirect_uris \
             FROM clients WHERE id = $1";
    LIST = "SELECT id, name, secret_hash, require_pkce, rotation, access_token_seconds, redirect_uris, created_at, post_logout_redirect_uris \
            FROM clients ORDER BY id";
    DELETE = "DELETE FROM clients WHERE id = $1";
}

/// What happens to a refresh token when it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// SHA-256 of the secret; none for a public client.
    pub(crate) secret_hash: Option<[u8; 32]>,
    /// Whether an authorization request without PKCE is refused.
    pub require_pkce: bool,
    /// What happens to used refresh tokens.
    pub rotation: Rotation,
    /// Life of its access tokens.
    pub access_token_seconds: i64,
    /// Where codes may be sent; compared byte by byte.
    pub redirect_uris: Vec<String>,
    /// Where a browser may be sent after signing out at this client's wish; compared byte by byte.
    pub post_logout_redirect_uris: Vec<String>,
    /// Seconds since 1970.
    pub created_at: i64,
}

impl Client {
    /// Whether it has no secret.
    #[must_use]
    pub const fn is_public(&self) -> bool {
        self.secret_hash.is_none()
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
}

impl TryFrom<ClientRow> for Client {
    type Error = StoreError;
    fn try_from(row: ClientRow) -> Result<Self> {
        let secret_hash = row.secret_hash.map(|hash| parse_bytes(&hash, "clients", "secret_hash")).transpose()?;
        Ok(Self {
            id: row.id,
            name: row.name,
            secret_hash,
            require_pkce: row.require_pkce,
            rotation: match row.rotation.as_str() {
                "overlap" => Rotation::Overlap,
                "strict" => Rotation::Strict,
                _ => return Err(StoreError::Inconsistent { table: "clients", column: "rotation" }),
            },
            access_token_seconds: row.access_token_seconds,
            redirect_uris: parse_uris(&row.redirect_uris, "redirect_uris")?,
            post_logout_redirect_uris: parse_uris(&row.post_logout_redirect_uris, "post_logout_redirect_uris")?,
            created_at: row.created_at,
        })
    }
}

fn parse_uris(text: &str, column: &'static str) -> Result<Vec<String>> {
    serde_json::from_str(text).map_err(|_| StoreError::Inconsistent { table: "clients", column })
}

/// Whether it was added; no when the id is taken.
pub(crate) async fn insert(db: &Db, client: &Client) -> Result<bool> {
    let rotation = match client.rotation {
        Rotation::Overlap => "overlap",
        Rotation::Strict => "strict",
    };
    let uris = |list: &[String]| serde_json::Value::from(list).to_string();
    let redirect_uris = uris(&client.redirect_uris);
    let post_logout_redirect_uris = uris(&client.post_logout_redirect_uris);
    let secret_hash = client.secret_hash.as_ref().map(<[u8; 32]>::as_slice);
    let inserted = db
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
                &post_logout_redirect_uris
            ],
        )
        .await?;
    Ok(inserted == 1)
}

pub(crate) async fn by_id(db: &Db, id: &str) -> Result<Option<Client>> {
    let row: Option<ClientRow> = db.optional(BY_ID, values![id]).await?;
    row.map(Client::try_from).transpose()
}

pub(crate) async fn list(db: &Db) -> Result<Vec<Client>> {
    let rows: Vec<ClientRow> = db.rows(LIST, values![]).await?;
    rows.into_iter().map(Client::try_from).collect()
}

/// Delete a client and, by cascade, its codes, grants and tokens. Whether it was there.
pub(crate) async fn delete(tx: &mut super::Tx, id: &str) -> Result<bool> {
    Ok(tx.write(DELETE, values![id]).await? == 1)
}
