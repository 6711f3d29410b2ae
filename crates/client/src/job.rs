//! One message to all of its recipients: over as many transactions as it takes, with what became of each.

use crate::envelope::{Envelope, Recipient};
use crate::event::{BeginError, Event, Stage, TransactionId};
use crate::outcome::RecipientOutcome;
use crate::report::{Kept, Report};
use crate::session::Session;
use ehlo_codec::{Domain, ReplyCode};
use std::time::Instant;

/// What is to be done next for a [`Job`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A transaction was begun, and goes on; its body is wanted from its beginning.
    Begun(TransactionId),
    /// Nothing is left to be done: [`Job::into_report`] tells.
    Over,
    /// Recipients are left, and this session takes no more messages, or none for their domains (RFC 9422, MAILMAX and RCPTDOMAINMAX): go on
    /// over another connection.
    Elsewhere,
}

/// Sends one message to all recipients of an envelope.
///
/// A server that takes only so many recipients at once, by LIMITS (RFC 9422) or by a 452 to one too many (RFC 5321 §4.5.3.1.10), gets as many
/// transactions as that needs, each with the whole body. The driver calls [`begin`](Self::begin) when the session is ready, hands in every
/// event by [`on_event`](Self::on_event), and goes on until nothing is left.
#[derive(Debug)]
pub struct Job<'a> {
    envelope: Envelope<'a>,
    report: Report,
    /// Recipients for the transactions to come.
    waiting: Vec<u32>,
    /// Those of the present one, in its order; empty if it has all of the envelope's.
    batch: Vec<u32>,
    batch_to: Vec<Recipient<'a>>,
    whole: bool,
    /// The present transaction, and whether somebody was taken in it.
    current: Option<TransactionId>,
    taken: bool,
    without_dsn: bool,
}

impl<'a> Job<'a> {
    /// A job for that envelope.
    #[must_use]
    pub fn new(envelope: Envelope<'a>) -> Self {
        let count = envelope.to.len();
        Self {
            envelope,
            report: Report::new(count),
            waiting: Vec::new(),
            batch: Vec::new(),
            batch_to: Vec::new(),
            whole: true,
            current: None,
            taken: false,
            without_dsn: false,
        }
    }

    /// The envelope.
    #[must_use]
    pub const fn envelope(&self) -> &Envelope<'a> {
        &self.envelope
    }

    /// Begins the next transaction, if one is needed.
    ///
    /// # Errors
    ///
    /// [`BeginError`] that is the caller's or of the moment, such as [`NotReady`](BeginError::NotReady) while a transaction of this job goes
    /// on. One that is the message's is the outcome of its recipients.
    pub fn begin(&mut self, session: &mut Session, now: Instant) -> Result<Next, BeginError> {
        if self.current.is_some() {
            return Err(BeginError::NotReady);
        }
        let first = self.whole && self.waiting.is_empty() && !self.report.is_begun();
        let most = session.max_recipients();
        if first {
            let count = self.envelope.to.len();
            if count <= most && session.max_domains().is_none() {
                return self.start(session, now);
            }
            self.waiting.extend(0..u32::try_from(count).unwrap_or(u32::MAX));
        }
        if self.waiting.is_empty() {
            return Ok(Next::Over);
        }
        self.choose(most.max(1), session);
        if self.batch.is_empty() { Ok(Next::Elsewhere) } else { self.start(session, now) }
    }

    /// Takes from the front of those who wait as many as one transaction may have, of those domains that the session may have.
    fn choose(&mut self, most: usize, session: &Session) {
        self.whole = false;
        self.batch.clear();
        self.batch_to.clear();
        let mut fresh: Vec<Domain<'a>> = Vec::new();
        let Self { envelope, waiting, batch, batch_to, report, .. } = self;
        waiting.retain(|&i| {
            let to = envelope.to[i as usize];
            if batch.len() == most {
                return true;
            }
            if let (Some(most), Some(domain)) = (session.max_domains(), to.domain()) {
                let is_same = |one: &str| one.eq_ignore_ascii_case(domain.as_str());
                let known = session.domains().iter().any(|one| is_same(one.as_str()))
                    || fresh.iter().any(|one| is_same(one.as_str()));
                if !known && session.domains().len() + fresh.len() >= most as usize {
                    return true;
                }
                if !known {
                    fresh.push(domain);
                }
            }
            report.set(i as usize, Kept::Open);
            batch.push(i);
            batch_to.push(to);
            false
        });
    }

    fn start(&mut self, session: &mut Session, now: Instant) -> Result<Next, BeginError> {
        let envelope = if self.whole { self.envelope } else { Envelope { to: &self.batch_to, ..self.envelope } };
        let begun = session.begin(now, &envelope);
        if begun.is_err() && !self.whole {
            // Its recipients wait on, in their order.
            self.waiting.splice(0..0, self.batch.drain(..));
        }
        match begun {
            Ok(id) => {
                self.current = Some(id);
                self.taken = false;
                self.report.begin();
                Ok(Next::Begun(id))
            }
            Err(BeginError::TooManyMessages) => Ok(Next::Elsewhere),
            Err(error) if error.is_refusal() => {
                self.report.refuse_all(error);
                self.waiting.clear();
                self.whole = false;
                Ok(Next::Over)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes note of what happened in the session, as long as its reply is there. True when the present transaction is over.
    pub fn on_event(&mut self, session: &Session, event: &Event) -> bool {
        let Some(current) = self.current else { return false };
        match event {
            Event::Reply(stage, code) => {
                self.on_reply(session, current, *stage, *code);
                false
            }
            Event::Done(id, outcome) if *id == current => {
                self.without_dsn |= outcome.without_dsn;
                self.settle(session.recipients(current));
                self.current = None;
                true
            }
            _ => false,
        }
    }

    fn on_reply(&mut self, session: &Session, current: TransactionId, stage: Stage, code: ReplyCode) {
        if session.replied() != Some(current) {
            return;
        }
        // What the session has made of it: whoever waits no longer was decided by this reply.
        let outcomes = session.recipients(current);
        let one = match stage {
            Stage::Rcpt(_) if code.is_positive() => {
                self.taken = true;
                return;
            }
            // It is about all who wait, and not about this one alone.
            Stage::Rcpt(_) if code == ReplyCode::SERVICE_NOT_AVAILABLE => 0..outcomes.len(),
            Stage::Rcpt(i) | Stage::Delivery(i) => i as usize..i as usize + 1,
            _ => 0..outcomes.len(),
        };
        let mut kept = None;
        for i in one {
            let place = self.place(i);
            let Some(outcome) = outcomes.get(i).filter(|outcome| **outcome != RecipientOutcome::Pending) else {
                continue;
            };
            if !self.report.is_open(place) {
                continue;
            }
            if self.is_one_too_many(stage, code, session) {
                self.waiting.push(u32::try_from(place).unwrap_or(u32::MAX));
                self.report.set(place, Kept::Waiting);
            } else {
                let reply = *kept.get_or_insert_with(|| self.report.keep(session.reply()));
                self.report.set(place, Kept::of(*outcome, reply));
            }
        }
    }

    /// RFC 5321 §4.5.3.1.10: 452 says that the rest is for another transaction; some servers say 552, which is to be read as 452.
    fn is_one_too_many(&self, stage: Stage, code: ReplyCode, session: &Session) -> bool {
        let too_many = matches!(code.get(), 452 | 552);
        let said = session.reply().and_then(|reply| reply.enhanced());
        let said = said.map_or(code.get() == 452, |said| (said.subject(), said.detail()) == (5, 3));
        matches!(stage, Stage::Rcpt(_)) && too_many && said && self.taken
    }

    /// The present transaction is over: what was not decided by a reply is now.
    fn settle(&mut self, outcomes: &[RecipientOutcome]) {
        for (i, outcome) in outcomes.iter().enumerate() {
            let place = self.place(i);
            if self.report.is_open(place) {
                self.report.set(place, Kept::of(*outcome, None));
            }
        }
    }

    /// Where the recipient of the present transaction is in the envelope.
    fn place(&self, i: usize) -> usize {
        if self.whole { i } else { self.batch.get(i).map_or(usize::MAX, |place| *place as usize) }
    }

    /// Whether recipients are left for another transaction.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.current.is_none() && self.waiting.is_empty() && self.report.is_begun()
    }

    /// What became of each recipient. Whoever is left was not sent to; of those in a transaction that goes on nothing is known.
    #[must_use]
    pub fn into_report(mut self) -> Report {
        if self.current.is_some() {
            let open = if self.whole { self.report.len() } else { self.batch.len() };
            self.settle(&vec![RecipientOutcome::Unknown; open]);
        }
        self.report.without_dsn = self.without_dsn;
        self.report.close();
        self.report
    }
}
