//! What the other parts of the cloud must hear of, in the order it was committed.
//!
//! The order comes from one counter, whose row only one transaction holds at a time. So a transaction remembers what it
//! changes, and takes the counter when all else is done: nobody waits for another's row while holding it, and nobody holds
//! it for longer than the writing takes.

use macloud_proto::ids::{AccountId, GrantId, InstanceId};

use super::{Db, Result, StoreError, Tx, Value, parse_id, statements, values};

statements! {
    /// Takes the counter's row lock until the transaction ends. The last of so many sequences.
    RESERVE = "UPDATE change_counter SET last = last + $1 WHERE id = 1 RETURNING last";
    INSERT = "INSERT INTO changes (sequence, kind, subject, happened_at) VALUES ($1, $2, $3, $4)";
    /// As many as [`TOGETHER`].
    INSERT_TOGETHER = "INSERT INTO changes (sequence, kind, subject, happened_at) VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12), ($13, $14, $15, $16), \
              ($17, $18, $19, $20), ($21, $22, $23, $24), ($25, $26, $27, $28), ($29, $30, $31, $32), \
              ($33, $34, $35, $36), ($37, $38, $39, $40), ($41, $42, $43, $44), ($45, $46, $47, $48), \
              ($49, $50, $51, $52), ($53, $54, $55, $56), ($57, $58, $59, $60), ($61, $62, $63, $64)";
    REWRITE = "UPDATE change_counter SET last = last WHERE id = 1";
    LAST = "SELECT last FROM change_counter WHERE id = 1";
    OLDEST = "SELECT MIN(sequence) FROM changes";
    /// Sequences and times grow together, but for what the clocks of several nodes differ by.
    FIRST_SINCE = "SELECT MIN(sequence) FROM changes WHERE happened_at >= $1";
    AFTER = "SELECT sequence, kind, subject, happened_at FROM changes WHERE sequence > $1 ORDER BY sequence LIMIT 500";
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Its tokens are void.
    GrantEnded(GrantId),
    /// Unlinked, or its account suspended.
    InstanceEnded(InstanceId),
    /// Suspended.
    AccountEnded(AccountId),
    /// It has the key with this thumbprint from now on, and no other.
    KeyChanged(InstanceId, String),
    /// Paired, renamed, paused or resumed, shared, or not shared any more.
    HomesChanged(AccountId),
    /// Nothing may be sent to it.
    HomePaused(InstanceId),
    /// It goes on.
    HomeResumed(InstanceId),
    /// Its plan allows something else, or nothing more for today.
    LimitsChanged(InstanceId),
}

/// A change as it was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) sequence: u64,
    /// None for what only a newer version of this program knows of.
    pub(crate) subject: Option<Subject>,
    /// Seconds since 1970, taken just before its transaction.
    pub(crate) happened_at: i64,
}

impl Subject {
    fn columns(&self) -> (&'static str, String) {
        match self {
            Self::GrantEnded(id) => ("grant_ended", id.to_string()),
            Self::InstanceEnded(id) => ("instance_ended", id.to_string()),
            Self::AccountEnded(id) => ("account_ended", id.to_string()),
            Self::KeyChanged(id, thumbprint) => ("key_changed", format!("{id} {thumbprint}")),
            Self::HomesChanged(id) => ("homes_changed", id.to_string()),
            Self::HomePaused(id) => ("home_paused", id.to_string()),
            Self::HomeResumed(id) => ("home_resumed", id.to_string()),
            Self::LimitsChanged(id) => ("limits_changed", id.to_string()),
        }
    }

    /// None of a kind that is not known.
    fn from_columns(kind: &str, subject: &str) -> Result<Option<Self>> {
        Ok(Some(match kind {
            "grant_ended" => Self::GrantEnded(parse_id(subject, "changes", "subject")?),
            "instance_ended" => Self::InstanceEnded(parse_id(subject, "changes", "subject")?),
            "account_ended" => Self::AccountEnded(parse_id(subject, "changes", "subject")?),
            "key_changed" => {
                let (id, thumbprint) = subject.split_once(' ').unwrap_or_default();
                Self::KeyChanged(parse_id(id, "changes", "subject")?, thumbprint.to_owned())
            }
            "homes_changed" => Self::HomesChanged(parse_id(subject, "changes", "subject")?),
            "home_paused" => Self::HomePaused(parse_id(subject, "changes", "subject")?),
            "home_resumed" => Self::HomeResumed(parse_id(subject, "changes", "subject")?),
            "limits_changed" => Self::LimitsChanged(parse_id(subject, "changes", "subject")?),
            _ => return Ok(None),
        }))
    }
}

/// Note a change within the transaction that makes it. It is written when the transaction is committed.
#[expect(clippy::unused_async, reason = "it reads like the steps around it")]
pub(crate) async fn append(tx: &mut Tx, subject: &Subject, now: i64) -> Result<()> {
    tx.changes.push((subject.clone(), now));
    Ok(())
}

/// Write what a transaction noted: its last step.
pub(super) async fn write_noted(tx: &mut Tx) -> Result<()> {
    let noted = std::mem::take(&mut tx.changes);
    if noted.is_empty() {
        return Ok(());
    }
    let count = noted.len() as i64;
    let (last,): (i64,) = tx
        .optional(RESERVE, values![count])
        .await?
        .ok_or(StoreError::Inconsistent { table: "change_counter", column: "id" })?;
    let columns: Vec<(&'static str, String, i64)> = noted
        .iter()
        .map(|(subject, happened_at)| {
            let (kind, subject) = subject.columns();
            (kind, subject, *happened_at)
        })
        .collect();
    let rows: Vec<[Value<'_>; 4]> = (last - count + 1..)
        .zip(&columns)
        .map(|(sequence, (kind, subject, happened_at))| {
            [sequence.into(), (*kind).into(), subject.into(), (*happened_at).into()]
        })
        .collect();
    let (together, rest) = rows.as_chunks::<TOGETHER>();
    for rows in together {
        tx.write(INSERT_TOGETHER, rows.as_flattened()).await?;
    }
    for row in rest {
        tx.write(INSERT, row).await?;
    }
    Ok(())
}

/// Write what is there already, the way that requests do: fails when nothing can be written, which reading would not notice.
pub(crate) async fn rewrite(db: &Db) -> Result<()> {
    let mut tx = db.begin().await?;
    tx.write(REWRITE, values![]).await?;
    tx.commit().await
}

/// The newest sequence, 0 when nothing ever changed.
pub(crate) async fn last(db: &Db) -> Result<u64> {
    let row: Option<(i64,)> = db.optional(LAST, values![]).await?;
    Ok(row.map_or(0, |(last,)| last.unsigned_abs()))
}

/// The oldest sequence still kept, if any is.
pub(crate) async fn oldest(db: &Db) -> Result<Option<u64>> {
    let row: Option<(Option<i64>,)> = db.optional(OLDEST, values![]).await?;
    Ok(row.and_then(|(oldest,)| oldest).map(i64::unsigned_abs))
}

/// The sequence of the first change that happened at `time` or later, if any did.
pub(crate) async fn first_since(db: &Db, time: i64) -> Result<Option<u64>> {
    let row: Option<(Option<i64>,)> = db.optional(FIRST_SINCE, values![time]).await?;
    Ok(row.and_then(|(first,)| first).map(i64::unsigned_abs))
}

/// Up to 500 changes after `sequence`, oldest first.
pub(crate) async fn after(db: &Db, sequence: u64) -> Result<Vec<Change>> {
    let rows: Vec<(i64, String, String, i64)> = db.rows(AFTER, values![sequence as i64]).await?;
    rows.into_iter()
        .map(|(sequence, kind, subject, happened_at)| {
            let sequence = sequence.unsigned_abs();
            let subject = Subject::from_columns(&kind, &subject)?;
            if subject.is_none() {
                // While a newer version is rolled out beside this one. Who follows us does not know of such, either.
                tracing::warn!(change.sequence = sequence, change.kind = %kind, "a change of an unknown kind is passed over");
            }
            Ok(Change { sequence, subject, happened_at })
        })
        .collect()
}

/// When a client goes or an account, there are many; each statement is a round trip while the counter is held.
const TOGETHER: usize = 16;
