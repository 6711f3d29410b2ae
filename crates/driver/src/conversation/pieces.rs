//! A message whose body its sender brings piece by piece.

use ehlo_client::{BeginError, CloseReason, Envelope, Event, LineEndings, Outcome, TransactionId};

use super::Conversation;
use crate::error::SendError;
use crate::wire::Wire;

impl<W: Wire> Conversation<W> {
    /// Begins a message whose body comes by [`write`](Self::write). The outcome, if it is decided without one.
    ///
    /// # Errors
    ///
    /// [`SendError`] if nothing was begun.
    pub async fn begin_message(&mut self, envelope: &Envelope<'_>) -> Result<Option<Outcome>, SendError> {
        self.ensure_open()?;
        let now = self.wire.now();
        let id = self.link.session_mut().begin(now, envelope).map_err(SendError::Begin)?;
        self.writing = None;
        // One whose sender gave up may be over meanwhile.
        match self.until(|event| is_decisive(event, id)).await.map_err(SendError::Closed)? {
            Event::BodyWanted(_, transfer) => {
                self.link.begin_body(transfer, envelope.body, envelope.size, LineEndings::Refuse);
                self.writing = Some(id);
                Ok(None)
            }
            Event::Done(_, outcome) => Ok(Some(self.done(outcome))),
            _ => Ok(None),
        }
    }

    /// The message that was begun, and waits for its body.
    fn written(&self) -> Result<TransactionId, SendError> {
        match (self.writing, self.link.closed()) {
            (Some(id), _) => Ok(id),
            (None, Some(reason)) => Err(SendError::Closed(reason)),
            (None, None) => Err(SendError::Begin(BeginError::NotReady)),
        }
    }

    /// Writes a piece of the body. The outcome, if the server has ended the transaction: nothing more of it is wanted then. If its future is
    /// dropped, nobody knows how much of the piece was taken: drop the connection.
    ///
    /// # Errors
    ///
    /// [`SendError`] if it can't be sent, or no message waits for it. The message can't be finished then; drop the connection.
    pub async fn write(&mut self, mut piece: &[u8]) -> Result<Option<Outcome>, SendError> {
        let id = self.written()?;
        while !piece.is_empty() {
            let now = self.wire.now();
            let taken = self.link.put(now, piece).map_err(|error| SendError::Body(error, Box::default()))?;
            piece = &piece[taken..];
            if let Some(outcome) = self.flush(id).await {
                return Ok(Some(outcome));
            }
        }
        Ok(None)
    }

    /// Waits until there is room for more. The outcome, if the transaction ended meanwhile.
    async fn flush(&mut self, id: TransactionId) -> Option<Outcome> {
        loop {
            while let Some(event) = self.event() {
                if let Event::Done(done, outcome) = event
                    && done == id
                {
                    return Some(self.done(outcome));
                }
            }
            if self.link.wants_piece() {
                return None;
            }
            self.wire.exchange(&mut self.link).await;
        }
    }

    /// Ends the body, and waits for what becomes of the message.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the body can't end where it does, or there is no message.
    pub async fn finish(&mut self) -> Result<Outcome, SendError> {
        let id = self.written()?;
        let now = self.wire.now();
        self.link.end_body(now).map_err(|error| SendError::Body(error, Box::default()))?;
        match self.until(|event| is_decisive(event, id)).await.map_err(SendError::Closed)? {
            Event::Done(_, outcome) => Ok(self.done(outcome)),
            _ => Err(SendError::Closed(CloseReason::Eof)),
        }
    }

    /// The transaction is over. If the connection ended with it, that is known at once.
    fn done(&mut self, outcome: Outcome) -> Outcome {
        while self.event().is_some() {}
        outcome
    }
}

/// Whether an event ends the wait for the body of a transaction to be wanted, or for its end.
fn is_decisive(event: &Event, id: TransactionId) -> bool {
    matches!(event, Event::BodyWanted(of, _) | Event::Done(of, _) if *of == id)
}
