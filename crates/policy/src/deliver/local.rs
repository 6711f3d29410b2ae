//! A message that comes in for maildirs: gathered in a buffer, written by blocking threads.

use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use ehlo_tokio::store::FileOps;
use tokio::task::{JoinHandle, spawn_blocking};

use super::files::{Files, Folder, Maildirs};

/// Octets of a message that are gathered before they are written. A message holds two such buffers at the most.
const BUFFER: usize = 64 * 1024;

/// What a blocking thread gives back: the files, a buffer that can be used again, and how it went.
type Done<F> = (Files<F>, Vec<u8>, io::Result<()>);

/// A message on its way into some maildirs.
pub(super) struct Local<F: FileOps> {
    /// `None` while a job has them.
    files: Option<Files<F>>,
    job: Option<JoinHandle<Done<F>>>,
    cancelled: Arc<AtomicBool>,
    buffer: Vec<u8>,
    spare: Vec<u8>,
}

impl<F: FileOps> Local<F> {
    pub(super) fn new(maildirs: Arc<Maildirs<F>>, folders: Vec<Folder>, name: String) -> Self {
        let cancelled = Arc::new(AtomicBool::new(false));
        let files = Files::new(maildirs, folders, name, Arc::clone(&cancelled));
        Self { files: Some(files), job: None, cancelled, buffer: Vec::new(), spare: Vec::new() }
    }

    fn poll_job(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(job) = &mut self.job else { return Poll::Ready(Ok(())) };
        let done = ready!(Pin::new(job).poll(cx));
        self.job = None;
        Poll::Ready(match done {
            Ok((files, buffer, result)) => {
                self.files = Some(files);
                self.spare = buffer;
                result
            }
            // It panicked, or the runtime is shutting down.
            Err(error) => Err(io::Error::other(error)),
        })
    }

    /// Has a blocking thread write what was gathered, and do that. There must be no job.
    fn start(&mut self, then: impl FnOnce(&mut Files<F>) -> io::Result<()> + Send + 'static) -> io::Result<()> {
        let Some(mut files) = self.files.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let mut buffer = mem::replace(&mut self.buffer, mem::take(&mut self.spare));
        self.job = Some(spawn_blocking(move || {
            let mut result = if buffer.is_empty() { Ok(()) } else { files.write(&buffer) };
            if result.is_ok() {
                result = then(&mut files);
            }
            if result.is_err() {
                files.undo();
            }
            buffer.clear();
            (files, buffer, result)
        }));
        Ok(())
    }

    /// Takes octets of the message; gives how many.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.buffer.len() >= BUFFER {
            ready!(self.poll_job(cx))?;
            self.start(|_| Ok(()))?;
        }
        let taken = bytes.len().min(BUFFER.saturating_sub(self.buffer.len()));
        self.buffer.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    async fn job(&mut self, then: impl FnOnce(&mut Files<F>) -> io::Result<()> + Send + 'static) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_job(cx)).await?;
        self.start(then)?;
        std::future::poll_fn(|cx| self.poll_job(cx)).await
    }

    /// Makes it last, without being seen, in those of the maildirs.
    pub(super) async fn prepare(&mut self, wanted: Vec<bool>) -> io::Result<()> {
        self.job(move |files| {
            // A message may well be empty.
            files.write(&[])?;
            files.prepare(&wanted)
        })
        .await
    }

    /// Makes it seen, and makes that last.
    pub(super) async fn publish(&mut self) -> io::Result<()> {
        self.job(Files::publish).await
    }
}

impl<F: FileOps> Drop for Local<F> {
    fn drop(&mut self) {
        // A job sees this and drops its files, which removes them. Files that are here are dropped by a blocking thread, for the same
        // reason that everything else runs there.
        self.cancelled.store(true, Ordering::Release);
        if let Some(files) = self.files.take()
            && files.has_any()
        {
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(move || drop(files))),
                Err(_) => drop(files),
            }
        }
    }
}
