//! The way of a directive, and of a spoken request, a line per step; the steps live in the modules of their names.
//!
//! 1. *verify*: is it a directive at all; is the request really Alexa's?
//! 2. *resolve*: whose token, which scopes, which homes?
//! 3. *translate*: what does it mean in our words?
//! 4. *seal*: the command, for that home only.
//! 5. *dispatch*: onto the bus, and the sealed reply back.
//! 6. *answer*: the reply, or what went wrong, in Alexa's words.
//!
//! What came of a command is *reported*, as a count, for its owner to see; nothing waits for that.
//!
//! Whatever happens, there is one answer before the deadline.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::HeaderMap;
use macloud_e2ee::keys::SkillSigner;
use macloud_e2ee::vocabulary::{Action, Command, DeviceKey, Player, Refusal, Reply, Target};
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::random;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use crate::answer::discovery::{Listing, Offer};
use crate::answer::event::{self, Stamp};
use crate::answer::response::{Besides, Names};
use crate::answer::speech::{Done, Locale, Say};
use crate::answer::{discovery, response};
use crate::choose::{self, Speaker};
use crate::conversation::Open;
use crate::directive::{self, Arrived, Ask, Directive, Kind, Malformed};
use crate::failure::{Failure, TokenFault, is_ours};
use crate::grant::{Grants, NotKept};
use crate::metrics::Metrics;
use crate::passage::Carrier;
use crate::progress::Progress;
use crate::report::Reports;
use crate::request::{self, CustomRequest};
use crate::resolve::{Access, Home, Resolver};
use crate::trace::{Front, HopTrace, Observer, Passage, Stopwatch};
use crate::translate::intent::{Turn, turn};
use crate::translate::{self, Work};
use crate::verify::{Refused, Verifier};
use crate::{events, everywhere};

/// Everything that the steps need.
pub(crate) struct Steps {
    pub(crate) verifier: Verifier,
    pub(crate) resolver: Resolver,
    pub(crate) carrier: Carrier,
    pub(crate) grants: Grants,
    pub(crate) reports: Reports,
    pub(crate) metrics: Metrics,
    pub(crate) progress: Progress,
    /// Whose key devices are named with.
    pub(crate) signer: Arc<SkillSigner>,
    pub(crate) observer: Option<Observer>,
    pub(crate) clock: SharedClock,
    pub(crate) deadline: Duration,
}

/// What a directive came to.
enum Outcome {
    GrantAccepted,
    Discovered(Vec<Offer>),
    Reported(Player),
    Sought(Player),
    Activated,
    Done(Player),
}

/// Why a request of the custom part has no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// It is not to be believed.
    Refused,
    /// It tells of something that could not be kept. Amazon takes an hour-old event for fresh, so that it may be told again; if it is
    /// not, the event gateway refuses who has left, and they are forgotten then.
    NotKept,
}

impl From<Refused> for Unanswered {
    fn from(_: Refused) -> Self {
        Self::Refused
    }
}

/// What a spoken request came to.
struct Turned {
    /// What it was, one of few fixed words.
    kind: &'static str,
    /// What to say to it, if anything may be said.
    say: Option<Say>,
    /// What goes with it.
    besides: Besides,
}

impl Steps {
    /// The way of a directive that began to arrive at `arrived`. The caller has `within` from then on.
    pub(crate) async fn directive(&self, body: &[u8], arrived: Instant, within: Duration) -> Result<Value, Malformed> {
        self.answer_directive(body, arrived, within).instrument(journey_span(Front::SmartHome)).await
    }

    async fn answer_directive(&self, body: &[u8], arrived: Instant, within: Duration) -> Result<Value, Malformed> {
        let (mut watch, mut trace) = (Stopwatch::start(), HopTrace::new(Front::SmartHome));
        let deadline = arrived + self.deadline.min(within);
        let read = directive::parse(body)?;
        trace.verify = watch.lap();
        let (reply_to, outcome) = match read {
            Arrived::Refuse(reply_to, failure) => (reply_to, Err(failure)),
            Arrived::Directive(Directive { reply_to, token, ask }) => {
                let carried_out = async {
                    let access = self.resolve(&token, &ask).await;
                    trace.resolve = watch.lap();
                    let Some(access) = access? else { return Ok(Outcome::GrantAccepted) };
                    let work = translate::directive(ask, &access);
                    trace.translate = watch.lap();
                    self.carry_out(work?, &access, reply_to.kind, deadline, &mut trace).await
                };
                let outcome = timeout_at(deadline, carried_out).await.unwrap_or(Err(Failure::TimeUp));
                (reply_to, outcome)
            }
        };
        watch.lap();
        let stamp = self.stamp();
        let result = outcome.as_ref().map_or_else(Failure::label, |_| "ok");
        let event = match outcome {
            Ok(Outcome::GrantAccepted) => event::grant_accepted(&stamp),
            Ok(Outcome::Discovered(offers)) => {
                let Listing { endpoints, report } = discovery::list(offers, self.grants.events_are_on());
                trace.listed = Some(report);
                event::discovered(&stamp, endpoints)
            }
            Ok(Outcome::Reported(player)) => event::state_report(&stamp, &reply_to, &player),
            Ok(Outcome::Sought(player)) => event::sought(&stamp, &reply_to, &player),
            Ok(Outcome::Activated) => event::activated(&stamp, &reply_to),
            Ok(Outcome::Done(player)) => event::response(&stamp, &reply_to, &player),
            Err(failure) => event::failed(&stamp, &reply_to, &failure),
        };
        trace.answer = watch.lap();
        self.told(trace, reply_to.kind.label(), result, &watch);
        Ok(event)
    }

    /// The way of a spoken request that began to arrive at `arrived`.
    pub(crate) async fn request(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        arrived: Instant,
    ) -> Result<Value, Unanswered> {
        self.answer_request(headers, body, arrived).instrument(journey_span(Front::Custom)).await
    }

    async fn answer_request(&self, headers: &HeaderMap, body: &[u8], arrived: Instant) -> Result<Value, Unanswered> {
        let (mut watch, mut trace) = (Stopwatch::start(), HopTrace::new(Front::Custom));
        let request = self.verifier.verify(headers, body).await.inspect_err(|refused| {
            tracing::info!(reason = %refused, "a request of the custom part is refused");
            self.metrics.refused();
        })?;
        trace.verify = watch.lap();
        if let request::Ask::SkillEvent(event) = request.ask {
            let (token, customer) = (request.token.as_ref(), request.user.as_deref());
            let told = events::skill_event(event, token, customer, &self.resolver, &self.grants);
            // Nobody waits to hear what came of it; but whoever could not be heard says it again.
            timeout_at(arrived + self.deadline, told).await.unwrap_or(Err(NotKept)).map_err(|_| Unanswered::NotKept)?;
        }
        let locale = Locale::of(&request.locale).unwrap_or_default();
        let Turned { kind, say, mut besides } = self.turn(request, locale, arrived, &mut watch, &mut trace).await;
        watch.lap();
        let result = match &say {
            Some(Say::Failed(failure)) => failure.label(),
            Some(Say::LinkFirst) => "not_linked",
            _ => "ok",
        };
        if matches!(say, Some(Say::Failed(_))) {
            trace.name_failure();
        }
        besides.code = trace.code();
        let response = say.map_or_else(response::silence, |say| response::speaking(locale, &say, &besides));
        trace.answer = watch.lap();
        self.told(trace, kind, result, &watch);
        Ok(response)
    }

    /// What a request that began to arrive at `arrived` leads to: something done and told, or only something said.
    async fn turn(
        &self,
        request: CustomRequest,
        locale: Locale,
        arrived: Instant,
        watch: &mut Stopwatch,
        trace: &mut HopTrace,
    ) -> Turned {
        let deadline = arrived + self.deadline;
        let CustomRequest { token, device, begins, meanwhile, ask, open, .. } = request;
        let may_leave = matches!(ask, request::Ask::Intent(request::Intent::StopOrLeave));
        let (turn, open) = turn(ask, open);
        trace.translate = watch.lap();
        let talk = |say| Turned { kind: "talk", say: Some(say), besides: Besides::default() };
        let (target, action) = match turn {
            Turn::Silence => return Turned { kind: "silence", say: None, besides: Besides::default() },
            Turn::Say(Say::Goodbye) => return talk(Say::Goodbye),
            // Whoever opens the skill without having linked it could do nothing with a welcome.
            Turn::Say(say) => {
                let Some(token) = token else { return talk(Say::LinkFirst) };
                let helps = matches!(say, Say::Help(_));
                let asks = begins && locale.speak(&say).question.is_some();
                let names = if asks || helps { self.names(&token, deadline, trace).await } else { Names::default() };
                let say = if helps { Say::Help(names.players.clone()) } else { say };
                return Turned { besides: Besides { open, names, ..Besides::default() }, ..talk(say) };
            }
            Turn::Do { target, action } => (target, action),
        };
        let Some(token) = token else { return Turned { kind: "do", ..talk(Say::LinkFirst) } };
        let done = async {
            let access = self.resolver.resolve(&token).await;
            trace.resolve = watch.lap();
            let access = access?;
            let device = device.map(|device| self.signer.device_key(&access.account, device.as_str()));
            let speaker = Speaker { access: &access, device, locale };
            self.spoken(speaker, target, action, deadline, trace).await
        };
        let one_moment = locale.speak(&Say::OneMoment).text;
        let done = self.progress.beside(meanwhile.as_ref(), &one_moment, arrived, timeout_at(deadline, done)).await;
        let (say, besides) = match done.unwrap_or(Err(Failure::TimeUp)) {
            // It was only asked whether there is such a player.
            Ok(Say::WhatToPlay) => {
                let names = if begins { self.names(&token, deadline, trace).await } else { Names::default() };
                (Say::WhatToPlay, Besides { open, names, ..Besides::default() })
            }
            Ok(say) => (say, Besides::default()),
            // Who says "stop" is asked nothing.
            Err(Failure::Refused(Refusal::WhichPlayer(_) | Refusal::NothingToPlay)) if may_leave => {
                (Say::Goodbye, Besides::default())
            }
            Err(failure) => {
                let failure = failure.told_apart();
                let besides = asked_back(open, &failure);
                (Say::Failed(failure), besides)
            }
        };
        Turned { kind: "do", say: Some(say), besides }
    }

    /// What was said is done, and what is said of it.
    async fn spoken(
        &self,
        speaker: Speaker<'_>,
        target: Target,
        action: Option<Action>,
        deadline: Instant,
        trace: &mut HopTrace,
    ) -> Result<Say, Failure> {
        let Some(action) = action else {
            return self.is_there(speaker, target, deadline, trace).await.map(|()| Say::WhatToPlay);
        };
        let (target, action) = everywhere::asked(target, action);
        if let Some(homes) = choose::meant_whole(speaker.access, &target) {
            let request = everywhere::Request { speaker, said: &target, deadline };
            return self.everywhere(&request, homes, &action, trace).await;
        }
        let (home, target) = choose::home(&self.carrier, speaker, target, &action, deadline, trace).await?;
        let command = Command::OnPlayer { target, action: action.clone(), device: speaker.device };
        let done = self.on_player(home, &command, speaker.access, deadline, trace).await?;
        if matches!(action, Action::UseHere | Action::ForgetHere) {
            self.forget_elsewhere(home, speaker.device, speaker.access, deadline).await;
        }
        Ok(Say::done(&action, done))
    }

    /// Whether there is the player that was named, before anybody is asked what to play on it: a wrong name would be kept, and
    /// spoil what is said next.
    async fn is_there(
        &self,
        speaker: Speaker<'_>,
        target: Target,
        deadline: Instant,
        trace: &mut HopTrace,
    ) -> Result<(), Failure> {
        let access = speaker.access;
        if !access.scopes.cover_action(&Action::Read) || choose::meant_whole(access, &target).is_some() {
            return Ok(());
        }
        let (home, target) = choose::home(&self.carrier, speaker, target, &Action::Read, deadline, trace).await?;
        // Without the device: to ask is not to use.
        let command = Command::OnPlayer { target, action: Action::Read, device: None };
        self.on_player(home, &command, access, deadline, trace).await.map(|_| ())
    }

    /// What may be heard in answer to a first question. Whoever asks is not kept waiting for it.
    async fn names(&self, token: &crate::token::AccessToken, deadline: Instant, trace: &mut HopTrace) -> Names {
        let deadline = deadline.min(Instant::now() + PATIENCE_WITH_NAMES);
        let listing = async {
            let access = self.resolver.resolve(token).await.ok()?;
            if !access.scopes.cover(&Command::ListPlayers) {
                return None;
            }
            self.list_players(&access, deadline, trace).await.ok()
        };
        let homes = timeout_at(deadline, listing).await.ok().flatten().unwrap_or_default();
        let names = homes.iter().map(|offer| offer.home.clone());
        Names {
            homes: names.filter(|_| homes.len() > 1).collect(),
            players: homes.iter().flat_map(|offer| &offer.players).map(|player| player.name.clone()).collect(),
        }
    }

    /// What the token gives access to. `None` for a grant that is not kept anyway, whose token has expired or cannot be
    /// looked up now: linking must not fail over it.
    async fn resolve(&self, token: &crate::token::AccessToken, ask: &Ask) -> Result<Option<Arc<Access>>, Failure> {
        match (self.resolver.resolve(token).await, ask) {
            (Err(Failure::AccountsAway), Ask::AcceptGrant(_)) if !self.grants.events_are_on() => Ok(None),
            // A token is minutes old when its grant comes; one that has expired says nothing against the account.
            (Err(Failure::Token(TokenFault::Expired)), Ask::AcceptGrant(_)) if !self.grants.events_are_on() => Ok(None),
            (resolved, _) => resolved.map(Some),
        }
    }

    async fn carry_out(
        &self,
        work: Work,
        access: &Access,
        kind: Kind,
        deadline: Instant,
        trace: &mut HopTrace,
    ) -> Result<Outcome, Failure> {
        match work {
            Work::KeepGrant(code) => self.grants.accept(access, code).await.map(|()| Outcome::GrantAccepted),
            Work::ListPlayers => self.list_players(access, deadline, trace).await.map(Outcome::Discovered),
            Work::Command { home, command } => {
                let Done { player, .. } = self.on_player(&home, &command, access, deadline, trace).await?;
                Ok(match kind {
                    Kind::ReportState => Outcome::Reported(player),
                    Kind::Seek => Outcome::Sought(player),
                    Kind::Scene => Outcome::Activated,
                    _ => Outcome::Done(player),
                })
            }
            Work::AdjustSleepTimer { home, player, by } => {
                let on = |action| Command::OnPlayer { target: Target::Key(player.clone()), action, device: None };
                let before = self.on_player(&home, &on(Action::Read), access, deadline, trace).await?.player;
                let set = on(Action::SetSleepTimer(translate::adjusted(before.state.sleep_timer, by)));
                self.on_player(&home, &set, access, deadline, trace).await.map(|done| Outcome::Done(done.player))
            }
        }
    }

    /// One command to one home: seal, dispatch, and back.
    pub(crate) async fn on_player(
        &self,
        home: &Home,
        command: &Command,
        access: &Access,
        deadline: Instant,
        trace: &mut HopTrace,
    ) -> Result<Done, Failure> {
        let (result, passage) = self.carried(home, command, access, deadline).await;
        passage.into_iter().for_each(|passage| trace.passed(passage));
        result
    }

    /// Likewise, with its way to be traced by who asks.
    pub(crate) async fn carried(
        &self,
        home: &Home,
        command: &Command,
        access: &Access,
        deadline: Instant,
    ) -> (Result<Done, Failure>, Option<Passage>) {
        let noting = self.reports.begin(&access.grant, &home.instance, command);
        if home.paused {
            noting.end(&Err(Failure::HomePaused));
            return (Err(Failure::HomePaused), None);
        }
        let (reply, passage) = self.carrier.carry(home, command, access.scopes, deadline).await;
        noting.end(&reply);
        (reply.and_then(done), Some(passage))
    }

    /// A device is used with a player of one home at most. A home that is away forgets nothing, and cannot stand in the way either.
    async fn forget_elsewhere(&self, home: &Home, device: Option<DeviceKey>, access: &Access, deadline: Instant) {
        let others = access.homes.iter().filter(|other| other.instance != home.instance && !other.paused);
        let command = Command::OnPlayer { target: Target::Unnamed, action: Action::ForgetHere, device };
        let told = others.map(|other| self.carrier.carry(other, &command, access.scopes, deadline));
        let _ = timeout_at(deadline.min(Instant::now() + PATIENCE_WITH_OTHERS), join_all(told)).await;
    }

    /// All homes at once; those that do not answer in time are left out.
    pub(crate) async fn list_players(
        &self,
        access: &Access,
        deadline: Instant,
        trace: &mut HopTrace,
    ) -> Result<Vec<Offer>, Failure> {
        // Some time is kept for the answer, so that one slow home does not hide the others.
        let deadline = deadline - SHARE_OF_ANSWER.min(deadline.saturating_duration_since(Instant::now()));
        let homes: Vec<&Home> = access.homes.iter().filter(|home| !home.paused).collect();
        if homes.is_empty() {
            return access.homes.first().map_or(Ok(Vec::new()), |_| Err(Failure::HomePaused));
        }
        let asked = homes.iter().map(|home| {
            let noting = self.reports.begin(&access.grant, &home.instance, &Command::ListPlayers);
            let carried = self.carrier.carry(home, &Command::ListPlayers, access.scopes, deadline);
            async move {
                let answered = timeout_at(deadline, carried).await;
                if let Ok((result, _)) = &answered {
                    noting.end(result);
                }
                answered
            }
        });
        let answered = join_all(asked).await;
        let mut there = Vec::new();
        let mut failures = Vec::new();
        for (home, answer) in homes.into_iter().zip(answered) {
            let result = match answer {
                Ok((result, passage)) => {
                    trace.passed(passage);
                    result
                }
                Err(_) => Err(Failure::TimeUp),
            };
            match result {
                Ok(Reply::Players { players, presets, .. }) => {
                    there.push(Offer { instance: home.instance.clone(), home: home.name.clone(), players, presets });
                }
                Ok(_) => failures.push(Failure::UnexpectedReply),
                Err(failure) => failures.push(failure),
            }
        }
        if there.is_empty() { Err(nobody_there(failures)) } else { Ok(there) }
    }

    fn stamp(&self) -> Stamp {
        Stamp { message_id: event::uuid(random::bytes()), unix_millis: self.clock.unix_millis() }
    }

    fn told(&self, mut trace: HopTrace, kind: &'static str, result: &'static str, watch: &Stopwatch) {
        trace.kind = kind;
        trace.result = result;
        trace.total = watch.total();
        let span = Span::current();
        span.record("directive.kind", kind).record("result", result).record("command.code", trace.code());
        if is_ours(result) {
            span.record("otel.status_code", "ERROR");
        }
        trace.log();
        self.metrics.answered(&trace);
        if let Some(observer) = &self.observer {
            observer(&trace);
        }
    }
}

/// What a home did.
fn done(reply: Reply) -> Result<Done, Failure> {
    match reply {
        Reply::Done { player, found, learned, other, .. } => Ok(Done { player, other, found, learned }),
        Reply::Players { .. } => Err(Failure::UnexpectedReply),
        Reply::Refused(refusal) => Err(Failure::Refused(refusal)),
    }
}

/// The span of one journey: what kind it is and what came of it, never what it says.
fn journey_span(front: Front) -> Span {
    info_span!(
        "journey",
        otel.kind = "server",
        otel.status_code = Empty,
        front = front.label(),
        directive.kind = Empty,
        result = Empty,
        command.code = Empty,
    )
}

/// What stays open where a home asks back, and the names that it asks about.
fn asked_back(open: Option<Open>, failure: &Failure) -> Besides {
    let Failure::Refused(refusal) = failure else { return Besides { open, ..Besides::default() } };
    let players = match refusal {
        Refusal::WhichPlayer(names) => names.clone(),
        _ => Vec::new(),
    };
    let names = Names { players, homes: Vec::new() };
    Besides { open: open.map(|open| open.after(refusal)), names, ..Besides::default() }
}

/// For discovery, no home being there is what matters, unless all of them fail for the same reason.
fn nobody_there(failures: Vec<Failure>) -> Failure {
    use macloud_proto::bus::v1::not_sent;
    let mut failures = failures.into_iter();
    let first = failures.next().unwrap_or(Failure::NoHome);
    if failures.all(|other| other == first) { first } else { Failure::NotSent(not_sent::Reason::NotConnected) }
}

/// Making the answer of the largest discovery takes a few milliseconds.
const SHARE_OF_ANSWER: Duration = Duration::from_millis(250);

/// Somebody waits for an answer that does not depend on them.
const PATIENCE_WITH_OTHERS: Duration = Duration::from_millis(1000);

/// What people say next is understood without it, too, only less well.
const PATIENCE_WITH_NAMES: Duration = Duration::from_millis(1000);
