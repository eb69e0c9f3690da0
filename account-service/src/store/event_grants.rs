//! Event-gateway grants: sealed by the skill, kept here, readable only there; and the customers at Amazon that they are for.

use macloud_proto::ids::{AccountId, GrantId};

use super::instances::Instance;
use super::{Db, Result, Tx, parse_id, statements, values};

statements! {
    UPSERT = "INSERT INTO event_grants (account_id, region, sealed, stored_at) \
              SELECT id, $2, $3, $4 FROM accounts WHERE id = $1 \
              ON CONFLICT (account_id, region) DO UPDATE SET sealed = excluded.sealed, stored_at = excluded.stored_at";
    DELETE = "DELETE FROM event_grants WHERE account_id = $1 AND region = $2";
    /// With each authorization of its account that has not ended.
    AUDIENCE = "SELECT e.account_id, e.region, e.sealed, e.stored_at, g.id AS grant_id FROM event_grants e \
                JOIN accounts a ON a.id = e.account_id JOIN grants g ON g.account_id = e.account_id \
                WHERE a.suspended_at IS NULL AND g.ended_at IS NULL AND (e.account_id = $1 OR EXISTS (SELECT 1 FROM members m \
                WHERE m.instance_id = $2 AND m.account_id = e.account_id AND (m.expires_at IS NULL OR m.expires_at > $3))) \
                ORDER BY e.account_id, e.region, g.id";
    END_ALL = "DELETE FROM event_grants WHERE account_id = $1";
    NOTE_CUSTOMER = "INSERT INTO skill_customers (customer, account_id, noted_at) SELECT $2, id, $3 FROM accounts WHERE id = $1 \
                     ON CONFLICT (customer) DO UPDATE SET account_id = excluded.account_id, noted_at = excluded.noted_at";
    CUSTOMER = "SELECT account_id FROM skill_customers WHERE customer = $1";
    FORGET_CUSTOMER = "DELETE FROM skill_customers WHERE customer = $1";
    FORGET_CUSTOMERS = "DELETE FROM skill_customers WHERE account_id = $1";
    END_WITHOUT_CUSTOMERS = "DELETE FROM event_grants WHERE account_id = $1 AND NOT EXISTS \
                             (SELECT 1 FROM skill_customers c WHERE c.account_id = $1)";
}

/// Whether the account exists.
pub(crate) async fn store(db: &Db, account: &AccountId, region: &str, sealed: &[u8], now: i64) -> Result<bool> {
    Ok(db.write(UPSERT, values![account.as_str(), region, sealed, now]).await? == 1)
}

pub(crate) async fn delete(db: &Db, account: &AccountId, region: &str) -> Result<()> {
    db.write(DELETE, values![account.as_str(), region]).await?;
    Ok(())
}

/// A grant, and an authorization of its account that has not ended.
pub(crate) struct Listening {
    pub(crate) account: AccountId,
    pub(crate) region: String,
    pub(crate) sealed: Vec<u8>,
    pub(crate) stored_at: i64,
    pub(crate) authorization: GrantId,
}

#[derive(sqlx::FromRow)]
struct ListeningRow {
    account_id: String,
    region: String,
    sealed: Vec<u8>,
    stored_at: i64,
    grant_id: String,
}

/// Who wants to hear of this home: its owner, and whoever it is shared with. Together what belongs together.
pub(crate) async fn audience(db: &Db, home: &Instance, now: i64) -> Result<Vec<Listening>> {
    let rows: Vec<ListeningRow> = db.rows(AUDIENCE, values![home.account_id.as_str(), home.id.as_str(), now]).await?;
    let listening = |row: ListeningRow| {
        let ListeningRow { account_id, region, sealed, stored_at, grant_id } = row;
        let account = parse_id(&account_id, "event_grants", "account_id")?;
        let authorization = parse_id(&grant_id, "grants", "id")?;
        Ok(Listening { account, region, sealed, stored_at, authorization })
    };
    rows.into_iter().map(listening).collect()
}

/// Nobody's event gateway hears of this account's homes any more.
pub(crate) async fn end_all(tx: &mut Tx, account: &AccountId) -> Result<()> {
    tx.write(END_ALL, values![account.as_str()]).await?;
    tx.write(FORGET_CUSTOMERS, values![account.as_str()]).await?;
    Ok(())
}

/// Whether the account exists, whose this customer is from now on.
pub(crate) async fn note_customer(db: &Db, account: &AccountId, customer: &[u8], now: i64) -> Result<bool> {
    Ok(db.write(NOTE_CUSTOMER, values![account.as_str(), customer, now]).await? == 1)
}

/// The customer has disabled the skill. Whose it was; nothing of the account goes to event gateways unless it has another one.
pub(crate) async fn customer_left(db: &Db, customer: &[u8]) -> Result<Option<AccountId>> {
    let mut tx = db.begin().await?;
    let Some((account,)) = tx.optional::<(String,)>(CUSTOMER, values![customer]).await? else { return Ok(None) };
    let account = parse_id(&account, "skill_customers", "account_id")?;
    tx.write(FORGET_CUSTOMER, values![customer]).await?;
    tx.write(END_WITHOUT_CUSTOMERS, values![AccountId::as_str(&account)]).await?;
    tx.commit().await?;
    Ok(Some(account))
}
