//! One end of a connection: a session under watch, or a scripted peer.

use super::Link;
use crate::client::Client;
use crate::net::Pipe;
use crate::plan::{self, Message, Weather};
use crate::puppet::{Answerer, Puppet, Role, Talker};
use crate::rng::Rng;
use crate::server::Server;
use ehlo_server::{Peer, Protocol};
use std::sync::Arc;
use std::time::Instant;

pub(super) enum Actor {
    Client(Box<Client>),
    Server(Box<Server>),
    Puppet(Box<Puppet>),
}

pub(super) struct End {
    pub(super) actor: Actor,
    /// No read, write or new work before these.
    pub(super) read_at: Instant,
    pub(super) write_at: Instant,
    pub(super) work_at: Instant,
    pub(super) resume_at: Option<Instant>,
    pub(super) handshake_at: Option<Instant>,
    /// It knows that the other side has ended.
    pub(super) end_told: bool,
    /// The process is gone.
    pub(super) dead: bool,
    /// The connection was let go of.
    pub(super) gone: bool,
    /// Sees the end of the connection only once all before it was used.
    pub(super) patient: bool,
    /// Leaves the session idle behind its mail, until it quits by itself.
    pub(super) lazy: bool,
    /// A scripted peer was asked to say something, and waits for something else: it is asked again once that came or at `work_at`.
    pub(super) waiting: bool,
    /// So much of the log was told.
    pub(super) told: usize,
}

impl Actor {
    fn is_open(&self) -> bool {
        match self {
            Self::Client(client) => client.is_open(),
            Self::Server(server) => server.is_open(),
            Self::Puppet(puppet) => puppet.is_open(),
        }
    }

    pub(super) fn wants_read(&self) -> bool {
        match self {
            Self::Client(_) => true,
            Self::Server(server) => server.wants_read(),
            Self::Puppet(puppet) => puppet.reads,
        }
    }

    pub(super) fn wants_feed(&self) -> bool {
        matches!(self, Self::Server(server) if server.wants_feed())
    }

    pub(super) fn has_output(&self) -> bool {
        match self {
            Self::Client(client) => client.has_output(),
            Self::Server(server) => !server.output().is_empty(),
            Self::Puppet(puppet) => !puppet.output().is_empty(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Client(client) => client.deadline(),
            Self::Server(server) => server.deadline(),
            Self::Puppet(_) => None,
        }
    }

    pub(super) fn said(&self) -> &[String] {
        match self {
            Self::Client(client) => client.said(),
            Self::Server(server) => server.said(),
            Self::Puppet(puppet) => &puppet.said,
        }
    }
}

impl End {
    fn new(now: Instant, actor: Actor) -> Self {
        Self {
            actor,
            read_at: now,
            write_at: now,
            work_at: now,
            resume_at: None,
            handshake_at: None,
            end_told: false,
            dead: false,
            gone: false,
            patient: true,
            lazy: false,
            waiting: false,
            told: 0,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.dead && self.actor.is_open()
    }

    /// Whether it would begin something new.
    pub(super) fn has_work(&self) -> bool {
        match &self.actor {
            Actor::Client(client) => client.is_ready() && !(self.lazy && client.is_through()),
            Actor::Server(_) => false,
            Actor::Puppet(puppet) => puppet.has_work(),
        }
    }

    pub(super) fn wants_handshake(&self) -> bool {
        match &self.actor {
            Actor::Client(client) => client.wants_handshake(),
            Actor::Server(server) => server.wants_handshake(),
            Actor::Puppet(puppet) => match &puppet.role {
                Role::Answerer(answerer) => puppet.gone.is_none() && answerer.handshaking,
                Role::Talker(_) => false,
            },
        }
    }

    /// Whether it may be part of a handshake: a client that is no script is, once it has read 220 and nothing behind it.
    pub(super) fn can_shake(&self) -> bool {
        match &self.actor {
            Actor::Client(client) => !self.is_open() || client.wants_handshake(),
            _ => true,
        }
    }

    pub(super) fn name(&self) -> String {
        match &self.actor {
            Actor::Client(_) => "client session".into(),
            Actor::Server(server) => format!("server session with {:?}", server.config()),
            Actor::Puppet(puppet) => match &puppet.role {
                Role::Talker(talker) => format!("scripted client {talker:?}"),
                Role::Answerer(answerer) => format!("scripted server {answerer:?}"),
            },
        }
    }
}

impl Link {
    pub(super) fn new(now: Instant, i: usize, weather: &Weather, rng: &mut Rng) -> Self {
        let id = i as u64;
        let capacity = *rng.pick(&[16, 200, 4096, 65_536]);
        let most = (capacity * 200).min(80_000);
        let kind = if weather.calm { 0 } else { rng.below(10) };
        let ends = match kind {
            0..4 => {
                let lmtp = rng.percent(20);
                let implicit = rng.percent(10);
                [client(now, i, weather, most, lmtp, implicit, rng), server(now, id, weather, lmtp, implicit, rng)]
            }
            4..7 => {
                let lmtp = rng.percent(35);
                let implicit = rng.percent(10);
                let far = server(now, id, weather, lmtp, implicit, rng);
                let chunks = matches!(&far.actor, Actor::Server(server) if server.config().chunking);
                [puppet(now, Role::Talker(Talker::new(lmtp, chunks, rng)), rng), far]
            }
            _ => {
                let lmtp = rng.percent(20);
                [
                    client(now, i, weather, most, lmtp, false, rng),
                    puppet(now, Role::Answerer(Answerer::new(lmtp, rng)), rng),
                ]
            }
        };
        let pipes = [Pipe::new(now, capacity), Pipe::new(now, *rng.pick(&[16, 200, 4096]))];
        Self { ends, pipes, id }
    }
}

fn client(now: Instant, i: usize, weather: &Weather, most: usize, lmtp: bool, implicit: bool, rng: &mut Rng) -> End {
    let mail = (0..rng.between(1, 4)).map(|m| Message::new(rng, &format!("m{i}-{m}"), weather.calm, most)).collect();
    let (config, mut habits) = plan::client_config(rng, weather.calm, lmtp);
    habits.implicit_tls = implicit;
    let client = Client::new(now, Arc::new(config), habits, mail).recorded();
    End { lazy: rng.percent(10), ..End::new(now, Actor::Client(Box::new(client))) }
}

/// Whom a server session with that number talks to.
pub(super) fn peer(id: u64, implicit_tls: bool) -> Peer {
    if implicit_tls { Peer::new(id).with_implicit_tls() } else { Peer::new(id) }
}

fn server(now: Instant, id: u64, weather: &Weather, lmtp: bool, implicit: bool, rng: &mut Rng) -> End {
    let mut config = plan::server_config(rng, weather.calm);
    config.protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
    // The parity of the number tells which kind of port it is.
    let server = Server::new(now, Arc::new(config), peer(id, implicit)).recorded();
    End { patient: rng.percent(50), ..End::new(now, Actor::Server(Box::new(server))) }
}

fn puppet(now: Instant, role: Role, rng: &mut Rng) -> End {
    End::new(now, Actor::Puppet(Box::new(Puppet::new(role, !rng.percent(7)))))
}
