//! The status page: what is Amazon's, what is ours, and how somebody finds out about their own home. Plain HTML that needs no
//! script, and the same as JSON.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::history::{HOURS, History};
use super::outside::Reached;
use super::round::{Report, STEPS, Step, Verdict};

/// What is shown.
pub(super) struct Shown {
    cloud: String,
    history: History,
    last: Option<Report>,
    pub(super) outside: Vec<Reached>,
}

impl Shown {
    pub(super) fn new(cloud: String, history: History) -> Self {
        Self { cloud, history, last: None, outside: Vec::new() }
    }

    pub(super) fn note(&mut self, report: Report) {
        self.history.note(&report);
        self.last = Some(report);
    }

    pub(super) fn save(&self) {
        self.history.save();
    }
}

pub(super) fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().expect("no code panics while holding this lock")
}

/// `/status` and `/status.json`.
pub(super) fn router(shown: Arc<Mutex<Shown>>) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::to("/status") }))
        .route("/status", get(page))
        .route("/status.json", get(data))
        .with_state(shown)
}

async fn page(State(shown): State<Arc<Mutex<Shown>>>) -> Response {
    let html = lock(&shown).html();
    let headers = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "max-age=15"),
    ];
    (headers, Html(html)).into_response()
}

async fn data(State(shown): State<Arc<Mutex<Shown>>>) -> Response {
    let data = lock(&shown).json();
    ([(header::CACHE_CONTROL, "max-age=15"), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], Json(data)).into_response()
}

impl Shown {
    fn json(&self) -> Value {
        let now = self.last.as_ref().map_or(0, |last| last.at);
        let steps = self.steps().map(|(name, step)| {
            json!({
                "name": name,
                "does": describe(name),
                "verdict": step.map(|step| step.verdict),
                "millis": step.map(|step| step.millis),
                "hop": step.and_then(|step| step.trouble.as_ref()).map(|trouble| trouble.hop),
                "availability_24h": self.history.availability(name, 24, now),
                "availability_30d": self.history.availability(name, HOURS, now),
            })
        });
        json!({
            "cloud": self.cloud,
            "at": self.last.as_ref().map(|last| last.at),
            "ok": self.last.as_ref().map(|last| last.ok),
            "us": steps.collect::<Vec<_>>(),
            "amazon": self.outside,
        })
    }

    fn steps(&self) -> impl Iterator<Item = (&'static str, Option<&Step>)> {
        let of =
            move |name: &'static str| self.last.iter().flat_map(|last| &last.steps).find(move |step| step.name == name);
        STEPS.into_iter().map(move |name| (name, of(name)))
    }

    fn html(&self) -> String {
        let now = self.last.as_ref().map_or(0, |last| last.at);
        let mut us = String::new();
        for (name, step) in self.steps() {
            let share = |hours| self.history.availability(name, hours, now).map_or_else(|| "–".into(), percent);
            us += &format!(
                "<tr><th scope=row>{}</th><td class={}>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                describe(name),
                class(step.map(|step| step.verdict)),
                in_words(step),
                step.filter(|step| step.millis > 0.0)
                    .map_or_else(|| "–".into(), |step| format!("{:.0} ms", step.millis)),
                share(24),
                share(HOURS),
            );
        }
        let mut amazon = String::new();
        for place in &self.outside {
            let (class, words) = match &place.problem {
                None => ("good", "answers".to_owned()),
                Some(problem) => ("bad", format!("does not answer: {}", escape(problem))),
            };
            amazon += &format!(
                "<tr><th scope=row>{}</th><td class={class}>{words}</td><td>{}</td></tr>\n",
                escape(&place.name),
                escape(&place.host)
            );
        }
        let (class, sum) = match &self.last {
            None => ("unknown", "Nothing has been tried yet."),
            Some(last) if !last.ok => ("bad", "Something is wrong here."),
            Some(_) if self.outside.iter().any(|place| !place.ok) => {
                ("slow", "Everything of ours works. Something of Amazon's does not answer.")
            }
            Some(_) => ("good", "Everything works."),
        };
        let at = self.last.as_ref().map_or_else(|| "–".into(), |last| moment(last.at));
        PAGE.replace("{sum_class}", class)
            .replace("{sum}", sum)
            .replace("{at}", &at)
            .replace("{us}", &us)
            .replace("{amazon}", &amazon)
            .replace("{cloud}", &escape(&self.cloud))
    }
}

/// What a step stands for, to whoever uses the cloud.
fn describe(step: &str) -> &'static str {
    match step {
        "accounts" => "The account service answers",
        "home" => "A home can connect",
        "link" => "Alexa can link and refresh",
        "discover" => "Players are found",
        "play" => "Music plays",
        "volume" => "The volume is set",
        "state" => "The state is read",
        _ => "Music pauses",
    }
}

/// Strangers read this: the part that is to blame is told, what its errors say is in the canary's log.
fn in_words(step: Option<&Step>) -> String {
    let Some(step) = step else { return "not tried yet".into() };
    match (step.verdict, &step.trouble) {
        (Verdict::Ok, _) => "works".into(),
        (Verdict::Slow, _) => "works, slowly".into(),
        (Verdict::NotTried, _) => "not tried, because of the one before".into(),
        (Verdict::Failed, Some(trouble)) => format!("does not work: {}", trouble.hop.name()),
        (Verdict::Failed, None) => "does not work".into(),
    }
}

const fn class(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Ok) => "good",
        Some(Verdict::Slow) => "slow",
        Some(Verdict::Failed) => "bad",
        Some(Verdict::NotTried) | None => "unknown",
    }
}

/// Rounded down: what was not there for a moment was not there always.
fn percent(share: f64) -> String {
    format!("{:.2} %", (share * 10_000.0).floor() / 100.0)
}

fn moment(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    at.and_then(|at| at.format(format).ok()).unwrap_or_else(|| "–".into())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const PAGE: &str = include_str!("../../assets/status.html");

#[cfg(test)]
mod tests {
    use super::super::round::{Hop, Trouble};
    use super::*;

    fn shown(verdict: Verdict, trouble: Option<Trouble>) -> Shown {
        let steps = STEPS.into_iter().map(|name| Step { name, verdict, millis: 12.0, trouble: trouble.clone() });
        let last = Report {
            event: "round",
            at: 1_795_305_600,
            ok: verdict == Verdict::Ok,
            millis: 1.0,
            steps: steps.collect(),
        };
        let history = History::open(std::env::temp_dir().join("macloud-canary-no-such-file.json"), last.at);
        let mut shown = Shown::new("https://cloud.example/".into(), history);
        shown.note(last);
        shown
    }

    #[test]
    fn the_page_separates_amazon_from_us_and_says_what_is_wrong_without_details() {
        let good = shown(Verdict::Ok, None).html();
        assert!(
            good.contains("Everything works.") && good.contains("100.00 %") && good.contains("ma-connector doctor")
        );
        let problem = "connection to 10.0.0.7 <refused>".to_owned();
        let mut bad = shown(Verdict::Failed, Some(Trouble { hop: Hop::Relay, problem: problem.clone() }));
        bad.outside = vec![Reached {
            name: "gateway <na>".into(),
            host: "api.amazonalexa.com".into(),
            ok: false,
            problem: Some(problem),
        }];
        let html = bad.html();
        assert!(html.contains("Something is wrong here.") && html.contains("does not work: the relay"));
        assert!(html.contains("gateway &lt;na&gt;") && !html.contains("<refused>"));
        assert_eq!(html.matches("10.0.0.7").count(), 1, "of ours, nobody hears addresses");
        assert!(!html.contains("{us}") && !html.contains("{cloud}"));
        let json = bad.json();
        assert_eq!(json["us"][0]["hop"], "relay");
        assert_eq!(json["us"][0]["availability_24h"], 0.0);
        assert_eq!(json["amazon"][0]["ok"], false);
        assert!(!json["us"].to_string().contains("10.0.0.7"));
    }
}
