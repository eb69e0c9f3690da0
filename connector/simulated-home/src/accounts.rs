//! Users and tokens, as far as a client of the API meets them.
//!
//! Tokens look like Music Assistant's: three base64url parts whose middle one is JSON with `exp`, so that a client can read when
//! its token ends. The last part is random, not a signature; a token is known or it is not.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args::Args;
use crate::random::unique;
use crate::wire::{Failure, code};

const DAY: f64 = 86_400.0;
/// Life of a token from signing in.
const SHORT_LIVED: f64 = 30.0 * DAY;
/// Life of a token made for a program: ten years at the recorded version.
const LONG_LIVED: f64 = 3650.0 * DAY;

/// An account of the simulated server.
#[derive(Clone)]
pub(crate) struct User {
    id: String,
    pub(crate) name: String,
    password: String,
    pub(crate) admin: bool,
    /// The players it may see and steer; empty for all.
    pub(crate) player_filter: Vec<String>,
    created_at: f64,
}

impl User {
    pub(crate) fn render(&self) -> Value {
        json!({
            "user_id": self.id,
            "username": self.name,
            "role": if self.admin { "admin" } else { "user" },
            "enabled": true,
            "created_at": timestamp(self.created_at),
            "display_name": null,
            "avatar_url": null,
            "preferences": {},
            "provider_filter": [],
            "player_filter": self.player_filter,
        })
    }

    pub(crate) fn may_use(&self, player_id: &str) -> bool {
        self.player_filter.is_empty() || self.player_filter.iter().any(|allowed| allowed == player_id)
    }

    pub(crate) fn must_be_admin(&self) -> Result<(), Failure> {
        if self.admin { Ok(()) } else { Err(Failure::forbidden("Admin access required")) }
    }
}

struct Token {
    id: String,
    secret: String,
    user_id: String,
    name: String,
    created_at: f64,
    expires_at: f64,
    long_lived: bool,
    /// Whoever gave it to this home keeps it.
    given: bool,
}

/// All users and tokens.
#[derive(Default)]
pub(crate) struct Accounts {
    users: Vec<User>,
    tokens: Vec<Token>,
    /// Where the tokens are kept, if they outlive the process.
    file: Option<PathBuf>,
}

/// A token as it is kept. Users get other ids at the next start, so it names its user.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: String,
    secret: String,
    user: String,
    name: String,
    created_at: f64,
    expires_at: f64,
    long_lived: bool,
}

/// A session's account and the token it came with.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) user: User,
    pub(crate) token_id: String,
}

impl Accounts {
    /// Keep tokens in `file` from now on, and accept those that are there, of users that there are.
    ///
    /// # Errors
    /// A file that cannot be read or written, or is no such file.
    pub(crate) fn keep_tokens_in(&mut self, file: PathBuf, now: f64) -> io::Result<()> {
        let kept: Vec<Kept> = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        for Kept { id, secret, user, name, created_at, expires_at, long_lived } in kept {
            let Some(user) = self.users.iter().find(|known| known.name == user) else { continue };
            if expires_at > now {
                let user_id = user.id.clone();
                self.tokens.push(Token { id, secret, user_id, name, created_at, expires_at, long_lived, given: false });
            }
        }
        self.file = Some(file);
        self.save()
    }

    /// Write the tokens down, readable for the owner alone.
    fn save(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let kept: Vec<Kept> =
            self.tokens.iter().filter(|token| !token.given).filter_map(|token| self.kept(token)).collect();
        let unfinished = file.with_added_extension("new");
        let _ = std::fs::remove_file(&unfinished);
        let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        made.write_all(&serde_json::to_vec_pretty(&kept)?)?;
        std::fs::rename(unfinished, file)
    }

    fn kept(&self, token: &Token) -> Option<Kept> {
        let user = self.users.iter().find(|user| user.id == token.user_id)?.name.clone();
        let Token { id, secret, name, created_at, expires_at, long_lived, .. } = token;
        let (id, secret, name) = (id.clone(), secret.clone(), name.clone());
        Some(Kept { id, secret, user, name, created_at: *created_at, expires_at: *expires_at, long_lived: *long_lived })
    }

    /// The same, where only whoever asked can be told.
    fn save_or_fail(&self) -> Result<(), Failure> {
        self.save().map_err(|error| Failure::internal(format!("the tokens cannot be kept: {error}")))
    }

    pub(crate) fn add_user(&mut self, name: &str, password: &str, admin: bool, filter: Vec<String>, now: f64) -> User {
        let user = User {
            id: random_id(),
            name: name.to_owned(),
            password: password.to_owned(),
            admin,
            player_filter: filter,
            created_at: now,
        };
        self.users.push(user.clone());
        user
    }

    /// Lets `secret` in as the first user for as long as a long-lived token lasts.
    pub(crate) fn accept(&mut self, secret: String, name: &str, now: f64) {
        let user_id = self.users.first().map(|user| user.id.clone()).unwrap_or_default();
        let (created_at, expires_at) = (now, now + LONG_LIVED);
        let (id, name) = (random_id(), name.to_owned());
        self.tokens.push(Token { id, secret, user_id, name, created_at, expires_at, long_lived: true, given: true });
    }

    pub(crate) fn issue(&mut self, user: &User, name: &str, long_lived: bool, now: f64) -> Result<String, Failure> {
        let id = random_id();
        let expires_at = now + if long_lived { LONG_LIVED } else { SHORT_LIVED };
        let secret = token_text(&user.id, &id, name, long_lived, now, expires_at);
        self.tokens.push(Token {
            id,
            secret: secret.clone(),
            user_id: user.id.clone(),
            name: name.to_owned(),
            created_at: now,
            expires_at,
            long_lived,
            given: false,
        });
        self.save_or_fail()?;
        Ok(secret)
    }

    /// Who shows this token.
    pub(crate) fn caller(&self, secret: &str, now: f64) -> Option<Caller> {
        let token = self.tokens.iter().find(|token| token.secret == secret && token.expires_at > now)?;
        let user = self.users.iter().find(|user| user.id == token.user_id)?;
        Some(Caller { user: user.clone(), token_id: token.id.clone() })
    }

    /// Name and password are side by side in `credentials`: the arguments of the command `auth/login`, or the object of that name in
    /// `POST /auth/login`.
    pub(crate) fn sign_in(
        &mut self,
        credentials: &Args<'_>,
        device: Option<String>,
        now: f64,
    ) -> Result<(String, User), Failure> {
        let part = |name: &str| credentials.optional_string(name).filter(|text| !text.is_empty());
        let (Some(name), Some(password)) = (part("username"), part("password")) else {
            return Err(Failure::new(code::AUTHENTICATION_FAILED, "Username and password required"));
        };
        let found = self.users.iter().find(|user| user.name == name && user.password == password).cloned();
        let user = found.ok_or_else(|| Failure::new(code::AUTHENTICATION_FAILED, "Invalid username or password"))?;
        let device = device.unwrap_or_else(|| "WebSocket".to_owned());
        Ok((self.issue(&user, &device, false, now)?, user))
    }

    /// The account that a command about accounts means: the caller's, or for admins the one in `user_id`.
    fn subject(&self, caller: &User, args: &Args<'_>) -> Result<User, Failure> {
        match args.optional_string("user_id") {
            Some(id) if id != caller.id => {
                caller.must_be_admin()?;
                let found = self.users.iter().find(|user| user.id == id).cloned();
                found.ok_or_else(|| Failure::new(code::INVALID_DATA, "User not found"))
            }
            _ => Ok(caller.clone()),
        }
    }

    /// `auth/token/create`.
    pub(crate) fn create_token(&mut self, caller: &User, args: &Args<'_>, now: f64) -> Result<Value, Failure> {
        let name = args.string("name")?;
        let user = self.subject(caller, args)?;
        Ok(json!(self.issue(&user, &name, true, now)?))
    }

    /// `auth/tokens`.
    pub(crate) fn list_tokens(&self, caller: &User, args: &Args<'_>) -> Result<Value, Failure> {
        let user = self.subject(caller, args)?;
        let own = self.tokens.iter().filter(|token| token.user_id == user.id);
        Ok(own.map(Token::render).collect())
    }

    /// `auth/token/revoke`. Whoever is connected with that token has to be cut off by the caller of this.
    pub(crate) fn revoke(&mut self, caller: &User, args: &Args<'_>) -> Result<String, Failure> {
        let id = args.string("token_id")?;
        let place = self.tokens.iter().position(|token| token.id == id && (caller.admin || token.user_id == caller.id));
        let place = place.ok_or_else(|| Failure::new(code::INVALID_DATA, "Token not found"))?;
        let revoked = self.tokens.remove(place).id;
        self.save_or_fail()?;
        Ok(revoked)
    }

    /// Every token of everybody stops working.
    pub(crate) fn revoke_all(&mut self) {
        self.tokens.clear();
        // Nobody who could be told has asked for it; the next token that is made or revoked says what is wrong.
        let _ = self.save();
    }

    /// `auth/user/create`.
    pub(crate) fn create_user(&mut self, caller: &User, args: &Args<'_>, now: f64) -> Result<Value, Failure> {
        caller.must_be_admin()?;
        let (name, password) = (args.string("username")?, args.string("password")?);
        let admin = args.optional_string("role").as_deref() == Some("admin");
        let filter = args.strings("player_filter").unwrap_or_default();
        Ok(self.add_user(&name, &password, admin, filter, now).render())
    }

    /// `auth/users`.
    pub(crate) fn list_users(&self, caller: &User) -> Result<Value, Failure> {
        caller.must_be_admin()?;
        Ok(self.users.iter().map(User::render).collect())
    }
}

impl Token {
    fn render(&self) -> Value {
        json!({
            "token_id": self.id,
            "user_id": self.user_id,
            "token_hash": format!("{:016x}", unique("hash")).repeat(4),
            "name": self.name,
            "created_at": timestamp(self.created_at),
            "expires_at": timestamp(self.expires_at),
            "last_used_at": null,
            "is_long_lived": self.long_lived,
        })
    }
}

fn token_text(user_id: &str, id: &str, name: &str, long_lived: bool, now: f64, expires_at: f64) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({"alg": "HS256", "typ": "JWT"}));
    let claims = part(&json!({
        "sub": user_id, "jti": id, "iat": now as u64, "exp": expires_at as u64, "token_name": name,
        "is_long_lived": long_lived,
    }));
    format!("{header}.{claims}.{}", random_id())
}

/// 43 characters, like 32 random bytes in base64url.
fn random_id() -> String {
    let mut bytes = [0u8; 32];
    for chunk in bytes.chunks_exact_mut(8) {
        chunk.copy_from_slice(&unique("id").to_le_bytes());
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token as the server would have made it for its first user, for a home that is given none.
pub(crate) fn fresh_secret(now: f64) -> String {
    token_text(&random_id(), &random_id(), "simulated home", true, now, now + LONG_LIVED)
}

/// `2026-11-21T23:06:12.028899+00:00`.
fn timestamp(unix: f64) -> String {
    let micros = (unix * 1e6) as u64;
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_date(days as i64);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}+00:00")
}

/// The Gregorian date of a day counted from 1970-01-01. Years are counted from March, so that a leap day comes last.
fn civil_date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_calendar_dates() {
        assert_eq!(timestamp(0.0), "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(timestamp(1_795_302_372.25), "2026-11-21T23:06:12.250000+00:00");
        assert_eq!(timestamp(1_709_164_800.0), "2024-02-29T00:00:00.000000+00:00");
    }

    #[test]
    fn a_token_tells_when_it_ends_and_then_does() {
        let mut accounts = Accounts::default();
        let user = accounts.add_user("admin", "secret", true, Vec::new(), 1000.0);
        let token = accounts.issue(&user, "connector", true, 1000.0).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["exp"], 1000 + 3650 * 86_400);
        assert!(accounts.caller(&token, 1000.0).is_some());
        assert!(accounts.caller(&token, 1001.0 + LONG_LIVED).is_none());
        assert!(accounts.caller("nonsense", 1000.0).is_none());
    }
}
