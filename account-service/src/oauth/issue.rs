//! A fresh pair of tokens, and the answer that carries it.

use macloud_proto::ids::GrantId;
use serde_json::{Value, json};

use crate::secrets::{Kind, Secret};
use crate::shared::Shared;
use crate::store::clients::Client;
use crate::store::tokens::NewPair;

/// The next pair for a client: the secrets for the answer, their hashes for the database.
pub(super) struct Issue {
    access: Secret,
    refresh: Secret,
    expires_in: i64,
    pub(super) pair: NewPair,
}

impl Issue {
    /// `jkt` is the key that the pair is bound to.
    pub(super) fn new(shared: &Shared, client: &Client, grant: &GrantId, jkt: Option<String>) -> Self {
        let now = shared.now();
        let (access, refresh) = (Secret::new(Kind::Access), shared.master.refresh_token(grant, now));
        let pair = NewPair {
            access_hash: access.hash(),
            refresh_hash: refresh.hash(),
            issued_at: now,
            access_expires_at: now + client.access_token_seconds,
            refresh_expires_at: now + i64::from(shared.config.lives.refresh_idle_seconds),
            dpop_jkt: jkt,
        };
        Self { access, refresh, expires_in: client.access_token_seconds, pair }
    }

    /// The token endpoint's answer (RFC 6749 section 5.1).
    pub(super) fn into_answer(self, scopes: &str, id_token: Option<String>) -> Value {
        let mut answer = json!({
            "access_token": self.access.as_str(),
            "token_type": if self.pair.dpop_jkt.is_some() { "DPoP" } else { "Bearer" },
            "expires_in": self.expires_in,
            "refresh_token": self.refresh.as_str(),
            "scope": scopes,
        });
        if let Some(id_token) = id_token {
            answer["id_token"] = id_token.into();
        }
        answer
    }
}
