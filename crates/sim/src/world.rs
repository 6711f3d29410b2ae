//! Some connections, the time, and what happens next. Everything that can happen at a moment happens in an order that the seed decides.

mod act;
mod end;
mod oracle;

use crate::net::Pipe;
use crate::plan::{Fault, Weather};
use crate::rng::Rng;
use crate::trace::Trace;
use end::{Actor, End};
use std::time::{Duration, Instant};

/// A run takes some hundred steps, and some ten thousand where large bodies go through narrow pipes.
const MOST_STEPS: usize = 300_000;

/// Two ends with a network between them. The first is the client's.
struct Link {
    ends: [End; 2],
    /// What the end of that position writes.
    pipes: [Pipe; 2],
    /// The server's number.
    id: u64,
}

/// An answer that is due.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    link: usize,
    serial: u32,
    fate: Fate,
}

/// What becomes of a question.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answered(crate::server::How),
    /// The token is lost, and the driver knows.
    Abandoned,
    /// The token is dropped, and nobody knows.
    Lost,
    /// The answer is given to another session.
    Misdirected,
}

/// A link and which of its ends.
type Place = (usize, usize);

#[derive(Clone, Copy, Debug)]
enum Action {
    Read(Place),
    /// What was read and not used goes on.
    Feed(Place),
    /// The other side has ended.
    Ended(Place),
    Write(Place),
    Work(Place),
    Timeout(Place),
    SinkResumes(Place),
    Handshake(Place),
    /// The position in the list of answers that are due.
    Answer(usize),
    Fault,
}

/// What came of a run, counted in messages where nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Accepted, and stored.
    pub accepted: usize,
    /// Refused.
    pub refused: usize,
    /// Surely not sent.
    pub unsent: usize,
    /// Sent to the end, and no reply came.
    pub unknown: usize,
    /// Of those: stored all the same.
    pub unknown_but_stored: usize,
    /// Accepted from a scripted client.
    pub scripted: usize,
    /// Acknowledged to a scripted client that waited for each reply, and found in the store.
    pub scripted_acknowledged: usize,
    /// Of those: recipients under LMTP.
    pub recipients_acknowledged: usize,
    /// Taken by a scripted server, and known to be.
    pub answered: usize,
    /// Given up by the server.
    pub aborted: usize,
    /// Answers that came too late.
    pub stale: usize,
    /// Taken for some of their recipients.
    pub partly: usize,
    /// Clients that authenticated.
    pub authenticated: usize,
    /// Answers to another session.
    pub misdirected: usize,
    /// Handshakes of TLS that were made, and that failed.
    pub handshakes: (usize, usize),
    /// Of those that were made: of client sessions.
    pub client_handshakes: usize,
    /// Client sessions that authenticated.
    pub logins: usize,
    /// Messages that went in chunks, and were accepted.
    pub chunked: usize,
    /// Client sessions that heard clear text in place of a handshake.
    pub surplus: usize,
    /// Messages that were accepted for some recipients only.
    pub divided: usize,
    /// Sessions that lost their TLS.
    pub broken_tls: usize,
    /// Sessions that ended because of clear text behind STARTTLS.
    pub injections: usize,
    /// Things that happened.
    pub steps: usize,
    /// Two runs of one seed have the same.
    pub digest: u64,
}

struct World<'t> {
    rng: Rng,
    weather: Weather,
    start: Instant,
    now: Instant,
    links: Vec<Link>,
    due: Vec<Due>,
    trace: Trace<'t>,
    report: Report,
    /// The link that a fault lies in wait for.
    victim: Option<usize>,
}

impl Report {
    /// Adds up all but the digest.
    pub const fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.unsent += other.unsent;
        self.unknown += other.unknown;
        self.unknown_but_stored += other.unknown_but_stored;
        self.scripted += other.scripted;
        self.scripted_acknowledged += other.scripted_acknowledged;
        self.recipients_acknowledged += other.recipients_acknowledged;
        self.answered += other.answered;
        self.aborted += other.aborted;
        self.stale += other.stale;
        self.partly += other.partly;
        self.authenticated += other.authenticated;
        self.misdirected += other.misdirected;
        self.handshakes.0 += other.handshakes.0;
        self.handshakes.1 += other.handshakes.1;
        self.client_handshakes += other.client_handshakes;
        self.logins += other.logins;
        self.chunked += other.chunked;
        self.surplus += other.surplus;
        self.divided += other.divided;
        self.broken_tls += other.broken_tls;
        self.injections += other.injections;
        self.steps += other.steps;
    }
}

/// Plays a seed to its end. `epoch` is the time at which it begins: any will do, and it makes no difference. `tell` is given the
/// lines of a transcript, with seconds since the beginning.
///
/// # Panics
///
/// If an invariant is broken.
#[must_use]
pub fn run(epoch: Instant, seed: u64, tell: Option<&mut dyn FnMut(&str)>) -> Report {
    let mut world = World::new(epoch, seed, Trace::new(seed, tell));
    while world.step() {
        world.report.steps += 1;
        assert!(world.report.steps < MOST_STEPS, "the run does not end");
    }
    world.finish()
}

impl<'t> World<'t> {
    fn new(now: Instant, seed: u64, trace: Trace<'t>) -> Self {
        let mut rng = Rng::new(seed);
        let weather = Weather::new(&mut rng);
        let links = (0..rng.between(1, 3)).map(|i| Link::new(now, i, &weather, &mut rng)).collect();
        let mut world = Self {
            rng,
            weather,
            start: now,
            now,
            links,
            due: Vec::new(),
            trace,
            report: Report::default(),
            victim: None,
        };
        world.trace.say(Duration::ZERO, || format!("{:?}", world.weather));
        for (i, link) in world.links.iter().enumerate() {
            world.trace.say(Duration::ZERO, || format!("{i}: {}, {}", link.ends[0].name(), link.ends[1].name()));
        }
        for i in 0..world.links.len() {
            world.settle(i);
        }
        world
    }

    /// Does one thing, or lets time pass up to the next. False when there is no next.
    fn step(&mut self) -> bool {
        for link in &mut self.links {
            link.pipes.iter_mut().for_each(|pipe| pipe.advance(self.now));
        }
        let ready = self.ready();
        if ready.is_empty() {
            let Some(next) = self.next_moment() else { return false };
            assert!(next > self.now, "something was to happen and did not");
            self.now = next;
            return true;
        }
        let action = *self.rng.pick(&ready);
        self.trace.say(self.now - self.start, || format!("{action:?}"));
        self.act(action);
        if self.rng.percent(3) {
            self.spurious();
        }
        true
    }

    fn ready(&self) -> Vec<Action> {
        let (now, mut ready) = (self.now, Vec::new());
        for (i, link) in self.links.iter().enumerate() {
            for (side, end) in link.ends.iter().enumerate() {
                let place = (i, side);
                let (out, incoming) = (&link.pipes[side], &link.pipes[1 - side]);
                let mut offer = |possible: bool, action: fn(Place) -> Action| {
                    if possible {
                        ready.push(action(place));
                    }
                };
                if !end.is_open() {
                    continue;
                }
                let carries = end.actor.carries();
                offer(incoming.readable() > 0 && end.read_at <= now && end.actor.wants_read(), Action::Read);
                offer(end.actor.wants_feed(), Action::Feed);
                let at_end = incoming.ended(now).is_some() && !end.end_told;
                offer(at_end && (!carries || !end.patient), Action::Ended);
                offer(end.actor.has_output() && out.room() > 0 && end.write_at <= now, Action::Write);
                offer(end.has_work() && end.work_at <= now, Action::Work);
                offer(end.actor.deadline().is_some_and(|at| at <= now), Action::Timeout);
                offer(end.resume_at.is_some_and(|at| at <= now), Action::SinkResumes);
                // Nobody does a handshake before 220 was read.
                let near = &link.ends[1 - side];
                let quiet = !out.holds_any()
                    && (!near.is_open() || !matches!(near.actor, Actor::Client(_)) || !incoming.holds_any());
                let shakes =
                    end.handshake_at.is_some_and(|at| at <= now) && end.wants_handshake() && near.can_shake() && quiet;
                offer(shakes, Action::Handshake);
            }
        }
        ready.extend(self.due.iter().enumerate().filter(|(_, due)| due.at <= now).map(|(i, _)| Action::Answer(i)));
        if self.weather.fault.is_some_and(|(after, _)| self.start + after <= now) {
            ready.push(Action::Fault);
        }
        ready
    }

    fn next_moment(&self) -> Option<Instant> {
        let mut moments: Vec<Instant> = self.due.iter().map(|due| due.at).collect();
        moments.extend(self.weather.fault.map(|(after, _)| self.start + after));
        for link in &self.links {
            for (side, end) in link.ends.iter().enumerate().filter(|(_, end)| end.is_open()) {
                moments.extend([end.read_at, end.write_at]);
                moments.extend(end.has_work().then_some(end.work_at));
                moments.extend(end.actor.deadline());
                moments.extend(end.resume_at);
                moments.extend(end.handshake_at);
                moments.extend(link.pipes[1 - side].next_arrival(self.now));
            }
        }
        moments.into_iter().filter(|at| *at > self.now).min()
    }

    fn victim(&mut self, link: usize, at: Instant, fault: Option<Fault>) {
        if let Some(fault) = fault {
            self.weather.fault = Some((at - self.start, fault));
            self.victim = Some(link);
        }
    }
}

impl Actor {
    fn carries(&self) -> bool {
        matches!(self, Self::Server(server) if server.carried() > 0)
    }
}
