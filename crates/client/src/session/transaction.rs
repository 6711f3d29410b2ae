//! Transactions, as the driver begins them and writes their bodies.

use super::{Phase, Session};
use crate::envelope::{Envelope, Recipient};
use crate::event::{ApiMisuse, BeginError, BodyEnd, Event, Stage, TransactionId, Transfer};
use crate::offer::{Offer, write_chunk};
use crate::outcome::RecipientOutcome;
use ehlo_codec::{Command, DomainBuf, ReplyCode};
use std::time::Instant;

/// Chunks of one message that may wait for their replies.
const CHUNKS_AHEAD: usize = 8;

/// A transaction that was begun.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) id: TransactionId,
    pub(super) recipients: Vec<RecipientOutcome>,
    /// MAIL was taken.
    pub(super) sender_taken: bool,
    /// Recipients that were taken so far.
    pub(super) taken: u32,
    /// The last reply.
    pub(super) last: Option<ReplyCode>,
    pub(super) without_dsn: bool,
    /// How long the body is, if it goes as one chunk that waits for the replies to RCPT.
    pub(super) size: Option<u64>,
    pub(super) chunked: bool,
    /// A chunk was refused: nothing that is said to a later one makes a success of it.
    pub(super) spoilt: bool,
    /// The server closes once it has told of all recipients.
    pub(super) leaving: bool,
    /// Octets of all output, when its end was put out.
    pub(super) end: Option<u64>,
}

/// What the youngest open transaction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// Replies only.
    Nothing,
    /// The replies to its envelope, before its body can be written.
    Envelope,
    /// The driver, who writes the body.
    Body,
    /// The driver, who is to begin a chunk.
    Chunks,
    /// The driver, who writes a chunk.
    Chunk { last: bool },
}

impl Session {
    /// Begins a transaction: [`output`](Self::output) has its first commands.
    ///
    /// # Errors
    ///
    /// [`BeginError`] says why nothing was begun.
    pub fn begin(&mut self, now: Instant, envelope: &Envelope<'_>) -> Result<TransactionId, BeginError> {
        if !self.is_ready() {
            return Err(BeginError::NotReady);
        }
        if envelope.to.is_empty() {
            return Err(BeginError::NoRecipients);
        }
        if envelope.to.len() > self.max_recipients() {
            return Err(BeginError::TooManyRecipients);
        }
        if self.transactions_left() == Some(0) {
            return Err(BeginError::TooManyMessages);
        }
        let offer = self.offer();
        offer.check(envelope)?;
        let domains = self.new_domains(envelope)?;
        let (pipelined, chunked) = (offer.pipelining(), offer.chunking(envelope.body));
        // Whatever is sent in one flight must not be wanted for several replies per recipient: how many, the replies to RCPT tell.
        let fused =
            pipelined && chunked && !self.config.lmtp && envelope.size.is_some_and(|size| size <= self.config.fuse);
        // What a transaction leaves behind whose outcome is not known, is not known either.
        let reset = self.open.back().map_or(self.dirty, |before| before.taken == 0 || before.chunked);

        let mut recipients = match self.spare.pop() {
            Some(spare) => spare,
            // Nobody asks any more what became of the last one.
            None if self.open.is_empty() => std::mem::take(&mut self.over).recipients,
            None => Vec::new(),
        };
        recipients.clear();
        recipients.resize(envelope.to.len(), RecipientOutcome::Pending);
        self.transactions += 1;
        self.domains.extend(domains);
        let id = TransactionId(self.transactions);
        let without_dsn = self.write_envelope(envelope, reset);
        if fused {
            write_chunk(envelope.size.unwrap_or_default(), true, self.script.wire_mut());
        } else if !chunked {
            self.script.push(Stage::Data, &Command::Data);
        }
        self.open.push_back(Transaction {
            id,
            recipients,
            without_dsn,
            chunked,
            size: envelope.size,
            ..Transaction::default()
        });
        if fused {
            self.want_body(now, id, Transfer::Whole);
        } else {
            self.sending = Sending::Envelope;
        }
        self.await_reply_too(now);
        Ok(id)
    }

    /// The domains of its recipients that no one before had, where the server has told how many there may be (RFC 9422 §4.3).
    fn new_domains(&self, envelope: &Envelope<'_>) -> Result<Vec<DomainBuf>, BeginError> {
        let mut fresh: Vec<DomainBuf> = Vec::new();
        let Some(most) = self.max_domains() else { return Ok(fresh) };
        for domain in envelope.to.iter().filter_map(Recipient::domain) {
            if !self.domains.iter().chain(&fresh).any(|one| one.as_str().eq_ignore_ascii_case(domain.as_str())) {
                if self.domains.len() + fresh.len() >= most as usize {
                    return Err(BeginError::TooManyDomains);
                }
                fresh.push(domain.into());
            }
        }
        Ok(fresh)
    }

    fn write_envelope(&mut self, envelope: &Envelope<'_>, reset: bool) -> bool {
        let Self { config, capabilities, tls, script, .. } = self;
        let offer = Offer { config, capabilities, verified: tls.is_some_and(|tls| tls.verified) };
        if reset {
            script.push(Stage::Rset, &Command::Rset);
        }
        offer.write_mail(envelope, script.wire_mut());
        script.end_step(Stage::Mail);
        let mut without_dsn = false;
        for (i, to) in (0..).zip(envelope.to) {
            without_dsn |= offer.write_rcpt(to, script.wire_mut());
            script.end_step(Stage::Rcpt(i));
        }
        without_dsn
    }

    pub(super) fn want_body(&mut self, now: Instant, id: TransactionId, transfer: Transfer) {
        self.sending = if transfer == Transfer::Chunks { Sending::Chunks } else { Sending::Body };
        self.await_block(now);
        self.events.push(Event::BodyWanted(id, transfer));
    }

    /// The replies to the envelope of a transaction that goes by BDAT are there, and somebody was taken.
    pub(super) fn want_chunks(&mut self, now: Instant) {
        let Some(transaction) = self.open.back() else { return };
        let id = transaction.id;
        match transaction.size {
            Some(size) => {
                write_chunk(size, true, self.script.wire_mut());
                self.want_body(now, id, Transfer::Whole);
            }
            None => self.want_body(now, id, Transfer::Chunks),
        }
    }

    /// The driver has written some of the body: the server is not stuck.
    pub fn body_progress(&mut self, now: Instant) {
        if matches!(self.sending, Sending::Body | Sending::Chunk { .. }) {
            self.await_block(now);
        }
    }

    /// The driver has written all of the body.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse`] if no body was wanted, or one that ends otherwise: chunks have no dot behind them.
    pub fn body_finished(&mut self, now: Instant, end: BodyEnd) -> Result<(), ApiMisuse> {
        let chunked = self.open.back().is_some_and(|transaction| transaction.chunked);
        if self.sending != Sending::Body || self.phase != Phase::Ready || (chunked && end != BodyEnd::Included) {
            return Err(ApiMisuse("body_finished without BodyWanted, or with a wrong end"));
        }
        let wire: &[u8] = match end {
            BodyEnd::Dot => b".\r\n",
            BodyEnd::CrlfDot => b"\r\n.\r\n",
            BodyEnd::Included => b"",
        };
        self.send_end(now, wire);
        Ok(())
    }

    pub(super) fn send_end(&mut self, now: Instant, wire: &[u8]) {
        self.script.wire_mut().extend_from_slice(wire);
        self.sending = Sending::Nothing;
        self.block_by = None;
        let end = self.script.octets();
        let Some(transaction) = self.open.back_mut() else { return };
        transaction.end = Some(end);
        if self.config.lmtp {
            for (i, outcome) in (0..).zip(&transaction.recipients) {
                if *outcome == RecipientOutcome::Pending {
                    self.script.end_step(Stage::Delivery(i));
                }
            }
        } else {
            self.script.end_step(Stage::Body);
        }
        self.await_reply_too(now);
    }

    /// Whether [`chunk`](Self::chunk) may be called: where commands are sent one by one, the last one's reply has come; elsewhere a few may
    /// be on their way.
    #[must_use]
    pub fn wants_chunk(&self) -> bool {
        let most = if self.offer().pipelining() { CHUNKS_AHEAD } else { 1 };
        self.sending == Sending::Chunks && self.script.len() < most
    }

    /// Begins a chunk of a body of which nobody has said how long it is: [`output`](Self::output) has its command. Write that, then exactly
    /// so many octets of the body, as they are, and call [`chunk_finished`](Self::chunk_finished). The last one may be empty (RFC 3030 §2).
    ///
    /// # Errors
    ///
    /// [`ApiMisuse`] unless [`wants_chunk`](Self::wants_chunk).
    pub fn chunk(&mut self, now: Instant, octets: u64, last: bool) -> Result<(), ApiMisuse> {
        if !self.wants_chunk() {
            return Err(ApiMisuse("a chunk that is not wanted"));
        }
        write_chunk(octets, last, self.script.wire_mut());
        self.sending = Sending::Chunk { last };
        self.await_block(now);
        Ok(())
    }

    /// The driver has written all octets of the chunk.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse`] if there is none.
    pub fn chunk_finished(&mut self, now: Instant) -> Result<(), ApiMisuse> {
        match self.sending {
            Sending::Chunk { last: true } => self.send_end(now, b""),
            Sending::Chunk { last: false } => {
                self.sending = Sending::Chunks;
                self.script.end_step(Stage::Chunk);
                self.await_chunk(now);
                self.await_reply_too(now);
            }
            _ => return Err(ApiMisuse("chunk_finished without a chunk")),
        }
        Ok(())
    }
}
