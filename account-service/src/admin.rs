//! What an operator does from the command line, on the database itself: the service may be running beside it.

use macloud_proto::ids::AccountId;
use macloud_service_kit::random;

use crate::AccountService;
use crate::oauth::PAIRING_CLIENT;
use crate::passwords::{self, PasswordError, PasswordRule};
use crate::secrets::{Kind, Secret};
use crate::shared::is_client_id;
use crate::signing::SigningError;
use crate::store::clients::{self, Client, Rotation};
use crate::store::{StoreError, accounts, changes, grants, second_factors};

/// Why an operator's wish was not done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The text is no e-mail address.
    #[error("that is not an e-mail address")]
    Email,
    /// The password breaks a rule.
    #[error(transparent)]
    Password(#[from] PasswordRule),
    /// Hashing failed, or too much else is being hashed.
    #[error("the password could not be hashed; try again")]
    Hashing,
    /// The e-mail address or client id is in use.
    #[error("{0} exists already")]
    Exists(&'static str),
    /// No account or client of that name.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// The client id has characters that would have to be encoded, or is reserved.
    #[error("a client id has 1 to 64 letters, digits, '-', '_' or '.', and {PAIRING_CLIENT:?} is reserved")]
    ClientId,
    /// A redirect URI that codes must not be sent to.
    #[error("a redirect URI must be https (or http on loopback), without fragment: {0:?}")]
    RedirectUri(String),
    /// Alexa would refuse such a token.
    #[error("access tokens must live between 1 second and 30 days")]
    AccessTokenSeconds,
    /// A public client cannot have overlapping rotation: nothing but the token itself proves who refreshes.
    #[error("overlapping rotation needs a confidential client")]
    Rotation,
    /// The text cannot be a plan's name.
    #[error("a plan's name has 1 to 32 letters, digits and hyphens")]
    PlanName,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signing keys.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl From<PasswordError> for AdminError {
    fn from(_: PasswordError) -> Self {
        Self::Hashing
    }
}

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

/// A signing key as an operator sees it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PublishedKey {
    /// Its id, as in the published set.
    pub id: String,
    /// From when on it signs, in seconds since 1970.
    pub use_from: i64,
    /// Whether it is the one that signs now.
    pub signs: bool,
}

/// A client to be.
#[derive(Debug, Clone)]
pub struct NewClient {
    /// Its `client_id`.
    pub client_id: String,
    /// As people read it on the consent page; by default guessed from the redirect URIs, or the id.
    pub name: Option<String>,
    /// Where codes may be sent.
    pub redirect_uris: Vec<String>,
    /// Where a browser may be sent after signing out at this client's wish.
    pub post_logout_redirect_uris: Vec<String>,
    /// Refuse authorization requests without PKCE. Public clients always need it.
    pub require_pkce: bool,
    /// Without a secret.
    pub public: bool,
    /// Life of its access tokens; by default as configured.
    pub access_token_seconds: Option<u32>,
    /// By default overlap for confidential clients, strict for public ones.
    pub rotation: Option<Rotation>,
}

/// A client as it was created. The secret is shown once and kept nowhere.
pub struct CreatedClient {
    /// The client.
    pub client: Client,
    /// Its secret, if it has one.
    pub client_secret: Option<String>,
}

impl AccountService {
    /// Create an account.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn create_user(&self, email: &str, password: &str) -> Result<AccountId, AdminError> {
        let shared = &self.shared;
        let email = passwords::normalise_email(email).ok_or(AdminError::Email)?;
        passwords::check_form(password, &email)?;
        let hash = shared.passwords.hash(password).await?;
        let id = AccountId::from_bytes(&random::bytes());
        if accounts::insert(&shared.db, &id, &email, &hash, shared.now()).await? {
            // The operator vouches for whom they add.
            accounts::verify_email(&shared.db, &id, shared.now()).await?;
            Ok(id)
        } else {
            Err(AdminError::Exists("an account with this e-mail address"))
        }
    }

    /// All accounts, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_users(&self) -> Result<Vec<User>, AdminError> {
        let users = accounts::list(&self.shared.db).await?;
        Ok(users
            .into_iter()
            .map(|user| User { id: user.id, email: user.email, suspended: user.suspended, created_at: user.created_at })
            .collect())
    }

    /// Suspend an account, or lift that. Its tokens and homes stop working at once, and work again afterwards.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn set_user_suspended(&self, email: &str, suspended: bool) -> Result<(), AdminError> {
        let shared = &self.shared;
        let email = passwords::normalise_email(email).ok_or(AdminError::Email)?;
        let account = accounts::by_email(&shared.db, &email).await?.ok_or(AdminError::Unknown("account"))?;
        let mut tx = shared.db.begin().await?;
        accounts::set_suspended(&mut tx, &account.id, suspended, shared.now()).await?;
        Ok(shared.commit(tx).await?)
    }

    /// Delete an account and everything that is kept about it. Its tokens and homes stop working at once.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn delete_user(&self, email: &str) -> Result<(), AdminError> {
        let shared = &self.shared;
        let email = passwords::normalise_email(email).ok_or(AdminError::Email)?;
        let account = accounts::by_email(&shared.db, &email).await?.ok_or(AdminError::Unknown("account"))?;
        let mut tx = shared.db.begin().await?;
        accounts::delete(&mut tx, &account.id, shared.now()).await?;
        Ok(shared.commit(tx).await?)
    }

    /// Turn an account's second step off, for somebody who lost both phone and recovery codes. Whether it was on.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn reset_second_step(&self, email: &str) -> Result<bool, AdminError> {
        let shared = &self.shared;
        let email = passwords::normalise_email(email).ok_or(AdminError::Email)?;
        let account = accounts::by_email(&shared.db, &email).await?.ok_or(AdminError::Unknown("account"))?;
        let mut tx = shared.db.begin().await?;
        let was_on = second_factors::end(&mut tx, &account.id).await?;
        tx.commit().await?;
        Ok(was_on)
    }

    /// Register a client.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn create_client(&self, new: NewClient) -> Result<CreatedClient, AdminError> {
        let shared = &self.shared;
        check_client_id(&new.client_id)?;
        let mut uris = new.redirect_uris.iter().chain(&new.post_logout_redirect_uris);
        if let Some(wrong) = uris.find(|uri| !is_acceptable_redirect(uri)) {
            return Err(AdminError::RedirectUri(wrong.clone()));
        }
        if new.redirect_uris.is_empty() {
            return Err(AdminError::RedirectUri(String::new()));
        }
        let rotation = new.rotation.unwrap_or(if new.public { Rotation::Strict } else { Rotation::Overlap });
        if new.public && rotation == Rotation::Overlap {
            return Err(AdminError::Rotation);
        }
        let seconds = new.access_token_seconds.unwrap_or(shared.config.lives.default_access_token_seconds);
        if !(1..=30 * 24 * 3600).contains(&seconds) {
            return Err(AdminError::AccessTokenSeconds);
        }
        let secret = (!new.public).then(|| Secret::new(Kind::Client));
        let client = Client {
            name: new.name.unwrap_or_else(|| guess_name(&new.client_id, &new.redirect_uris)),
            secret_hash: secret.as_ref().map(Secret::hash),
            require_pkce: new.require_pkce || new.public,
            rotation,
            access_token_seconds: seconds.into(),
            redirect_uris: new.redirect_uris,
            post_logout_redirect_uris: new.post_logout_redirect_uris,
            created_at: shared.now(),
            id: new.client_id,
        };
        if !clients::insert(&shared.db, &client).await? {
            return Err(AdminError::Exists("a client with this id"));
        }
        Ok(CreatedClient { client, client_secret: secret.map(Secret::into_string) })
    }

    /// All clients.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_clients(&self) -> Result<Vec<Client>, AdminError> {
        Ok(clients::list(&self.shared.db).await?)
    }

    /// Delete a client and everything people allowed it. Everyone who linked it has to link again.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn delete_client(&self, client_id: &str) -> Result<(), AdminError> {
        let shared = &self.shared;
        let mut tx = shared.db.begin().await?;
        let ended = grants::living_of_client(&mut tx, client_id).await?;
        if !clients::delete(&mut tx, client_id).await? {
            return Err(AdminError::Unknown("client"));
        }
        for grant in ended {
            changes::append(&mut tx, &changes::Subject::GrantEnded(grant), shared.now()).await?;
        }
        shared.commit(tx).await?;
        shared.forget_client(client_id);
        Ok(())
    }

    /// Publish a new signing key, used a few minutes later. Its key id.
    ///
    /// # Errors
    /// The database's, or the key file's.
    pub async fn rotate_signing_key(&self) -> Result<String, AdminError> {
        Ok(self.shared.signing.rotate(&self.shared.db, &self.shared.master).await?)
    }

    /// The signing keys that are published, oldest first.
    #[must_use]
    pub fn list_signing_keys(&self) -> Vec<PublishedKey> {
        let keys = self.shared.signing.published().into_iter();
        keys.map(|(id, use_from, signs)| PublishedKey { id, use_from, signs }).collect()
    }
}

fn check_client_id(id: &str) -> Result<(), AdminError> {
    // An instance id is a client id too: no other client may look like one.
    let taken = id == PAIRING_CLIENT || id.parse::<macloud_proto::ids::InstanceId>().is_ok();
    if is_client_id(id) && !taken { Ok(()) } else { Err(AdminError::ClientId) }
}

fn is_acceptable_redirect(uri: &str) -> bool {
    let Ok(url) = url::Url::parse(uri) else { return false };
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    let printable = uri.bytes().all(|b| b.is_ascii_graphic());
    printable && url.fragment().is_none() && (url.scheme() == "https" || url.scheme() == "http" && loopback)
}

fn guess_name(id: &str, redirect_uris: &[String]) -> String {
    let amazon = ["pitangui.amazon.com", "layla.amazon.com", "alexa.amazon.co.jp", "skills-store.amazon.com"];
    let is_amazon =
        |uri: &String| url::Url::parse(uri).is_ok_and(|url| url.host_str().is_some_and(|host| amazon.contains(&host)));
    if redirect_uris.iter().any(is_amazon) || id.to_ascii_lowercase().starts_with("alexa") {
        "Amazon Alexa".into()
    } else {
        id.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_that_codes_may_go_to() {
        for good in ["https://layla.amazon.com/api/skill/link/M1", "http://127.0.0.1:9/cb", "http://localhost/cb?x=1"] {
            assert!(is_acceptable_redirect(good), "{good}");
        }
        for bad in [
            "",
            "javascript:alert(1)",
            "http://example.com/cb",
            "https://a/b#c",
            "https://a/b c",
            "//a/b",
            "data:text/html,x",
        ] {
            assert!(!is_acceptable_redirect(bad), "{bad}");
        }
    }

    #[test]
    fn a_client_cannot_pose_as_a_home_or_the_connector() {
        assert!(check_client_id("alexa").is_ok());
        for bad in ["", "ma-connector", "0123456789abcdefghjkmnpqrs", "a b", "a:b", &"x".repeat(65)] {
            assert!(check_client_id(bad).is_err(), "{bad}");
        }
    }
}
