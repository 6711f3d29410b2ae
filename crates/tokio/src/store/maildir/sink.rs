//! One connection's messages on their way into the maildir.

use std::fmt;
use std::io::{self, Write as _};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use ehlo_server::codec::{EnhancedCode, Reply, ReplyCode, ReversePath};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

use super::commit::{Finished, poisoned};
use super::delivery::Delivery;
use super::{FileOps, Handle, StdFiles, file_name};
use crate::sink::{BodySink, MessageContext, storage_reply};
use crate::trace;

/// Bytes of a message that are gathered before they are written to its file. A connection holds two such buffers at the most, and none
/// when no message is coming in.
pub(super) const BUFFER: usize = 64 * 1024;

/// The sink of [`Maildir`].
#[derive(Debug)]
pub struct MaildirSink<F: FileOps = StdFiles> {
    handle: Arc<Handle<F>>,
    pub(super) message: Option<Incoming<F>>,
}

/// What a blocking thread gives back: the file, a buffer that can be used again, and how it went.
type Done<F> = (Delivery<F>, Vec<u8>, io::Result<()>);

/// A message that is coming in.
pub(super) struct Incoming<F: FileOps> {
    handle: Arc<Handle<F>>,
    /// `None` while a job or the commit has it.
    delivery: Option<Delivery<F>>,
    job: Option<JoinHandle<Done<F>>>,
    /// What becomes of the message, once it was handed over.
    commit: Option<oneshot::Receiver<io::Result<()>>>,
    cancelled: Arc<AtomicBool>,
    /// Gathers what comes in.
    pub(super) buffer: Vec<u8>,
    /// The other buffer, unless a job has it.
    pub(super) spare: Vec<u8>,
    name: Arc<str>,
}

impl<F: FileOps> fmt::Debug for Incoming<F> {
    /// Without the bytes of the message, which are not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("name", &self.name)
            .field("buffered_bytes", &self.buffer.len())
            .field("committing", &self.commit.is_some())
            .finish_non_exhaustive()
    }
}

impl<F: FileOps> Incoming<F> {
    /// Waits for the job, if there is one.
    fn poll_job(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(job) = &mut self.job else { return Poll::Ready(Ok(())) };
        let done = ready!(Pin::new(job).poll(cx));
        self.job = None;
        Poll::Ready(match done {
            Ok((delivery, buffer, result)) => {
                self.delivery = Some(delivery);
                self.spare = buffer;
                result
            }
            // It panicked, or the runtime is shutting down.
            Err(error) => Err(io::Error::other(error)),
        })
    }

    /// Hands the buffer to a blocking thread. There must be no job.
    fn start_job(&mut self) -> io::Result<()> {
        let Some(mut delivery) = self.delivery.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let mut buffer = mem::replace(&mut self.buffer, mem::take(&mut self.spare));
        self.job = Some(spawn_blocking(move || {
            let result = delivery.write(&buffer);
            if result.is_err() {
                delivery.undo();
            }
            buffer.clear();
            (delivery, buffer, result)
        }));
        Ok(())
    }

    /// Hands the message over to be committed. There must be no job.
    fn start_commit(&mut self) -> io::Result<()> {
        let Some(delivery) = self.delivery.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let (answer, commit) = oneshot::channel();
        let finished = Finished { delivery, rest: mem::take(&mut self.buffer), answer };
        self.handle.pool.submit(finished).map_err(|(finished, error)| {
            self.delivery = Some(finished.delivery);
            error
        })?;
        self.commit = Some(commit);
        Ok(())
    }

    /// Everything behind the last byte.
    fn poll_commit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.commit.is_none() {
            ready!(self.poll_job(cx))?;
            self.start_commit()?;
        }
        let Some(commit) = &mut self.commit else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        let answer = ready!(Pin::new(commit).poll(cx));
        // Without one, the thread that had the message panicked.
        Poll::Ready(answer.unwrap_or_else(|lost| Err(io::Error::other(lost))))
    }
}

impl<F: FileOps> Drop for Incoming<F> {
    fn drop(&mut self) {
        // A job sees this and drops its delivery, which removes the file. A delivery that is here is dropped by a blocking thread, for
        // the same reason that everything else runs there.
        self.cancelled.store(true, Ordering::Release);
        if let Some(delivery) = self.delivery.take()
            && delivery.has_file()
        {
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(move || drop(delivery))),
                Err(_) => drop(delivery),
            }
        }
    }
}

impl<F: FileOps> MaildirSink<F> {
    pub(super) fn new(handle: Arc<Handle<F>>) -> Self {
        Self { handle, message: None }
    }

    /// Begins a message of that name, with what comes before its body.
    pub(super) fn start(&mut self, name: &str, buffer: Vec<u8>) {
        let (name, cancelled) = (Arc::from(name), Arc::new(AtomicBool::new(false)));
        let delivery = Delivery::new(Arc::clone(&self.handle.shared), Arc::clone(&name), Arc::clone(&cancelled));
        self.message = Some(Incoming {
            handle: Arc::clone(&self.handle),
            delivery: Some(delivery),
            job: None,
            commit: None,
            cancelled,
            buffer,
            spare: Vec::new(),
            name,
        });
    }
}

impl<F: FileOps> BodySink for MaildirSink<F> {
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply> {
        let shared = &self.handle.shared;
        if shared.poisoned.load(Ordering::Acquire) {
            return Err(storage_reply(&poisoned()));
        }
        let now = SystemTime::now();
        let id = shared.names.next(now);
        let envelope = message.envelope;
        let mut buffer = Vec::with_capacity(1024);
        trace::return_path(envelope.reverse_path().unwrap_or(ReversePath::Null), &mut buffer);
        trace::received(message, &id, now, &mut buffer);
        for recipient in envelope.recipients() {
            // A Vec takes everything; there is no error to hand on.
            let _ = write!(buffer, "X-Envelope-To: {}\r\n", recipient.path);
        }
        self.start(&file_name(&id, message.hostname), buffer);
        Ok(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(message) = &mut self.message else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        if message.buffer.len() >= BUFFER {
            let job = ready!(message.poll_job(cx));
            if let Err(error) = job.and_then(|()| message.start_job()) {
                // A piece is missing now: whoever went on with it all the same would commit the rest as if it were the message.
                self.message = None;
                return Poll::Ready(Err(error));
            }
        }
        let taken = bytes.len().min(BUFFER.saturating_sub(message.buffer.len()));
        message.buffer.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_commit(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        let Some(message) = &mut self.message else {
            return Poll::Ready(Err(storage_reply(&io::ErrorKind::BrokenPipe.into())));
        };
        let result = ready!(message.poll_commit(cx));
        let answer = match result {
            Ok(()) => {
                let text = format!("Stored as {}", message.name);
                Ok(Reply::new(ReplyCode::literal(250), Some(EnhancedCode::literal(2, 0, 0)), text).ok())
            }
            Err(error) => {
                tracing::error!(%error, name = %message.name, "a message could not be stored");
                Err(storage_reply(&error))
            }
        };
        self.message = None;
        Poll::Ready(answer)
    }

    fn abort(&mut self) {
        self.message = None;
    }
}
