//! Access tokens that clients got in their own name (client credentials): operators' programs.

use super::{Db, Result, statements, values};

statements! {
    INSERT = "INSERT INTO operator_tokens (access_hash, client_id, scopes, issued_at, expires_at, dpop_jkt) VALUES ($1, $2, $3, $4, $5, $6)";
    /// What the client may do now bounds what its older tokens may do.
    BY_HASH = "SELECT t.client_id, t.scopes, c.own_scopes, t.issued_at, t.expires_at, t.ended_at, t.dpop_jkt \
               FROM operator_tokens t JOIN clients c ON c.id = t.client_id WHERE t.access_hash = $1";
    END = "UPDATE operator_tokens SET ended_at = $3 WHERE access_hash = $1 AND client_id = $2 AND ended_at IS NULL";
}

/// A token that is about to be issued.
pub(crate) struct NewToken<'a> {
    pub(crate) hash: [u8; 32],
    pub(crate) client_id: &'a str,
    pub(crate) scopes: &'a str,
    pub(crate) issued_at: i64,
    pub(crate) expires_at: i64,
    /// The key that it is bound to, as a thumbprint.
    pub(crate) dpop_jkt: Option<&'a str>,
}

/// All that is known of such a token.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct OperatorToken {
    pub(crate) client_id: String,
    pub(crate) scopes: String,
    /// What its client may have now.
    pub(crate) own_scopes: String,
    pub(crate) issued_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) ended_at: Option<i64>,
    pub(crate) dpop_jkt: Option<String>,
}

impl OperatorToken {
    /// Whether it works at this time.
    pub(crate) fn is_active(&self, now: i64) -> bool {
        self.ended_at.is_none() && self.expires_at > now
    }

    /// Whether it allows `scope`, and its client still may have that.
    pub(crate) fn allows(&self, scope: &str) -> bool {
        let holds = |scopes: &str| scopes.split(' ').any(|other| other == scope);
        holds(&self.scopes) && holds(&self.own_scopes)
    }

    /// What it allows by now.
    pub(crate) fn allowed(&self) -> Vec<&str> {
        self.scopes.split(' ').filter(|scope| self.allows(scope)).collect()
    }
}

pub(crate) async fn insert(db: &Db, token: &NewToken<'_>) -> Result<()> {
    let values = values![&token.hash, token.client_id, token.scopes, token.issued_at, token.expires_at, token.dpop_jkt];
    db.write(INSERT, values).await?;
    Ok(())
}

pub(crate) async fn by_hash(db: &Db, hash: &[u8; 32]) -> Result<Option<OperatorToken>> {
    db.optional(BY_HASH, values![hash]).await
}

/// End a token of this client. Whether it was living.
pub(crate) async fn end(db: &Db, hash: &[u8; 32], client_id: &str, now: i64) -> Result<bool> {
    Ok(db.write(END, values![hash, client_id, now]).await? == 1)
}
