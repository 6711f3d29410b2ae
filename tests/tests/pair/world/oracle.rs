//! What must hold, whatever happens.

use super::{Link, Report, World};
use crate::client::Fate;
use ehlo_client::RecipientOutcome;

impl World {
    /// What holds after every step.
    pub(super) fn check(&self) {
        for Link { client, server, .. } in &self.links {
            if !client.dead {
                let open = client.closed.is_none();
                assert_eq!(client.session.poll_timeout().is_some(), open, "an open session has a deadline");
                assert_eq!(client.session.wants_input(), open);
                assert!(open || client.session.output().is_empty(), "a closed client speaks");
            }
            if server.dead {
                continue;
            }
            let (session, limits) = (&server.session, &server.config.limits);
            let open = server.closed.is_none();
            assert_eq!(session.poll_timeout().is_some(), open, "an open session has a deadline");
            assert!(open || !session.wants_input(), "a closed server listens");
            // Without room for a reply, no command is looked at.
            let full = session.output().len() + 512 > limits.output.max(1024);
            assert!(session.in_message() || !full || !session.wants_input(), "a command is wanted, and no reply fits");
            // One last reply, 421, goes out whether there is room or not.
            assert!(session.output().len() <= limits.output.max(1024) + 512, "{} bytes wait", session.output().len());
            assert!(session.held() <= limits.command_line + 64, "{} bytes of a line are kept", session.held());
            assert!(server.carry.len() <= limits.read_chunk, "{} bytes are carried", server.carry.len());
            let question = session.pending() != ehlo_server::Pending::Nothing;
            let over = server.closed.is_some() || server.end_told || !(session.wants_input() || question);
            server.dialogue.check(question || over);
        }
    }

    /// What holds at the end: nothing is open, and what was acknowledged is what was stored.
    pub(super) fn finish(self) -> Report {
        let mut report = self.report;
        for Link { client, server, .. } in &self.links {
            assert!(!client.is_open() && !server.is_open(), "the run ended with an open session");
            report.aborted += server.aborted.len();
            let mut found = 0;
            for (message, fate) in client.mail.iter().zip(&client.fates) {
                let id = message.body.split(|b| *b == b'\r').next().expect("a line");
                let head = [id, b"\r\n"].concat();
                let stored: Vec<_> = server.store.iter().filter(|s| s.body.starts_with(&head)).collect();
                found += stored.len();
                let of = |wanted: RecipientOutcome| -> Vec<&String> {
                    let Fate::Done(outcomes) = fate else { return Vec::new() };
                    message.to.iter().zip(outcomes).filter(|(_, o)| **o == wanted).map(|(to, _)| to).collect()
                };
                let (accepted, unknown) = (of(RecipientOutcome::Accepted), of(RecipientOutcome::Unknown));
                assert!(accepted.is_empty() || unknown.is_empty(), "accepted and unknown in one message");
                for stored in &stored {
                    assert!(stored.body == message.body, "the body of {} was changed", id.escape_ascii());
                    assert_eq!(stored.from, message.from);
                }
                let copies = stored.len();
                match fate {
                    Fate::NotSent => assert_eq!(copies, 0, "stored and never sent"),
                    // The client died over it.
                    Fate::UnderWay => assert!(client.dead && copies <= 1),
                    Fate::Done(_) if !accepted.is_empty() => {
                        assert_eq!(copies, 1, "acknowledged");
                        assert_eq!(stored[0].to.iter().collect::<Vec<_>>(), accepted);
                        report.accepted += 1;
                    }
                    Fate::Done(_) if !unknown.is_empty() => {
                        assert!(copies <= 1, "stored twice");
                        if let Some(stored) = stored.first() {
                            assert_eq!(stored.to.iter().collect::<Vec<_>>(), unknown);
                        }
                        report.unknown += 1;
                        report.unknown_but_stored += copies;
                    }
                    Fate::Done(outcomes) => {
                        assert_eq!(copies, 0, "stored and not acknowledged: {outcomes:?}");
                        let unsent = outcomes.contains(&RecipientOutcome::Unsent);
                        report.unsent += usize::from(unsent);
                        report.refused += usize::from(!unsent);
                    }
                }
                if self.weather.calm {
                    assert_eq!(
                        accepted.len(),
                        message.to.len(),
                        "nothing went wrong, and it was not delivered: {fate:?}"
                    );
                }
            }
            assert_eq!(found, server.store.len(), "a message was stored that nobody sent");
            if self.weather.calm {
                assert_eq!(client.closed, Some(ehlo_client::CloseReason::Quit));
                assert_eq!(server.closed, Some(ehlo_server::CloseReason::Quit));
            }
        }
        report.digest = self.trace.finish();
        report
    }
}
