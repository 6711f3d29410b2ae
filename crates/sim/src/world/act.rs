//! What is done when its time has come.

use super::{Action, Actor, Due, End, Fate, Link, Place, World};
use crate::net::{End as Ending, Pipe};
use crate::plan::Fault;
use crate::puppet::{Leave, Role};
use crate::rng::Rng;
use crate::server::{Handshake, How};
use ehlo_server::{Protocol, Shutdown};
use std::time::{Duration, Instant};

impl World<'_> {
    pub(super) fn act(&mut self, action: Action) {
        let now = self.now;
        match action {
            Action::Read(place) => self.read(place),
            Action::Feed(place) => self.hear(place, &[]),
            Action::Ended((i, side)) => {
                let ending = self.links[i].pipes[1 - side].ended(now);
                let end = &mut self.links[i].ends[side];
                end.end_told = true;
                match (&mut end.actor, ending) {
                    (Actor::Client(client), _) => client.eof(now),
                    (Actor::Server(server), Some(Ending::Reset)) => server.reset(now),
                    (Actor::Server(server), _) => server.eof(now),
                    (Actor::Puppet(puppet), _) => puppet.eof(),
                }
            }
            Action::Write(place) => self.write(place),
            Action::Work(place) => self.work(place),
            Action::Timeout((i, side)) => match &mut self.links[i].ends[side].actor {
                Actor::Client(client) => client.timeout(now),
                Actor::Server(server) => server.timeout(now),
                Actor::Puppet(_) => unreachable!("a scripted peer has no deadline"),
            },
            Action::SinkResumes((i, side)) => {
                let end = &mut self.links[i].ends[side];
                end.resume_at = None;
                if let Actor::Server(server) = &mut end.actor {
                    if !self.weather.calm && self.rng.percent(10) {
                        server.fail_body(now);
                    } else {
                        server.resume(now);
                    }
                }
            }
            Action::Handshake(place) => self.handshake(place),
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

    fn read(&mut self, (i, side): Place) {
        let Link { ends, pipes, .. } = &mut self.links[i];
        let (end, pipe) = (&mut ends[side], &mut pipes[1 - side]);
        let most = match &end.actor {
            Actor::Server(server) => server.config().limits.read_chunk,
            _ => usize::MAX,
        };
        let bytes = pipe.read(self.rng.portion(pipe.readable().min(most)));
        end.read_at = self.now + self.rng.delay(self.weather.long);
        // Who has heard something may have something to say.
        if end.waiting {
            end.waiting = false;
            end.work_at = self.now;
        }
        self.trace.bytes(&bytes);
        self.hear((i, side), &bytes);
    }

    fn hear(&mut self, (i, side): Place, bytes: &[u8]) {
        let (now, rng) = (self.now, &mut self.rng);
        let end = &mut self.links[i].ends[side];
        match &mut end.actor {
            Actor::Client(client) => client.hear(now, bytes),
            Actor::Server(server) => {
                let pause = self.weather.pause;
                server.hear(now, bytes, &mut || rng.percent(pause));
                assert!(
                    server.carried() <= server.config().limits.read_chunk,
                    "{} bytes are carried",
                    server.carried()
                );
            }
            Actor::Puppet(puppet) => puppet.hear(bytes, rng),
        }
    }

    fn write(&mut self, (i, side): Place) {
        let (now, latency) = (self.now, self.rng.delay(0));
        let Link { ends, pipes, .. } = &mut self.links[i];
        let (end, pipe) = (&mut ends[side], &mut pipes[side]);
        let most = self.rng.portion(pipe.room());
        let bytes = match &mut end.actor {
            Actor::Client(client) => client.send(now, most),
            Actor::Server(server) => server.send(now, most),
            Actor::Puppet(puppet) => {
                let n = most.min(puppet.output().len());
                let bytes = puppet.output()[..n].to_vec();
                puppet.sent(n);
                bytes
            }
        };
        pipe.write(now, latency, &bytes);
        end.write_at = now + self.rng.delay(self.weather.long);
        self.trace.bytes(&bytes);
        let before_the_end = matches!(&end.actor, Actor::Client(client) if client.end_left() > 0);
        if before_the_end && self.weather.fault.is_none() {
            let fault = self.weather.ambush_at_end.take();
            self.victim(i, now, fault);
        }
    }

    fn work(&mut self, (i, side): Place) {
        let (now, rng) = (self.now, &mut self.rng);
        let end = &mut self.links[i].ends[side];
        match &mut end.actor {
            Actor::Client(client) => client.work(now),
            Actor::Server(_) => unreachable!("a server begins nothing"),
            Actor::Puppet(puppet) => {
                // Asked once more without having heard anything, it is at the end of its patience.
                let said = puppet.work(end.waiting, rng);
                end.waiting = !said;
            }
        }
        let patience = Duration::from_secs(rng.between(1, 900) as u64);
        end.work_at = now + if end.waiting { patience } else { rng.delay(self.weather.long) };
    }

    /// The driver of a server does a handshake. What it reads from now on is the handshake's, and clear text is none.
    fn handshake(&mut self, (i, side): Place) {
        let Link { ends, pipes, .. } = &mut self.links[i];
        let pipe = &mut pipes[1 - side];
        let clear = pipe.holds_any();
        pipe.drop_all();
        let [near, far] = ends;
        far.handshake_at = None;
        let alone = matches!(near.actor, Actor::Client(_)) && !near.is_open();
        let how = if clear || alone || (!self.weather.calm && self.rng.percent(20)) {
            Handshake::Failed
        } else {
            *self.rng.pick(&Handshake::ALL[..3])
        };
        let made = how != Handshake::Failed;
        match &mut far.actor {
            Actor::Server(server) => server.handshaken(self.now, how),
            Actor::Puppet(puppet) => {
                if let Role::Answerer(answerer) = &mut puppet.role {
                    answerer.handshaken();
                }
            }
            Actor::Client(_) => unreachable!("only servers do handshakes"),
        }
        if made {
            self.report.handshakes.0 += 1
        } else {
            self.report.handshakes.1 += 1
        }
        match &mut near.actor {
            Actor::Client(client) if client.wants_handshake() && !near.dead => {
                // Whether one that fails is told by TLS or by the end of the connection is for chance.
                if made || self.rng.percent(50) {
                    client.handshaken(self.now, made.then(|| self.rng.percent(80)));
                }
                self.report.client_handshakes += usize::from(made);
            }
            Actor::Puppet(puppet) => {
                if let Role::Talker(talker) = &mut puppet.role {
                    talker.handshaken();
                    (near.waiting, near.work_at) = (false, self.now);
                }
            }
            _ => {}
        }
        let server = matches!(far.actor, Actor::Server(_));
        if made && server && !self.weather.calm && self.weather.fault.is_none() && self.rng.percent(10) {
            let at = self.now + self.rng.delay(5);
            self.victim(i, at, Some(Fault::TlsBreaks));
        }
    }

    /// Takes what the sessions have to tell, and lets go of connections that are over.
    pub(super) fn settle(&mut self, i: usize) {
        let now = self.now;
        if let Actor::Server(server) = &mut self.links[i].ends[1].actor {
            let asked = server.take_asked();
            self.ask(i, asked);
        }
        let Link { ends, pipes, .. } = &mut self.links[i];
        for side in [0, 1] {
            let end = &mut ends[side];
            if let Actor::Server(server) = &end.actor {
                if server.is_paused() && end.resume_at.is_none() {
                    end.resume_at = Some(now + self.rng.delay(self.weather.stall));
                } else if !server.is_paused() {
                    end.resume_at = None;
                }
            }
            if side == 1 && end.wants_handshake() && end.handshake_at.is_none() {
                end.handshake_at = Some(now + self.rng.delay(self.weather.long));
            }
            if end.dead {
                continue;
            }
            let fresh: Vec<String> = end.actor.said()[end.told..].to_vec();
            end.told += fresh.len();
            for text in fresh {
                self.trace.say(now - self.start, || format!("  {side} of {i}: {text}"));
            }
            let left = match &end.actor {
                Actor::Client(_) | Actor::Server(_) => (!end.is_open()).then_some(Leave::Close),
                Actor::Puppet(puppet) => puppet.gone,
            };
            let Some(left) = left.filter(|_| !end.gone) else { continue };
            end.gone = true;
            let orderly = matches!(end.actor, Actor::Puppet(_)) || self.rng.percent(70);
            let (out, back) = pair(pipes, side);
            match left {
                Leave::Close if orderly => out.end(now, self.rng.delay(0), Ending::Closed),
                Leave::HalfClose => out.end(now, self.rng.delay(0), Ending::Closed),
                Leave::Close | Leave::Reset => out.end(now, self.rng.delay(0), Ending::Reset),
                Leave::Sleep => {}
            }
            if matches!(left, Leave::Close | Leave::Reset) {
                back.deafen();
            }
        }
    }

    /// Decides what becomes of questions.
    fn ask(&mut self, link: usize, asked: Vec<u32>) {
        for serial in asked {
            let Actor::Server(server) = &self.links[link].ends[1].actor else { unreachable!("only servers ask") };
            let (auth, commit) = (server.is_auth(serial), server.is_commit(serial));
            let lmtp = server.config().protocol == Protocol::Lmtp;
            if commit && self.weather.fault.is_none() {
                let at = self.now + self.rng.delay(0);
                let fault = self.weather.ambush.take();
                self.victim(link, at, fault);
            }
            let rng = &mut self.rng;
            let fate = if rng.percent(self.weather.lose) {
                *rng.pick(&[Fate::Abandoned, Fate::Lost, Fate::Misdirected, Fate::Answered(How::Accept)])
            } else if rng.percent(self.weather.refuse) {
                Fate::Answered(*rng.pick(&[How::Reject, How::Defer, How::Defer, How::Leave]))
            } else if commit
                && rng.percent(if lmtp && !self.weather.calm { self.weather.each.max(75) } else { self.weather.each })
            {
                Fate::Answered(How::Each(rng.next() as u32))
            } else if auth && rng.percent(40) {
                Fate::Answered(How::Challenge(*rng.pick(&[0, 1, 2, 3, 30, 30, 700, 9216])))
            } else {
                Fate::Answered(How::Accept)
            };
            let late = if rng.percent(self.weather.lose) { 60 } else { self.weather.long };
            self.due.push(Due { at: self.now + rng.delay(late), link, serial, fate });
        }
    }

    fn answer(&mut self, due: Due) {
        let (now, Due { link, serial, fate, .. }) = (self.now, due);
        self.trace.say(now - self.start, || format!("  question {serial} of {link}: {fate:?}"));
        if fate == Fate::Misdirected && self.misdirect(link, serial) {
            return;
        }
        let end = &mut self.links[link].ends[1];
        let Actor::Server(server) = &mut end.actor else { unreachable!("only servers ask") };
        if end.dead {
            return;
        }
        match fate {
            Fate::Answered(how) => {
                server.answer(now, serial, how);
            }
            Fate::Abandoned => server.abandon(now, serial),
            Fate::Lost | Fate::Misdirected => server.lose(serial),
        }
    }

    fn misdirect(&mut self, link: usize, serial: u32) -> bool {
        let other = (link + 1) % self.links.len();
        if other == link {
            return false;
        }
        let (low, high) = self.links.split_at_mut(link.max(other));
        let (one, two) = (&mut low[link.min(other)].ends[1], &mut high[0].ends[1]);
        let (from, to) = if link < other { (one, two) } else { (two, one) };
        if from.dead || to.dead {
            return false;
        }
        let (Actor::Server(from), Actor::Server(to)) = (&mut from.actor, &mut to.actor) else { return false };
        from.misdirect(serial, to, self.now);
        self.report.misdirected += 1;
        true
    }

    fn fail(&mut self, i: usize, fault: Fault) {
        let (now, latency) = (self.now, self.rng.delay(0));
        self.trace.say(now - self.start, || format!("  {fault:?} of {i}"));
        let stall = now + Duration::from_secs(self.rng.between(1, 900) as u64);
        let Link { ends, pipes, .. } = &mut self.links[i];
        match fault {
            Fault::Reset => pipes.iter_mut().for_each(|pipe| pipe.end(now, latency, Ending::Reset)),
            Fault::ClientDies => die(now, &mut ends[0], pair(pipes, 0), &mut self.rng),
            Fault::ServerDies => die(now, &mut ends[1], pair(pipes, 1), &mut self.rng),
            Fault::HalfClose => pipes[0].end(now, latency, Ending::Closed),
            Fault::Stall => pipes.iter_mut().for_each(|pipe| pipe.stall(stall)),
            Fault::Stress => {
                if let Actor::Server(server) = &mut ends[1].actor
                    && !ends[1].dead
                {
                    server.stress(now);
                }
            }
            Fault::ShutdownGraceful | Fault::ShutdownNow | Fault::Overload => {
                let how = match fault {
                    Fault::ShutdownNow => Shutdown::Now,
                    Fault::Overload => Shutdown::Overload,
                    _ => Shutdown::Graceful,
                };
                if let Actor::Server(server) = &mut ends[1].actor
                    && !ends[1].dead
                {
                    server.shutdown(now, how);
                }
            }
            Fault::TlsBreaks => {
                if let Actor::Server(server) = &mut ends[1].actor
                    && !ends[1].dead
                    && server.is_open()
                    && server.in_tls()
                {
                    server.handshaken(now, Handshake::Failed);
                    self.report.broken_tls += 1;
                }
            }
            Fault::ClientQuits => {
                if let Actor::Client(client) = &mut ends[0].actor {
                    client.quit(now);
                }
            }
            Fault::ClientAbandons => {
                if let Actor::Client(client) = &mut ends[0].actor
                    && !ends[0].dead
                {
                    client.abandon(now);
                }
            }
        }
    }

    /// What comes too early or too late, or is a mistake of the driver, changes nothing.
    pub(super) fn spurious(&mut self) {
        for end in self.links.iter_mut().flat_map(|link| &mut link.ends).filter(|end| !end.dead) {
            let early = end.actor.deadline().is_none_or(|at| at > self.now);
            match &mut end.actor {
                Actor::Client(client) => {
                    client.misuse(self.now);
                    if early {
                        client.timeout(self.now);
                    }
                }
                Actor::Server(server) => {
                    server.poke_closed(self.now);
                    if early {
                        server.timeout(self.now);
                    }
                    if !self.weather.calm && self.rng.percent(20) {
                        server.set_tls_available(self.now, self.rng.percent(50));
                    }
                }
                Actor::Puppet(_) => {}
            }
        }
    }
}

/// What an end writes, and what it reads.
fn pair(pipes: &mut [Pipe; 2], side: usize) -> (&mut Pipe, &mut Pipe) {
    let [up, down] = pipes;
    if side == 0 { (up, down) } else { (down, up) }
}

/// A process is gone, and its connection with it.
fn die(now: Instant, end: &mut End, (out, back): (&mut Pipe, &mut Pipe), rng: &mut Rng) {
    if end.is_open() {
        end.dead = true;
        out.end(now, rng.delay(0), if rng.percent(70) { Ending::Closed } else { Ending::Reset });
        back.deafen();
    }
}
