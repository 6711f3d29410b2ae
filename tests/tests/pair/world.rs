//! Some connections, the time, and what happens next. Everything that can happen at a moment happens in an order that the seed decides.

mod oracle;

use crate::client::Client;
use crate::net::{End, Pipe};
use crate::plan::{self, Fault, Message, Weather};
use crate::rng::Rng;
use crate::server::{Asked, Server};
use crate::trace::Trace;
use ehlo_server::codec::Reply;
use ehlo_server::{Answer, Question, ResolveError, Shutdown};
use std::time::{Duration, Instant};

/// A run takes some hundred steps, and some ten thousand where large bodies go through narrow pipes.
const MOST_STEPS: usize = 300_000;

/// A client and a server with a network between them.
struct Link {
    client: Client,
    server: Server,
    up: Pipe,
    down: Pipe,
}

/// An answer that is due.
struct Due {
    at: Instant,
    link: usize,
    asked: Asked,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Accept,
    Reject,
    Defer,
    /// Not now, with 421.
    Leave,
    /// The token is lost, and the driver knows.
    Abandon,
    /// The token is dropped, and nobody knows.
    Drop,
    /// The answer is given to another session.
    Misdirect,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    ClientRead(usize),
    ClientEnd(usize),
    ClientWrite(usize),
    ClientWork(usize),
    ClientTimeout(usize),
    ServerRead(usize),
    ServerFeed(usize),
    ServerEnd(usize),
    ServerWrite(usize),
    ServerTimeout(usize),
    SinkResumes(usize),
    /// The position in the list of answers that are due.
    Answer(usize),
    Fault,
}

/// What came of a run, counted in messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) accepted: usize,
    pub(crate) refused: usize,
    pub(crate) unsent: usize,
    pub(crate) unknown: usize,
    /// Of those: stored all the same.
    pub(crate) unknown_but_stored: usize,
    pub(crate) aborted: usize,
    pub(crate) stale: usize,
    pub(crate) misdirected: usize,
    pub(crate) steps: usize,
    /// Two runs of one seed have the same.
    pub(crate) digest: u64,
}

pub(crate) struct World {
    rng: Rng,
    weather: Weather,
    start: Instant,
    now: Instant,
    links: Vec<Link>,
    due: Vec<Due>,
    trace: Trace,
    report: Report,
    /// The link that a fault lies in wait for.
    victim: Option<usize>,
}

impl Report {
    pub(crate) const fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.unsent += other.unsent;
        self.unknown += other.unknown;
        self.unknown_but_stored += other.unknown_but_stored;
        self.aborted += other.aborted;
        self.stale += other.stale;
        self.misdirected += other.misdirected;
        self.steps += other.steps;
    }
}

impl World {
    /// The run of a seed, up to its end.
    pub(crate) fn run(epoch: Instant, seed: u64, told: bool) -> Report {
        let mut world = Self::new(epoch, seed, Trace::new(seed, told));
        while world.step() {
            world.report.steps += 1;
            assert!(world.report.steps < MOST_STEPS, "the run does not end");
        }
        world.finish()
    }

    fn new(now: Instant, seed: u64, trace: Trace) -> Self {
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
        for i in 0..world.links.len() {
            let asked = world.links[i].server.drain();
            world.ask(i, asked);
        }
        world
    }

    /// Does one thing, or lets time pass up to the next. False when there is no next.
    fn step(&mut self) -> bool {
        for link in &mut self.links {
            link.up.advance(self.now);
            link.down.advance(self.now);
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
            self.spurious_timeouts();
        }
        self.check();
        true
    }

    fn ready(&self) -> Vec<Action> {
        let (now, mut ready) = (self.now, Vec::new());
        for (i, link) in self.links.iter().enumerate() {
            let mut offer = |possible: bool, action| {
                if possible {
                    ready.push(action);
                }
            };
            let (client, server) = (&link.client, &link.server);
            if client.is_open() {
                offer(link.down.readable() > 0 && client.read_at <= now, Action::ClientRead(i));
                offer(link.down.ended(now).is_some() && !client.end_told, Action::ClientEnd(i));
                offer(client.has_output() && link.up.room() > 0 && client.write_at <= now, Action::ClientWrite(i));
                offer(client.has_work() && client.work_at <= now, Action::ClientWork(i));
                offer(client.session.poll_timeout().is_some_and(|(at, _)| at <= now), Action::ClientTimeout(i));
            }
            if server.is_open() {
                let (session, empty) = (&server.session, server.carry.is_empty());
                let wants = session.wants_input();
                offer(empty && wants && link.up.readable() > 0 && server.read_at <= now, Action::ServerRead(i));
                offer(!empty && wants, Action::ServerFeed(i));
                let at_end = link.up.ended(now).is_some() && !server.end_told;
                offer(at_end && (empty || !server.patient), Action::ServerEnd(i));
                let writable = link.down.room() > 0 && server.write_at <= now;
                offer(!session.output().is_empty() && writable, Action::ServerWrite(i));
                offer(session.poll_timeout().is_some_and(|(at, _)| at <= now), Action::ServerTimeout(i));
                offer(server.resume_at.is_some_and(|at| at <= now), Action::SinkResumes(i));
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
        for Link { client, server, up, down } in &self.links {
            if client.is_open() {
                moments.extend([client.read_at, client.write_at, client.work_at]);
                moments.extend(client.session.poll_timeout().map(|(at, _)| at));
                moments.extend(down.next_arrival(self.now));
            }
            if server.is_open() {
                moments.extend([server.read_at, server.write_at]);
                moments.extend(server.session.poll_timeout().map(|(at, _)| at));
                moments.extend(server.resume_at);
                moments.extend(up.next_arrival(self.now));
            }
        }
        moments.into_iter().filter(|at| *at > self.now).min()
    }

    fn act(&mut self, action: Action) {
        let (now, long) = (self.now, self.weather.long);
        match action {
            Action::ClientRead(i) => {
                let Link { client, down, .. } = &mut self.links[i];
                let bytes = down.read(self.rng.portion(down.readable()));
                self.trace.bytes(&bytes);
                client.read(now, &bytes, &mut self.rng);
                client.read_at = now + self.rng.delay(long);
            }
            Action::ClientEnd(i) => {
                self.links[i].client.end_told = true;
                self.links[i].client.session.handle_eof(now);
            }
            Action::ClientWrite(i) => {
                let Link { client, up, .. } = &mut self.links[i];
                let n = client.write(now, up, &mut self.rng);
                client.write_at = now + self.rng.delay(long);
                self.trace.say(now - self.start, || format!("{n} bytes"));
                if client.end_left > 0 && self.weather.fault.is_none() {
                    self.weather.fault = self.weather.ambush_at_end.take().map(|fault| (now - self.start, fault));
                    self.victim = Some(i);
                }
            }
            Action::ClientWork(i) => {
                let client = &mut self.links[i].client;
                client.work(now);
                client.work_at = now + self.rng.delay(long);
            }
            Action::ClientTimeout(i) => {
                let session = &mut self.links[i].client.session;
                session.handle_timeout(now);
                assert!(session.poll_timeout().is_none_or(|(at, _)| at > now), "the client's deadline stays");
            }
            Action::ServerRead(i) => {
                let Link { server, up, .. } = &mut self.links[i];
                let most = up.readable().min(server.config.limits.read_chunk);
                server.carry = up.read(self.rng.portion(most));
                server.read_at = now + self.rng.delay(long);
                self.trace.bytes(&server.carry);
                self.feed(i);
            }
            Action::ServerFeed(i) => self.feed(i),
            Action::ServerEnd(i) => {
                let Link { server, up, .. } = &mut self.links[i];
                server.end_told = true;
                match up.ended(now) {
                    Some(End::Reset) => server.session.handle_reset(now),
                    _ => server.session.handle_eof(now),
                }
            }
            Action::ServerWrite(i) => {
                let Link { server, down, .. } = &mut self.links[i];
                let bytes = server.write(now, down.room(), &mut self.rng);
                down.write(now, self.rng.delay(0), &bytes);
                server.write_at = now + self.rng.delay(long);
                self.trace.bytes(&bytes);
            }
            Action::ServerTimeout(i) => {
                let session = &mut self.links[i].server.session;
                session.handle_timeout(now);
                assert!(session.poll_timeout().is_none_or(|(at, _)| at > now), "the server's deadline stays");
            }
            Action::SinkResumes(i) => self.links[i].server.resume(now),
            Action::Answer(at) => {
                let due = self.due.swap_remove(at);
                self.answer(due);
            }
            Action::Fault => {
                let (_, fault) = self.weather.fault.take().expect("it is due");
                let any = self.rng.below(self.links.len());
                self.fail(self.victim.unwrap_or(any), fault);
            }
        }
        for i in 0..self.links.len() {
            self.settle(i);
        }
    }

    fn feed(&mut self, i: usize) {
        let asked = self.links[i].server.feed(self.now, &self.weather, &mut self.rng);
        self.ask(i, asked);
    }

    /// Takes what the sessions have to tell, and lets go of connections that are over.
    fn settle(&mut self, i: usize) {
        let asked = self.links[i].server.drain();
        self.ask(i, asked);
        let Link { client, server, up, down } = &mut self.links[i];
        let was_open = (!client.gone, !server.gone);
        if !client.dead {
            client.drain(&mut self.rng);
        }
        if client.closed.is_some() && was_open.0 {
            client.gone = true;
            hang_up(self.now, up, down, &mut self.rng);
        }
        if server.closed.is_some() && was_open.1 {
            server.gone = true;
            hang_up(self.now, down, up, &mut self.rng);
        }
        for (who, said) in [("client", &mut client.said), ("server", &mut server.said)] {
            for text in said.drain(..) {
                self.trace.say(self.now - self.start, || format!("  {who} {i}: {text}"));
            }
        }
    }

    /// Decides what becomes of questions.
    fn ask(&mut self, link: usize, asked: Vec<Asked>) {
        for asked in asked {
            let rng = &mut self.rng;
            if matches!(asked.question, Question::Commit(_)) && self.weather.fault.is_none() {
                let after = self.now - self.start + rng.delay(0);
                self.weather.fault = self.weather.ambush.take().map(|fault| (after, fault));
                self.victim = Some(link);
            }
            let how = if rng.percent(self.weather.lose) {
                *rng.pick(&[How::Abandon, How::Drop, How::Misdirect, How::Accept])
            } else if rng.percent(self.weather.refuse) {
                *rng.pick(&[How::Reject, How::Defer, How::Defer, How::Leave])
            } else {
                How::Accept
            };
            let late = if rng.percent(self.weather.lose) { 60 } else { self.weather.long };
            self.due.push(Due { at: self.now + rng.delay(late), link, asked, how });
        }
    }

    fn answer(&mut self, due: Due) {
        let (now, Due { link, asked, how, .. }) = (self.now, due);
        self.trace.say(now - self.start, || format!("  {how:?}: {:?}", asked.question));
        if how == How::Misdirect && self.links.len() > 1 {
            let other = (link + 1) % self.links.len();
            let result = self.links[other].server.session.resolve(now, asked.question.defer());
            assert_eq!(result, Err(ResolveError::ApiMisuse), "another session's answer");
            self.report.misdirected += 1;
            return;
        }
        let server = &mut self.links[link].server;
        if server.dead {
            return;
        }
        let open = server.is_open_question(asked.serial);
        let result = match (how, asked.question) {
            (How::Accept, Question::Commit(token)) => server.commit(now, token.accept()),
            (How::Drop | How::Misdirect, question) => return drop(question),
            (How::Abandon, question) => {
                drop(question);
                return if open {
                    server.session.abandon(now)
                };
            }
            (how, question) => {
                let commit = matches!(question, Question::Commit(_));
                let result = server.session.resolve(now, verdict(how, question));
                if commit && result.is_ok() {
                    server.forget();
                }
                result
            }
        };
        assert_eq!(result.is_ok(), open, "{result:?}");
        if let Err(error) = result {
            assert_eq!(error, ResolveError::Stale);
            self.report.stale += 1;
        }
    }

    fn fail(&mut self, i: usize, fault: Fault) {
        let (now, latency) = (self.now, self.rng.delay(0));
        let Link { client, server, up, down } = &mut self.links[i];
        self.trace.say(now - self.start, || format!("  {fault:?} of {i}"));
        match fault {
            Fault::Reset => {
                up.end(now, latency, End::Reset);
                down.end(now, latency, End::Reset);
            }
            Fault::ClientDies if client.is_open() => {
                client.dead = true;
                hang_up(now, up, down, &mut self.rng);
            }
            Fault::ServerDies if server.is_open() => {
                server.dead = true;
                hang_up(now, down, up, &mut self.rng);
            }
            Fault::ClientDies | Fault::ServerDies => {}
            Fault::HalfClose => up.end(now, latency, End::Closed),
            Fault::ShutdownGraceful if server.is_open() => server.session.shutdown(now, Shutdown::Graceful),
            Fault::ShutdownNow if server.is_open() => server.session.shutdown(now, Shutdown::Now),
            Fault::ShutdownGraceful | Fault::ShutdownNow => {}
            Fault::ClientQuits => client.session.quit(now),
        }
    }

    /// A timeout that is told too early changes nothing.
    fn spurious_timeouts(&mut self) {
        for Link { client, server, .. } in &mut self.links {
            let before = client.session.poll_timeout();
            if before.is_none_or(|(at, _)| at > self.now) {
                let output = client.session.output().len();
                client.session.handle_timeout(self.now);
                assert_eq!((client.session.poll_timeout(), client.session.output().len()), (before, output));
                assert_eq!(client.session.poll_event(), None);
            }
            let before = server.session.poll_timeout();
            if before.is_none_or(|(at, _)| at > self.now) {
                let output = server.session.output().len();
                server.session.handle_timeout(self.now);
                assert_eq!((server.session.poll_timeout(), server.session.output().len()), (before, output));
                assert!(server.session.poll_event().is_none());
            }
        }
    }
}

/// An answer to any question but an accepted commit.
fn verdict(how: How, question: Question) -> Answer {
    // RFC 5321 §4.3.2 lists 550 for none of these.
    let no = match question {
        Question::Connect(_) | Question::Data(_) => Reply::fixed(554, Some((5, 7, 1)), "No"),
        _ => Reply::fixed(550, Some((5, 7, 1)), "No"),
    };
    const NOT_NOW: Reply = Reply::fixed(451, Some((4, 7, 1)), "Not now\nTry again\nlater");
    const LEAVE: Reply = Reply::fixed(421, Some((4, 3, 2)), "Enough");
    // RFC 5321 §4.3.2 lets a server put EHLO off by 421 only.
    if how == How::Defer && matches!(question, Question::Hello(_)) {
        return question.defer();
    }
    macro_rules! each {
        ($($kind:ident)*) => {
            match (how, question) {
                $(
                    (How::Accept, Question::$kind(token)) => token.accept(),
                    (How::Reject, Question::$kind(token)) => token.reject(no),
                    (How::Leave, Question::$kind(token)) => token.defer(LEAVE),
                    (_, Question::$kind(token)) => token.defer(NOT_NOW),
                )*
                (how, question) => panic!("{how:?} for {question:?}"),
            }
        };
    }
    each! { Connect Hello Mail Rcpt Data Commit Vrfy }
}

/// One end lets go of the connection.
fn hang_up(now: Instant, outgoing: &mut Pipe, incoming: &mut Pipe, rng: &mut Rng) {
    let end = if rng.percent(70) { End::Closed } else { End::Reset };
    outgoing.end(now, rng.delay(0), end);
    incoming.deafen();
}

impl Link {
    fn new(now: Instant, i: usize, weather: &Weather, rng: &mut Rng) -> Self {
        let server = plan::server_config(rng, weather.calm);
        let capacity = *rng.pick(&[16, 200, 4096, 65_536]);
        let most = (capacity * 200).min(80_000);
        let mail =
            (0..rng.between(1, 4)).map(|m| Message::new(rng, &format!("m{i}-{m}"), weather.calm, most)).collect();
        Self {
            client: Client::new(now, plan::client_config(rng), mail, rng.percent(10)),
            server: Server::new(now, server, i as u64, rng.percent(50)),
            up: Pipe::new(now, capacity),
            down: Pipe::new(now, *rng.pick(&[16, 200, 4096])),
        }
    }
}
