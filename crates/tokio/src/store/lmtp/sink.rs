//! One connection's messages on their way to the LMTP server.

use std::fmt;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use ehlo_client::codec::BodyType;
use ehlo_server::codec::Reply;

use super::forward::Message;
use super::verdict::{Fate, NOT_8BIT, worst};
use super::{Forward, Shared};
use crate::sink::{BodySink, Commit, MessageContext, storage_reply};
use crate::store::incoming::BUFFER;
use crate::trace;

/// The sink of [`Lmtp`](super::Lmtp).
#[derive(Debug)]
pub struct LmtpSink {
    shared: Arc<Shared>,
    message: Option<Outgoing>,
}

/// What is sending, and gives back the message and the buffer when it is done.
type Job = Pin<Box<dyn Future<Output = (Forward, Vec<u8>)> + Send>>;

/// A message that comes in and goes out.
struct Outgoing {
    /// The recipients' addresses.
    addresses: Vec<String>,
    /// `None` while a job has it.
    forward: Option<Forward>,
    job: Option<Job>,
    committing: bool,
    /// Gathers what comes in.
    buffer: Vec<u8>,
    /// The other buffer, unless a job has it.
    spare: Vec<u8>,
}

impl fmt::Debug for Outgoing {
    /// Without the bytes of the message, which are not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("recipients", &self.addresses.len())
            .field("buffered_bytes", &self.buffer.len())
            .field("committing", &self.committing)
            .finish_non_exhaustive()
    }
}

impl Outgoing {
    /// Waits for the job, if there is one.
    fn poll_job(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(job) = &mut self.job {
            let (forward, mut buffer) = ready!(job.as_mut().poll(cx));
            buffer.clear();
            (self.job, self.forward, self.spare) = (None, Some(forward), buffer);
        }
        Poll::Ready(())
    }

    /// Sends the buffer, and with `last` the end of the message. There must be no job.
    fn start_job(&mut self, last: bool) {
        let Some(mut forward) = self.forward.take() else { return };
        let buffer = mem::replace(&mut self.buffer, mem::take(&mut self.spare));
        self.job = Some(Box::pin(async move {
            forward.write(&buffer).await;
            if last {
                forward.finish().await;
            }
            (forward, buffer)
        }));
    }
}

impl LmtpSink {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, message: None }
    }

    /// What becomes of each recipient, and their addresses.
    fn poll_fates(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Vec<Fate>, Vec<String>)>> {
        let Some(message) = &mut self.message else { return Poll::Ready(None) };
        ready!(message.poll_job(cx));
        if !mem::replace(&mut message.committing, true) {
            message.start_job(true);
            ready!(message.poll_job(cx));
        }
        let Some(Outgoing { addresses, forward, .. }) = self.message.take() else { return Poll::Ready(None) };
        Poll::Ready(forward.map(|forward| (forward.into_fates(), addresses)))
    }
}

/// The answer where there is no message.
fn no_message() -> Reply {
    storage_reply(&io::ErrorKind::BrokenPipe.into())
}

impl BodySink for LmtpSink {
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply> {
        const NO_TLS: Reply = Reply::fixed(550, Some((5, 7, 30)), "REQUIRETLS support required");
        let envelope = message.envelope;
        if envelope.mail_params().require_tls() {
            return Err(NO_TLS);
        }
        if envelope.body_type() == BodyType::BinaryMime {
            return Err(NOT_8BIT);
        }
        let now = SystemTime::now();
        let name = self.shared.names.next(now);
        let mut buffer = Vec::with_capacity(1024);
        trace::received(message, &name, now, &mut buffer);
        let recipients = || envelope.recipients().map(|recipient| recipient.path);
        let outgoing = Message {
            name,
            from: envelope.reverse_path_text().to_owned(),
            to: recipients().map(|path| format!("<{}>", path.as_str())).collect(),
            size: envelope.declared_size().map(|size| size.saturating_add(buffer.len() as u64)),
            body: envelope.body_type(),
            utf8: envelope.is_smtputf8(),
            each: message.protocol == ehlo_server::Protocol::Lmtp,
        };
        self.message = Some(Outgoing {
            addresses: recipients().map(|path| path.as_str().to_owned()).collect(),
            forward: Some(Forward::new(Arc::clone(&self.shared), outgoing)),
            job: None,
            committing: false,
            buffer,
            spare: Vec::new(),
        });
        Ok(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(message) = &mut self.message else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        if message.buffer.len() >= BUFFER {
            ready!(message.poll_job(cx));
            message.start_job(false);
        }
        let taken = bytes.len().min(BUFFER.saturating_sub(message.buffer.len()));
        message.buffer.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_commit(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        let decided = ready!(self.poll_fates(cx));
        Poll::Ready(decided.map_or_else(|| Err(no_message()), |(fates, addresses)| worst(fates, &addresses)))
    }

    fn poll_commit_each(&mut self, cx: &mut Context<'_>) -> Poll<Commit> {
        Poll::Ready(match ready!(self.poll_fates(cx)) {
            Some((fates, _)) => Commit::Each(fates.into_iter().map(|fate| fate.map(|()| None)).collect()),
            None => Commit::Same(Err(no_message())),
        })
    }

    fn abort(&mut self) {
        self.message = None;
    }
}
