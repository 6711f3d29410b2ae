//! Threads that store what sessions hand over, a share at a time.
//!
//! They belong to a store and not to a runtime: what waits here comes from sessions of several runtimes, and the end of one of those
//! must not strand the others' messages.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a thread that has nothing to do is kept.
const IDLE: Duration = Duration::from_secs(10);

/// How much is done at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Threads, at the most. They are started as they are needed.
    pub(super) threads: usize,
    /// Jobs that one thread takes at once, at the most.
    pub(super) share: usize,
}

/// Threads, and what waits for them: one job for each session at the most, so that the caps on connections bound it.
pub(super) struct Pool<J: Send + 'static> {
    inner: Arc<Inner<J>>,
}

struct Inner<J> {
    name: &'static str,
    size: Size,
    state: Mutex<State<J>>,
    wake: Condvar,
    run: Box<dyn Fn(Vec<J>) + Send + Sync>,
}

struct State<J> {
    waiting: VecDeque<J>,
    threads: usize,
    /// Threads that sleep.
    idle: usize,
    /// How many of them were woken for a job and don't run yet.
    woken: usize,
    closed: bool,
}

impl<J: Send + 'static> std::fmt::Debug for Pool<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("name", &self.inner.name).field("size", &self.inner.size).finish_non_exhaustive()
    }
}

impl<J: Send + 'static> Pool<J> {
    /// Threads of that name that hand each share of the jobs to `run`, and none as long as there are no jobs. Were `run` to panic, the
    /// share is lost.
    pub(super) fn new(name: &'static str, size: Size, run: impl Fn(Vec<J>) + Send + Sync + 'static) -> Self {
        let state = State { waiting: VecDeque::new(), threads: 0, idle: 0, woken: 0, closed: false };
        let inner = Inner { name, size, state: Mutex::new(state), wake: Condvar::new(), run: Box::new(run) };
        Self { inner: Arc::new(inner) }
    }

    /// Hands over a job. A thread that sleeps takes it at once; while all are busy it waits for the next one.
    ///
    /// # Errors
    ///
    /// The job, if there is no thread and none can be started.
    pub(super) fn submit(&self, job: J) -> Result<(), (J, io::Error)> {
        let mut state = self.inner.lock();
        if state.idle > state.woken {
            state.woken += 1;
            state.waiting.push_back(job);
            self.inner.wake.notify_one();
            return Ok(());
        }
        if state.threads < self.inner.size.threads {
            let inner = Arc::clone(&self.inner);
            match thread::Builder::new().name(self.inner.name.to_owned()).spawn(move || inner.work()) {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => return Err((job, error)),
                // Those that there are will come to it.
                Err(_) => {}
            }
        }
        state.waiting.push_back(job);
        Ok(())
    }
}

impl<J: Send + 'static> Drop for Pool<J> {
    /// The threads end when nothing waits any more.
    fn drop(&mut self) {
        self.inner.lock().closed = true;
        self.inner.wake.notify_all();
    }
}

impl<J> Inner<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(share) = self.next() {
            if catch_unwind(AssertUnwindSafe(|| (self.run)(share))).is_err() {
                tracing::error!(
                    thread = self.name,
                    "a thread that stores messages panicked; what it held is lost and was not acknowledged"
                );
            }
        }
    }

    /// The next share; `None` if the thread is to end. It may be gone meanwhile to someone who takes more.
    fn next(&self) -> Option<Vec<J>> {
        let mut state = self.lock();
        loop {
            if !state.waiting.is_empty() {
                // As many for each thread that there may be: with few jobs each gets a thread, and the disk sees all of them at once.
                let fair = state.waiting.len().div_ceil(self.size.threads);
                let count = fair.min(self.size.share).max(1);
                return Some(state.waiting.drain(..count).collect());
            }
            if state.closed {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            let (guard, timeout) = self.wake.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            state.idle -= 1;
            if state.woken > 0 {
                state.woken -= 1;
            } else if timeout.timed_out() && state.waiting.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// What a thread does with its share: tells of it, and waits until it may go on.
    fn pool(size: Size) -> (Pool<usize>, mpsc::Receiver<Vec<usize>>, mpsc::Sender<()>) {
        let (told, shares) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let run = move |share: Vec<usize>| {
            told.send(share).unwrap();
            // The end of the test is a go for all.
            let _ = wait.lock().unwrap().recv();
        };
        (Pool::new("test", size, run), shares, go)
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn each_job_is_taken_once_and_what_waits_is_shared_out() {
        let (pool, shares, go) = pool(Size { threads: 2, share: 4 });
        for job in 0..20 {
            pool.submit(job).unwrap();
        }
        let mut all = Vec::new();
        while all.len() < 20 {
            let share = shares.recv_timeout(PATIENCE).unwrap();
            assert!((1..=4).contains(&share.len()), "{share:?}");
            all.extend(share);
            go.send(()).unwrap();
        }
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        assert!(pool.inner.lock().threads <= 2);
    }

    #[test]
    fn a_few_jobs_get_a_thread_each() {
        let (pool, shares, _go) = pool(Size { threads: 8, share: 4 });
        for job in 0..8 {
            pool.submit(job).unwrap();
        }
        // No thread goes on: all of them have to be there.
        let mut all: Vec<_> = (0..8).map(|_| shares.recv_timeout(PATIENCE).unwrap()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..8).map(|job| vec![job]).collect::<Vec<_>>());
    }

    #[test]
    fn threads_sleep_and_are_woken_and_end_with_the_pool() {
        let (pool, shares, go) = pool(Size { threads: 4, share: 1 });
        for job in 0..100 {
            pool.submit(job).unwrap();
            assert_eq!(shares.recv_timeout(PATIENCE), Ok(vec![job]));
            go.send(()).unwrap();
        }
        let inner = Arc::clone(&pool.inner);
        pool.submit(100).unwrap();
        drop(pool);
        drop(go);
        assert_eq!(shares.recv_timeout(PATIENCE), Ok(vec![100]), "what was handed over is done first");
        // The sender is in the closure, which ends with the last thread, and with what this test holds.
        while inner.lock().threads > 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_panic_costs_one_share() {
        let (told, done) = mpsc::channel();
        let pool = Pool::new("test", Size { threads: 1, share: 1 }, move |share: Vec<bool>| {
            if share[0] {
                std::panic::resume_unwind(Box::new("as the test wants it"));
            }
            told.send(()).unwrap();
        });
        for panics in [false, true, false] {
            pool.submit(panics).unwrap();
        }
        for _ in 0..2 {
            done.recv_timeout(PATIENCE).unwrap();
        }
    }
}
