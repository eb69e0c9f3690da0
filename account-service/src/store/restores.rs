//! What a restored database lacks: the time that was lost, and the refresh tokens that were given out in it.
//!
//! Whoever holds such a token did nothing wrong, and must not lose a link. The token says itself to which grant it belongs and
//! when it was issued, under a seal of ours (see [`crate::secrets::RefreshProof`]); so it can be written down again, once, if
//! its grant lives and nothing newer of that grant is in use. Once it is so old that housekeeping has forgotten what superseded it,
//! anything newer of its grant speaks against it, in use or not. Only where the client proves itself with a secret: for a token
//! that is all there is to prove who refreshes, nobody knows whether it was spent in the time that was lost.

use macloud_proto::ids::GrantId;

use super::housekeeping::SUPERSEDED_KEPT_SECONDS;
use super::{Db, Result, StoreError, Tx, statements, values};

statements! {
    NOTE = "INSERT INTO restores (restored_at, lost_from) VALUES ($1, $2) ON CONFLICT (restored_at) DO NOTHING";
    NEWEST_PAIR = "SELECT MAX(issued_at) FROM token_pairs";
    /// Followed by the newest that was known of the grant, so that this one is superseded as it is in truth.
    TAKE_BACK = "INSERT INTO token_pairs (access_hash, refresh_hash, grant_id, parent_hash, scopes, issued_at, access_expires_at, refresh_expires_at) \
                 SELECT $1, $2, g.id, \
                 (SELECT known.refresh_hash FROM token_pairs known WHERE known.grant_id = g.id AND known.issued_at <= $4 ORDER BY known.issued_at DESC LIMIT 1), \
                 g.scopes, $4, $4, $5 \
                 FROM grants g JOIN clients c ON c.id = g.client_id \
                 WHERE g.id = $3 AND g.client_id = $6 AND g.ended_at IS NULL AND c.rotation = 'overlap' \
                 AND EXISTS (SELECT 1 FROM restores r WHERE r.restored_at >= $4 AND r.lost_from <= $4) \
                 AND NOT EXISTS (SELECT 1 FROM token_pairs newer JOIN token_pairs later ON later.parent_hash = newer.refresh_hash \
                                 WHERE newer.grant_id = g.id AND newer.issued_at > $4 AND later.issued_at <= $7) \
                 AND NOT EXISTS (SELECT 1 FROM token_pairs newer WHERE newer.grant_id = g.id AND newer.issued_at >= $4 AND $4 <= $8) \
                 ON CONFLICT DO NOTHING";
    /// Whether access tokens that were given out before the last restore may still be in use.
    LATELY = "SELECT COUNT(*) FROM restores WHERE restored_at > $1 - (SELECT COALESCE(MAX(access_token_seconds), 0) FROM clients)";
    /// No access token lives for more than thirty days, and of times there is an index.
    EXPIRE_ACCESS = "UPDATE token_pairs SET access_expires_at = $1 WHERE issued_at > $1 - 2592000 AND access_expires_at > $1";
    /// Spares what is bound to a key: a copy of such a token is of no use without it, spent before or not (RFC 9700 section 4.14
    /// asks for a sender's key or for rotation), and whoever has the key did not lose it with the database.
    EXPIRE_STRICT = "UPDATE token_pairs SET refresh_expires_at = $1 WHERE refresh_expires_at > $1 AND used_at IS NULL AND dpop_jkt IS NULL \
                     AND grant_id IN (SELECT g.id FROM grants g JOIN clients c ON c.id = g.client_id WHERE c.rotation = 'strict')";
    HOLDINGS = "SELECT (SELECT COUNT(*) FROM accounts) AS people, (SELECT COUNT(*) FROM instances WHERE ended_at IS NULL) AS homes, \
                (SELECT COUNT(*) FROM clients) AS apps, (SELECT COUNT(*) FROM grants WHERE ended_at IS NULL) AS links, \
                (SELECT MAX(issued_at) FROM token_pairs) AS newest_tokens_at";
    END_SESSIONS = "DELETE FROM web_sessions";
    END_INVITATIONS = "DELETE FROM invitations";
    END_CODES = "DELETE FROM codes";
    END_PUSHED_REQUESTS = "DELETE FROM pushed_requests";
    END_PAIRINGS = "DELETE FROM pairings";
    END_MAILED_CODES = "DELETE FROM mailed_codes";
    END_MAIL_CHALLENGES = "DELETE FROM mail_challenges";
    END_SIGN_IN_TRIPS = "DELETE FROM sign_in_trips";
    END_HOME_ASSISTANT_TRIPS = "DELETE FROM home_assistant_trips";
    END_OPERATOR_TOKENS = "DELETE FROM operator_tokens";
    FORGET_CHANGES = "DELETE FROM changes";
    /// By a time, so that two restores of one copy do not count on from the same number.
    COUNT_ON = "UPDATE change_counter SET last = last + $1 WHERE id = 1";
}

/// A refresh token that the database does not know, as it describes itself.
#[derive(Debug)]
pub(crate) struct Lost<'a> {
    pub(crate) refresh_hash: &'a [u8; 32],
    pub(crate) grant: &'a GrantId,
    pub(crate) client_id: &'a str,
    pub(crate) issued_at: i64,
    pub(crate) expires_at: i64,
}

/// What a database holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct Holdings {
    /// Accounts.
    pub people: i64,
    /// Paired homes.
    pub homes: i64,
    /// Apps that can be linked.
    pub apps: i64,
    /// Links of people with apps.
    pub links: i64,
    /// When the newest tokens were issued, in seconds since 1970.
    pub newest_tokens_at: Option<i64>,
}

/// What ended with the restore.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Restored {
    /// Up to when the copy knows which tokens were issued, in seconds since 1970.
    pub known_until: Option<i64>,
    /// Browsers that must sign in again.
    pub sessions_ended: u64,
    /// Invitations that must be made again.
    pub invitations_ended: u64,
}

/// Note the restore, and end what might have been used up or ended in the time that was lost.
pub(crate) async fn note(tx: &mut Tx, now: i64) -> Result<Restored> {
    let newest: Option<(Option<i64>,)> = tx.optional(NEWEST_PAIR, values![]).await?;
    let known_until = newest.and_then(|(newest,)| newest);
    let lost_from = known_until.unwrap_or(now).min(now) - CLOCKS_DIFFER_SECONDS;
    tx.write(NOTE, values![now, lost_from]).await?;
    for sql in [EXPIRE_ACCESS, EXPIRE_STRICT] {
        tx.write(sql, values![now]).await?;
    }
    let sessions_ended = tx.write(END_SESSIONS, values![]).await?;
    let invitations_ended = tx.write(END_INVITATIONS, values![]).await?;
    let under_way = [
        END_CODES,
        END_PUSHED_REQUESTS,
        END_PAIRINGS,
        END_MAILED_CODES,
        END_MAIL_CHALLENGES,
        END_SIGN_IN_TRIPS,
        END_HOME_ASSISTANT_TRIPS,
        END_OPERATOR_TOKENS,
        FORGET_CHANGES,
    ];
    for sql in under_way {
        tx.write(sql, values![]).await?;
    }
    // Whoever follows the changes has heard of some that are gone, and must not take the next ones for those.
    tx.write(COUNT_ON, values![now]).await?;
    Ok(Restored { known_until, sessions_ended, invitations_ended })
}

/// What is in the database.
pub(crate) async fn holdings(db: &Db) -> Result<Holdings> {
    let row: Option<Holdings> = db.optional(HOLDINGS, values![]).await?;
    row.ok_or(StoreError::Inconsistent { table: "accounts", column: "id" })
}

/// Write a lost token down again. Whether it is known now and was not before.
pub(crate) async fn take_back(db: &Db, lost: &Lost<'_>, now: i64, overlap_seconds: i64) -> Result<bool> {
    // Its access token is lost for good, and this stands in the place of its hash.
    let nobodys: [u8; 32] = macloud_service_kit::random::bytes();
    let Lost { refresh_hash, grant, client_id, issued_at, expires_at } = *lost;
    let (cut, forgotten) = (now - overlap_seconds, now - SUPERSEDED_KEPT_SECONDS);
    let values = values![&nobodys, refresh_hash, grant.as_str(), issued_at, expires_at, client_id, cut, forgotten];
    Ok(db.write(TAKE_BACK, values).await? == 1)
}

/// Whether an unknown access token may be one of those that were lost.
pub(crate) async fn lately(db: &Db, now: i64) -> Result<bool> {
    let row: Option<(i64,)> = db.optional(LATELY, values![now]).await?;
    Ok(row.is_some_and(|(count,)| count > 0))
}

/// What nodes' clocks may differ by, and more than a token waits between its time and its commit.
const CLOCKS_DIFFER_SECONDS: i64 = 60;
