//! Invitations to a home, and offers of a home, that wait for their answer. An answered one is gone.

use macloud_proto::ids::{AccountId, InstanceId};

use super::members::{Member, Role};
use super::{Db, Result, Tx, changes, home_assistant, members, parse_id, statements, values};

statements! {
    /// Only by the owner, and only so many: a home's members and open invitations together have a bound. Those that have had
    /// their time count no more.
    INSERT = "INSERT INTO invitations (id, code_hash, instance_id, invited_by, role, guest_seconds, stays, shown_as, email, created_at, expires_at) \
              SELECT $1, $2, i.id, i.account_id, $5, $6, $7, $8, $9, $10, $11 FROM instances i \
              WHERE i.id = $3 AND i.account_id = $4 AND i.ended_at IS NULL \
              AND (SELECT COUNT(*) FROM invitations o WHERE o.instance_id = i.id AND o.expires_at > $10) \
              + (SELECT COUNT(*) FROM members m WHERE m.instance_id = i.id AND (m.expires_at IS NULL OR m.expires_at > $10)) < $12";
    OF_HOME = "SELECT id, role, guest_seconds, shown_as, email, expires_at FROM invitations WHERE instance_id = $1 AND expires_at > $2 ORDER BY created_at, id";
    REVOKE = "DELETE FROM invitations WHERE id = $1 AND instance_id = $2 AND invited_by = $3 RETURNING shown_as";
    /// As whoever holds the code sees it. It counts only while the one who made it owns the home.
    BY_CODE = "SELECT v.invited_by, v.role, v.guest_seconds, v.stays, v.shown_as, v.email, i.name, i.identity_key, o.email AS owner_email, \
               (SELECT m.role FROM members m WHERE m.instance_id = i.id AND m.account_id = $3 AND (m.expires_at IS NULL OR m.expires_at > $2)) AS present \
               FROM invitations v JOIN instances i ON i.id = v.instance_id AND i.account_id = v.invited_by AND i.ended_at IS NULL \
               JOIN accounts o ON o.id = v.invited_by AND o.suspended_at IS NULL \
               WHERE v.code_hash = $1 AND v.expires_at > $2";
    /// The one place where an invitation is accepted or declined: by nobody but the person it is for, never by its maker. One
    /// for an address is for whoever has shown that the address is theirs: anybody can claim it.
    ANSWER = "DELETE FROM invitations WHERE code_hash = $1 AND expires_at > $2 AND invited_by <> $3 \
              AND (email IS NULL OR email = (SELECT a.email FROM accounts a WHERE a.id = $3 AND a.email_verified_at IS NOT NULL)) \
              AND EXISTS (SELECT 1 FROM instances i JOIN accounts o ON o.id = i.account_id \
                          WHERE i.id = invitations.instance_id AND i.account_id = invitations.invited_by AND i.ended_at IS NULL AND o.suspended_at IS NULL) \
              RETURNING instance_id, invited_by, role, guest_seconds, stays, shown_as";
    /// A home changes hands only from the one who offered it.
    MOVE = "UPDATE instances SET account_id = $3 WHERE id = $1 AND account_id = $2 AND ended_at IS NULL";
    DELETE_ALL = "DELETE FROM invitations WHERE instance_id = $1";
}

/// What is offered, as it is made.
pub(crate) struct NewInvitation<'a> {
    pub(crate) id: &'a str,
    pub(crate) code: &'a [u8; 32],
    pub(crate) home: &'a InstanceId,
    pub(crate) owner: &'a AccountId,
    pub(crate) role: Role,
    /// How long a guest may stay, from accepting on.
    pub(crate) guest_seconds: Option<i64>,
    /// Whoever offers the home would like to remain a member.
    pub(crate) stays: bool,
    pub(crate) shown_as: &'a str,
    /// Only the account with this address may accept.
    pub(crate) email: Option<&'a str>,
    pub(crate) expires_at: i64,
}

/// An open invitation, as the home's owner sees it.
pub(crate) struct Open {
    pub(crate) id: String,
    pub(crate) role: Role,
    pub(crate) guest_seconds: Option<i64>,
    pub(crate) shown_as: String,
    pub(crate) email: Option<String>,
    pub(crate) expires_at: i64,
}

/// An invitation, as the one who holds its code sees it.
pub(crate) struct Invited {
    pub(crate) home_name: String,
    pub(crate) identity_key: Vec<u8>,
    pub(crate) owner: AccountId,
    pub(crate) owner_email: String,
    pub(crate) role: Role,
    pub(crate) guest_seconds: Option<i64>,
    pub(crate) stays: bool,
    pub(crate) shown_as: String,
    pub(crate) email: Option<String>,
    /// What they are to this home already.
    pub(crate) present: Option<Role>,
}

/// What was answered, and by whom it had been asked.
pub(crate) struct Answered {
    pub(crate) home: InstanceId,
    pub(crate) owner: AccountId,
    pub(crate) role: Role,
    pub(crate) shown_as: String,
    /// With a home that changed hands: members that it lost by it.
    pub(crate) lost: Vec<AccountId>,
}

/// Whether it was made; no when the home is not that account's, or has as many members and invitations as it may have: `most`
/// by its owner's plan, which is to be held.
pub(crate) async fn insert(tx: &mut Tx, new: &NewInvitation<'_>, most: Option<u32>, now: i64) -> Result<bool> {
    let NewInvitation { id, code, home, owner, role, guest_seconds, stays, shown_as, email, expires_at } = *new;
    let (home, owner) = (home.as_str(), owner.as_str());
    let most = most.map_or(MOST, |most| MOST.min(most.into()));
    let values =
        values![id, code, home, owner, role.text(), guest_seconds, stays, shown_as, email, now, expires_at, most];
    Ok(tx.write(INSERT, values).await? == 1)
}

type OpenRow = (String, String, Option<i64>, String, Option<String>, i64);

/// The open invitations to a home.
pub(crate) async fn of_home(db: &Db, home: &InstanceId, now: i64) -> Result<Vec<Open>> {
    let rows: Vec<OpenRow> = db.rows(OF_HOME, values![home.as_str(), now]).await?;
    rows.into_iter()
        .map(|(id, role, guest_seconds, shown_as, email, expires_at)| {
            let role = Role::parse(&role, "invitations")?;
            Ok(Open { id, role, guest_seconds, shown_as, email, expires_at })
        })
        .collect()
}

/// Take an invitation back: whom it was for, if it was open.
pub(crate) async fn revoke(db: &Db, owner: &AccountId, home: &InstanceId, id: &str) -> Result<Option<String>> {
    let row: Option<(String,)> = db.write_one(REVOKE, values![id, home.as_str(), owner.as_str()]).await?;
    Ok(row.map(|(shown_as,)| shown_as))
}

#[derive(sqlx::FromRow)]
struct InvitedRow {
    invited_by: String,
    role: String,
    guest_seconds: Option<i64>,
    stays: bool,
    shown_as: String,
    email: Option<String>,
    name: String,
    identity_key: Vec<u8>,
    owner_email: String,
    present: Option<String>,
}

/// What this code invites this account to.
pub(crate) async fn by_code(db: &Db, code: &[u8; 32], account: &AccountId, now: i64) -> Result<Option<Invited>> {
    let row: Option<InvitedRow> = db.optional(BY_CODE, values![code, now, account.as_str()]).await?;
    row.map(|row| {
        Ok(Invited {
            home_name: row.name,
            identity_key: row.identity_key,
            owner: parse_id(&row.invited_by, "invitations", "invited_by")?,
            owner_email: row.owner_email,
            role: Role::parse(&row.role, "invitations")?,
            guest_seconds: row.guest_seconds,
            stays: row.stays,
            shown_as: row.shown_as,
            email: row.email,
            present: row.present.map(|role| Role::parse(&role, "members")).transpose()?,
        })
    })
    .transpose()
}

#[derive(sqlx::FromRow)]
struct AnsweredRow {
    instance_id: String,
    invited_by: String,
    role: String,
    guest_seconds: Option<i64>,
    stays: bool,
    shown_as: String,
}

async fn answer(
    tx: &mut Tx,
    code: &[u8; 32],
    account: &AccountId,
    now: i64,
) -> Result<Option<(Answered, AnsweredRow)>> {
    let row: Option<AnsweredRow> = tx.optional(ANSWER, values![code, now, account.as_str()]).await?;
    row.map(|row| {
        let answered = Answered {
            home: parse_id(&row.instance_id, "invitations", "instance_id")?,
            owner: parse_id(&row.invited_by, "invitations", "invited_by")?,
            role: Role::parse(&row.role, "invitations")?,
            shown_as: row.shown_as.clone(),
            lost: Vec::new(),
        };
        Ok((answered, row))
    })
    .transpose()
}

/// Say no. `None` when there is nothing (any more) to say no to.
pub(crate) async fn decline(tx: &mut Tx, code: &[u8; 32], account: &AccountId, now: i64) -> Result<Option<Answered>> {
    Ok(answer(tx, code, account, now).await?.map(|(answered, _)| answered))
}

/// What the one who accepts a home decides about those who use it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// Members and guests stay.
    pub(crate) keep_members: bool,
    /// Whoever gives the home away stays as a member, if they want to.
    pub(crate) keep_owner: bool,
    /// The accepting person saw that this is a home to own.
    pub(crate) as_owner: bool,
}

/// Say yes: become a member, a guest or, where the home itself was offered, its owner. `None` when it was answered, taken
/// back or expired meanwhile, or is not for this account.
pub(crate) async fn accept(
    tx: &mut Tx,
    code: &[u8; 32],
    account: &AccountId,
    fresh: [&str; 2],
    terms: Terms,
    now: i64,
) -> Result<Option<Answered>> {
    let Some((mut answered, row)) = answer(tx, code, account, now).await? else { return Ok(None) };
    if (answered.role == Role::Owner) != terms.as_owner {
        return Ok(None);
    }
    if answered.role == Role::Owner {
        let terms = Terms { keep_owner: terms.keep_owner && row.stays, ..terms };
        return if take_over(tx, &mut answered, account, fresh, terms, now).await? {
            Ok(Some(answered))
        } else {
            Ok(None)
        };
    }
    let until = row.guest_seconds.filter(|_| answered.role == Role::Guest).map(|seconds| now.saturating_add(seconds));
    let shown_as = answered.shown_as.clone();
    let member = Member {
        id: fresh[0].into(),
        account_id: account.clone(),
        role: answered.role,
        shown_as,
        joined_at: now,
        until,
    };
    members::set(tx, &answered.home, &member).await?;
    changes::append(tx, &changes::Subject::HomesChanged(account.clone()), now).await?;
    Ok(Some(answered))
}

/// The home changes hands. It keeps its id, its key and its link; nobody has to link Alexa again.
async fn take_over(
    tx: &mut Tx,
    answered: &mut Answered,
    account: &AccountId,
    fresh: [&str; 2],
    terms: Terms,
    now: i64,
) -> Result<bool> {
    let (home, old) = (answered.home.clone(), answered.owner.clone());
    if tx.write(MOVE, values![home.as_str(), old.as_str(), account.as_str()]).await? != 1 {
        return Ok(false);
    }
    // What the old owner offered to others was theirs to offer, and is not any more.
    delete_all(tx, &home).await?;
    members::forget(tx, &home, account).await?;
    if !terms.keep_members {
        answered.lost = members::remove_all(tx, &home).await?;
    }
    if terms.keep_owner {
        let email = members::address(tx, &old).await?;
        let member = Member {
            id: fresh[1].into(),
            account_id: old.clone(),
            role: Role::Member,
            shown_as: email,
            joined_at: now,
            until: None,
        };
        members::set(tx, &home, &member).await?;
    } else {
        home_assistant::forget_at(tx, &old, &home).await?;
    }
    // Its token says what its owner's plan allows.
    changes::append(tx, &changes::Subject::LimitsChanged(home.clone()), now).await?;
    members::tell_users(tx, &home, now).await?;
    for account in answered.lost.iter().chain([&old]) {
        changes::append(tx, &changes::Subject::HomesChanged(account.clone()), now).await?;
    }
    Ok(true)
}

/// Take back all invitations to a home.
pub(super) async fn delete_all(tx: &mut Tx, home: &InstanceId) -> Result<()> {
    tx.write(DELETE_ALL, values![home.as_str()]).await?;
    Ok(())
}

/// Members and open invitations of one home. A large household with its guests has a dozen; each costs a line of the
/// change log whenever the home changes.
const MOST: i64 = 50;
