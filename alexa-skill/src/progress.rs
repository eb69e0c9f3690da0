//! Progress: a word to the person when a home takes its time.
//!
//! Alexa waits eight seconds in silence, which feels broken after two. What is said meanwhile goes to Alexa's own addresses only,
//! with the token that the request brought for it; it is never waited for, and when the answer is ready first, it is left unsaid.

use std::time::Duration;

use macloud_service_kit::client::client;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use url::Url;

/// How to say something before the answer is ready.
#[derive(Clone, PartialEq, Eq)]
pub struct Meanwhile {
    request_id: String,
    host: &'static str,
    token: String,
}

impl Meanwhile {
    /// With what a request brought for it. None if that is not all there, or leads elsewhere than to Alexa.
    #[must_use]
    pub fn of(request_id: Option<String>, endpoint: Option<String>, token: Option<String>) -> Option<Self> {
        let host = alexas(&endpoint?)?;
        Some(Self { request_id: request_id?, host, token: token.filter(|token| !token.is_empty())? })
    }
}

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meanwhile").field("host", &self.host).finish_non_exhaustive()
    }
}

/// Which of Alexa's hosts this is the address of.
fn alexas(endpoint: &str) -> Option<&'static str> {
    let url = Url::parse(endpoint).ok()?;
    let is_plain =
        url.scheme() == "https" && url.port().is_none() && url.username().is_empty() && url.password().is_none();
    HOSTS.into_iter().find(|host| is_plain && url.host_str() == Some(*host))
}

/// Says words while work goes on.
pub(crate) struct Progress {
    http: reqwest::Client,
    /// Instead of Alexa's hosts.
    base: Option<Url>,
}

impl Progress {
    pub(crate) fn new(base: Option<Url>) -> Self {
        Self { http: client(LIMIT), base }
    }

    /// `work`, and what comes of it. If that takes long after `begun`, `words` (SSML) are said.
    pub(crate) async fn beside<T>(
        &self,
        meanwhile: Option<&Meanwhile>,
        words: &str,
        begun: Instant,
        work: impl Future<Output = T>,
    ) -> T {
        let Some(meanwhile) = meanwhile else { return work.await };
        tokio::pin!(work);
        // Work first: an answer that is ready is never kept waiting, and nothing is said after it.
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = sleep_until(begun + PATIENCE) => {}
        }
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = self.say(meanwhile, words) => {}
        }
        work.await
    }

    async fn say(&self, meanwhile: &Meanwhile, words: &str) {
        let Ok(url) = self.url(meanwhile) else { return };
        let directive = json!({
            "header": {"requestId": meanwhile.request_id},
            "directive": {"type": "VoicePlayer.Speak", "speech": format!("<speak>{words}</speak>")}
        });
        match self.http.post(url).bearer_auth(&meanwhile.token).json(&directive).send().await {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => tracing::debug!(status = response.status().as_u16(), "Alexa does not say what takes long"),
            Err(error) => tracing::debug!(error = %error.without_url(), "Alexa does not answer what takes long"),
        }
    }

    fn url(&self, meanwhile: &Meanwhile) -> Result<Url, url::ParseError> {
        match &self.base {
            Some(base) => base.join(PATH),
            None => Url::parse(&format!("https://{}{PATH}", meanwhile.host)),
        }
    }
}

const HOSTS: [&str; 3] = ["api.amazonalexa.com", "api.eu.amazonalexa.com", "api.fe.amazonalexa.com"];
const PATH: &str = "/v1/directives";
/// What is quicker needs no words.
const PATIENCE: Duration = Duration::from_millis(1500);
const LIMIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_to_alexa_and_nowhere_else() {
        for host in HOSTS {
            for form in ["https://{}", "https://{}/", "https://{}/v1/anything?x#y", "HTTPS://{}:443"] {
                assert_eq!(alexas(&form.replace("{}", host)), Some(host));
            }
        }
        for endpoint in [
            "http://api.amazonalexa.com",
            "https://api.amazonalexa.com:8443",
            "https://api.amazonalexa.com.example.org",
            "https://example.org/api.amazonalexa.com",
            "https://user@api.amazonalexa.com",
            "https://api.amazonalexa.com@example.org",
            "https://api.amazonalexa.com.",
            "https://127.0.0.1",
            "file:///api.amazonalexa.com",
            "api.amazonalexa.com",
            "",
        ] {
            assert_eq!(alexas(endpoint), None, "{endpoint}");
        }
    }

    #[test]
    fn the_token_is_not_shown() {
        let some = |text: &str| Some(text.to_owned());
        let meanwhile = Meanwhile::of(some("r"), some("https://api.eu.amazonalexa.com"), some("secret")).unwrap();
        assert!(!format!("{meanwhile:?}").contains("secret"));
        assert_eq!(Meanwhile::of(some("r"), some("https://api.eu.amazonalexa.com"), some("")), None);
        assert_eq!(Meanwhile::of(None, some("https://api.eu.amazonalexa.com"), some("t")), None);
    }
}
