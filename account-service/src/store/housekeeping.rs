//! What is deleted when its time has come. Each statement may run on several nodes at once and be cut short anywhere.
//!
//! Nobody who refreshes or signs in may wait for this, however much there is to delete: each statement finds its rows by an
//! index, takes at most a thousand, and is repeated until there are no more.

use super::{Db, Result, Value, statements, values};

statements! {
    SESSIONS = "DELETE FROM web_sessions WHERE cookie_hash IN (SELECT cookie_hash FROM web_sessions WHERE expires_at <= $1 LIMIT 1000)";
    KNOWN_BROWSERS = "DELETE FROM known_browsers WHERE (browser_hash, account_id) IN (SELECT browser_hash, account_id FROM known_browsers WHERE expires_at <= $1 LIMIT 1000)";
    /// Kept a day past their end: a second use of a spent code must still be recognised, to revoke what it issued.
    CODES = "DELETE FROM codes WHERE code_hash IN (SELECT code_hash FROM codes WHERE expires_at <= $1 - 86400 LIMIT 1000)";
    PAIRINGS = "DELETE FROM pairings WHERE device_code_hash IN (SELECT device_code_hash FROM pairings WHERE expires_at <= $1 - 3600 LIMIT 1000)";
    PUSHED_REQUESTS = "DELETE FROM pushed_requests WHERE request_hash IN (SELECT request_hash FROM pushed_requests WHERE expires_at <= $1 LIMIT 1000)";
    MAILED_CODES = "DELETE FROM mailed_codes WHERE (account_id, purpose) IN (SELECT account_id, purpose FROM mailed_codes WHERE expires_at <= $1 LIMIT 1000)";
    MAIL_CHALLENGES = "DELETE FROM mail_challenges WHERE ticket_hash IN (SELECT ticket_hash FROM mail_challenges WHERE expires_at <= $1 LIMIT 1000)";
    SIGN_IN_TRIPS = "DELETE FROM sign_in_trips WHERE state_hash IN (SELECT state_hash FROM sign_in_trips WHERE expires_at <= $1 LIMIT 1000)";
    HOME_ASSISTANT = "DELETE FROM home_assistant_trips WHERE ticket_hash IN (SELECT ticket_hash FROM home_assistant_trips WHERE expires_at <= $1 LIMIT 1000)";
    INVITATIONS = "DELETE FROM invitations WHERE id IN (SELECT id FROM invitations WHERE expires_at <= $1 LIMIT 1000)";
    /// Nothing depends on it: no read counts a guest whose time is over.
    GUESTS = "DELETE FROM members WHERE (instance_id, account_id) IN (SELECT instance_id, account_id FROM members WHERE expires_at <= $1 LIMIT 1000)";
    PROOFS = "DELETE FROM seen_proofs WHERE proof_hash IN (SELECT proof_hash FROM seen_proofs WHERE expires_at <= $1 LIMIT 1000)";
    CHANGES = "DELETE FROM changes WHERE sequence IN (SELECT sequence FROM changes WHERE happened_at <= $1 LIMIT 1000)";
    IDLE_TOKENS = "DELETE FROM token_pairs WHERE access_hash IN (SELECT access_hash FROM token_pairs WHERE refresh_expires_at <= $1 LIMIT 1000)";
    /// Superseded pairs: refused already, and kept for a while only so that a late reuse can be named in the log. Whatever
    /// makes a pair superseded is younger than it, so nothing that is deleted here is missed by a row that stays.
    SUPERSEDED_TOKENS = "DELETE FROM token_pairs WHERE access_hash IN (SELECT access_hash FROM token_pairs WHERE issued_at <= $1 AND EXISTS (SELECT 1 FROM token_pairs next \
              JOIN token_pairs later ON later.parent_hash = next.refresh_hash \
              WHERE next.parent_hash = token_pairs.refresh_hash AND later.issued_at <= $2) LIMIT 1000)";
    ENDED_GRANTS = "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE ended_at <= $1 LIMIT 1000)";
    ENDED_INSTANCES = "DELETE FROM instances WHERE id IN (SELECT id FROM instances WHERE ended_at <= $1 LIMIT 1000)";
    USES = "DELETE FROM uses WHERE (hour, grant_id, instance_id, kind, result) IN (SELECT hour, grant_id, instance_id, kind, result FROM uses WHERE last_at <= $1 LIMIT 1000)";
    PLAN_NOTICES = "DELETE FROM plan_notices WHERE (account_id, day, notice) IN (SELECT account_id, day, notice FROM plan_notices WHERE day <= $1 LIMIT 1000)";
    BILLING_EVENTS = "DELETE FROM billing_events WHERE event_id IN (SELECT event_id FROM billing_events WHERE counted_at <= $1 LIMIT 1000)";
    NOBODYS_SUBSCRIPTIONS = "DELETE FROM billing_subscriptions WHERE subscription IN (SELECT subscription FROM billing_subscriptions WHERE account_id IS NULL AND changed_at <= $1 LIMIT 1000)";
    LINK_ATTEMPTS = "DELETE FROM link_attempts WHERE id IN (SELECT id FROM link_attempts WHERE changed_at <= $1 LIMIT 1000)";
    NOBODYS_LINK_ATTEMPTS = "DELETE FROM link_attempts WHERE id IN (SELECT id FROM link_attempts WHERE account_id IS NULL AND changed_at <= $1 LIMIT 1000)";
    USE_BATCHES = "DELETE FROM use_batches WHERE batch_id IN (SELECT batch_id FROM use_batches WHERE counted_at <= $1 LIMIT 1000)";
    OPERATOR_TOKENS = "DELETE FROM operator_tokens WHERE access_hash IN (SELECT access_hash FROM operator_tokens WHERE expires_at <= $1 LIMIT 1000)";
    /// By then no token that was lost is good any more.
    RESTORES = "DELETE FROM restores WHERE restored_at IN (SELECT restored_at FROM restores WHERE restored_at <= $1 LIMIT 1000)";
    AUDIT = "DELETE FROM audit WHERE sequence IN (SELECT sequence FROM audit WHERE happened_at <= $1 LIMIT 1000)";
    ACTIVITY = "DELETE FROM activity WHERE id IN (SELECT id FROM activity WHERE happened_at <= $1 LIMIT 1000)";
}

/// Delete what has had its time. How many rows went.
pub(crate) async fn run(db: &Db, now: i64, overlap_seconds: i64) -> Result<u64> {
    const DAY: i64 = 24 * 3600;
    let mut deleted = 0;
    let by_their_end = [
        SESSIONS,
        KNOWN_BROWSERS,
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
        deleted += delete(db, sql, values![now]).await?;
    }
    deleted += delete(db, CHANGES, values![now - 7 * DAY]).await?;
    deleted += delete(db, SUPERSEDED_TOKENS, values![now - SUPERSEDED_KEPT_SECONDS, now - overlap_seconds]).await?;
    deleted += delete(db, ENDED_GRANTS, values![now - 400 * DAY]).await?;
    deleted += delete(db, ENDED_INSTANCES, values![now - 400 * DAY]).await?;
    deleted += delete(db, ACTIVITY, values![now - 180 * DAY]).await?;
    deleted += delete(db, USES, values![now - 30 * DAY]).await?;
    deleted += delete(db, USE_BATCHES, values![now - 2 * DAY]).await?;
    deleted += delete(db, PLAN_NOTICES, values![now - 7 * DAY]).await?;
    deleted += delete(db, BILLING_EVENTS, values![now - 90 * DAY]).await?;
    deleted += delete(db, NOBODYS_SUBSCRIPTIONS, values![now - 90 * DAY]).await?;
    deleted += delete(db, LINK_ATTEMPTS, values![now - 30 * DAY]).await?;
    deleted += delete(db, NOBODYS_LINK_ATTEMPTS, values![now - DAY]).await?;
    deleted += delete(db, RESTORES, values![now - 400 * DAY]).await?;
    deleted += delete(db, AUDIT, values![now - 400 * DAY]).await?;
    Ok(deleted)
}

/// Slice by slice, so that others get their turn in between.
async fn delete(db: &Db, sql: &'static str, values: &[Value<'_>]) -> Result<u64> {
    let mut deleted = 0;
    loop {
        match db.write(sql, values).await? {
            0 => return Ok(deleted),
            count => deleted += count,
        }
    }
}

/// Also what [`super::restores`] counts on: a younger token that was superseded is still known.
pub(super) const SUPERSEDED_KEPT_SECONDS: i64 = 90 * 24 * 3600;

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::super::tests::fresh;
    use super::*;

    #[tokio::test]
    async fn nothing_is_searched_for_without_an_index() {
        let (_scratch, db, write) = fresh().await;
        for (name, sql) in STATEMENTS {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(&write).await.unwrap();
            let scan = plan.iter().find(|(.., step)| step.starts_with("SCAN"));
            assert_eq!(scan, None, "{name}");
        }
        db.close().await;
    }

    #[tokio::test]
    async fn more_than_a_slice_goes_slice_by_slice() {
        let (_scratch, db, write) = fresh().await;
        let many = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500) \
                    INSERT INTO seen_proofs (proof_hash, expires_at) SELECT CAST(n AS BLOB), n FROM n";
        sqlx::query(many).execute(&write).await.unwrap();
        assert_eq!(db.write(PROOFS, values![2400]).await.unwrap(), 1000);
        assert_eq!(run(&db, 2400, 60).await.unwrap(), 1400);
        assert_eq!(run(&db, 2400, 60).await.unwrap(), 0);
        db.close().await;
    }
}
