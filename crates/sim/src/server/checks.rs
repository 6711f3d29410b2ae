//! What must hold after each call, and what can be looked at.

use super::{Server, Stored, Tls};
use crate::dialogue::Exchange;
use ehlo_server::{AbortReason, CloseReason, Config, Pending, Question, Reason};
use std::time::{Duration, Instant};

/// By how much all extensions together make a line longer: what the codec names, and room for more to come.
const LONGER_LINE: usize = 2048;

impl Server {
    /// What holds after every step.
    pub(super) fn check(&mut self, now: Instant) {
        self.model.pass_silent();
        self.check_offers();
        let (session, limits) = (&self.session, &self.config.limits);
        let open = self.closed.is_none();
        assert_eq!(session.poll_timeout().is_some(), open, "an open session has a deadline, a closed one has none");
        assert!(open || !session.wants_input(), "a closed server listens");
        assert!(open || session.pending() == Pending::Nothing, "a closed server asks");
        let cap = limits.output.max(1024);
        // Without room for a reply, no command is looked at.
        let full = session.output().len() + 512 > cap;
        assert!(session.in_message() || !full || !session.wants_input(), "a command is wanted, and no reply fits");
        // One last reply, 421, goes out whether there is room or not.
        assert!(session.output().len() <= cap + 512, "{} bytes wait", session.output().len());
        let response = if self.config.auth.mechanisms.is_empty() { 0 } else { limits.auth_line };
        assert_eq!(session.identity().is_some(), self.model.identified, "who the client is");
        assert!(
            session.held() <= (limits.command_line + LONGER_LINE).max(response),
            "{} bytes of a line are kept",
            session.held()
        );
        // What a buffer has grown to is up to twice of what is in it.
        let line = (limits.command_line + LONGER_LINE).max(response);
        let most = 2 * (limits.envelope.max(4096) + 2 * LONGER_LINE + cap + 512 + 3 * line + 16 * limits.recipients);
        assert!(session.memory() <= most, "{} bytes of memory", session.memory());
        assert!(session.envelope().recipient_count() <= limits.recipients, "too many recipients are kept");
        assert!(
            self.incoming.as_ref().is_none_or(|body| body.len() as u64 <= limits.message_size),
            "a message too large"
        );
        // Each octet of a message may be a dot that was doubled, and a whole read may lie behind the one that was too much.
        let most = 2 * (limits.message_size + limits.refused_body + limits.read_chunk as u64) + 5;
        assert!(self.model.body_taken() as u64 <= most, "a message without end");
        // A session that has answered a message has forgotten its envelope, also where the replies wait behind the output.
        if open && !self.end_told && !self.model.is_over() && !self.model.is_answering() && !full {
            let (view, sent) = (session.envelope(), &self.model.envelope);
            let from = sent.from.as_deref().unwrap_or_default();
            assert_eq!((view.reverse_path_text(), view.recipient_count()), (from, sent.to.len()), "the envelope");
        }
        if let Some((at, reason)) = session.poll_timeout() {
            match &self.incoming {
                Some(body) if reason == Reason::Body => {
                    let end = self.pace.end(&self.config, body.len());
                    // A server that is nearly full may be less patient.
                    let fits = if self.stressed { at <= end } else { at == end };
                    assert!(fits, "how long the rest of a message may take: {at:?} for {end:?}");
                }
                // What is due is told at once: nothing sets a deadline that is over already, but for a message that was too slow before
                // its next chunk, or is while the server becomes nearly full.
                _ => assert!(
                    at >= now || (self.stressed && reason == Reason::Body),
                    "{reason:?} is over before it began"
                ),
            }
            // Whatever happens, no wait is longer than the longest.
            assert!(at.saturating_duration_since(now) <= patience(&self.config, reason), "{reason:?} lasts too long");
            // And it is for what is waited for. Replies that wait have their own deadline, which may come first.
            let fits = match (session.pending(), reason) {
                (_, Reason::Flush) => !session.output().is_empty(),
                (Pending::Commit { .. }, reason) => reason == Reason::Commit,
                (Pending::Nothing, Reason::Answer | Reason::Commit) => false,
                (Pending::Nothing, reason) => (reason == Reason::Sink) == self.paused,
                (_, reason) => reason == Reason::Answer,
            };
            assert!(fits, "{reason:?} while {:?}", session.pending());
        }
        let question = session.pending() != Pending::Nothing;
        // A chunk that has come whole is answered once the sink goes on.
        let parked = !session.wants_input();
        self.model.check(question || !open || self.end_told || parked);
    }

    /// What is asked about can be read, and is what the peer has sent.
    pub(super) fn check_pending(&self, question: &Question) {
        let (pending, view) = (self.session.pending(), self.session.envelope());
        let fits = match question {
            Question::Connect(_) => pending == Pending::Connect,
            Question::Hello(_) => matches!(pending, Pending::Hello { .. }),
            Question::Mail(_) => matches!(pending, Pending::Mail { .. }),
            Question::Rcpt(_) => matches!(pending, Pending::Rcpt { .. }),
            Question::Data(_) => pending == Pending::Data && view.recipient_count() > 0,
            Question::Vrfy(_) => matches!(pending, Pending::Vrfy { .. }),
            Question::Expn(_) => matches!(pending, Pending::Expn { .. }),
            Question::Etrn(_) => matches!(pending, Pending::Etrn(_)),
            Question::Auth(_) => self.fits_exchange(pending),
            Question::Commit(_) => {
                let (sent, got) = (self.model.message(), self.incoming.as_ref());
                let (sent, got) = (sent.expect("a message was sent"), got.expect("a body has come"));
                assert!(sent.body == *got, "the body was changed");
                assert!(!sent.bare, "a message with a bare CR or LF is to be taken");
                let most = self.config.limits.received;
                assert!(most.is_none_or(|most| sent.received <= most as usize), "a message in a loop is to be taken");
                pending == Pending::Commit { size: got.len() as u64 }
            }
            _ => true,
        };
        assert!(fits, "{question:?} with {pending:?}");
        if matches!(question, Question::Data(_) | Question::Commit(_)) {
            let sent = &self.model.envelope;
            assert_eq!(Some(view.reverse_path_text()), sent.from.as_deref(), "the sender");
            assert_eq!(view.recipients().map(|to| to.to_string()).collect::<Vec<_>>(), sent.to, "the recipients");
        }
    }

    /// Whether a question about AUTH is about what the client has said, with a mechanism that may be used.
    fn fits_exchange(&self, pending: Pending<'_>) -> bool {
        let Pending::Auth { mechanism, response, begins } = pending else { return false };
        let exchange = self.model.exchange().expect("AUTH in sequence, or a response");
        let response = response.map(|response| response.as_bytes().to_vec());
        assert_eq!(Exchange { mechanism: mechanism.to_owned(), response, begins }, exchange);
        let offered = self.config.auth.mechanisms.iter().find(|offered| offered.name() == mechanism);
        let offered = offered.expect("a mechanism that there is");
        let server_first = *offered == offered.clone().server_first();
        self.can_use(offered) && !(server_first && begins && exchange.response.is_some())
    }

    /// A session that is over does nothing any more, whatever is done to it.
    pub fn poke_closed(&mut self, now: Instant) {
        if self.closed.is_none() {
            return;
        }
        let output = self.session.output().len();
        let step = self.session.handle_input(now, b"NOOP\r\n");
        assert!(step.used == 0 && step.event.is_none(), "a closed session listens");
        self.session.handle_eof(now);
        self.session.handle_reset(now);
        self.session.handle_timeout(now + Duration::from_secs(1_000_000));
        self.session.abandon(now);
        self.session.shutdown(now, ehlo_server::Shutdown::Now);
        self.session.body_resumed(now);
        self.session.handle_tls_failed(now);
        assert_eq!(self.session.output().len(), output, "a closed session speaks");
        self.settle(now);
    }

    /// Whether the session is open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Why it is over.
    #[must_use]
    pub const fn closed(&self) -> Option<CloseReason> {
        self.closed
    }

    /// Whether a driver would read now.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.carry.is_empty() && self.session.wants_input()
    }

    /// Whether what was read and not used can go on.
    #[must_use]
    pub fn wants_feed(&self) -> bool {
        !self.carry.is_empty() && self.session.wants_input()
    }

    /// Bytes that were read and not used.
    #[must_use]
    pub const fn carried(&self) -> usize {
        self.carry.len()
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.session.output()
    }

    /// When time must be told at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.session.poll_timeout().map(|(at, _)| at)
    }

    /// Whether the sink has paused and not gone on.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether a handshake is due: all in clear was written.
    #[must_use]
    pub fn wants_handshake(&self) -> bool {
        self.tls == Tls::Wanted && self.closed.is_none() && self.session.output().is_empty()
    }

    /// Whether what comes now is inside TLS.
    #[must_use]
    pub const fn in_tls(&self) -> bool {
        matches!(self.tls, Tls::Inside(_))
    }

    /// Whether the connection began with a handshake.
    #[must_use]
    pub const fn implicit_tls(&self) -> bool {
        self.session.peer().implicit_tls
    }

    /// How many octets of the peer a recorded session has used.
    #[must_use]
    pub fn octets(&self) -> usize {
        let input = |op: &super::Op| if let super::Op::Input(bytes) = op { bytes.len() } else { 0 };
        self.ops.iter().flatten().map(|(_, op)| input(op)).sum()
    }

    /// The settings of the session.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Messages that the application has said are safe.
    #[must_use]
    pub fn store(&self) -> &[Stored] {
        &self.store
    }

    /// Messages that were given up.
    #[must_use]
    pub fn aborted(&self) -> &[AbortReason] {
        &self.aborted
    }

    /// Exchanges of AUTH in which the application was told who the client is.
    #[must_use]
    pub const fn authenticated(&self) -> usize {
        self.authenticated
    }

    /// Answers that came too late.
    #[must_use]
    pub const fn stale(&self) -> usize {
        self.stale
    }

    /// What has happened.
    #[must_use]
    pub fn said(&self) -> &[String] {
        &self.said
    }
}

/// The longest wait of a kind.
fn patience(config: &Config, reason: Reason) -> Duration {
    let timeouts = &config.timeouts;
    match reason {
        Reason::Command => timeouts.command,
        Reason::Body => timeouts.body,
        Reason::Flush => timeouts.flush,
        Reason::Answer => timeouts.answer,
        Reason::Commit => timeouts.commit,
        Reason::Sink => timeouts.sink,
        Reason::Handshake => timeouts.handshake,
        Reason::Session => timeouts.session,
        other => panic!("{other:?} is new"),
    }
}
