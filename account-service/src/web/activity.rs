//! What happened to one's account, and what was done with it: who signed in, what was linked, paused or changed, and which app
//! did what kind of thing in which home. The newest first, a page at a time.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::visitor::Visitor;
use super::{Frame, PageError, Place, answer, page, see_other, sessions, when};
use crate::form::Form;
use crate::shared::Shared;
use crate::store::activity::{self, Happened, Kind};
use crate::store::uses::{self, UseKind, UseLine, UseResult};
use crate::words;

#[derive(Template)]
#[template(path = "activity.html")]
struct Activity {
    frame: Frame,
    lines: Vec<Line>,
    /// Where the older ones are.
    older: Option<String>,
    is_first: bool,
}

struct Line {
    spot: Spot,
    told: String,
    /// What came of it, and how often.
    outcome: Option<String>,
    when: String,
}

/// Where a line stands: events and uses in one order. Within a second, what happened to the account has an order of its own, and
/// stands above what was done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spot {
    at: i64,
    sequence: i64,
    key: String,
}

impl Spot {
    /// Before everything.
    fn top() -> Self {
        Self { at: i64::MAX, sequence: i64::MAX, key: String::new() }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (at, sequence, key) = (parts.next()?, parts.next()?, parts.next()?);
        let good = key.len() <= 200 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        good.then_some(())?;
        Some(Self { at: at.parse().ok()?, sequence: sequence.parse().ok()?, key: key.to_owned() })
    }

    fn as_text(&self) -> String {
        format!("{}.{}.{}", self.at, self.sequence, self.key)
    }
}

/// GET `/activity`.
pub(super) async fn show(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, try_show(&shared, request).await)
}

async fn try_show(shared: &Shared, request: Request) -> Result<Response, PageError> {
    let (parts, _) = request.into_parts();
    let visitor = Visitor::of(shared, &parts.headers).await?;
    let Some(session) = &visitor.session else { return Ok(see_other("/sign-in?next=%2Factivity")) };
    let form = Form::parse(parts.uri.query().unwrap_or_default().as_bytes())?;
    let before = form.value("before").and_then(Spot::parse);
    let from = before.clone().unwrap_or_else(Spot::top);
    let (account, now) = (&session.account_id, shared.now());
    let after = (from.at, from.sequence, from.key.as_str());
    let happened = activity::page(&shared.db, account, after).await?;
    let used = uses::page(&shared.db, account, after, now).await?;
    let happened = happened.into_iter().map(|event| event_line(event, now));
    let mut lines: Vec<Line> = happened.chain(used.into_iter().map(|line| use_line(line, now))).collect();
    // Stable: lines that tie come in the order of their table, which is the database's.
    lines.sort_by_key(|line| std::cmp::Reverse((line.spot.at, line.spot.sequence)));
    let is_more = lines.len() > PAGE;
    lines.truncate(PAGE);
    let older = lines.last().filter(|_| is_more).map(|last| format!("/activity?before={}", last.spot.as_text()));
    let frame = Frame::new(words::say("activity-title"), Some(session)).at(Place::Activity);
    let template = Activity { frame, lines, older, is_first: before.is_none() };
    Ok(page(shared, &visitor, StatusCode::OK, &template))
}

fn event_line(event: Happened, now: i64) -> Line {
    Line {
        told: told(&event),
        outcome: None,
        when: when::ago(now, event.at),
        spot: Spot { at: event.at, sequence: event.sequence, key: event.id },
    }
}

fn use_line(line: UseLine, now: i64) -> Line {
    let what = words::say(match line.kind {
        UseKind::Discovery => "use-discovery",
        UseKind::Read => "use-read",
        UseKind::Playback => "use-playback",
        UseKind::Volume => "use-volume",
        UseKind::Power => "use-power",
        UseKind::Mode => "use-mode",
        UseKind::PlayMedia => "use-play-media",
    });
    let result = words::say(match line.result {
        UseResult::Done => "use-done",
        UseResult::Refused => "use-refused",
        UseResult::NotPossible => "use-not-possible",
        UseResult::Offline => "use-offline",
        UseResult::TimedOut => "use-timed-out",
        UseResult::Paused => "use-paused",
        UseResult::OverLimit => "use-over-limit",
        UseResult::Failed => "use-failed",
    });
    let home = line.home.unwrap_or_else(|| words::say("use-a-home"));
    let mut parts = vec![("app", line.client.into()), ("what", what.into()), ("home", home.into())];
    let key = match line.who {
        Some(who) => {
            parts.push(("who", who.into()));
            "use-line-by"
        }
        None => "use-line",
    };
    let times = words::with("use-times", &[("count", line.times.into())]);
    Line {
        told: words::with(key, &parts),
        outcome: Some(format!("{result}, {times}")),
        when: when::ago(now, line.at),
        spot: Spot { at: line.at, sequence: BELOW_EVENTS, key: line.key },
    }
}

fn told(line: &Happened) -> String {
    let key = match line.kind {
        Kind::SignedUp => "activity-signed-up",
        Kind::SignedIn => "activity-signed-in",
        Kind::EmailChanged => "identity-activity-email",
        Kind::PasskeyAdded => "identity-activity-passkey",
        Kind::PasskeyRemoved => "identity-activity-passkey-removed",
        Kind::ProviderLinked => "identity-activity-linked",
        Kind::ProviderUnlinked => "identity-activity-unlinked",
        Kind::PasswordChanged => "activity-password-changed",
        Kind::SecondStepOn => "activity-second-step-on",
        Kind::SecondStepOff => "activity-second-step-off",
        Kind::RecoveryCodesRenewed => "activity-recovery-codes-renewed",
        Kind::AppLinked => "activity-app-linked",
        Kind::AppUnlinked => "activity-app-unlinked",
        Kind::HomeAllowed => "activity-home-allowed",
        Kind::HomeRefused => "activity-home-refused",
        Kind::HomeLinked => "activity-home-linked",
        Kind::HomePaused => "activity-home-paused",
        Kind::HomeResumed => "activity-home-resumed",
        Kind::HomeRenamed => "activity-home-renamed",
        Kind::HomeAssistantBound => "identity-activity-home-assistant",
        Kind::HomeAssistantRemoved => "identity-activity-home-assistant-removed",
        Kind::HomeUnlinked => "activity-home-unlinked",
        Kind::InvitationMade => "people-told-invited",
        Kind::InvitationRevoked => "people-told-revoked",
        Kind::InvitationDeclined => "people-told-declined",
        Kind::MemberJoined => "people-told-joined",
        Kind::MemberLeft => "people-told-left",
        Kind::MemberRemoved => "people-told-removed",
        Kind::HomeJoined => "people-told-home-joined",
        Kind::HomeLeft => "people-told-home-left",
        Kind::HomeLost => "people-told-home-lost",
        Kind::HomeOffered => "moving-told-offered",
        Kind::HomeGiven => "moving-told-given",
        Kind::HomeTaken => "moving-told-taken",
        Kind::HomeReplaced => "moving-told-replaced",
        Kind::DataExported => "activity-data-exported",
        Kind::PlanNearlyUsed => "activity-plan-nearly-used",
        Kind::PlanUsedUp => "activity-plan-used-up",
        Kind::PlanChanged => "activity-plan-changed",
        Kind::SecondStepReset => "activity-second-step-reset",
        Kind::SessionsEnded => "activity-sessions-ended",
        Kind::Suspended => "activity-suspended",
        Kind::Unsuspended => "activity-unsuspended",
    };
    let what = if line.kind == Kind::SignedIn { sessions::device(&line.detail) } else { line.detail.clone() };
    words::with(key, [("what", what.into())])
}

/// Uses stand below what happened to the account in the same second.
const BELOW_EVENTS: i64 = -1;
/// Lines on a page; the store gives one more of each kind.
const PAGE: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spots_are_read_back_as_they_were_and_nothing_else_is_read() {
        for spot in [Spot::top(), Spot { at: 5, sequence: -1, key: "a_b-3".into() }] {
            assert_eq!(Spot::parse(&spot.as_text()), Some(spot));
        }
        for wrong in ["", "1", "1.2", "x.1.a", "1.x.a", "1.2.a b", "1.2.a'", "1.2.\u{e4}"] {
            assert_eq!(Spot::parse(wrong), None, "{wrong}");
        }
    }
}
