//! People, as operators see and treat them.

use macloud_proto::ids::AccountId;
use macloud_service_kit::random;

use super::audit::Act;
use super::{AdminError, Who, parse_who};
use crate::AccountService;
use crate::passwords;
use crate::store::operators::{self, UserRow};
use crate::store::{accounts, activity, second_factors};

/// An account as an operator sees it.
#[derive(Clone, serde::Serialize)]
pub struct User {
    /// Its id.
    pub id: AccountId,
    /// Its e-mail address.
    pub email: String,
    /// Whether an operator suspended it.
    pub suspended: bool,
    /// Seconds since 1970.
    pub created_at: i64,
}

/// The same with what belongs to it.
#[derive(Clone, serde::Serialize)]
pub struct UserDetails {
    /// The account.
    #[serde(flatten)]
    pub user: User,
    /// Whether mail to the address was shown to reach its owner.
    pub email_verified: bool,
    /// Whether signing in takes a second step.
    pub second_step: bool,
    /// Homes that are linked.
    pub homes: i64,
    /// Apps that are linked.
    pub apps: i64,
    /// Browsers that are signed in.
    pub sessions: i64,
}

/// Whether there can be such an account: its address, as it is kept.
///
/// # Errors
/// What [`AccountService::create_user`] would say before it looks at the database.
pub fn check_new_user(email: &str, password: &str) -> Result<String, AdminError> {
    let email = passwords::normalise_email(email).ok_or(AdminError::Email)?;
    passwords::check_form(password, &email)?;
    Ok(email)
}

impl AccountService {
    /// Create an account.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn create_user(&self, email: &str, password: &str) -> Result<AccountId, AdminError> {
        let act = Act::new("user.create");
        let (email, hash) = match self.prepare(email, password).await {
            Ok(prepared) => prepared,
            Err(error) => return Err(self.refused(&act, error).await),
        };
        let id = AccountId::from_bytes(&random::bytes());
        let mut tx = self.shared.db.begin().await?;
        // The operator vouches for whom they add.
        if !accounts::insert_proved(&mut tx, &id, &email, &hash, self.shared.now()).await? {
            drop(tx);
            return Err(self.refused(&act, AdminError::Exists("an account with this e-mail address")).await);
        }
        self.finish(tx, &act.on_account(&id), Ok(id.clone())).await
    }

    async fn prepare(&self, email: &str, password: &str) -> Result<(String, String), AdminError> {
        let email = check_new_user(email, password)?;
        let hash = self.shared.passwords.hash(password).await?;
        Ok((email, hash))
    }

    /// All accounts, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_users(&self) -> Result<Vec<User>, AdminError> {
        let users = accounts::list(&self.shared.db).await?;
        self.note(&Act::new("user.list")).await?;
        Ok(users
            .into_iter()
            .map(|user| User { id: user.id, email: user.email, suspended: user.suspended, created_at: user.created_at })
            .collect())
    }

    /// Accounts in the order of their ids: at most `limit` of those behind `after`.
    ///
    /// # Errors
    /// The database's.
    pub async fn page_of_users(&self, after: &str, limit: u32) -> Result<Vec<UserDetails>, AdminError> {
        let rows = operators::users(&self.shared.db, after, limit).await?;
        self.note(&Act::new("user.list")).await?;
        Ok(rows.into_iter().map(UserDetails::from).collect())
    }

    /// One account, by id or e-mail address.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn show_user(&self, who: &str) -> Result<UserDetails, AdminError> {
        let act = Act::new("user.show");
        let id = self.account_of(&act, who).await?;
        let act = act.on_account(&id);
        match operators::user(&self.shared.db, &id).await? {
            Some(row) => {
                self.note(&act).await?;
                Ok(row.into())
            }
            None => Err(self.refused(&act, AdminError::Unknown("account")).await),
        }
    }

    /// Suspend an account, or lift that. Its tokens and homes stop working at once, and work again afterwards.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn set_user_suspended(&self, who: &str, suspended: bool) -> Result<(), AdminError> {
        let act = Act::new(if suspended { "user.suspend" } else { "user.resume" });
        let id = self.account_of(&act, who).await?;
        let mut tx = self.shared.db.begin().await?;
        // Doing it again changes nothing, and is no mistake.
        let outcome = accounts::set_suspended(&mut tx, &id, suspended, self.shared.now()).await;
        let has_changed = self.finish(tx, &act.on_account(&id), outcome.map_err(AdminError::from)).await?;
        let kind = if suspended { activity::Kind::Suspended } else { activity::Kind::Unsuspended };
        self.tell(&id, has_changed.then_some(kind)).await;
        Ok(())
    }

    /// Delete an account and everything that is kept about it. Its tokens and homes stop working at once.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn delete_user(&self, who: &str) -> Result<(), AdminError> {
        let act = Act::new("user.delete");
        let id = self.account_of(&act, who).await?;
        let mut tx = self.shared.db.begin().await?;
        let outcome = match accounts::delete(&mut tx, &id, self.shared.now()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(AdminError::Unknown("account")),
            Err(error) => Err(error.into()),
        };
        self.finish(tx, &act.on_account(&id), outcome).await
    }

    /// Turn an account's second step off, for somebody who lost both phone and recovery codes. Whether it was on.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn reset_second_step(&self, who: &str) -> Result<bool, AdminError> {
        let act = Act::new("user.reset_second_step");
        let id = self.account_of(&act, who).await?;
        let mut tx = self.shared.db.begin().await?;
        let outcome = second_factors::end(&mut tx, &id).await;
        let was_on = self.finish(tx, &act.on_account(&id), outcome.map_err(AdminError::from)).await?;
        self.tell(&id, was_on.then_some(activity::Kind::SecondStepReset)).await;
        Ok(was_on)
    }

    /// Sign an account out of every browser. How many there were.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn end_sessions(&self, who: &str) -> Result<u64, AdminError> {
        let act = Act::new("user.end_sessions");
        let id = self.account_of(&act, who).await?;
        let mut tx = self.shared.db.begin().await?;
        let outcome = operators::end_sessions(&mut tx, &id).await;
        let ended = self.finish(tx, &act.on_account(&id), outcome.map_err(AdminError::from)).await?;
        self.tell(&id, (ended > 0).then_some(activity::Kind::SessionsEnded)).await;
        Ok(ended)
    }

    /// Whoever it was done to sees it in their activity.
    async fn tell(&self, id: &AccountId, kind: Option<activity::Kind>) {
        if let Some(kind) = kind {
            activity::note(&self.shared.db, id, kind, "", self.shared.now()).await;
        }
    }

    /// The account that is meant.
    pub(crate) async fn account_of(&self, act: &Act, who: &str) -> Result<AccountId, AdminError> {
        let found = match parse_who(who) {
            Ok(Who::Id(id)) => accounts::by_id(&self.shared.db, &id).await?,
            Ok(Who::Email(email)) => accounts::by_email(&self.shared.db, &email).await?,
            Err(error) => return Err(self.refused(act, error).await),
        };
        match found {
            Some(account) => Ok(account.id),
            None => Err(self.refused(act, AdminError::Unknown("account")).await),
        }
    }
}

impl From<UserRow> for UserDetails {
    fn from(row: UserRow) -> Self {
        Self {
            user: User { id: row.id, email: row.email, suspended: row.suspended, created_at: row.created_at },
            email_verified: row.email_verified,
            second_step: row.second_step,
            homes: row.homes,
            apps: row.apps,
            sessions: row.sessions,
        }
    }
}
