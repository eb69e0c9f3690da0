//! Who else uses a home, beside the one account that owns it: members, and guests until a time.
//!
//! A guest's time ends by itself: every read leaves out what has had its time, and whoever caches an answer is told when
//! it ends (see `rpc`). Deleting the rows is housekeeping only.

use macloud_proto::ids::{AccountId, InstanceId};

use super::instances::{Instance, InstanceRow};
use super::{Db, Result, StoreError, Tx, changes, home_assistant, parse_id, statements, values};

statements! {
    /// Every home that an account reaches, its own first.
    REACHED = "SELECT i.id, i.account_id, i.name, i.identity_key, i.paired_at, i.last_token_at, i.paused_at, i.replaced_key, i.replaced_at, \
               'owner' AS role, CAST(NULL AS TEXT) AS owner_email, CAST(NULL AS BIGINT) AS owner_suspended_at, \
               CAST(NULL AS BIGINT) AS until, CAST(NULL AS TEXT) AS shown_as, 0 AS shared \
               FROM instances i WHERE i.account_id = $1 AND i.ended_at IS NULL \
               UNION ALL \
               SELECT i.id, i.account_id, i.name, i.identity_key, i.paired_at, i.last_token_at, i.paused_at, i.replaced_key, i.replaced_at, \
               m.role, o.email, o.suspended_at, m.expires_at, m.shown_as, 1 \
               FROM members m JOIN instances i ON i.id = m.instance_id JOIN accounts o ON o.id = i.account_id \
               WHERE m.account_id = $1 AND i.ended_at IS NULL AND (m.expires_at IS NULL OR m.expires_at > $2) \
               ORDER BY shared, paired_at, id";
    /// One of them. At most one row: an owner is no member.
    REACHED_ONE = "SELECT i.id, i.account_id, i.name, i.identity_key, i.paired_at, i.last_token_at, i.paused_at, i.replaced_key, i.replaced_at, \
               COALESCE(m.role, 'owner') AS role, o.email AS owner_email, o.suspended_at AS owner_suspended_at, m.expires_at AS until, m.shown_as \
               FROM instances i JOIN accounts o ON o.id = i.account_id \
               LEFT JOIN members m ON m.instance_id = i.id AND m.account_id = $1 AND (m.expires_at IS NULL OR m.expires_at > $2) \
               WHERE i.id = $3 AND i.ended_at IS NULL AND (i.account_id = $1 OR m.account_id IS NOT NULL)";
    /// In the order in which they came.
    OF_HOME = "SELECT id, account_id, role, shown_as, joined_at, expires_at FROM members \
               WHERE instance_id = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY joined_at, id";
    SET = "INSERT INTO members (instance_id, account_id, id, role, shown_as, joined_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
           ON CONFLICT (instance_id, account_id) DO UPDATE SET role = excluded.role, shown_as = excluded.shown_as, expires_at = excluded.expires_at";
    /// By the owner, and by nobody else.
    REMOVE = "DELETE FROM members WHERE id = $1 AND instance_id = $2 \
              AND EXISTS (SELECT 1 FROM instances i WHERE i.id = $2 AND i.account_id = $3 AND i.ended_at IS NULL) RETURNING account_id, shown_as";
    LEAVE = "DELETE FROM members WHERE instance_id = $1 AND account_id = $2 RETURNING shown_as";
    FORGET = "DELETE FROM members WHERE instance_id = $1 AND account_id = $2";
    ADDRESS = "SELECT email FROM accounts WHERE id = $1";
    LEAVE_ALL = "DELETE FROM members WHERE account_id = $1";
    REMOVE_ALL = "DELETE FROM members WHERE instance_id = $1 RETURNING account_id";
    /// Everybody whose homes change when this one does: its owner, and whoever it is shared with.
    USERS = "SELECT account_id FROM instances WHERE id = $1 UNION SELECT account_id FROM members WHERE instance_id = $1";
    SHARED_WITH = "SELECT account_id FROM members WHERE instance_id = $1";
    /// The homes of others that an account uses, and how their owners know it.
    OWNERS_TOLD = "SELECT i.account_id, i.name, m.shown_as FROM members m JOIN instances i ON i.id = m.instance_id \
                   WHERE m.account_id = $1 AND i.ended_at IS NULL AND (m.expires_at IS NULL OR m.expires_at > $2)";
    /// Whoever uses homes of this account.
    MEMBERS_TOLD = "SELECT m.account_id, i.name FROM members m JOIN instances i ON i.id = m.instance_id \
                    WHERE i.account_id = $1 AND i.ended_at IS NULL AND (m.expires_at IS NULL OR m.expires_at > $2)";
}

/// What somebody is to a home. The text is what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The one who decides about it.
    Owner,
    /// Uses it, and may stop it.
    Member,
    /// Uses it until a time.
    Guest,
}

impl Role {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::Guest => "guest",
        }
    }

    pub(super) fn parse(text: &str, table: &'static str) -> Result<Self> {
        let known = [Self::Owner, Self::Member, Self::Guest].into_iter().find(|role| role.text() == text);
        known.ok_or(StoreError::Inconsistent { table, column: "role" })
    }

    /// "Stop now" is for everybody who lives with the home.
    pub(crate) const fn may_pause(self) -> bool {
        matches!(self, Self::Owner | Self::Member)
    }
}

/// A home as one account reaches it. No `Debug`: it may hold an address.
pub(crate) struct Reached {
    pub(crate) home: Instance,
    pub(crate) role: Role,
    /// Whose it is, when it is somebody else's.
    pub(crate) owner_email: Option<String>,
    /// It does not answer, because its owner's account is suspended.
    pub(crate) owner_suspended: bool,
    /// A guest's time ends then.
    pub(crate) until: Option<i64>,
    /// What its owner calls this account, when the home is somebody else's.
    pub(crate) shown_as: Option<String>,
}

/// A member or guest as its owner sees it.
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) account_id: AccountId,
    pub(crate) role: Role,
    pub(crate) shown_as: String,
    pub(crate) joined_at: i64,
    pub(crate) until: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct ReachedRow {
    #[sqlx(flatten)]
    home: InstanceRow,
    role: String,
    owner_email: Option<String>,
    owner_suspended_at: Option<i64>,
    until: Option<i64>,
    shown_as: Option<String>,
}

impl TryFrom<ReachedRow> for Reached {
    type Error = StoreError;
    fn try_from(row: ReachedRow) -> Result<Self> {
        let role = Role::parse(&row.role, "members")?;
        Ok(Self {
            home: row.home.try_into()?,
            role,
            owner_email: row.owner_email.filter(|_| role != Role::Owner),
            owner_suspended: row.owner_suspended_at.is_some(),
            until: row.until,
            shown_as: row.shown_as,
        })
    }
}

/// The homes of an account and those that are shared with it.
pub(crate) async fn reached(db: &Db, account: &AccountId, now: i64) -> Result<Vec<Reached>> {
    let rows: Vec<ReachedRow> = db.rows(REACHED, values![account.as_str(), now]).await?;
    rows.into_iter().map(Reached::try_from).collect()
}

/// One of them.
pub(crate) async fn reached_one(db: &Db, account: &AccountId, home: &InstanceId, now: i64) -> Result<Option<Reached>> {
    let row: Option<ReachedRow> = db.optional(REACHED_ONE, values![account.as_str(), now, home.as_str()]).await?;
    row.map(Reached::try_from).transpose()
}

type MemberRow = (String, String, String, String, i64, Option<i64>);

/// Who uses a home beside its owner.
pub(crate) async fn of_home(db: &Db, home: &InstanceId, now: i64) -> Result<Vec<Member>> {
    let rows: Vec<MemberRow> = db.rows(OF_HOME, values![home.as_str(), now]).await?;
    rows.into_iter()
        .map(|(id, account_id, role, shown_as, joined_at, until)| {
            let (account_id, role) = (parse_id(&account_id, "members", "account_id")?, Role::parse(&role, "members")?);
            Ok(Member { id, account_id, role, shown_as, joined_at, until })
        })
        .collect()
}

/// Let an account in, or change what it may do. Its cached answers are dropped.
pub(super) async fn set(tx: &mut Tx, home: &InstanceId, member: &Member) -> Result<()> {
    let Member { id, account_id, role, shown_as, joined_at, until } = member;
    let (account, role) = (account_id.as_str(), role.text());
    tx.write(SET, values![home.as_str(), account, id, role, shown_as, *joined_at, *until]).await?;
    Ok(())
}

/// Remove a member at its owner's wish: who it was, and what the owner called them.
pub(crate) async fn remove(
    tx: &mut Tx,
    owner: &AccountId,
    home: &InstanceId,
    member: &str,
    now: i64,
) -> Result<Option<(AccountId, String)>> {
    let row: Option<(String, String)> = tx.optional(REMOVE, values![member, home.as_str(), owner.as_str()]).await?;
    let Some((account, shown_as)) = row else { return Ok(None) };
    let account: AccountId = parse_id(&account, "members", "account_id")?;
    home_assistant::forget_at(tx, &account, home).await?;
    changes::append(tx, &changes::Subject::HomesChanged(account.clone()), now).await?;
    Ok(Some((account, shown_as)))
}

/// Leave a home: what the owner called whoever left, if they were a member.
pub(crate) async fn leave(tx: &mut Tx, account: &AccountId, home: &InstanceId, now: i64) -> Result<Option<String>> {
    let row: Option<(String,)> = tx.optional(LEAVE, values![home.as_str(), account.as_str()]).await?;
    let Some((shown_as,)) = row else { return Ok(None) };
    home_assistant::forget_at(tx, account, home).await?;
    changes::append(tx, &changes::Subject::HomesChanged(account.clone()), now).await?;
    Ok(Some(shown_as))
}

/// An account is no member any more, because it is more than that now.
pub(super) async fn forget(tx: &mut Tx, home: &InstanceId, account: &AccountId) -> Result<()> {
    tx.write(FORGET, values![home.as_str(), account.as_str()]).await?;
    Ok(())
}

/// The address of an account, as the name of a member whom the owner knows by it.
pub(super) async fn address(tx: &mut Tx, account: &AccountId) -> Result<String> {
    let row: Option<(String,)> = tx.optional(ADDRESS, values![account.as_str()]).await?;
    row.map(|(email,)| email).ok_or(StoreError::Inconsistent { table: "members", column: "account_id" })
}

/// An account leaves every home that is shared with it.
pub(crate) async fn leave_all(tx: &mut Tx, account: &AccountId, now: i64) -> Result<()> {
    if tx.write(LEAVE_ALL, values![account.as_str()]).await? > 0 {
        changes::append(tx, &changes::Subject::HomesChanged(account.clone()), now).await?;
    }
    Ok(())
}

/// Everybody leaves. Who it was; telling the other parts of the cloud is up to the caller.
pub(super) async fn remove_all(tx: &mut Tx, home: &InstanceId) -> Result<Vec<AccountId>> {
    let rows: Vec<(String,)> = tx.rows(REMOVE_ALL, values![home.as_str()]).await?;
    rows.iter().map(|(account,)| parse_id(account, "members", "account_id")).collect()
}

/// Have everybody's cached answers about this home dropped.
pub(super) async fn tell_users(tx: &mut Tx, home: &InstanceId, now: i64) -> Result<()> {
    tell(tx, USERS, home, now).await
}

/// The same for those whom it is shared with, but not for its owner.
pub(super) async fn tell_members(tx: &mut Tx, home: &InstanceId, now: i64) -> Result<()> {
    tell(tx, SHARED_WITH, home, now).await
}

async fn tell(tx: &mut Tx, whom: &'static str, home: &InstanceId, now: i64) -> Result<()> {
    let rows: Vec<(String,)> = tx.rows(whom, values![home.as_str()]).await?;
    for (account,) in rows {
        let account = parse_id(&account, "members", "account_id")?;
        changes::append(tx, &changes::Subject::HomesChanged(account), now).await?;
    }
    Ok(())
}

/// Whose homes an account uses: the owner, the home's name, and what the owner calls this account.
pub(crate) async fn owners_of(db: &Db, account: &AccountId, now: i64) -> Result<Vec<(AccountId, String, String)>> {
    let rows: Vec<(String, String, String)> = db.rows(OWNERS_TOLD, values![account.as_str(), now]).await?;
    let parse = |(owner, home, shown_as): (String, String, String)| {
        Ok((parse_id(&owner, "instances", "account_id")?, home, shown_as))
    };
    rows.into_iter().map(parse).collect()
}

/// Who uses homes of an account: the member, and the home's name.
pub(crate) async fn of_owner(db: &Db, owner: &AccountId, now: i64) -> Result<Vec<(AccountId, String)>> {
    let rows: Vec<(String, String)> = db.rows(MEMBERS_TOLD, values![owner.as_str(), now]).await?;
    rows.into_iter().map(|(member, home)| Ok((parse_id(&member, "members", "account_id")?, home))).collect()
}
