//! A maildir: a file for each message.

mod delivery;
mod files;

use std::fmt;
use std::io::{self, Write as _};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{SystemTime, UNIX_EPOCH};

use ehlo_server::codec::{EnhancedCode, Reply, ReplyCode, ReversePath};
use tokio::task::{JoinHandle, spawn_blocking};

use self::delivery::Delivery;
pub use self::files::{FileOps, StdFiles};
use super::Store;
use crate::sink::{BodySink, MessageContext, storage_reply};
use crate::trace;

/// Bytes of a message that are gathered before they are written to its file. A connection holds two such buffers at the most, and none
/// when no message is coming in.
const BUFFER: usize = 64 * 1024;

/// Puts every message, whoever its recipients are, as a file into one maildir: a catch-all mailbox.
///
/// A message is written to `tmp/`, synced, renamed into `new/`, and the directory is synced; only then is it acknowledged. A power cut
/// at any moment leaves either no message, or the whole message and perhaps no reply. When a sync fails, the file is removed and the
/// message deferred: a file whose sync failed once is never trusted, for a second sync may well report success without having written
/// anything. A message that ends early leaves nothing. After a crash, files may remain in `tmp/`; by the rules of maildir whoever cleans
/// up may remove those older than 36 hours.
///
/// The file holds, with CRLF line ends throughout: `Return-Path` and `Received` as RFC 5321 §4.4 asks for a final delivery, an
/// `X-Envelope-To` for each recipient that was accepted, and the message as it was sent. The recipients stand there, blind copies
/// included, because nothing else tells for whom a message in a catch-all mailbox is: keep it from readers who mustn't know.
///
/// All file operations run on tokio's blocking threads. While they fall behind, the peer is made to wait.
#[derive(Debug)]
pub struct Maildir<F: FileOps = StdFiles> {
    shared: Arc<Shared<F>>,
}

impl<F: FileOps> Clone for Maildir<F> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

#[derive(Debug)]
struct Shared<F> {
    files: F,
    tmp: PathBuf,
    new: PathBuf,
    names: Names,
}

impl Maildir {
    /// The maildir at this path. It and its three directories are created if they aren't there. This call blocks.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::with_files(path, StdFiles)
    }
}

impl<F: FileOps> Maildir<F> {
    /// The maildir at this path of that file system.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn with_files(path: impl AsRef<Path>, files: F) -> io::Result<Self> {
        let path = path.as_ref();
        let [tmp, new, cur] = ["tmp", "new", "cur"].map(|name| path.join(name));
        for directory in [path, &tmp, &new, &cur] {
            files.create_dir(directory)?;
        }
        sync_entries(&files, path)?;
        Ok(Self { shared: Arc::new(Shared { files, tmp, new, names: Names::new() }) })
    }
}

/// Makes the maildir's place in the file system last. A directory that is there already may have been made by a process that was killed
/// before it synced it: mail that is accepted into it would be gone with it at the next power cut.
fn sync_entries(files: &impl FileOps, path: &Path) -> io::Result<()> {
    files.sync_dir(path)?;
    let path = std::path::absolute(path)?;
    for (height, directory) in path.ancestors().skip(1).enumerate() {
        match files.sync_dir(directory) {
            Ok(()) => {}
            // Whoever may not read it has not made anything in it lately, or can't do better.
            Err(error) if height > 0 || error.kind() == io::ErrorKind::PermissionDenied => {
                tracing::debug!(%error, path = %directory.display(), "a directory above the maildir was not synced");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl<F: FileOps> Store for Maildir<F> {
    type Sink = MaildirSink<F>;

    fn sink(&self) -> MaildirSink<F> {
        MaildirSink { shared: Arc::clone(&self.shared), message: None }
    }
}

/// Makes file names that no other message of this maildir has: the time, the process, a counter, and a number drawn at its start
/// against a clock that was set back and a process id that was used before.
#[derive(Debug)]
struct Names {
    count: AtomicU64,
    process: u32,
    random: u32,
}

impl Names {
    fn new() -> Self {
        use std::hash::{BuildHasher as _, RandomState};
        // The hasher's keys are the standard library's only source of randomness.
        let random = RandomState::new().hash_one(()) as u32;
        Self { count: AtomicU64::new(0), process: std::process::id(), random }
    }

    /// What makes the name of a file, and is the id of its message.
    fn next(&self, now: SystemTime) -> String {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{}.M{}P{}R{:08x}Q{count}", since.as_secs(), since.subsec_micros(), self.process, self.random)
    }
}

/// The name of a message's file. The server's name is the last part of it, by custom.
fn file_name(id: &str, hostname: &str) -> String {
    // It may not hold a slash, which would make a path of it, nor a colon, which begins the flags.
    format!("{id}.{}", hostname.replace(['/', ':'], "_"))
}

/// The sink of [`Maildir`].
#[derive(Debug)]
pub struct MaildirSink<F: FileOps = StdFiles> {
    shared: Arc<Shared<F>>,
    message: Option<Incoming<F>>,
}

/// What a blocking thread gives back: the file, a buffer that can be used again, and how it went.
type Done<F> = (Delivery<F>, Vec<u8>, io::Result<()>);

/// A message that is coming in.
struct Incoming<F: FileOps> {
    /// `None` while a job has it.
    delivery: Option<Delivery<F>>,
    job: Option<JoinHandle<Done<F>>>,
    committing: bool,
    cancelled: Arc<AtomicBool>,
    /// Gathers what comes in.
    buffer: Vec<u8>,
    /// The other buffer, unless a job has it.
    spare: Vec<u8>,
    name: String,
}

impl<F: FileOps> fmt::Debug for Incoming<F> {
    /// Without the bytes of the message, which are not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("name", &self.name)
            .field("buffered_bytes", &self.buffer.len())
            .field("committing", &self.committing)
            .finish_non_exhaustive()
    }
}

impl<F: FileOps> Incoming<F> {
    /// Waits for the job, if there is one.
    fn poll_job(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(job) = &mut self.job else { return Poll::Ready(Ok(())) };
        let done = ready!(std::pin::Pin::new(job).poll(cx));
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
    fn start_job(&mut self, commit: bool) -> io::Result<()> {
        let Some(mut delivery) = self.delivery.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let mut buffer = mem::replace(&mut self.buffer, mem::take(&mut self.spare));
        self.job = Some(spawn_blocking(move || {
            let mut result = delivery.write(&buffer);
            if commit && result.is_ok() {
                result = delivery.commit();
            }
            if result.is_err() {
                delivery.undo();
            }
            buffer.clear();
            (delivery, buffer, result)
        }));
        Ok(())
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
    /// Begins a message of that name, with what comes before its body.
    fn start(&mut self, name: String, buffer: Vec<u8>) {
        let cancelled = Arc::new(AtomicBool::new(false));
        self.message = Some(Incoming {
            delivery: Some(Delivery::new(Arc::clone(&self.shared), &name, Arc::clone(&cancelled))),
            job: None,
            committing: false,
            cancelled,
            buffer,
            spare: Vec::new(),
            name,
        });
    }
}

impl<F: FileOps> BodySink for MaildirSink<F> {
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply> {
        let now = SystemTime::now();
        let id = self.shared.names.next(now);
        let envelope = message.envelope;
        let mut buffer = Vec::with_capacity(1024);
        trace::return_path(envelope.reverse_path().unwrap_or(ReversePath::Null), &mut buffer);
        trace::received(message, &id, now, &mut buffer);
        for recipient in envelope.recipients() {
            // A Vec takes everything; there is no error to hand on.
            let _ = write!(buffer, "X-Envelope-To: {}\r\n", recipient.path);
        }
        self.start(file_name(&id, message.hostname), buffer);
        Ok(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(message) = &mut self.message else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        if message.buffer.len() >= BUFFER {
            let job = ready!(message.poll_job(cx));
            if let Err(error) = job.and_then(|()| message.start_job(false)) {
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
        let mut result = ready!(message.poll_job(cx));
        if result.is_ok() && !message.committing {
            message.committing = true;
            result = message.start_job(true);
            if result.is_ok() {
                result = ready!(message.poll_job(cx));
            }
        }
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

#[cfg(test)]
mod tests;
