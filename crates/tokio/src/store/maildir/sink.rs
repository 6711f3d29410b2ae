//! One connection's messages on their way into the maildir.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use ehlo_server::codec::Reply;

use super::delivery::Delivery;
use super::group::distrust;
use super::{FileOps, Handle, StdFiles, file_name};
use crate::sink::{BodySink, MessageContext, storage_reply};
use crate::store::incoming::{Cancelled, Incoming, delivery_fields};

/// The sink of [`Maildir`](super::Maildir).
#[derive(Debug)]
pub struct MaildirSink<F: FileOps = StdFiles> {
    handle: Arc<Handle<F>>,
    pub(super) message: Option<Incoming<Delivery<F>>>,
}

impl<F: FileOps> MaildirSink<F> {
    pub(super) fn new(handle: Arc<Handle<F>>) -> Self {
        Self { handle, message: None }
    }

    /// Begins a message of that name, with what comes before its body.
    pub(super) fn start(&mut self, name: &str, buffer: Vec<u8>) {
        let (name, cancelled) = (Arc::from(name), Cancelled::default());
        let delivery = Delivery::new(Arc::clone(&self.handle.shared), Arc::clone(&name), cancelled.clone());
        self.message = Some(Incoming::new(name, buffer, cancelled, delivery));
    }
}

impl<F: FileOps> BodySink for MaildirSink<F> {
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply> {
        let shared = &self.handle.shared;
        if shared.poisoned.load(Ordering::Acquire) {
            return Err(storage_reply(&distrust()));
        }
        let now = SystemTime::now();
        let id = shared.names.next(now);
        self.start(&file_name(&id, message.hostname), delivery_fields(message, &id, now));
        Ok(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(message) = &mut self.message else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        match ready!(message.poll_room(cx)) {
            Ok(room) => {
                let taken = bytes.len().min(room);
                message.buffer.extend_from_slice(&bytes[..taken]);
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
        let answer = ready!(message.poll_commit(cx, &self.handle.pool));
        self.message = None;
        Poll::Ready(answer)
    }

    fn abort(&mut self) {
        self.message = None;
    }
}
