//! Which processors the generator has, and which the server that it starts.
//!
//! Over loopback each end wakes the other, and the kernel likes to run whom it wakes where the waker runs: both end up on one processor
//! and wait for each other, while another one is idle. What is measured then is that.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The processors that this process may use, dealt out.
pub(super) struct Split {
    generator: CpuSet,
    server: CpuSet,
}

impl Split {
    /// Gives each thread of the generator a processor, from the last one down, and the server the others. The first one has the
    /// machine's interrupts to handle as a rule, and what delays the generator is in every figure. `None` if there are not enough
    /// for that, or the kernel does not tell.
    pub(super) fn new(generator_threads: usize) -> Option<Self> {
        let all = sched_getaffinity(None).ok()?;
        if generator_threads == 0 || all.count() as usize <= generator_threads {
            return None;
        }
        let (mut generator, mut server) = (CpuSet::new(), CpuSet::new());
        for (i, processor) in (0..CpuSet::MAX_CPU).rev().filter(|&processor| all.is_set(processor)).enumerate() {
            if i < generator_threads { generator.set(processor) } else { server.set(processor) }
        }
        Some(Self { generator, server })
    }

    /// How many processors the server has.
    pub(super) fn server_processors(&self) -> usize {
        self.server.count() as usize
    }

    /// Starts something that is to run on the server's processors, and puts this thread, and those that it will start, on the generator's.
    pub(super) fn start<T>(&self, start: impl FnOnce() -> T) -> T {
        // Where the kernel refuses, all run everywhere, and the verdict tells what came of it.
        let _ = sched_setaffinity(None, &self.server);
        let started = start();
        let _ = sched_setaffinity(None, &self.generator);
        started
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_processor_is_dealt_twice_and_none_is_left_out() {
        let all = sched_getaffinity(None).unwrap();
        for threads in 0..=all.count() as usize {
            let Some(split) = Split::new(threads) else {
                assert!(threads == 0 || threads == all.count() as usize);
                continue;
            };
            assert_eq!(split.generator.count() as usize, threads);
            assert_eq!(split.generator.count() + split.server.count(), all.count());
            for processor in 0..CpuSet::MAX_CPU {
                assert!(!(split.generator.is_set(processor) && split.server.is_set(processor)));
            }
        }
    }

    #[test]
    fn what_is_started_runs_on_the_servers_processors_and_the_rest_on_the_generators() {
        let Some(split) = Split::new(1) else { return };
        // In a thread of its own, whose processors go with it.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let inside = split.start(|| sched_getaffinity(None).unwrap());
                assert_eq!(inside, split.server);
                assert_eq!(sched_getaffinity(None).unwrap(), split.generator);
            });
        });
    }
}
