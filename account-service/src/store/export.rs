//! Everything that is kept about one account, table by table, for the person it is about. Hashes and sealed secrets stay
//! here: they are no use to anybody else, and a copy of them would only be one more to lose.

use macloud_proto::ids::AccountId;
use serde_json::{Map, Value, json};

use super::{Db, Result, statements, values};

statements! {
    ACCOUNT = "SELECT id, email, created_at, suspended_at, email_verified_at FROM accounts WHERE id = $1";
    SESSIONS = "SELECT id, device, signed_in_at, last_seen_at, expires_at FROM web_sessions WHERE account_id = $1 ORDER BY signed_in_at";
    KNOWN_BROWSERS = "SELECT session_id, expires_at FROM known_browsers WHERE account_id = $1 ORDER BY expires_at";
    CODES = "SELECT client_id, scopes, redirect_uri, expires_at, used_at FROM codes WHERE account_id = $1 ORDER BY expires_at";
    GRANTS = "SELECT id, client_id, scopes, signed_in_at, created_at, ended_at FROM grants WHERE account_id = $1 ORDER BY created_at";
    TOKENS = "SELECT p.grant_id, p.scopes, p.issued_at, p.access_expires_at, p.refresh_expires_at, p.used_at \
              FROM token_pairs p JOIN grants g ON g.id = p.grant_id WHERE g.account_id = $1 ORDER BY p.issued_at";
    INSTANCES = "SELECT id, name, identity_key, paired_at, last_token_at, paused_at, replaced_key, replaced_at, ended_at FROM instances WHERE account_id = $1 ORDER BY paired_at";
    PAIRINGS = "SELECT name, identity_key, expires_at, decided_at, allowed, redeemed_at, replaces FROM pairings WHERE account_id = $1 ORDER BY expires_at";
    EVENT_GRANTS = "SELECT region, stored_at FROM event_grants WHERE account_id = $1 ORDER BY region";
    SKILL_CUSTOMERS = "SELECT noted_at FROM skill_customers WHERE account_id = $1 ORDER BY noted_at";
    TOTP = "SELECT created_at, confirmed_at FROM totp_secrets WHERE account_id = $1";
    RECOVERY_CODES = "SELECT COUNT(*) FROM recovery_codes WHERE account_id = $1";
    MAILED_CODES = "SELECT purpose, expires_at, tries_left FROM mailed_codes WHERE account_id = $1 ORDER BY purpose";
    MAIL_CHALLENGES = "SELECT purpose, email, expires_at, tries_left FROM mail_challenges WHERE account_id = $1 ORDER BY expires_at";
    PASSKEYS = "SELECT name, created_at, last_used_at FROM passkeys WHERE account_id = $1 ORDER BY created_at";
    IDENTITIES = "SELECT issuer, subject, label, created_at, last_used_at FROM identities WHERE account_id = $1 ORDER BY created_at";
    SIGN_IN_TRIPS = "SELECT provider, expires_at FROM sign_in_trips WHERE account_id = $1 ORDER BY expires_at";
    HOME_ASSISTANT_USERS = "SELECT instance_id, ha_user_id, name, is_owner, bound_at FROM home_assistant_users WHERE account_id = $1 ORDER BY bound_at";
    HOME_ASSISTANT_TRIPS = "SELECT t.instance_id, t.url, t.expires_at FROM home_assistant_trips t JOIN instances i ON i.id = t.instance_id \
                            WHERE i.account_id = $1 ORDER BY t.expires_at";
    /// What others share with this person, whoever they are; what this person shares, with whom as they named them.
    MEMBERSHIPS = "SELECT m.id, i.name, o.email, m.role, m.shown_as, m.joined_at, m.expires_at FROM members m JOIN instances i ON i.id = m.instance_id \
                   JOIN accounts o ON o.id = i.account_id WHERE m.account_id = $1 ORDER BY m.joined_at, m.id";
    MEMBERS = "SELECT m.id, i.name, m.role, m.shown_as, m.joined_at, m.expires_at FROM members m JOIN instances i ON i.id = m.instance_id \
               WHERE i.account_id = $1 ORDER BY m.joined_at, m.id";
    INVITATIONS = "SELECT v.id, i.name, v.role, v.guest_seconds, v.stays, v.shown_as, v.email, v.created_at, v.expires_at FROM invitations v \
                   JOIN instances i ON i.id = v.instance_id WHERE v.invited_by = $1 ORDER BY v.created_at, v.id";
    /// Those for this person's address. Without the code, nothing can be done with them.
    INVITED = "SELECT i.name, o.email, v.role, v.shown_as, v.created_at, v.expires_at FROM invitations v JOIN instances i ON i.id = v.instance_id \
               JOIN accounts o ON o.id = v.invited_by WHERE v.email = (SELECT a.email FROM accounts a WHERE a.id = $1 AND a.email_verified_at IS NOT NULL) ORDER BY v.created_at, v.id";
    USES = "SELECT u.hour, u.grant_id, u.instance_id, u.kind, u.result, u.times, u.last_at FROM uses u WHERE u.account_id = $1 ORDER BY u.hour, u.last_at";
    ACCOUNT_PLANS = "SELECT plan, set_at FROM account_plans WHERE account_id = $1";
    PLAN_NOTICES = "SELECT day, notice FROM plan_notices WHERE account_id = $1 ORDER BY day, notice";
    BILLING_ACCOUNTS = "SELECT reference, customer FROM billing_accounts WHERE account_id = $1";
    BILLING_SUBSCRIPTIONS = "SELECT subscription, customer, plan, status, grace_until, changed_at FROM billing_subscriptions WHERE account_id = $1 ORDER BY subscription";
    LINK_ATTEMPTS = "SELECT client_id, host, grant_id, stage, cause, began_at, changed_at FROM link_attempts WHERE account_id = $1 ORDER BY began_at, id";
    /// Who of the operators it was is theirs to tell, not this file's.
    AUDIT = "SELECT happened_at, action, outcome FROM audit WHERE account_id = $1 ORDER BY sequence";
    ACTIVITY = "SELECT happened_at, kind, detail FROM activity WHERE account_id = $1 ORDER BY happened_at, sequence, id";
}

/// A table's name, and its rows.
type Table = (&'static str, Value);

/// All of it as one JSON document: an object with a list for each table.
pub(crate) async fn of_account(db: &Db, account: &AccountId) -> Result<Value> {
    let tables: [Table; 31] = [
        accounts(db, account).await?,
        sessions(db, account).await?,
        known_browsers(db, account).await?,
        codes(db, account).await?,
        grants(db, account).await?,
        tokens(db, account).await?,
        instances(db, account).await?,
        pairings(db, account).await?,
        event_grants(db, account).await?,
        skill_customers(db, account).await?,
        totp(db, account).await?,
        recovery_codes(db, account).await?,
        mailed_codes(db, account).await?,
        mail_challenges(db, account).await?,
        passkeys(db, account).await?,
        identities(db, account).await?,
        sign_in_trips(db, account).await?,
        home_assistant_users(db, account).await?,
        home_assistant_trips(db, account).await?,
        memberships(db, account).await?,
        members(db, account).await?,
        invitations(db, account).await?,
        invited(db, account).await?,
        activity(db, account).await?,
        uses(db, account).await?,
        account_plans(db, account).await?,
        plan_notices(db, account).await?,
        billing_accounts(db, account).await?,
        billing_subscriptions(db, account).await?,
        link_attempts(db, account).await?,
        audit(db, account).await?,
    ];
    Ok(Value::Object(tables.into_iter().map(|(name, rows)| (name.to_owned(), rows)).collect::<Map<_, _>>()))
}

type AccountRow = (String, String, i64, Option<i64>, Option<i64>);

async fn accounts(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<AccountRow> = db.rows(ACCOUNT, values![account.as_str()]).await?;
    let row = |(id, email, created_at, suspended_at, verified_at)| {
        json!({
            "id": id, "email": email, "created_at": created_at, "suspended_at": suspended_at,
            "email_verified_at": verified_at,
        })
    };
    Ok(("accounts", rows.into_iter().map(row).collect()))
}

async fn sessions(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(String, String, i64, i64, i64)> = db.rows(SESSIONS, values![account.as_str()]).await?;
    let row = |(id, device, signed_in_at, last_seen_at, expires_at)| json!({ "id": id, "device": device, "signed_in_at": signed_in_at, "last_seen_at": last_seen_at, "expires_at": expires_at });
    Ok(("web_sessions", rows.into_iter().map(row).collect()))
}

async fn known_browsers(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(String, i64)> = db.rows(KNOWN_BROWSERS, values![account.as_str()]).await?;
    let row = |(session_id, expires_at)| json!({ "session_id": session_id, "expires_at": expires_at });
    Ok(("known_browsers", rows.into_iter().map(row).collect()))
}

async fn codes(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(String, String, String, i64, Option<i64>)> = db.rows(CODES, values![account.as_str()]).await?;
    let row = |(client_id, scopes, redirect_uri, expires_at, used_at)| json!({ "client_id": client_id, "scopes": scopes, "redirect_uri": redirect_uri, "expires_at": expires_at, "used_at": used_at });
    Ok(("codes", rows.into_iter().map(row).collect()))
}

async fn grants(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(String, String, String, i64, i64, Option<i64>)> = db.rows(GRANTS, values![account.as_str()]).await?;
    let row = |(id, client_id, scopes, signed_in_at, created_at, ended_at)| {
        json!({
            "id": id, "client_id": client_id, "scopes": scopes, "signed_in_at": signed_in_at, "created_at": created_at,
            "ended_at": ended_at,
        })
    };
    Ok(("grants", rows.into_iter().map(row).collect()))
}

async fn tokens(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(String, String, i64, i64, i64, Option<i64>)> = db.rows(TOKENS, values![account.as_str()]).await?;
    let row = |(grant_id, scopes, issued_at, access_expires_at, refresh_expires_at, used_at)| {
        json!({
            "grant_id": grant_id, "scopes": scopes, "issued_at": issued_at, "access_expires_at": access_expires_at,
            "refresh_expires_at": refresh_expires_at, "used_at": used_at,
        })
    };
    Ok(("token_pairs", rows.into_iter().map(row).collect()))
}

type InstanceRow = (String, String, Vec<u8>, i64, Option<i64>, Option<i64>, Option<Vec<u8>>, Option<i64>, Option<i64>);

async fn instances(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<InstanceRow> = db.rows(INSTANCES, values![account.as_str()]).await?;
    let row = |(id, name, key, paired_at, last_token_at, paused_at, replaced, replaced_at, ended_at): InstanceRow| {
        json!({
            "id": id, "name": name, "fingerprint": fingerprint(&key), "paired_at": paired_at,
            "last_token_at": last_token_at, "paused_at": paused_at,
            "replaced_fingerprint": replaced.and_then(|key| fingerprint(&key)), "replaced_at": replaced_at, "ended_at": ended_at,
        })
    };
    Ok(("instances", rows.into_iter().map(row).collect()))
}

type PairingRow = (String, Vec<u8>, i64, Option<i64>, Option<bool>, Option<i64>, Option<String>);

async fn pairings(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<PairingRow> = db.rows(PAIRINGS, values![account.as_str()]).await?;
    let row = |(name, key, expires_at, decided_at, allowed, redeemed_at, replaces): PairingRow| {
        json!({
            "name": name, "fingerprint": fingerprint(&key), "expires_at": expires_at, "decided_at": decided_at,
            "allowed": allowed, "redeemed_at": redeemed_at, "replaces": replaces,
        })
    };
    Ok(("pairings", rows.into_iter().map(row).collect()))
}

async fn event_grants(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(String, i64)> = db.rows(EVENT_GRANTS, values![account.as_str()]).await?;
    let row = |(region, stored_at)| json!({ "region": region, "stored_at": stored_at });
    Ok(("event_grants", rows.into_iter().map(row).collect()))
}

async fn skill_customers(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(i64,)> = db.rows(SKILL_CUSTOMERS, values![account.as_str()]).await?;
    Ok(("skill_customers", rows.into_iter().map(|(noted_at,)| json!({ "noted_at": noted_at })).collect()))
}

async fn totp(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(i64, Option<i64>)> = db.rows(TOTP, values![account.as_str()]).await?;
    let row = |(created_at, confirmed_at)| json!({ "created_at": created_at, "confirmed_at": confirmed_at });
    Ok(("totp_secrets", rows.into_iter().map(row).collect()))
}

async fn recovery_codes(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(i64,)> = db.rows(RECOVERY_CODES, values![account.as_str()]).await?;
    Ok(("recovery_codes", rows.into_iter().map(|(left,)| json!({ "left": left })).collect()))
}

async fn mailed_codes(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(String, i64, i64)> = db.rows(MAILED_CODES, values![account.as_str()]).await?;
    let row = |(purpose, expires_at, left)| json!({ "purpose": purpose, "expires_at": expires_at, "tries_left": left });
    Ok(("mailed_codes", rows.into_iter().map(row).collect()))
}

async fn mail_challenges(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(String, Option<String>, i64, i64)> = db.rows(MAIL_CHALLENGES, values![account.as_str()]).await?;
    let row = |(purpose, email, expires_at, left)| json!({ "purpose": purpose, "email": email, "expires_at": expires_at, "tries_left": left });
    Ok(("mail_challenges", rows.into_iter().map(row).collect()))
}

async fn passkeys(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(String, i64, Option<i64>)> = db.rows(PASSKEYS, values![account.as_str()]).await?;
    let row = |(name, created_at, last_used_at)| json!({ "name": name, "created_at": created_at, "last_used_at": last_used_at });
    Ok(("passkeys", rows.into_iter().map(row).collect()))
}

async fn identities(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(String, String, String, i64, Option<i64>)> = db.rows(IDENTITIES, values![account.as_str()]).await?;
    let row = |(issuer, subject, label, created_at, last_used_at)| {
        json!({
            "issuer": issuer, "subject": subject, "label": label, "created_at": created_at, "last_used_at": last_used_at,
        })
    };
    Ok(("identities", rows.into_iter().map(row).collect()))
}

async fn sign_in_trips(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(String, i64)> = db.rows(SIGN_IN_TRIPS, values![account.as_str()]).await?;
    let row = |(provider, expires_at)| json!({ "provider": provider, "expires_at": expires_at });
    Ok(("sign_in_trips", rows.into_iter().map(row).collect()))
}

async fn home_assistant_users(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(String, String, String, bool, i64)> =
        db.rows(HOME_ASSISTANT_USERS, values![account.as_str()]).await?;
    let row = |(instance_id, ha_user_id, name, is_owner, bound_at)| {
        json!({
            "instance_id": instance_id, "ha_user_id": ha_user_id, "name": name, "is_owner": is_owner, "bound_at": bound_at,
        })
    };
    Ok(("home_assistant_users", rows.into_iter().map(row).collect()))
}

async fn home_assistant_trips(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(String, String, i64)> = db.rows(HOME_ASSISTANT_TRIPS, values![account.as_str()]).await?;
    let row =
        |(instance_id, url, expires_at)| json!({ "instance_id": instance_id, "url": url, "expires_at": expires_at });
    Ok(("home_assistant_trips", rows.into_iter().map(row).collect()))
}

type MembershipRow = (String, String, String, String, String, i64, Option<i64>);

async fn memberships(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<MembershipRow> = db.rows(MEMBERSHIPS, values![account.as_str()]).await?;
    let row = |(id, home, owner, role, shown_as, joined_at, expires_at): MembershipRow| {
        json!({
            "id": id, "home": home, "owner": owner, "role": role, "shown_as": shown_as, "joined_at": joined_at,
            "expires_at": expires_at,
        })
    };
    Ok(("memberships", rows.into_iter().map(row).collect()))
}

type MemberRow = (String, String, String, String, i64, Option<i64>);

async fn members(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<MemberRow> = db.rows(MEMBERS, values![account.as_str()]).await?;
    let row = |(id, home, role, shown_as, joined_at, expires_at): MemberRow| {
        json!({
            "id": id, "home": home, "role": role, "shown_as": shown_as, "joined_at": joined_at,
            "expires_at": expires_at,
        })
    };
    Ok(("members", rows.into_iter().map(row).collect()))
}

type InvitationRow = (String, String, String, Option<i64>, bool, String, Option<String>, i64, i64);

async fn invitations(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<InvitationRow> = db.rows(INVITATIONS, values![account.as_str()]).await?;
    let row = |(id, home, role, guest_seconds, stays, shown_as, email, created_at, expires_at): InvitationRow| {
        json!({
            "id": id, "home": home, "role": role, "guest_seconds": guest_seconds, "stays": stays,
            "shown_as": shown_as, "email": email, "created_at": created_at, "expires_at": expires_at,
        })
    };
    Ok(("invitations", rows.into_iter().map(row).collect()))
}

type InvitedRow = (String, String, String, String, i64, i64);

async fn invited(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<InvitedRow> = db.rows(INVITED, values![account.as_str()]).await?;
    let row = |(home, owner, role, shown_as, created_at, expires_at): InvitedRow| {
        json!({
            "home": home, "owner": owner, "role": role, "shown_as": shown_as, "created_at": created_at,
            "expires_at": expires_at,
        })
    };
    Ok(("invited", rows.into_iter().map(row).collect()))
}

async fn activity(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(i64, String, String)> = db.rows(ACTIVITY, values![account.as_str()]).await?;
    let row = |(happened_at, kind, detail)| json!({ "happened_at": happened_at, "kind": kind, "detail": detail });
    Ok(("activity", rows.into_iter().map(row).collect()))
}

type UseRow = (i64, String, String, String, String, i64, i64);

async fn uses(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<UseRow> = db.rows(USES, values![account.as_str()]).await?;
    let row = |(hour, grant_id, instance_id, kind, result, times, last_at): UseRow| {
        json!({
            "hour": hour, "grant_id": grant_id, "instance_id": instance_id, "kind": kind, "result": result,
            "times": times, "last_at": last_at,
        })
    };
    Ok(("uses", rows.into_iter().map(row).collect()))
}

async fn account_plans(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(String, i64)> = db.rows(ACCOUNT_PLANS, values![account.as_str()]).await?;
    let row = |(plan, set_at)| json!({ "plan": plan, "set_at": set_at });
    Ok(("account_plans", rows.into_iter().map(row).collect()))
}

async fn plan_notices(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(i64, String)> = db.rows(PLAN_NOTICES, values![account.as_str()]).await?;
    let row = |(day, notice)| json!({ "day": day, "notice": notice });
    Ok(("plan_notices", rows.into_iter().map(row).collect()))
}

async fn billing_accounts(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(String, Option<String>)> = db.rows(BILLING_ACCOUNTS, values![account.as_str()]).await?;
    let row = |(reference, customer)| json!({ "reference": reference, "customer": customer });
    Ok(("billing_accounts", rows.into_iter().map(row).collect()))
}

type SubscriptionRow = (String, String, Option<String>, String, Option<i64>, i64);

async fn billing_subscriptions(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<SubscriptionRow> = db.rows(BILLING_SUBSCRIPTIONS, values![account.as_str()]).await?;
    let row = |(subscription, customer, plan, status, grace_until, changed_at): SubscriptionRow| {
        json!({
            "subscription": subscription, "customer": customer, "plan": plan, "status": status,
            "grace_until": grace_until, "changed_at": changed_at,
        })
    };
    Ok(("billing_subscriptions", rows.into_iter().map(row).collect()))
}

type AttemptRow = (String, String, Option<String>, String, Option<String>, i64, i64);

async fn link_attempts(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<AttemptRow> = db.rows(LINK_ATTEMPTS, values![account.as_str()]).await?;
    let row = |(client_id, host, grant_id, stage, cause, began_at, changed_at): AttemptRow| {
        json!({
            "client_id": client_id, "host": host, "grant_id": grant_id, "stage": stage, "cause": cause,
            "began_at": began_at, "changed_at": changed_at,
        })
    };
    Ok(("link_attempts", rows.into_iter().map(row).collect()))
}

async fn audit(db: &Db, account: &AccountId) -> Result<Table> {
    let rows: Vec<(i64, String, String)> = db.rows(AUDIT, values![account.as_str()]).await?;
    let row =
        |(happened_at, action, outcome)| json!({ "happened_at": happened_at, "action": action, "outcome": outcome });
    Ok(("audit", rows.into_iter().map(row).collect()))
}

fn fingerprint(key: &[u8]) -> Option<String> {
    <[u8; 32]>::try_from(key).ok().map(|key| macloud_proto::ids::fingerprint(&key))
}
