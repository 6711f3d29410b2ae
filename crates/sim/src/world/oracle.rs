//! What must hold at the end of a run.

use super::end::{Actor, End, peer};
use super::{Link, Report, World};
use crate::client::{self, Client, Fate};
use crate::dialogue;
use crate::puppet::{Acknowledged, Role};
use crate::rng::Rng;
use crate::server::{self, Cut, Server, Stored};
use ehlo_client::{CloseReason, Misbehaviour, RecipientOutcome};
use ehlo_server::BareLineEnds;

/// Input that is cut byte by byte at the end of each run; longer ones are cut as chance has it.
const SHORT: usize = 4000;

impl World<'_> {
    /// What holds at the end: nothing is open, what was acknowledged is what was stored, and the same bytes in other pieces are the same run.
    pub(super) fn finish(mut self) -> Report {
        self.trace.say(self.now - self.start, || "the end".into());
        let mut report = self.report;
        for link in &mut self.links {
            let Link { ends, id, .. } = link;
            for end in ends.iter_mut() {
                let puppet = matches!(end.actor, Actor::Puppet(_));
                assert!(puppet || !end.is_open(), "the run ended with an open session");
                match &mut end.actor {
                    Actor::Client(client) => {
                        report.logins += usize::from(client.is_authenticated());
                        let surplus = CloseReason::PeerMisbehaved(Misbehaviour::ClearBehindStartTls);
                        report.surplus += usize::from(client.closed() == Some(surplus));
                        replay_client(client, &mut self.rng);
                    }
                    Actor::Server(server) => {
                        if !end.dead {
                            server.poke_closed(self.now);
                        }
                        report.aborted += server.aborted().len();
                        report.stale += server.stale();
                        report.partly += server.partly();
                        report.authenticated += server.authenticated();
                        let injected = ehlo_server::CloseReason::ClearBehindStartTls;
                        report.injections += usize::from(server.closed() == Some(injected));
                        replay_server(server, *id, &mut self.rng);
                    }
                    Actor::Puppet(_) => {}
                }
            }
            let [near, far] = &*ends;
            match (&near.actor, &far.actor) {
                (Actor::Client(client), Actor::Server(server)) => {
                    pair(client, near, server.store(), &mut report);
                    assert!(!client.is_authenticated() || server.authenticated() > 0, "nobody has let this client in");
                    if self.weather.calm {
                        calm(client, server);
                    }
                }
                (Actor::Client(client), Actor::Puppet(puppet)) => {
                    if let Role::Answerer(answerer) = &puppet.role
                        && answerer.is_honest()
                    {
                        let mut counts = Report::default();
                        pair(client, near, &answerer.store, &mut counts);
                        report.answered += counts.accepted;
                    }
                }
                (Actor::Puppet(puppet), Actor::Server(server)) => {
                    report.scripted += server.store().len();
                    if let Role::Talker(talker) = &puppet.role {
                        for Acknowledged { body, to } in &talker.acknowledged {
                            // Only what is no BODY=BINARYMIME is normalized.
                            let normalized = (server.config().bare_line_ends == BareLineEnds::Normalize)
                                .then(|| dialogue::normalized(body));
                            let stored = server.store().iter().any(|stored| {
                                (stored.body == *body || normalized.as_ref() == Some(&stored.body))
                                    && to.as_ref().is_none_or(|to| stored.to.contains(to))
                            });
                            assert!(stored, "acknowledged and not stored for {to:?}: {}", body.escape_ascii());
                        }
                        report.scripted_acknowledged += talker.acknowledged.len();
                        report.recipients_acknowledged +=
                            talker.acknowledged.iter().filter(|acknowledged| acknowledged.to.is_some()).count();
                    }
                }
                _ => unreachable!("no such link is made"),
            }
        }
        report.digest = self.trace.finish();
        report
    }
}

fn cuts(octets: usize, rng: &mut Rng) -> Vec<Cut> {
    let mut cuts = vec![Cut::Whole, Cut::Random(Rng::new(rng.next()))];
    if octets <= SHORT {
        cuts.push(Cut::Bytes);
    }
    cuts
}

fn replay_server(server: &Server, id: u64, rng: &mut Rng) {
    let peer = peer(id, server.implicit_tls());
    cuts(server.octets(), rng).into_iter().for_each(|cut| server::replay(server, peer, cut));
}

fn replay_client(client: &Client, rng: &mut Rng) {
    cuts(client.octets(), rng).into_iter().for_each(|cut| client::replay(client, cut));
}

/// Nothing went wrong, so everything was delivered.
fn calm(client: &Client, server: &Server) {
    for (message, fate, _) in client.fates() {
        let all = vec![RecipientOutcome::Accepted; message.to.len()];
        assert_eq!(*fate, Fate::Done(all), "nothing went wrong, and it was not delivered");
    }
    assert_eq!(client.closed(), Some(CloseReason::Quit));
    assert_eq!(server.closed(), Some(ehlo_server::CloseReason::Quit));
}

/// What the client believes is what the server has: of each recipient.
fn pair(client: &Client, end: &End, store: &[Stored], report: &mut Report) {
    let mut found = 0;
    for (message, fate, chunked) in client.fates() {
        let id = message.raw.split(|b| *b == b'\r').next().expect("a line");
        let head = [id, b"\r\n"].concat();
        let stored: Vec<_> = store.iter().filter(|s| s.body.starts_with(&head)).collect();
        found += stored.len();
        let copies = stored.len();
        assert!(copies <= 1, "stored twice");
        let body = if chunked { &message.raw } else { &message.body };
        for stored in &stored {
            assert!(stored.body == *body, "the body of {} was changed", id.escape_ascii());
            assert_eq!(stored.from, message.from);
        }
        let outcomes = match fate {
            Fate::NotSent => {
                assert_eq!(copies, 0, "stored and never sent");
                continue;
            }
            // The client died over it.
            Fate::UnderWay => {
                assert!(end.dead);
                continue;
            }
            Fate::Done(outcomes) => outcomes,
        };
        let mut left = stored.first().map(|stored| stored.to.clone()).unwrap_or_default();
        for (to, outcome) in message.to.iter().zip(outcomes) {
            let place = left.iter().position(|one| one == to);
            if let Some(place) = place {
                left.remove(place);
            }
            match outcome {
                RecipientOutcome::Accepted => assert!(place.is_some(), "acknowledged to {to} and not stored"),
                RecipientOutcome::Unknown => {}
                other => assert!(place.is_none(), "stored for {to}, who is {other:?}"),
            }
        }
        assert!(left.is_empty(), "stored for {left:?}, whom nobody wrote to");
        let has = |wanted: fn(&RecipientOutcome) -> bool| outcomes.iter().any(wanted);
        let (accepted, unknown) = (has(|o| *o == RecipientOutcome::Accepted), has(|o| *o == RecipientOutcome::Unknown));
        let unsent = has(|o| *o == RecipientOutcome::Unsent);
        report.accepted += usize::from(accepted);
        report.chunked += usize::from(accepted && chunked);
        report.divided += usize::from(accepted && outcomes.iter().any(|o| *o != RecipientOutcome::Accepted));
        report.unknown += usize::from(unknown);
        report.unknown_but_stored += usize::from(unknown && copies > 0);
        report.unsent += usize::from(unsent);
        report.refused += usize::from(!accepted && !unknown && !unsent);
    }
    assert_eq!(found, store.len(), "a message was stored that nobody sent");
}
