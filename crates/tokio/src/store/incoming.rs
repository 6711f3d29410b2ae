//! A message on its way from a connection to a file.

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

use super::pool::Pool;
use crate::sink::{MessageContext, storage_reply};
use crate::trace;

/// Bytes of a message that are gathered before they are written to its file. A connection holds two such buffers at the most, and none
/// when no message is coming in.
pub(super) const BUFFER: usize = 64 * 1024;

/// Where the bytes of one message go before it is committed. All methods block. Dropped, it leaves nothing.
pub(super) trait Deposit: Send + 'static {
    /// Appends; the file is made first if need be.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Removes whatever was made.
    fn undo(&mut self);

    /// Whether there is anything to remove.
    fn is_made(&self) -> bool;
}

/// Set when nobody wants a message any more.
#[derive(Clone, Debug, Default)]
pub(super) struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Fails if nobody wants the message any more.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Acquire) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

/// A message that is whole, and whose session waits for its commit.
#[derive(Debug)]
pub(super) struct Finished<D> {
    pub(super) deposit: D,
    /// The end of the message, or all of it: what isn't written yet.
    pub(super) rest: Vec<u8>,
    answer: oneshot::Sender<io::Result<()>>,
}

impl<D: Deposit> Finished<D> {
    /// Nothing of it remains, and the session hears why.
    pub(super) fn fail(mut self, error: io::Error) {
        self.deposit.undo();
        self.answer(Err(error));
    }

    /// The session may be gone. Then the message stays all the same, if it was stored: its client has heard nothing else.
    pub(super) fn answer(self, result: io::Result<()>) {
        let _ = self.answer.send(result);
    }
}

/// What a blocking thread gives back: the file, a buffer that can be used again, and how it went.
type Done<D> = (D, Vec<u8>, io::Result<()>);

/// A message that is coming in.
pub(super) struct Incoming<D: Deposit> {
    name: Arc<str>,
    /// `None` while a job or the commit has it.
    deposit: Option<D>,
    job: Option<JoinHandle<Done<D>>>,
    /// What becomes of the message, once it was handed over.
    commit: Option<oneshot::Receiver<io::Result<()>>>,
    cancelled: Cancelled,
    /// Gathers what comes in.
    pub(super) buffer: Vec<u8>,
    /// The other buffer, unless a job has it.
    pub(super) spare: Vec<u8>,
}

impl<D: Deposit> fmt::Debug for Incoming<D> {
    /// Without the bytes of the message, which are not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("name", &self.name)
            .field("buffered_bytes", &self.buffer.len())
            .field("committing", &self.commit.is_some())
            .finish_non_exhaustive()
    }
}

impl<D: Deposit> Incoming<D> {
    /// A message of that name, with what comes before its body, and where it goes.
    pub(super) fn new(name: Arc<str>, buffer: Vec<u8>, cancelled: Cancelled, deposit: D) -> Self {
        Self { name, deposit: Some(deposit), job: None, commit: None, cancelled, buffer, spare: Vec::new() }
    }

    /// How many bytes the buffer takes, which is at least one. After an error a piece is missing, and the message must be dropped: whoever
    /// went on with it all the same would commit the rest as if it were the message.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.len() >= BUFFER {
            ready!(self.poll_job(cx))?;
            self.start_job()?;
        }
        Poll::Ready(Ok(BUFFER - self.buffer.len()))
    }

    /// Everything behind the last byte.
    pub(super) fn poll_commit(
        &mut self,
        cx: &mut Context<'_>,
        pool: &Pool<Finished<D>>,
    ) -> Poll<Result<Option<Reply>, Reply>> {
        let result = ready!(self.poll_stored(cx, pool));
        Poll::Ready(match result {
            Ok(()) => {
                let text = format!("Stored as {}", self.name);
                Ok(Reply::new(ReplyCode::literal(250), Some(EnhancedCode::literal(2, 0, 0)), text).ok())
            }
            Err(error) => {
                tracing::error!(%error, name = %self.name, "a message could not be stored");
                Err(storage_reply(&error))
            }
        })
    }

    fn poll_stored(&mut self, cx: &mut Context<'_>, pool: &Pool<Finished<D>>) -> Poll<io::Result<()>> {
        if self.commit.is_none() {
            ready!(self.poll_job(cx))?;
            self.start_commit(pool)?;
        }
        let Some(commit) = &mut self.commit else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        let answer = ready!(Pin::new(commit).poll(cx));
        // Without one, the thread that had the message panicked.
        Poll::Ready(answer.unwrap_or_else(|lost| Err(io::Error::other(lost))))
    }

    /// Waits for the job, if there is one.
    fn poll_job(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(job) = &mut self.job else { return Poll::Ready(Ok(())) };
        let done = ready!(Pin::new(job).poll(cx));
        self.job = None;
        Poll::Ready(match done {
            Ok((deposit, buffer, result)) => {
                self.deposit = Some(deposit);
                self.spare = buffer;
                result
            }
            // It panicked, or the runtime is shutting down.
            Err(error) => Err(io::Error::other(error)),
        })
    }

    /// Hands the buffer to a blocking thread. There must be no job.
    fn start_job(&mut self) -> io::Result<()> {
        let Some(mut deposit) = self.deposit.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let mut buffer = mem::replace(&mut self.buffer, mem::take(&mut self.spare));
        self.job = Some(spawn_blocking(move || {
            let result = deposit.write(&buffer);
            if result.is_err() {
                deposit.undo();
            }
            buffer.clear();
            (deposit, buffer, result)
        }));
        Ok(())
    }

    /// Hands the message over to be committed. There must be no job.
    fn start_commit(&mut self, pool: &Pool<Finished<D>>) -> io::Result<()> {
        let Some(deposit) = self.deposit.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let (answer, commit) = oneshot::channel();
        let finished = Finished { deposit, rest: mem::take(&mut self.buffer), answer };
        pool.submit(finished).map_err(|(finished, error)| {
            self.deposit = Some(finished.deposit);
            error
        })?;
        self.commit = Some(commit);
        Ok(())
    }
}

impl<D: Deposit> Drop for Incoming<D> {
    fn drop(&mut self) {
        // A thread that has the deposit sees this and drops it. One that is here is dropped by a blocking thread, for the same reason that
        // everything else runs there.
        self.cancelled.set();
        if let Some(deposit) = self.deposit.take()
            && deposit.is_made()
        {
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(move || drop(deposit))),
                Err(_) => drop(deposit),
            }
        }
    }
}

/// What stands in front of a message that is delivered into a mailbox of everybody's: the fields that RFC 5321 §4.4 asks for, and for whom
/// it is.
pub(super) fn delivery_fields(message: &MessageContext<'_>, id: &str, now: SystemTime) -> Vec<u8> {
    let envelope = message.envelope;
    let mut fields = Vec::with_capacity(1024);
    trace::return_path(envelope.reverse_path().unwrap_or(ReversePath::Null), &mut fields);
    trace::received(message, id, now, &mut fields);
    for recipient in envelope.recipients() {
        // A Vec takes everything; there is no error to hand on.
        let _ = write!(fields, "X-Envelope-To: {}\r\n", recipient.path);
    }
    fields
}
