//! What the operating system tells about CPU time, and the limits it sets.

use crate::RunError;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Length of a clock tick in /proc/PID/stat: USER_HZ, which Linux fixes at 100 per second for user space.
const TICK: Duration = Duration::from_millis(10);
/// What a process may have used beside its tasks' own accounts without exited threads being suspected.
const TICK_ERROR: Duration = Duration::from_millis(30);

/// CPU time of the calling thread.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Time that the calling thread was ready to run and had no core.
pub(crate) fn thread_run_queue_wait() -> Option<Duration> {
    schedstat(&fs::read_to_string("/proc/thread-self/schedstat").ok()?).map(|(_, wait)| wait)
}

/// CPU time and wait for a core. `None` where the kernel keeps no such account (all zero, though the thread runs).
fn schedstat(text: &str) -> Option<(Duration, Duration)> {
    let mut numbers = text.split_ascii_whitespace().map(|n| n.parse().ok());
    let (cpu, wait) = (numbers.next()??, numbers.next()??);
    Some((Duration::from_nanos(cpu), Duration::from_nanos(wait)))
}

/// All CPU time of the machine and what of it the hypervisor took, in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    total: u64,
    steal: u64,
}

impl Machine {
    pub(crate) fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|l| l.strip_prefix("cpu "))?;
        // user nice system idle iowait irq softirq steal; guest time, which follows, is in user and nice already.
        let fields: Vec<u64> = line.split_ascii_whitespace().map_while(|n| n.parse().ok()).take(8).collect();
        (fields.len() == 8).then(|| Self { total: fields.iter().sum(), steal: fields[7] })
    }

    /// Share of the machine's time that was taken since `before`, 0 to 1.
    pub(crate) fn steal_since(self, before: Self) -> Option<f64> {
        let total = self.total.checked_sub(before.total).filter(|t| *t > 0)?;
        Some(self.steal.saturating_sub(before.steal) as f64 / total as f64)
    }
}

/// CPU time of a process at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    tasks: BTreeMap<u32, Duration>,
    whole: Duration,
}

impl Process {
    pub(crate) fn read(pid: u32) -> Option<Self> {
        let whole = Self::parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        let mut tasks = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            // A thread that ends meanwhile is missing from the sum and found by the other account.
            let Some(tid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
            let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
            if let Some((cpu, _)) = schedstat(&text) {
                tasks.insert(tid, cpu);
            }
        }
        Some(Self { tasks, whole })
    }

    /// utime and stime: fields 14 and 15 (proc_pid_stat(5)), counted behind the command's name, which may contain anything.
    fn parse_stat(text: &str) -> Option<Duration> {
        let (_, fields) = text.rsplit_once(") ")?;
        let mut fields = fields.split_ascii_whitespace().skip(11);
        let ticks = fields.next()?.parse::<u32>().ok()?.checked_add(fields.next()?.parse().ok()?)?;
        Some(TICK * ticks)
    }

    /// CPU time used since `before`.
    ///
    /// The tasks' accounts are exact to the nanosecond and forget threads that have ended; the process's is exact to a tick only
    /// and forgets none. The former is taken unless the latter shows that something is missing.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        let spent =
            |(tid, cpu): (&u32, &Duration)| cpu.saturating_sub(before.tasks.get(tid).copied().unwrap_or_default());
        let tasks: Duration = self.tasks.iter().map(spent).sum();
        let whole = self.whole.saturating_sub(before.whole);
        if whole > tasks + TICK_ERROR + whole / 50 { whole } else { tasks }
    }
}

/// First and last of the ports that the system gives to outgoing connections.
pub(crate) fn local_ports() -> (u16, u16) {
    // The default of Linux.
    const USUAL: (u16, u16) = (32_768, 60_999);
    let read = || {
        let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
        let mut numbers = text.split_ascii_whitespace().map(|n| n.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    };
    read().unwrap_or(USUAL)
}

/// Raises the soft limit of file descriptors to what is needed, as far as the hard limit allows.
pub(crate) fn raise_descriptors(connections: usize, threads: usize) -> Result<(), RunError> {
    /// For files that are opened in passing.
    const SPARE: u64 = 32;
    /// A poll, a timer and a waker.
    const PER_THREAD: u64 = 4;
    let open = fs::read_dir("/proc/self/fd").map_or(SPARE, |dir| dir.count() as u64);
    let needed = connections as u64 + threads as u64 * PER_THREAD + open + SPARE;
    let limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|l| l >= needed);
    if enough(limit.current) {
        return Ok(());
    }
    if enough(limit.maximum) {
        let raised = Rlimit { current: Some(needed), maximum: limit.maximum };
        return setrlimit(Resource::Nofile, raised).map_err(|e| RunError::os("raise RLIMIT_NOFILE")(e.into()));
    }
    let value = limit.maximum.unwrap_or(0);
    let possible = value.saturating_sub(needed - connections as u64);
    Err(RunError::Limit {
        what: "the hard limit of open files (RLIMIT_NOFILE)",
        value,
        needed,
        remedy: format!(
            "raise it (ulimit -Hn {needed}, or LimitNOFILE= of the service), or use at most {possible} connections"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_a_share_of_all_time() {
        let before = Machine::parse("cpu  10 0 10 80 0 0 0 0 0 0\ncpu0 1 1\n").unwrap();
        let after = Machine::parse("cpu  20 0 20 150 0 0 0 10 5 5\n").unwrap();
        assert_eq!(after.steal_since(before), Some(0.1));
        assert_eq!(after.steal_since(after), None);
        assert!(Machine::parse("cpu  1 2 3").is_none());
    }

    #[test]
    fn a_command_name_cannot_confuse_the_process_account() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 12 30 0 0 20 0 1 0 5 0 0";
        assert_eq!(Process::parse_stat(stat), Some(Duration::from_millis(420)));
    }

    #[test]
    fn threads_that_ended_are_found_in_the_process_account() {
        let at = |tasks: &[(u32, u64)], whole| Process {
            tasks: tasks.iter().map(|&(tid, ms)| (tid, Duration::from_millis(ms))).collect(),
            whole: Duration::from_millis(whole),
        };
        let before = at(&[(1, 100), (2, 500)], 600);
        assert_eq!(at(&[(1, 150), (2, 500), (3, 7)], 660).since(&before), Duration::from_millis(57));
        assert_eq!(at(&[(1, 150)], 1600).since(&before), Duration::from_millis(1000));
    }

    #[test]
    fn this_process_has_used_cpu_time() {
        let before = Process::read(std::process::id()).unwrap();
        let start = thread_cpu();
        let mut sum = 0_u64;
        while thread_cpu() - start < Duration::from_millis(20) {
            sum = std::hint::black_box(sum + 1);
        }
        let spent = Process::read(std::process::id()).unwrap().since(&before);
        assert!(spent >= Duration::from_millis(10), "{spent:?}");
    }

    #[test]
    fn a_limit_of_descriptors_that_is_too_low_is_named_with_a_remedy() {
        let error = raise_descriptors(usize::MAX / 4, 1).unwrap_err().to_string();
        assert!(error.contains("RLIMIT_NOFILE") && error.contains("ulimit -Hn"), "{error}");
    }
}
