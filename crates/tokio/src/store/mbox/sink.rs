//! One connection's messages on their way into the mbox.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use ehlo_server::codec::Reply;

use super::append::poisoned;
use super::format::{Quoter, write_from};
use super::spool::Spool;
use super::{FileOps, Handle, StdFiles};
use crate::sink::{BodySink, MessageContext, storage_reply};
use crate::store::incoming::{Cancelled, Incoming, delivery_fields};

/// The sink of [`Mbox`](super::Mbox).
#[derive(Debug)]
pub struct MboxSink<F: FileOps = StdFiles> {
    pub(super) handle: Arc<Handle<F>>,
    pub(super) message: Option<Incoming<Spool<F>>>,
    quoter: Quoter,
    /// The message has got its end.
    ended: bool,
}

impl<F: FileOps> MboxSink<F> {
    pub(super) fn new(handle: Arc<Handle<F>>) -> Self {
        Self { handle, message: None, quoter: Quoter::default(), ended: false }
    }

    /// Begins a message of that name and sender, with what comes before its body.
    pub(super) fn start(&mut self, name: &str, sender: &str, now: SystemTime, fields: &[u8]) {
        let (name, cancelled) = (Arc::from(name), Cancelled::default());
        let spool = Spool::new(Arc::clone(&self.handle.shared), Arc::clone(&name), cancelled.clone());
        let mut buffer = Vec::with_capacity(fields.len() + 1024);
        write_from(sender, now, &mut buffer);
        (self.quoter, self.ended) = (Quoter::default(), false);
        self.quoter.push(fields, &mut buffer);
        self.message = Some(Incoming::new(name, buffer, cancelled, spool));
    }
}

impl<F: FileOps> BodySink for MboxSink<F> {
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply> {
        let shared = &self.handle.shared;
        if shared.poisoned.load(Ordering::Acquire) {
            return Err(storage_reply(&poisoned()));
        }
        let now = SystemTime::now();
        let id = shared.names.next(now);
        let sender = message.envelope.reverse_path().map_or("", |path| path.as_str());
        self.start(&id, sender, now, &delivery_fields(message, &id, now));
        Ok(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(message) = &mut self.message else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        match ready!(message.poll_room(cx)) {
            Ok(room) => {
                // Quoting makes it longer, by a fifth at the most.
                let taken = bytes.len().min(room);
                self.quoter.push(&bytes[..taken], &mut message.buffer);
                Poll::Ready(Ok(taken))
            }
            Err(error) => {
                self.message = None;
                Poll::Ready(Err(error))
            }
        }
    }

    fn poll_commit(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        let Some(message) = &mut self.message else {
            return Poll::Ready(Err(storage_reply(&io::ErrorKind::BrokenPipe.into())));
        };
        if !std::mem::replace(&mut self.ended, true) {
            self.quoter.finish(&mut message.buffer);
        }
        let answer = ready!(message.poll_commit(cx, &self.handle.pool));
        self.message = None;
        Poll::Ready(answer)
    }

    fn abort(&mut self) {
        self.message = None;
    }
}
