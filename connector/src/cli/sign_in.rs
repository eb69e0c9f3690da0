//! Signing in to Music Assistant while pairing, so that nobody has to copy a token.

use anyhow::{Context as _, bail};
use clap::Args;
use url::Url;
use zeroize::Zeroizing;

use super::{Place, complain, is_on_this_machine, say, terminal};
use crate::connector::ma_place;
use crate::discovery;
use crate::music_assistant::sign_in::{SignInError, sign_in};
use crate::music_assistant::token::Token;
use crate::state::{MusicAssistantPlace, StateDir};

/// A person may mistype a password so often.
const ATTEMPTS: u32 = 3;

#[derive(Debug, Args)]
pub(super) struct SignIn {
    /// Sign in to Music Assistant as this user, once, and keep a token of the connector's own. At a terminal it is asked for.
    #[arg(long, value_name = "NAME")]
    ma_username: Option<String>,
    /// Read that user's password from standard input. It is not kept.
    #[arg(long, requires = "ma_username")]
    ma_password_stdin: bool,
}

impl SignIn {
    /// Get a token, if there is none yet and somebody says who they are. It is kept at once, with the address that gave it.
    pub(super) async fn run(&self, place: &Place, json: bool) -> anyhow::Result<()> {
        let asks = !json && terminal::somebody_is_there();
        if self.ma_username.is_none() && (!asks || place.has_token()) {
            return Ok(());
        }
        let Some(url) = address(place).await else {
            if self.ma_username.is_some() {
                bail!("Music Assistant was not found in this network; give its address with --ma-url http://HOST:8095")
            }
            return Ok(());
        };
        let token = match &self.ma_username {
            Some(name) => {
                if !self.ma_password_stdin && !asks {
                    bail!("give the password of {name:?} on standard input, with --ma-password-stdin")
                }
                let password = terminal::password("Password at Music Assistant (it is not shown): ")?;
                once(place, &url, name, password).await.context("no token of Music Assistant")?
            }
            None => match asked(place, &url).await? {
                Some(token) => token,
                None => return Ok(()),
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
            Err(error) => {
                complain(&format!("{error} Pairing goes on without it."));
                return Ok(None);
            }
        }
    }
    Ok(None)
}

async fn once(place: &Place, url: &Url, name: &str, password: Zeroizing<String>) -> Result<Token, SignInError> {
    let dialer = place.home_dialer().map_err(|error| SignInError::Unreachable(error.to_string()))?;
    sign_in(&ma_place(Some(url.clone())), &dialer, name, password).await
}
