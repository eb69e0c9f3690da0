//! What is deleted when its time has come. Each statement may run on several nodes at once and be cut short anywhere.

use super::{Db, Result, statements, values};

statements! {
    SESSIONS = "DELETE FROM web_sessions WHERE expires_at <= $1";
    /// Kept a day past their end: a second use of a spent code must still be recognised, to revoke what it issued.
    CODES = "DELETE FROM codes WHERE expires_at <= $1 - 86400";
    PAIRINGS = "DELETE FROM pairings WHERE expires_at <= $1 - 3600";
    PUSHED_REQUESTS = "DELETE FROM pushed_requests WHERE expires_at <= $1";
    MAILED_CODES = "DELETE FROM mailed_codes WHERE expires_at <= $1";
    MAIL_CHALLENGES = "DELETE FROM mail_challenges WHERE expires_at <= $1";
    SIGN_IN_TRIPS = "DELETE FROM sign_in_trips WHERE expires_at <= $1";
    HOME_ASSISTANT = "DELETE FROM home_assistant_trips WHERE expires_at <= $1";
    INVITATIONS = "DELETE FROM invitations WHERE expires_at <= $1";
    /// Nothing depends on it: no read counts a guest whose time is over.
    GUESTS = "DELETE FROM members WHERE expires_at <= $1";
    PROOFS = "DELETE FROM seen_proofs WHERE expires_at <= $1";
    CHANGES = "DELETE FROM changes WHERE happened_at <= $1";
    IDLE_TOKENS = "DELETE FROM token_pairs WHERE refresh_expires_at <= $1";
    /// Superseded pairs: refused already, and kept for a while only so that a late reuse can be named in the log. Whatever
    /// makes a pair superseded is younger than it, so nothing that is deleted here is missed by a row that stays.
    SUPERSEDED_TOKENS = "DELETE FROM token_pairs WHERE issued_at <= $1 AND EXISTS (SELECT 1 FROM token_pairs next \
              JOIN token_pairs later ON later.parent_hash = next.refresh_hash \
              WHERE next.parent_hash = token_pairs.refresh_hash AND later.issued_at <= $2)";
    ENDED_GRANTS = "DELETE FROM grants WHERE ended_at <= $1";
    ENDED_INSTANCES = "DELETE FROM instances WHERE ended_at <= $1";
    USES = "DELETE FROM uses WHERE last_at <= $1";
    PLAN_NOTICES = "DELETE FROM plan_notices WHERE day <= $1";
    BILLING_EVENTS = "DELETE FROM billing_events WHERE counted_at <= $1";
    NOBODYS_SUBSCRIPTIONS = "DELETE FROM billing_subscriptions WHERE account_id IS NULL AND changed_at <= $1";
    LINK_ATTEMPTS = "DELETE FROM link_attempts WHERE changed_at <= $1";
    NOBODYS_LINK_ATTEMPTS = "DELETE FROM link_attempts WHERE account_id IS NULL AND changed_at <= $1";
    USE_BATCHES = "DELETE FROM use_batches WHERE counted_at <= $1";
    OPERATOR_TOKENS = "DELETE FROM operator_tokens WHERE expires_at <= $1";
    AUDIT = "DELETE FROM audit WHERE happened_at <= $1";
    ACTIVITY = "DELETE FROM activity WHERE happened_at <= $1";
}

/// Delete what has had its time. How many rows went.
pub(crate) async fn run(db: &Db, now: i64, overlap_seconds: i64) -> Result<u64> {
    const DAY: i64 = 24 * 3600;
    let mut deleted = 0;
    let by_their_end = [
        SESSIONS,
        CODES,
        PAIRINGS,
        PUSHED_REQUESTS,
        MAILED_CODES,
        MAIL_CHALLENGES,
        SIGN_IN_TRIPS,
        HOME_ASSISTANT,
        INVITATIONS,
        GUESTS,
        PROOFS,
        IDLE_TOKENS,
        OPERATOR_TOKENS,
    ];
    for sql in by_their_end {
        deleted += db.write(sql, values![now]).await?;
    }
    deleted += db.write(CHANGES, values![now - 7 * DAY]).await?;
    deleted += db.write(SUPERSEDED_TOKENS, values![now - 90 * DAY, now - overlap_seconds]).await?;
    deleted += db.write(ENDED_GRANTS, values![now - 400 * DAY]).await?;
    deleted += db.write(ENDED_INSTANCES, values![now - 400 * DAY]).await?;
    deleted += db.write(ACTIVITY, values![now - 180 * DAY]).await?;
    deleted += db.write(USES, values![now - 30 * DAY]).await?;
    deleted += db.write(USE_BATCHES, values![now - 2 * DAY]).await?;
    deleted += db.write(PLAN_NOTICES, values![now - 7 * DAY]).await?;
    deleted += db.write(BILLING_EVENTS, values![now - 90 * DAY]).await?;
    deleted += db.write(NOBODYS_SUBSCRIPTIONS, values![now - 90 * DAY]).await?;
    deleted += db.write(LINK_ATTEMPTS, values![now - 30 * DAY]).await?;
    deleted += db.write(NOBODYS_LINK_ATTEMPTS, values![now - DAY]).await?;
    deleted += db.write(AUDIT, values![now - 400 * DAY]).await?;
    Ok(deleted)
}
