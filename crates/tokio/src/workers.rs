//! Threads that each run an event loop of their own.

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::sync::mpsc::{self, UnboundedSender};

type Job = Box<dyn FnOnce() + Send>;

/// Threads of which each runs a single-threaded tokio runtime.
///
/// A connection given to one stays there: no lock is shared and nothing is stolen. Connections are dealt out in turn, so that a few of
/// them are spread as evenly as many. (Listening on one port by several sockets, the other way to spread them, leaves it to a hash: of
/// four connections and two threads, all four go to one thread every eighth time.)
#[derive(Debug)]
pub struct Workers {
    senders: Vec<UnboundedSender<Job>>,
    threads: Vec<JoinHandle<()>>,
    next: AtomicUsize,
}

impl Workers {
    /// Starts so many threads.
    ///
    /// # Errors
    ///
    /// If the system has no thread or no event queue left.
    pub fn new(count: NonZeroUsize) -> io::Result<Self> {
        let mut workers = Self { senders: Vec::new(), threads: Vec::new(), next: AtomicUsize::new(0) };
        for i in 0..count.get() {
            let runtime = Builder::new_current_thread().enable_all().thread_name(format!("ehlo-files-{i}")).build()?;
            // Bounded by the connections that were admitted: one job each.
            let (sender, mut jobs) = mpsc::unbounded_channel::<Job>();
            let thread = std::thread::Builder::new().name(format!("ehlo-worker-{i}")).spawn(move || {
                runtime.block_on(async {
                    while let Some(job) = jobs.recv().await {
                        job();
                    }
                });
            })?;
            workers.senders.push(sender);
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// How many threads there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.senders.len()
    }

    /// Whether there are none; there is always one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }

    /// Makes a future on the next thread, inside of its runtime, and runs it there.
    pub(crate) fn spawn<F>(&self, make: impl FnOnce() -> Option<F> + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.senders.len();
        let job = Box::new(move || {
            if let Some(future) = make() {
                tokio::spawn(future);
            }
        });
        // A thread ends only with the workers. Were it gone, the connection would be closed by being dropped.
        let _ = self.senders[next].send(job);
    }
}

impl Drop for Workers {
    /// Ends the threads. Futures that still run are dropped.
    fn drop(&mut self) {
        self.senders.clear();
        for thread in self.threads.drain(..) {
            // It may have panicked, which was reported where it happened.
            let _ = thread.join();
        }
    }
}
