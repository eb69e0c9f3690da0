//! Who people are in the Home Assistant of their home, and the ways to find out.

use macloud_proto::ids::{AccountId, InstanceId};

use super::{Db, Result, Tx, parse_id, statements, values};

statements! {
    BEGIN = "INSERT INTO home_assistant_trips (ticket_hash, state_hash, instance_id, url, nonce, expires_at) VALUES ($1, $2, $3, $4, $5, $6)";
    OF_STATE = "SELECT i.id, i.name, t.url FROM home_assistant_trips t JOIN instances i ON i.id = t.instance_id \
                WHERE t.state_hash = $1 AND t.expires_at > $2 AND t.sealed_code IS NULL AND i.account_id = $3 AND i.ended_at IS NULL";
    BRING = "UPDATE home_assistant_trips SET sealed_code = $3, account_id = $2 \
             WHERE state_hash = $1 AND expires_at > $4 AND sealed_code IS NULL AND EXISTS \
             (SELECT 1 FROM instances i WHERE i.id = home_assistant_trips.instance_id AND i.account_id = $2 AND i.ended_at IS NULL)";
    /// The one place where a code is handed out. Again, to a home that did not hear it: it takes the home's key and ticket, and
    /// Home Assistant itself takes a code once.
    DELIVER = "UPDATE home_assistant_trips SET delivered_at = COALESCE(delivered_at, $3) WHERE ticket_hash = $1 AND instance_id = $2 \
               AND expires_at > $3 AND sealed_code IS NOT NULL RETURNING sealed_code, nonce";
    WAITING = "SELECT COUNT(*) FROM home_assistant_trips WHERE ticket_hash = $1 AND instance_id = $2 AND expires_at > $3 AND sealed_code IS NULL";
    /// The one place where a home's word counts.
    END = "DELETE FROM home_assistant_trips WHERE ticket_hash = $1 AND instance_id = $2 AND nonce = $3 AND expires_at > $4 \
           AND delivered_at IS NOT NULL AND account_id = (SELECT i.account_id FROM instances i WHERE i.id = $2) RETURNING account_id";
    BIND = "INSERT INTO home_assistant_users (instance_id, ha_user_id, account_id, name, is_owner, bound_at) VALUES ($1, $2, $3, $4, $5, $6) \
            ON CONFLICT (instance_id, ha_user_id) DO UPDATE SET account_id = excluded.account_id, name = excluded.name, \
            is_owner = excluded.is_owner, bound_at = excluded.bound_at";
    OF_ACCOUNT = "SELECT u.instance_id, u.ha_user_id, u.name, u.is_owner FROM home_assistant_users u JOIN instances i ON i.id = u.instance_id \
                  WHERE u.account_id = $1 AND i.ended_at IS NULL ORDER BY u.bound_at, u.ha_user_id";
    FORGET = "DELETE FROM home_assistant_users WHERE account_id = $1";
    FORGET_AT = "DELETE FROM home_assistant_users WHERE account_id = $1 AND instance_id = $2";
    REMOVE = "DELETE FROM home_assistant_users WHERE account_id = $1 AND instance_id = $2 AND ha_user_id = $3";
}

/// A way to a Home Assistant and back.
pub(crate) struct Trip<'a> {
    pub(crate) instance: &'a InstanceId,
    /// Where the Home Assistant is, at home.
    pub(crate) url: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) expires_at: i64,
}

/// Whose way a browser is on.
#[derive(sqlx::FromRow)]
pub(crate) struct Asked {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) url: String,
}

/// Somebody in a home's Home Assistant, by that home's word. No `Debug`: it holds a name.
pub(crate) struct User<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) is_owner: bool,
}

/// The same as a line in a list.
#[derive(sqlx::FromRow)]
pub(crate) struct Listed {
    pub(crate) instance_id: String,
    pub(crate) ha_user_id: String,
    pub(crate) name: String,
    pub(crate) is_owner: bool,
}

pub(crate) async fn begin(db: &Db, ticket: &[u8; 32], state: &[u8; 32], trip: &Trip<'_>) -> Result<()> {
    let Trip { instance, url, nonce, expires_at } = trip;
    db.write(BEGIN, values![ticket, state, instance.as_str(), *url, *nonce, *expires_at]).await?;
    Ok(())
}

/// The home of this account that a browser comes back for.
pub(crate) async fn asked(db: &Db, state: &[u8; 32], account: &AccountId, now: i64) -> Result<Option<Asked>> {
    db.optional(OF_STATE, values![state, now, account.as_str()]).await
}

/// Keep what a browser brought for a home of its account. Whether it was the first.
pub(crate) async fn bring(db: &Db, state: &[u8; 32], account: &AccountId, code: &[u8], now: i64) -> Result<bool> {
    Ok(db.write(BRING, values![state, account.as_str(), code, now]).await? == 1)
}

/// The sealed code for a home and the nonce for its word, until it gave that.
pub(crate) async fn deliver(
    db: &Db,
    ticket: &[u8; 32],
    instance: &InstanceId,
    now: i64,
) -> Result<Option<(Vec<u8>, String)>> {
    db.write_one(DELIVER, values![ticket, instance.as_str(), now]).await
}

/// Whether the browser is still on its way.
pub(crate) async fn is_waiting(db: &Db, ticket: &[u8; 32], instance: &InstanceId, now: i64) -> Result<bool> {
    let row: Option<(i64,)> = db.optional(WAITING, values![ticket, instance.as_str(), now]).await?;
    Ok(row.is_some_and(|(count,)| count == 1))
}

/// Take a home's word for who came, and end the way. Whose account it was.
pub(crate) async fn bind(
    tx: &mut Tx,
    ticket: &[u8; 32],
    instance: &InstanceId,
    nonce: &str,
    user: &User<'_>,
    now: i64,
) -> Result<Option<AccountId>> {
    let row: Option<(Option<String>,)> = tx.optional(END, values![ticket, instance.as_str(), nonce, now]).await?;
    let Some((Some(account),)) = row else { return Ok(None) };
    let account: AccountId = parse_id(&account, "home_assistant_trips", "account_id")?;
    let User { id, name, is_owner } = user;
    tx.write(BIND, values![instance.as_str(), *id, account.as_str(), *name, *is_owner, now]).await?;
    Ok(Some(account))
}

pub(crate) async fn of_account(db: &Db, account: &AccountId) -> Result<Vec<Listed>> {
    db.rows(OF_ACCOUNT, values![account.as_str()]).await
}

/// Whether it was there.
pub(crate) async fn remove(db: &Db, account: &AccountId, instance: &InstanceId, user: &str) -> Result<bool> {
    Ok(db.write(REMOVE, values![account.as_str(), instance.as_str(), user]).await? == 1)
}

/// Forget who an account is in any Home Assistant.
pub(crate) async fn forget(tx: &mut Tx, account: &AccountId) -> Result<()> {
    tx.write(FORGET, values![account.as_str()]).await?;
    Ok(())
}

/// The same for one home, which is no longer theirs.
pub(super) async fn forget_at(tx: &mut Tx, account: &AccountId, home: &InstanceId) -> Result<()> {
    tx.write(FORGET_AT, values![account.as_str(), home.as_str()]).await?;
    Ok(())
}
