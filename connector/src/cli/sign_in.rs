//! Signing in to Music Assistant, so that nobody has to copy a token: while pairing, and later to replace it.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use super::{Place, complain, is_on_this_machine, line, say, terminal};
use crate::connector::ma_place;
use crate::discovery;
use crate::music_assistant::sign_in::{SignInError, check, sign_in};
use crate::music_assistant::token::Token;
use crate::state::{MusicAssistantPlace, StateDir};

/// A person may mistype a password so often.
const ATTEMPTS: u32 = 3;

const NOT_FOUND: &str =
    "Music Assistant was not found in this network; give its address with --ma-url http://HOST:8095";

/// Who signs in to Music Assistant.
#[derive(Debug, Args)]
pub(super) struct Credentials {
    /// Sign in to Music Assistant as this user, once, and keep a token of the connector's own. At a terminal it is asked for.
    #[arg(long, value_name = "NAME")]
    ma_username: Option<String>,
    /// Read that user's password from standard input. It is not kept.
    #[arg(long, requires = "ma_username")]
    ma_password_stdin: bool,
}

impl Credentials {
    /// While pairing: get a token, if there is none yet and somebody says who they are. It is kept at once, with the address that
    /// gave it. Whoever only mistypes a password pairs all the same.
    pub(super) async fn run(&self, place: &Place, json: bool) -> anyhow::Result<()> {
        let asks = !json && terminal::somebody_is_there();
        if self.ma_username.is_none() && (!asks || place.has_token()) {
            return Ok(());
        }
        let Some(url) = address(place).await else {
            if self.ma_username.is_some() {
                bail!(NOT_FOUND)
            }
            return Ok(());
        };
        let token = match &self.ma_username {
            Some(name) => self.of_user(place, &url, name, asks).await?,
            None => match asked(place, &url).await {
                Ok(Some(token)) => token,
                Ok(None) => return Ok(()),
                Err(error) => {
                    complain(&format!("{error} Pairing goes on without it."));
                    return Ok(());
                }
            },
        };
        let state = StateDir::open(&place.state_dir)?;
        state.save_music_assistant(&MusicAssistantPlace { url: Some(url) })?;
        state.save_token(&token)?;
        if !json {
            say("Signed in to Music Assistant; the password is forgotten again.");
        }
        Ok(())
    }

    /// `sign-in`: put another token in the place of the one that is kept. A connector that runs reads it at its next attempt,
    /// which comes at once where the former one was refused.
    pub(super) async fn renew(&self, place: &Place, json: bool) -> anyhow::Result<ExitCode> {
        let url = address(place).await.context(NOT_FOUND)?;
        let token = self.new_token(place, &url, json).await?;
        let state = StateDir::open(&place.state_dir)?;
        if place.ma_url.is_some() {
            state.save_music_assistant(&MusicAssistantPlace { url: Some(url.clone()) })?;
        }
        state.save_token(&token)?;
        if let Some(file) = place.ma_token_file.as_ref().filter(|_| self.ma_username.is_some()) {
            let file = file.display();
            complain(&format!(
                "a connector that is started with --ma-token-file {file} goes on with the token in there"
            ));
        }
        if json {
            line(&json!({ "event": "signed_in", "music_assistant_url": url.as_str() }));
        } else {
            say("Music Assistant takes the new token, and it is kept. A connector that runs needs no restart.");
        }
        Ok(ExitCode::SUCCESS)
    }

    /// One that Music Assistant has just given, or has just taken: nothing good is replaced by something bad.
    async fn new_token(&self, place: &Place, url: &Url, json: bool) -> anyhow::Result<Token> {
        let asks = !json && terminal::somebody_is_there();
        if let Some(name) = &self.ma_username {
            return self.of_user(place, url, name, asks).await;
        }
        if let Some(token) = place.given_token()? {
            check(&ma_place(Some(url.clone())), &place.home_dialer()?, &token).await.context("nothing was changed")?;
            return Ok(token);
        }
        if !asks {
            bail!(
                "say who you are with --ma-username NAME and --ma-password-stdin, or give a token with --ma-token-file FILE"
            )
        }
        asked(place, url).await?.context("nothing was changed")
    }

    async fn of_user(&self, place: &Place, url: &Url, name: &str, asks: bool) -> anyhow::Result<Token> {
        if !self.ma_password_stdin && !asks {
            bail!("give the password of {name:?} on standard input, with --ma-password-stdin")
        }
        let password = terminal::password("Password at Music Assistant (it is not shown): ")?;
        once(place, url, name, password).await.context("no token of Music Assistant")
    }
}

/// Where to sign in: as given, as known from before, on this machine, or the only one in this network.
async fn address(place: &Place) -> Option<Url> {
    let kept = || StateDir::existing(&place.state_dir).and_then(|state| state.music_assistant().ok()?.url);
    if let Some(url) = place.ma_url.clone().or_else(kept) {
        return Some(url);
    }
    if is_on_this_machine().await {
        return Some(ma_place(None));
    }
    let found = discovery::find(discovery::USUAL_LIMIT).await.unwrap_or_default();
    <[_; 1]>::try_from(found).ok().map(|[found]: [discovery::Found; 1]| found.url)
}

/// Ask a person, who may also say nothing.
async fn asked(place: &Place, url: &Url) -> anyhow::Result<Option<Token>> {
    for attempt in 1..=ATTEMPTS {
        let question = format!("Your name at Music Assistant ({url}), or nothing to give a token later: ");
        let Some(name) = terminal::answer(&question)? else { return Ok(None) };
        let password = terminal::password("Password there (it is not shown): ")?;
        match once(place, url, &name, password).await {
            Ok(token) => return Ok(Some(token)),
            Err(error @ SignInError::WrongPassword) if attempt < ATTEMPTS => complain(&error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

async fn once(place: &Place, url: &Url, name: &str, password: Zeroizing<String>) -> Result<Token, SignInError> {
    let dialer = place.home_dialer().map_err(|error| SignInError::Unreachable(error.to_string()))?;
    sign_in(&ma_place(Some(url.clone())), &dialer, name, password).await
}
