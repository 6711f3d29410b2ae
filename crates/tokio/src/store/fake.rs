//! A file system in memory for tests. It notes what is done to it, fails when told to, and knows what a power cut would leave.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::SystemTime;

use super::files::FileOps;

/// What a disk that fails, a full one, and a process without a free descriptor say.
pub(super) const ERRORS: [i32; 3] = [EIO, ENOSPC, EMFILE];
pub(super) const EIO: i32 = 5;
pub(super) const EMFILE: i32 = 24;
pub(super) const ENOSPC: i32 = 28;
/// In place of an error: the file system of someone else panics.
pub(super) const PANIC: i32 = 0;

#[derive(Clone, Debug, Default)]
pub(super) struct FakeFiles {
    state: Arc<Mutex<Fake>>,
    /// The operation that does not come to its end, and tells when it may.
    gate: Arc<(Mutex<Option<&'static str>>, Condvar)>,
}

#[derive(Debug, Default)]
pub(super) struct Fake {
    pub(super) log: Vec<String>,
    /// Operations since the start, and what fails: from that number on, so many of them, with that error.
    count: usize,
    fail_at: Option<(usize, usize, i32)>,
    /// Which operation fails: its name, how many of that name go well before, and the error.
    pub(super) fail: Option<(&'static str, usize, io::ErrorKind)>,
    /// Those that failed by their numbers, and with what.
    failed: Vec<(String, i32)>,
    /// A file was synced again whose sync had failed.
    trusted_again: bool,
    /// Path to number of the file.
    entries: BTreeMap<PathBuf, usize>,
    /// The entries that are on the disk, by directory.
    durable: BTreeMap<PathBuf, BTreeMap<PathBuf, usize>>,
    /// Directories of which a sync has failed.
    lost: Vec<PathBuf>,
    files: Vec<File>,
}

#[derive(Clone, Debug)]
struct File {
    bytes: Vec<u8>,
    /// What of it is on the disk.
    durable: Vec<u8>,
    /// A sync has failed, with this error: those that follow say that all is well, and write nothing (as Linux does it).
    lost: Option<io::ErrorKind>,
    /// When it was last read or written.
    used: SystemTime,
    /// How often another program is found to have locked it.
    locked: usize,
}

impl FakeFiles {
    pub(super) fn lock(&self) -> MutexGuard<'_, Fake> {
        self.state.lock().unwrap()
    }

    fn note(&self, operation: &'static str, path: &Path) -> io::Result<MutexGuard<'_, Fake>> {
        let mut state = self.lock();
        let parent = path.parent().and_then(Path::file_name).unwrap_or_default().display();
        let name = path.file_name().unwrap_or_default().display();
        let line = match operation {
            "create" | "rename" | "remove" => format!("{operation} in {parent}"),
            "create_dir" | "sync_dir" | "list" | "open" => format!("{operation} {name}"),
            _ => operation.to_owned(),
        };
        state.log.push(line.clone());
        state.count += 1;
        let number = state.count - 1;
        drop(state);
        let mut gate = self.gate.0.lock().unwrap();
        while *gate == Some(operation) {
            gate = self.gate.1.wait(gate).unwrap();
        }
        drop(gate);
        let mut state = self.lock();
        if let Some((at, times, error)) = state.fail_at
            && (at..at.saturating_add(times)).contains(&number)
        {
            if error == PANIC {
                drop(state);
                // As a panic does, but without a word on the standard error.
                std::panic::resume_unwind(Box::new("as the test wants it"));
            }
            state.failed.push((line, error));
            state.lose(operation, path, matches!(error, ENOSPC | EMFILE));
            return Err(io::Error::from_raw_os_error(error));
        }
        if let Some((name, left, kind)) = &mut state.fail
            && *name == operation
        {
            if *left == 0 {
                let kind = *kind;
                state.fail = None;
                state.lose(operation, path, kind == io::ErrorKind::StorageFull);
                return Err(kind.into());
            }
            *left -= 1;
        }
        Ok(state)
    }

    /// Fails that operation, counted from the first one of all, and so many in all.
    pub(super) fn fail_at(&self, operation: usize, times: usize, error: i32) {
        self.lock().fail_at = Some((operation, times, error));
    }

    /// From now on nothing fails by its number.
    pub(super) fn mend(&self) {
        self.lock().fail_at = None;
    }

    /// What has failed by its number.
    pub(super) fn failed(&self) -> Vec<(String, i32)> {
        self.lock().failed.clone()
    }

    /// Whether a file was synced again whose sync had failed: that would say that all is well.
    pub(super) fn was_trusted_again(&self) -> bool {
        self.lock().trusted_again
    }

    /// Keeps an operation from coming to its end, until another one or none is named.
    pub(super) fn stop_at(&self, operation: Option<&'static str>) {
        *self.gate.0.lock().unwrap() = operation;
        self.gate.1.notify_all();
    }

    /// How often an operation was begun.
    pub(super) fn begun(&self, operation: &str) -> usize {
        self.lock().log.iter().filter(|line| line.starts_with(operation)).count()
    }

    /// How many operations there were.
    pub(super) fn count(&self) -> usize {
        self.lock().count
    }

    /// The contents of a directory's files after a power cut now.
    pub(super) fn after_power_cut(&self, directory: &str) -> Vec<Vec<u8>> {
        let state = self.lock();
        let entries = state.durable.get(Path::new(directory)).cloned().unwrap_or_default();
        entries.values().map(|&file| state.files[file].durable.clone()).collect()
    }

    /// The contents of a directory's files as programs see them.
    pub(super) fn contents(&self, directory: &str) -> Vec<Vec<u8>> {
        let state = self.lock();
        let entries = state.entries.iter().filter(|(path, _)| path.parent() == Some(Path::new(directory)));
        entries.map(|(_, &file)| state.files[file].bytes.clone()).collect()
    }

    pub(super) fn names(&self, directory: &str) -> usize {
        self.contents(directory).len()
    }

    /// Puts a file there, by another program.
    pub(super) fn put(&self, path: &str, bytes: &[u8], used: SystemTime) {
        let mut state = self.lock();
        let file = File { bytes: bytes.to_vec(), durable: bytes.to_vec(), lost: None, used, locked: 0 };
        state.files.push(file);
        let number = state.files.len() - 1;
        state.entries.insert(path.into(), number);
    }

    /// Takes a file away, by another program.
    pub(super) fn take(&self, path: &str) {
        self.lock().entries.remove(Path::new(path));
    }

    /// Has another program lock a file for so many looks.
    pub(super) fn lock_file(&self, path: &str, looks: usize) {
        let mut state = self.lock();
        let file = state.entries[Path::new(path)];
        state.files[file].locked = looks;
    }
}

impl Fake {
    /// A sync fails: what it should have written is lost. Unless there is no room, of which a directory's sync tells beforehand, or no
    /// descriptor to open it with.
    fn lose(&mut self, operation: &str, path: &Path, harmless: bool) {
        if operation == "sync_dir" && !harmless {
            self.lost.push(path.to_owned());
        }
    }
}

impl FileOps for FakeFiles {
    type File = usize;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.note("create_dir", path).map(|_| ())
    }

    fn create(&self, path: &Path) -> io::Result<usize> {
        let mut state = self.note("create", path)?;
        if state.entries.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.files.push(File {
            bytes: Vec::new(),
            durable: Vec::new(),
            lost: None,
            used: SystemTime::now(),
            locked: 0,
        });
        let file = state.files.len() - 1;
        state.entries.insert(path.to_owned(), file);
        Ok(file)
    }

    fn open(&self, path: &Path) -> io::Result<usize> {
        let state = self.note("open", path)?;
        state.entries.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn is_at(&self, file: &usize, path: &Path) -> io::Result<bool> {
        Ok(self.note("is_at", path)?.entries.get(path) == Some(file))
    }

    fn lock(&self, file: &usize) -> io::Result<bool> {
        let mut state = self.note("lock", Path::new(""))?;
        let locked = &mut state.files[*file].locked;
        let free = *locked == 0;
        *locked = locked.saturating_sub(1);
        Ok(free)
    }

    fn length(&self, file: &usize) -> io::Result<u64> {
        Ok(self.note("length", Path::new(""))?.files[*file].bytes.len() as u64)
    }

    fn read_at(&self, file: &usize, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.note("read_at", Path::new(""))?;
        let bytes = state.files[*file].bytes.get(offset as usize..).unwrap_or_default();
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn truncate(&self, file: &usize, length: u64) -> io::Result<()> {
        let mut state = self.note("truncate", Path::new(""))?;
        let file = &mut state.files[*file];
        file.bytes.truncate(length as usize);
        // What there was no room for is gone, and what stays is dirty again.
        file.lost = file.lost.filter(|error| *error != io::ErrorKind::StorageFull);
        Ok(())
    }

    /// A write that fails has written half.
    fn write(&self, file: &mut usize, bytes: &[u8]) -> io::Result<()> {
        let (mut state, result) = match self.note("write", Path::new("")) {
            Ok(state) => (state, Ok(())),
            Err(error) => (self.lock(), Err(error)),
        };
        let length = if result.is_ok() { bytes.len() } else { bytes.len() / 2 };
        state.files[*file].bytes.extend_from_slice(&bytes[..length]);
        result
    }

    fn sync_file(&self, file: &usize) -> io::Result<()> {
        let mut state = match self.note("sync_file", Path::new("")) {
            Ok(state) => state,
            Err(error) => {
                self.lock().files[*file].lost = Some(error.kind());
                return Err(error);
            }
        };
        let file = &mut state.files[*file];
        if file.lost.is_none() {
            file.durable.clone_from(&file.bytes);
        } else {
            state.trusted_again = true;
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.note("rename", to)?;
        let file = state.entries.remove(from).ok_or(io::ErrorKind::NotFound)?;
        // The entry may reach the disk at any time from now on.
        assert_eq!(state.files[file].durable, state.files[file].bytes, "what becomes visible is on the disk");
        assert!(state.entries.insert(to.to_owned(), file).is_none(), "nothing is overwritten");
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.note("sync_dir", path)?;
        if !state.lost.iter().any(|lost| lost == path) {
            let entries = state.entries.iter().filter(|(name, _)| name.parent() == Some(path));
            let entries = entries.map(|(name, file)| (name.clone(), *file)).collect();
            state.durable.insert(path.to_owned(), entries);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.note("remove", path)?;
        state.entries.remove(path).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, path: &Path, file: &mut dyn FnMut(&Path, SystemTime)) -> io::Result<()> {
        let state = self.note("list", path)?;
        for (name, number) in state.entries.iter().filter(|(name, _)| name.parent() == Some(path)) {
            file(name, state.files[*number].used);
        }
        Ok(())
    }
}

/// Waits until something holds.
pub(super) async fn until(mut holds: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !holds() {
        assert!(begin.elapsed() < std::time::Duration::from_secs(20), "it does not come to hold");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// Waits until the threads have nothing left to do.
pub(super) async fn settle(files: &FakeFiles) {
    let mut seen = usize::MAX;
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let now = files.count();
        if now == seen {
            return;
        }
        seen = now;
    }
}
