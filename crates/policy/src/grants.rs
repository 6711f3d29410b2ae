//! Addresses that may relay for a while, in the manner of POP before SMTP: whoever knows that a user is at an address writes it into a
//! file, and the server reads that.
//!
//! A line of the file is an address, a space, and the end of the grant in seconds since 1970. Other lines are left out and counted. The file
//! is believed as little as can be: it must be a regular file that not everybody may write, a line is short, there is a most of lines, and
//! no grant reaches further into the future than the server's own limit.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Octets of a file that are read; what stands behind them counts for nothing.
const MAX_FILE: u64 = 1024 * 1024;

/// Grants that are kept.
const MAX_GRANTS: usize = 20_000;

/// How long the file is not looked at again.
const FRESH: Duration = Duration::from_millis(500);

/// The first line of a file that [`grant`] writes.
const HEADER: &str =
    "# Addresses that may relay, each with the end of that in seconds since 1970. Written by `ehlo grant`.\n";

/// What a file grants.
#[derive(Debug)]
pub(crate) struct Grants {
    path: PathBuf,
    longest: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    looked: Option<Instant>,
    /// Which version of the file was read: its number, length and time of change.
    version: Option<(u64, u64, i64, i64)>,
    until: HashMap<IpAddr, SystemTime>,
}

impl Grants {
    pub(crate) fn new(path: &Path, longest: Duration) -> Self {
        Self { path: path.to_owned(), longest, state: Mutex::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the file was looked at lately.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.lock().looked.is_some_and(|looked| now.saturating_duration_since(looked) < FRESH)
    }

    /// Reads the file if it has changed. Blocks. Without a file that can be believed nobody is granted anything.
    pub(crate) fn refresh(&self, now: Instant) {
        let known = self.lock().version;
        let found = open(&self.path).and_then(|(file, version)| {
            if Some(version) == known {
                return Ok(None);
            }
            let mut text = Vec::new();
            file.take(MAX_FILE).read_to_end(&mut text)?;
            Ok(Some((version, parse(&text))))
        });
        let mut state = self.lock();
        state.looked = Some(now);
        match found {
            Ok(None) => {}
            Ok(Some((version, (until, bad)))) => {
                if bad > 0 {
                    tracing::warn!(file = %self.path.display(), bad, "lines of the grants are none, and were left out");
                }
                (state.version, state.until) = (Some(version), until);
            }
            Err(error) => {
                // Before the first grant there is no file.
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(file = %self.path.display(), %error, "the grants are not believed");
                }
                (state.version, state.until) = (None, HashMap::new());
            }
        }
    }

    /// Whether the address may relay at that time.
    pub(crate) fn allow(&self, address: IpAddr, time: SystemTime) -> bool {
        let until = self.lock().until.get(&address.to_canonical()).copied();
        // One that ends later than any could was not made by whoever keeps to the rules.
        until.is_some_and(|until| time < until && until.duration_since(time).is_ok_and(|left| left <= self.longest))
    }
}

/// Opens the file, if it can be believed, without waiting for anything.
fn open(path: &Path) -> io::Result<(File, (u64, u64, i64, i64))> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    if metadata.mode() & 0o002 != 0 {
        return Err(io::Error::other("everybody may write it"));
    }
    Ok((file, (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec())))
}

/// The grants of a text, and how many lines are none.
fn parse(text: &[u8]) -> (HashMap<IpAddr, SystemTime>, usize) {
    let (mut until, mut bad) = (HashMap::new(), 0);
    for line in text.split(|&byte| byte == b'\n') {
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        match parse_line(line) {
            Some((address, end)) if until.len() < MAX_GRANTS || until.contains_key(&address) => {
                // Of two the later one counts: a grant is made longer by another.
                let known = until.entry(address).or_insert(end);
                *known = end.max(*known);
            }
            _ => bad += 1,
        }
    }
    (until, bad)
}

fn parse_line(line: &[u8]) -> Option<(IpAddr, SystemTime)> {
    let (address, end) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let address: IpAddr = address.parse().ok()?;
    let seconds = Some(end).filter(|end| end.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
    Some((address.to_canonical(), UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?))
}

/// Lets an address relay for so long from now on, or no more if that is no time. Grants that are over are thrown out of the file. Blocks.
///
/// The file is replaced as a whole, and only one program at a time does so: none is lost, and no reader sees a half of it.
///
/// # Errors
///
/// What the file system says, and a file that cannot be believed: nothing was changed then.
pub fn grant(path: &Path, address: IpAddr, time: Duration, now: SystemTime) -> io::Result<()> {
    let beside = |suffix: &str| {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(suffix);
        path.with_file_name(name)
    };
    let private = |options: &mut OpenOptions, path: &Path| options.mode(0o640).open(path);
    // The lock is a file of its own, since the other one is replaced. It goes with this program.
    let lock = private(OpenOptions::new().write(true).create(true).truncate(false), &beside(".lock"))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    let mut until = match open(path) {
        Ok((file, _)) => {
            let mut text = Vec::new();
            file.take(MAX_FILE).read_to_end(&mut text)?;
            parse(&text).0
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
        Err(error) => return Err(error),
    };
    let address = address.to_canonical();
    until.retain(|_, end| *end > now);
    if time.is_zero() {
        until.remove(&address);
    } else {
        let end = now.checked_add(time).ok_or(io::ErrorKind::InvalidInput)?;
        until.insert(address, end);
    }
    if until.len() > MAX_GRANTS {
        return Err(io::Error::other(format!("there are {MAX_GRANTS} grants already")));
    }
    let mut text = HEADER.to_owned();
    let mut lines: Vec<_> = until.into_iter().collect();
    lines.sort();
    for (address, end) in lines {
        // Rounded up: a grant lasts for as long as was said.
        let seconds = end.duration_since(UNIX_EPOCH).unwrap_or_default() + Duration::from_nanos(999_999_999);
        // A String takes everything; there is no error to hand on.
        let _ = writeln!(text, "{address} {}", seconds.as_secs());
    }
    let new = beside(".new");
    let mut file = private(OpenOptions::new().write(true).create(true).truncate(true), &new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;
    use std::os::unix::fs::PermissionsExt as _;

    const MINUTE: Duration = Duration::from_secs(60);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn read(path: &Path) -> Grants {
        let grants = Grants::new(path, 60 * MINUTE);
        grants.refresh(Instant::now());
        grants
    }

    #[test]
    fn a_grant_ends_when_its_time_is_over() {
        let folder = Folder::new();
        let (path, now) = (folder.path("grants"), UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        grant(&path, ip("192.0.2.7"), 30 * MINUTE, now).unwrap();
        grant(&path, ip("::ffff:192.0.2.8"), 10 * MINUTE, now).unwrap();
        let grants = read(&path);
        for (address, minutes, allowed) in [
            ("192.0.2.7", 0, true),
            ("192.0.2.7", 29, true),
            ("192.0.2.7", 30, false),
            ("192.0.2.8", 9, true),
            ("::ffff:192.0.2.8", 10, false),
            ("192.0.2.9", 0, false),
        ] {
            assert_eq!(grants.allow(ip(address), now + minutes * MINUTE), allowed, "{address} after {minutes} minutes");
        }
        // Another grant throws out those that are over, makes one longer, and takes one back.
        grant(&path, ip("192.0.2.7"), 30 * MINUTE, now + 20 * MINUTE).unwrap();
        assert!(!fs::read_to_string(&path).unwrap().contains("192.0.2.8"));
        grants.refresh(Instant::now());
        assert!(grants.allow(ip("192.0.2.7"), now + 49 * MINUTE));
        grant(&path, ip("192.0.2.7"), Duration::ZERO, now + 21 * MINUTE).unwrap();
        grants.refresh(Instant::now());
        assert!(!grants.allow(ip("192.0.2.7"), now + 22 * MINUTE));
    }

    #[test]
    fn a_grant_longer_than_the_server_allows_is_none() {
        let folder = Folder::new();
        let now = SystemTime::now();
        grant(&folder.path("grants"), ip("192.0.2.7"), 61 * MINUTE, now).unwrap();
        assert!(!read(&folder.path("grants")).allow(ip("192.0.2.7"), now));
    }

    #[test]
    fn whatever_a_file_says_nobody_is_granted_more_than_lines_that_are_right() {
        let folder = Folder::new();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let good = now + 60;
        let text = format!(
            "192.0.2.1 {good}\n192.0.2.2\n192.0.2.0/24 {good}\n192.0.2.3 {good} more\n0.0.0.0/0 {good}\n* {good}\n192.0.2.4 -1\n\
             192.0.2.5 +{good}\n192.0.2.6 99999999999999999999999\n192.0.2.7 18446744073709551615\n 192.0.2.8 {good}\n192.0.2.9  {good}\n\
             192.0.2.10 {good}\r\n\0\n#192.0.2.11 {good}\n2001:db8::1 {good}\n{}",
            "x".repeat(10_000)
        );
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(b"\n\xff\xfe 1\n");
        let (until, bad) = parse(&bytes);
        let mut found: Vec<String> = until.keys().map(IpAddr::to_string).collect();
        found.sort();
        assert_eq!(found, ["192.0.2.1", "2001:db8::1"]);
        assert!(bad >= 12, "{bad}");
        let many: String = (0..MAX_GRANTS + 100).map(|n| format!("2001:db8::{n:x} {good}\n")).collect();
        assert_eq!(parse(many.as_bytes()).0.len(), MAX_GRANTS);
        drop(folder);
    }

    #[test]
    fn a_file_that_everybody_may_write_is_not_believed() {
        let folder = Folder::new();
        let path = folder.path("grants");
        let now = SystemTime::now();
        grant(&path, ip("192.0.2.7"), MINUTE, now).unwrap();
        assert!(read(&path).allow(ip("192.0.2.7"), now));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(!read(&path).allow(ip("192.0.2.7"), now));
        assert!(grant(&path, ip("192.0.2.7"), MINUTE, now).is_err());
        // Nor is one that would keep whoever opens it waiting.
        let fifo = folder.path("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert!(!read(&fifo).allow(ip("192.0.2.7"), now));
        assert!(!read(&folder.path("none")).allow(ip("192.0.2.7"), now));
    }

    #[test]
    fn programs_that_grant_at_the_same_time_lose_nothing() {
        let folder = Folder::new();
        let (path, now) = (folder.path("grants"), SystemTime::now());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for n in 0..10 {
                        grant(path, ip(&format!("10.0.{thread}.{n}")), MINUTE, now).unwrap();
                    }
                });
            }
        });
        assert_eq!(parse(&fs::read(&path).unwrap()).0.len(), 40);
    }
}
