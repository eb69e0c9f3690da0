//! A relay that carries calls to homes, and misbehaves when told to.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use macloud_proto::bus::v1::command_bus_server::{CommandBus, CommandBusServer};
use macloud_proto::bus::v1::events_server::{Events, EventsServer};
use macloud_proto::bus::v1::*;
use macloud_proto::ids::{CommandId, InstanceId};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

use super::home::FakeHome;

/// What to do with the next dispatched command, instead of carrying it over and back.
#[derive(Debug, Clone)]
pub enum Trouble {
    NotSent(not_sent::Reason),
    /// Not connected for so many seconds.
    Away(u32),
    /// Written, but no reply came; whether the home carried it out.
    Unknown(unknown::Reason, bool),
    /// Carried out, but no reply came, and then the home restarts.
    UnknownAndRestart(unknown::Reason),
    /// No answer at all.
    Silence,
    /// The stream to the caller breaks after the home has carried the command out.
    BreakStream,
    /// The answer comes this much later.
    Late(Duration),
    /// The reply is changed on the way.
    Spoil,
    /// The home carries it out and restarts before it has answered; the relay sends the same bytes to its new session.
    SentAgainAfterRestart,
}

#[derive(Clone)]
pub struct FakeRelay(Arc<State>);

struct State {
    node: &'static str,
    credit: AtomicU32,
    homes: Mutex<HashMap<InstanceId, Arc<FakeHome>>>,
    /// Homes whose commands are never answered.
    silent: Mutex<HashSet<InstanceId>>,
    troubles: Mutex<VecDeque<Trouble>>,
    pre_key_troubles: Mutex<VecDeque<Trouble>>,
    streams: Mutex<Vec<mpsc::Sender<Control>>>,
    opened: AtomicU64,
    dispatches: Mutex<Vec<(CommandId, Vec<u8>)>>,
    pre_keys: AtomicU64,
    cancels: AtomicU64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
    readers: Mutex<Vec<mpsc::Sender<Result<HomeEvent, Status>>>>,
    done: Mutex<Vec<String>>,
}

enum Control {
    Break,
    Drain,
}

impl FakeRelay {
    pub fn new(node: &'static str) -> Self {
        Self(Arc::new(State {
            node,
            credit: AtomicU32::new(64),
            homes: Mutex::default(),
            silent: Mutex::default(),
            troubles: Mutex::default(),
            pre_key_troubles: Mutex::default(),
            streams: Mutex::default(),
            opened: AtomicU64::new(0),
            dispatches: Mutex::default(),
            pre_keys: AtomicU64::new(0),
            cancels: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            most_in_flight: AtomicU64::new(0),
            readers: Mutex::default(),
            done: Mutex::default(),
        }))
    }

    pub fn with_credit(self, credit: u32) -> Self {
        self.0.credit.store(credit, Ordering::SeqCst);
        self
    }

    pub fn channel(&self) -> Channel {
        let bus = Server::builder().add_service(CommandBusServer::new(self.clone()));
        super::wire::serve(bus.add_service(EventsServer::new(self.clone())))
    }

    pub fn connect(&self, home: Arc<FakeHome>) {
        self.0.homes.lock().unwrap().insert(home.instance.clone(), home);
    }

    pub fn disconnect(&self, instance: &InstanceId) {
        self.0.homes.lock().unwrap().remove(instance);
    }

    pub fn silence(&self, instance: &InstanceId) {
        self.0.silent.lock().unwrap().insert(instance.clone());
    }

    pub fn home(&self, instance: &InstanceId) -> Arc<FakeHome> {
        Arc::clone(&self.0.homes.lock().unwrap()[instance])
    }

    pub fn trouble(&self, trouble: Trouble) {
        self.0.troubles.lock().unwrap().push_back(trouble);
    }

    pub fn pre_key_trouble(&self, trouble: Trouble) {
        self.0.pre_key_troubles.lock().unwrap().push_back(trouble);
    }

    /// Give an event to whoever reads.
    pub async fn give(&self, event: HomeEvent) {
        super::until(|| !self.0.readers.lock().unwrap().is_empty()).await;
        let reader = self.0.readers.lock().unwrap().last().cloned().unwrap();
        reader.send(Ok(event)).await.unwrap();
    }

    /// The marks of the events that the reader is done with.
    pub fn done(&self) -> Vec<String> {
        self.0.done.lock().unwrap().clone()
    }

    pub async fn break_streams(&self) {
        self.tell_streams(|| Control::Break).await;
    }

    pub async fn drain_streams(&self) {
        self.tell_streams(|| Control::Drain).await;
    }

    async fn tell_streams(&self, control: impl Fn() -> Control) {
        let streams = self.0.streams.lock().unwrap().clone();
        for stream in streams {
            let _ = stream.send(control()).await;
        }
    }

    pub fn opened(&self) -> u64 {
        self.0.opened.load(Ordering::SeqCst)
    }

    pub fn dispatches(&self) -> Vec<(CommandId, Vec<u8>)> {
        self.0.dispatches.lock().unwrap().clone()
    }

    pub fn pre_keys(&self) -> u64 {
        self.0.pre_keys.load(Ordering::SeqCst)
    }

    pub fn cancels(&self) -> u64 {
        self.0.cancels.load(Ordering::SeqCst)
    }

    pub fn most_in_flight(&self) -> u64 {
        self.0.most_in_flight.load(Ordering::SeqCst)
    }

    async fn serve_stream(self, mut incoming: Streaming<ToRelay>, outgoing: mpsc::Sender<Result<FromRelay, Status>>) {
        let (control, mut controlled) = mpsc::channel(4);
        self.0.streams.lock().unwrap().push(control.clone());
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        let credit = self.0.credit.load(Ordering::SeqCst);
        let opened = Opened { node_id: self.0.node.into(), credit, sees_all_nodes: false };
        say(&outgoing, from_relay::Body::Opened(opened)).await;
        loop {
            tokio::select! {
                told = controlled.recv() => match told {
                    Some(Control::Drain) => say(&outgoing, from_relay::Body::Draining(Draining {})).await,
                    Some(Control::Break) | None => return,
                },
                message = incoming.message() => match message {
                    Ok(Some(ToRelay { body: Some(to_relay::Body::Call(call)) })) => {
                        tokio::spawn(self.clone().serve_call(call, outgoing.clone(), control.clone()));
                    }
                    Ok(Some(ToRelay { body: Some(to_relay::Body::Cancel(_)) })) => {
                        self.0.cancels.fetch_add(1, Ordering::SeqCst);
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return,
                },
            }
        }
    }

    async fn serve_call(
        self,
        call: Call,
        outgoing: mpsc::Sender<Result<FromRelay, Status>>,
        control: mpsc::Sender<Control>,
    ) {
        let now = self.0.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_in_flight.fetch_max(now, Ordering::SeqCst);
        let correlation = call.correlation;
        let (answer, sent_before) = self.answer(call, &control).await;
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        let Some(outcome) = answer else { return };
        let is_there = !matches!(outcome, answer::Outcome::NotSent(_));
        let answer = Answer {
            correlation,
            owner_node_id: if is_there { self.0.node.into() } else { String::new() },
            session_epoch: 1,
            outcome: Some(outcome),
            timing: Some(Timing { queued_micros: 10, received_micros: 200, replied_micros: 900, home_micros: 500 }),
            sent_before,
        };
        say(&outgoing, from_relay::Body::Answer(answer)).await;
    }

    async fn answer(&self, call: Call, control: &mpsc::Sender<Control>) -> (Option<answer::Outcome>, bool) {
        assert!((1..=30_000).contains(&call.remaining_ms));
        let instance: InstanceId = call.instance_id.parse().unwrap();
        let (trouble, is_pre_key) = match &call.body {
            Some(call::Body::FetchPreKey(_)) => {
                self.0.pre_keys.fetch_add(1, Ordering::SeqCst);
                (self.0.pre_key_troubles.lock().unwrap().pop_front(), true)
            }
            Some(call::Body::Dispatch(dispatch)) => {
                let id = CommandId::try_from(&dispatch.command_id[..]).unwrap();
                self.0.dispatches.lock().unwrap().push((id, dispatch.sealed.to_vec()));
                (self.0.troubles.lock().unwrap().pop_front(), false)
            }
            None => panic!("a call has a body"),
        };
        let carry = || {
            let home = self.0.homes.lock().unwrap().get(&instance).cloned();
            let Some(home) = home else { return not_sent(not_sent::Reason::NotConnected) };
            match &call.body {
                Some(call::Body::Dispatch(dispatch)) => {
                    let id = CommandId::try_from(&dispatch.command_id[..]).unwrap();
                    match home.receive(id, &dispatch.sealed) {
                        Some(sealed) => answer::Outcome::Delivered(Delivered { sealed: sealed.into() }),
                        None => unknown(unknown::Reason::Deadline),
                    }
                }
                _ => answer::Outcome::PreKey(PreKey { signed_pre_key: home.signed_pre_key().into() }),
            }
        };
        if self.0.silent.lock().unwrap().contains(&instance) {
            return (None, false);
        }
        let sent_before = matches!(trouble, Some(Trouble::SentAgainAfterRestart));
        let outcome = match trouble {
            None => carry(),
            Some(Trouble::NotSent(reason)) => not_sent(reason),
            Some(Trouble::Away(away_seconds)) => {
                let reason = not_sent::Reason::NotConnected.into();
                answer::Outcome::NotSent(NotSent { reason, away_seconds, ..NotSent::default() })
            }
            Some(Trouble::Unknown(reason, done)) => {
                if done {
                    carry();
                }
                unknown(reason)
            }
            Some(Trouble::UnknownAndRestart(reason)) => {
                carry();
                self.home(&instance).restart();
                unknown(reason)
            }
            Some(Trouble::Silence) => return (None, false),
            Some(Trouble::BreakStream) => {
                carry();
                let _ = control.send(Control::Break).await;
                return (None, false);
            }
            Some(Trouble::Late(by)) => {
                tokio::time::sleep(by).await;
                carry()
            }
            Some(Trouble::Spoil) if is_pre_key => {
                let mut spoilt = self.home(&instance).signed_pre_key();
                spoilt[20] ^= 1;
                answer::Outcome::PreKey(PreKey { signed_pre_key: spoilt.into() })
            }
            Some(Trouble::Spoil) => match carry() {
                answer::Outcome::Delivered(delivered) => {
                    let mut spoilt = delivered.sealed.to_vec();
                    *spoilt.last_mut().unwrap() ^= 1;
                    answer::Outcome::Delivered(Delivered { sealed: spoilt.into() })
                }
                other => other,
            },
            Some(Trouble::SentAgainAfterRestart) => {
                carry();
                self.home(&instance).restart();
                carry()
            }
        };
        (Some(outcome), sent_before)
    }
}

fn not_sent(reason: not_sent::Reason) -> answer::Outcome {
    answer::Outcome::NotSent(NotSent { reason: reason.into(), ..NotSent::default() })
}

fn unknown(reason: unknown::Reason) -> answer::Outcome {
    answer::Outcome::Unknown(Unknown { reason: reason.into() })
}

async fn say(outgoing: &mpsc::Sender<Result<FromRelay, Status>>, body: from_relay::Body) {
    let _ = outgoing.send(Ok(FromRelay { body: Some(body) })).await;
}

#[tonic::async_trait]
impl CommandBus for FakeRelay {
    type LinkStream = ReceiverStream<Result<FromRelay, Status>>;

    async fn link(&self, request: Request<Streaming<ToRelay>>) -> Result<Response<Self::LinkStream>, Status> {
        let (outgoing, stream) = mpsc::channel(64);
        tokio::spawn(self.clone().serve_stream(request.into_inner(), outgoing));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn dispatch(&self, _: Request<Call>) -> Result<Response<Answer>, Status> {
        Err(Status::unimplemented("the skill keeps streams"))
    }
}

#[tonic::async_trait]
impl Events for FakeRelay {
    type ReadStream = ReceiverStream<Result<HomeEvent, Status>>;

    async fn read(&self, request: Request<Streaming<FromReader>>) -> Result<Response<Self::ReadStream>, Status> {
        let mut said = request.into_inner();
        let Ok(Some(FromReader { body: Some(from_reader::Body::Open(open)) })) = said.message().await else {
            return Err(Status::invalid_argument("Open is the first message"));
        };
        assert!(open.group.starts_with("skill-"), "{}", open.group);
        let (reader, given) = mpsc::channel(16);
        self.0.readers.lock().unwrap().push(reader);
        let state = Arc::clone(&self.0);
        tokio::spawn(async move {
            while let Ok(Some(message)) = said.message().await {
                if let Some(from_reader::Body::Done(done)) = message.body {
                    state.done.lock().unwrap().extend(done.marks);
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(given)))
    }
}
