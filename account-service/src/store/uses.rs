//! What was done through linked apps, as counts by the hour.

use macloud_proto::ids::{AccountId, GrantId, InstanceId};

use super::{Db, Result, StoreError, Tx, statements, values};

statements! {
    BATCH = "INSERT INTO use_batches (batch_id, counted_at) VALUES ($1, $2) ON CONFLICT (batch_id) DO NOTHING";
    /// A grant or a home that is gone meanwhile counts nowhere.
    ADD = "INSERT INTO uses (hour, grant_id, account_id, instance_id, kind, result, times, last_at) \
           SELECT $1, g.id, g.account_id, i.id, $4, $5, $6, $7 FROM grants g JOIN instances i ON i.id = $3 WHERE g.id = $2 \
           ON CONFLICT (hour, grant_id, instance_id, kind, result) DO UPDATE SET times = uses.times + excluded.times, \
           last_at = CASE WHEN excluded.last_at > uses.last_at THEN excluded.last_at ELSE uses.last_at END";
    LAST_DONE = "SELECT MAX(last_at) FROM uses WHERE instance_id = $1 AND result = 'done'";
    LAST_BY_CLIENT = "SELECT MAX(u.last_at) FROM uses u JOIN grants g ON g.id = u.grant_id WHERE g.account_id = $1 AND g.client_id = $2";
    /// One's own, and what the members of one's homes did in them since they came: by the name that their owner gave them.
    /// Each half goes along an index of its own; one condition over both would read everybody's uses. Whoever does not
    /// reach a home any more does not learn what it is called by now.
    PAGE = "SELECT u.last_at, u.grant_id || u.instance_id || u.kind || u.result || CAST(u.hour AS TEXT), c.name, \
            CASE WHEN i.account_id = $1 OR EXISTS (SELECT 1 FROM members m WHERE m.instance_id = i.id AND m.account_id = $1 \
            AND (m.expires_at IS NULL OR m.expires_at > $5)) THEN i.name ELSE '' END, u.kind, u.result, u.times, '' \
            FROM uses u JOIN grants g ON g.id = u.grant_id JOIN clients c ON c.id = g.client_id JOIN instances i ON i.id = u.instance_id \
            WHERE u.account_id = $1 AND u.last_at <= $2 AND (u.last_at < $2 OR -1 < $3 OR (-1 = $3 AND \
            u.grant_id || u.instance_id || u.kind || u.result || CAST(u.hour AS TEXT) < $4)) \
            UNION ALL \
            SELECT u.last_at, u.grant_id || u.instance_id || u.kind || u.result || CAST(u.hour AS TEXT), c.name, i.name, u.kind, u.result, u.times, m.shown_as \
            FROM instances i JOIN members m ON m.instance_id = i.id AND m.account_id <> $1 \
            JOIN uses u ON u.instance_id = m.instance_id AND u.account_id = m.account_id AND u.last_at >= m.joined_at \
            JOIN grants g ON g.id = u.grant_id JOIN clients c ON c.id = g.client_id \
            WHERE i.account_id = $1 AND u.last_at <= $2 AND (u.last_at < $2 OR -1 < $3 OR (-1 = $3 AND \
            u.grant_id || u.instance_id || u.kind || u.result || CAST(u.hour AS TEXT) < $4)) \
            ORDER BY 1 DESC, 2 DESC LIMIT 51";
}

/// The words of a small enum, as they are stored.
macro_rules! stored {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum $name { $($(#[$case_doc])* $case),* }
        impl $name {
            /// As it is stored.
            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$case => $text),* }
            }
            pub(crate) fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$case),)* _ => None }
            }
        }
    };
}

pub(crate) use stored;

stored! {
    /// What was asked for.
    UseKind {
        /// Which players there are.
        Discovery = "discovery",
        /// How a player stands.
        Read = "read",
        /// Play, pause and the like.
        Playback = "playback",
        /// Louder, softer, silent.
        Volume = "volume",
        /// On and off.
        Power = "power",
        /// Shuffle, repeat and the like.
        Mode = "mode",
        /// Search and play.
        PlayMedia = "play_media",
    }
}

stored! {
    /// What came of it.
    UseResult {
        /// The home did it.
        Done = "done",
        /// A rule of the home forbids it.
        Refused = "refused",
        /// The home could not do it.
        NotPossible = "not_possible",
        /// The home was not connected.
        Offline = "offline",
        /// No answer in time.
        TimedOut = "timed_out",
        /// The home was paused.
        Paused = "paused",
        /// The plan's commands were used up, or came too fast.
        OverLimit = "over_limit",
        /// A fault of the service.
        Failed = "failed",
    }
}

impl UseKind {
    /// Whether a plan counts it. Looking never does.
    pub(crate) const fn counts(self) -> bool {
        !matches!(self, Self::Discovery | Self::Read)
    }
}

impl UseResult {
    /// Whether it reached the home: what did not is not counted against a plan.
    pub(crate) const fn reached_home(self) -> bool {
        matches!(self, Self::Done | Self::Refused | Self::NotPossible | Self::TimedOut)
    }
}

/// So many of one kind that ended in one way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Used {
    pub(crate) grant: GrantId,
    pub(crate) instance: InstanceId,
    pub(crate) kind: UseKind,
    pub(crate) result: UseResult,
    pub(crate) times: i64,
    pub(crate) last_at: i64,
}

/// An hour's line, as people see it.
#[derive(Debug, Clone)]
pub(crate) struct UseLine {
    pub(crate) at: i64,
    /// Tells lines of one second apart.
    pub(crate) key: String,
    pub(crate) client: String,
    /// Its name, for whoever still reaches it.
    pub(crate) home: Option<String>,
    pub(crate) kind: UseKind,
    pub(crate) result: UseResult,
    pub(crate) times: i64,
    /// Whose it was, if somebody else's.
    pub(crate) who: Option<String>,
}

/// Count a batch, once. Whether it was new.
pub(crate) async fn count(tx: &mut Tx, batch: &[u8; 16], uses: &mut [Used], now: i64) -> Result<bool> {
    if tx.write(BATCH, values![&batch[..], now]).await? == 0 {
        return Ok(false);
    }
    // In one order, so that two processes that report the same lines do not wait for each other in a circle.
    uses.sort();
    for used in uses {
        let hour = used.last_at - used.last_at.rem_euclid(HOUR);
        let (grant, instance) = (used.grant.as_str(), used.instance.as_str());
        let (kind, result) = (used.kind.text(), used.result.text());
        tx.write(ADD, values![hour, grant, instance, kind, result, used.times, used.last_at]).await?;
    }
    Ok(true)
}

/// When the home last did what it was asked.
pub(crate) async fn last_done(db: &Db, home: &InstanceId) -> Result<Option<i64>> {
    let row: Option<(Option<i64>,)> = db.optional(LAST_DONE, values![home.as_str()]).await?;
    Ok(row.and_then(|(at,)| at))
}

/// When this person last used this client for something.
pub(crate) async fn last_by_client(db: &Db, account: &AccountId, client_id: &str) -> Result<Option<i64>> {
    let row: Option<(Option<i64>,)> = db.optional(LAST_BY_CLIENT, values![account.as_str(), client_id]).await?;
    Ok(row.and_then(|(at,)| at))
}

type PageRow = (i64, String, String, String, String, String, i64, String);

/// The lines of an account and of its homes that come after this place, newest first: one more than a page.
pub(crate) async fn page(db: &Db, account: &AccountId, after: (i64, i64, &str), now: i64) -> Result<Vec<UseLine>> {
    let (at, sequence, key) = after;
    let rows: Vec<PageRow> = db.rows(PAGE, values![account.as_str(), at, sequence, key, now]).await?;
    rows.into_iter().map(line).collect()
}

fn line((at, key, client, home, kind, result, times, who): PageRow) -> Result<UseLine> {
    let kind = UseKind::parse(&kind).ok_or(StoreError::Inconsistent { table: "uses", column: "kind" })?;
    let result = UseResult::parse(&result).ok_or(StoreError::Inconsistent { table: "uses", column: "result" })?;
    let [home, who] = [home, who].map(|text| Some(text).filter(|text| !text.is_empty()));
    Ok(UseLine { at, key, client, home, kind, result, times, who })
}

const HOUR: i64 = 3600;

#[cfg(test)]
mod tests {
    use sqlx::Row as _;

    use super::*;
    use crate::store::{export, plans, tests::fresh};

    /// The indices are the same ones on PostgreSQL; its planner goes by the sizes of the tables.
    #[tokio::test]
    async fn nobody_reads_the_uses_of_everybody() {
        let (_scratch, db, write) = fresh().await;
        let all = [STATEMENTS, plans::STATEMENTS, export::STATEMENTS].concat();
        let about_uses: Vec<_> = all.into_iter().filter(|(_, sql)| sql.contains(" uses ")).collect();
        assert!(about_uses.len() >= 6);
        for (name, sql) in about_uses {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let plan = sqlx::query(explain).fetch_all(&write).await.unwrap();
            let steps: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
            let reads_all = |step: &String| step.contains("SCAN u") || step.contains("uses_age");
            assert!(!steps.iter().any(reads_all), "{name}: {steps:#?}");
        }
        db.close().await;
    }
}
