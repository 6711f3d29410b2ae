//! Many messages, one behind the other.

use std::collections::VecDeque;

use ehlo_client::{BeginError, Envelope, Event, Job, LineEndings, Next, Report};

use super::{Conversation, prepare};
use crate::error::SendError;
use crate::wire::{Body as _, Bytes, Wire};

impl<W: Wire> Conversation<W> {
    /// Sends texts in memory one behind the other; see [`send_all`](Self::send_all).
    ///
    /// # Errors
    ///
    /// [`SendError`] if the session was over before, or one of the texts can't be sent as it is; then nothing was begun.
    pub async fn send_texts(
        &mut self,
        messages: &[(Envelope<'_>, &[u8])],
        endings: LineEndings,
        report: impl FnMut(usize, Report),
    ) -> Result<(), SendError> {
        let prepared =
            messages.iter().map(|(envelope, text)| prepare(envelope, text, endings)).collect::<Result<Vec<_>, _>>()?;
        self.send_all(prepared.iter().map(|(envelope, text)| (*envelope, &*text.octets)), report).await
    }

    /// Sends messages one behind the other, as many at a time as the session's configuration lets run ahead. `report` is called for
    /// each when it is decided, with its number. Their bodies are prepared texts, or binary ones.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the session was over before, or is in the middle of something. Messages that an ending session leaves are reported as
    /// unsent.
    pub async fn send_all<'m>(
        &mut self,
        messages: impl IntoIterator<Item = (Envelope<'m>, &'m [u8])>,
        mut report: impl FnMut(usize, Report),
    ) -> Result<(), SendError> {
        self.ensure_open()?;
        if !self.link.session().is_ready() {
            return Err(SendError::Begin(BeginError::NotReady));
        }
        let mut messages = messages.into_iter().enumerate();
        let mut open: VecDeque<(usize, Job<'m>, &'m [u8])> = VecDeque::new();
        let mut again: VecDeque<(usize, Job<'m>, &'m [u8])> = VecDeque::new();
        let mut body: Option<Bytes<'m>> = None;
        loop {
            while let Some(event) = self.event() {
                if let Event::BodyWanted(_, transfer) = event
                    && let Some((_, job, text)) = open.back()
                {
                    self.link.begin_body(transfer, job.envelope().body, job.envelope().size, LineEndings::Refuse);
                    self.link.trust_body();
                    body = Some(Bytes::prepared(text));
                }
                // Replies come in the order of the commands.
                let over = open.front_mut().is_some_and(|(_, job, _)| job.on_event(self.link.session(), &event));
                if over && let Some((number, job, text)) = open.pop_front() {
                    if job.is_over() || self.link.closed().is_some() {
                        report(number, job.into_report());
                    } else {
                        again.push_back((number, job, text));
                    }
                }
            }
            if self.link.closed().is_some() {
                for (number, job, _) in open.into_iter().chain(again) {
                    report(number, job.into_report());
                }
                messages.for_each(|(number, (envelope, _))| report(number, Job::new(envelope).into_report()));
                return Ok(());
            }
            if let Some(text) = &mut body
                && self.feed(text).await
            {
                body = None;
                // If it could not be sent, the session is over, and has told nobody yet.
                continue;
            }
            if body.is_none() && self.link.session().is_ready() {
                let next = again
                    .pop_front()
                    .or_else(|| messages.next().map(|(number, (envelope, text))| (number, Job::new(envelope), text)));
                if let Some((number, mut job, text)) = next {
                    let now = self.wire.now();
                    match job.begin(self.link.session_mut(), now) {
                        Ok(Next::Begun(_)) => open.push_back((number, job, text)),
                        // Decided without a word, or no more over this connection.
                        Ok(Next::Over | Next::Elsewhere) | Err(_) => report(number, job.into_report()),
                    }
                    continue;
                }
                if open.is_empty() {
                    return Ok(());
                }
            }
            self.wire.exchange(&mut self.link).await;
        }
    }

    /// Puts in what there is room for of a body in memory; true when all of it is in.
    async fn feed(&mut self, text: &mut Bytes<'_>) -> bool {
        let now = self.wire.now();
        while self.link.wants_piece() {
            // Neither can fail: it is in memory, and was looked through.
            let Ok(piece) = text.fill().await else { return true };
            if piece.is_empty() {
                if self.link.end_body(now).is_err() {
                    self.link.session_mut().abandon(now);
                }
                return true;
            }
            match self.link.put(now, piece) {
                Ok(taken) => text.consume(taken),
                Err(_) => {
                    self.link.session_mut().abandon(now);
                    return true;
                }
            }
        }
        !self.link.is_in_body()
    }
}
