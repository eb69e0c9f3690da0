//! What Amazon must have there for Alexa to reach us: the event gateways, Login with Amazon, and the host of the certificates that
//! custom requests are signed with. Only whether they answer is looked at: an error of theirs is an answer, too.

use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use url::Url;

/// Places outside, by name.
pub(super) struct Outside {
    http: reqwest::Client,
    places: Vec<(String, Url)>,
}

/// Whether a place answered.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Reached {
    pub(super) name: String,
    /// The host only.
    pub(super) host: String,
    pub(super) ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
}

impl Outside {
    /// Of settings `NAME=URL`.
    pub(super) fn new(settings: &[String]) -> anyhow::Result<Self> {
        let place = |setting: &String| {
            let wrong = || format!("--outside {setting:?} is not NAME=URL");
            let (name, url) = setting.split_once('=').with_context(wrong)?;
            anyhow::Ok((name.to_owned(), url.parse::<Url>().with_context(wrong)?))
        };
        let places = settings.iter().map(place).collect::<anyhow::Result<_>>()?;
        Ok(Self { http: macloud_service_kit::client::client(PATIENCE), places })
    }

    pub(super) async fn look(&self) -> Vec<Reached> {
        let asked = self.places.iter().map(|(name, url)| async move {
            let answer = self.http.head(url.clone()).send().await;
            let problem = answer.err().map(|error| in_words(&error));
            Reached {
                name: name.clone(),
                host: url.host_str().unwrap_or_default().to_owned(),
                ok: problem.is_none(),
                problem,
            }
        });
        futures_util::future::join_all(asked).await
    }
}

fn in_words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.last().map_or_else(|| "no connection".into(), ToString::to_string)
}

const PATIENCE: Duration = Duration::from_secs(10);
