//! The file operations of the stores, apart, so that a test can see their order and make each of them fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::SystemTime;

/// What [`Maildir`](super::Maildir) and [`Mbox`](super::Mbox) do to a file system. All calls come from threads that may block.
pub trait FileOps: Send + Sync + 'static {
    /// An open file.
    type File: std::fmt::Debug + Send + 'static;

    /// Creates a directory and those above it, if they aren't there, so that they outlive a power cut. One that is there already may have
    /// been made by someone who has not synced it yet.
    ///
    /// # Errors
    ///
    /// What the file system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Creates a file that isn't there yet, and opens it for reading and writing.
    ///
    /// # Errors
    ///
    /// What the file system says; [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is such a file.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens a file that is there, to read it and to append to it.
    ///
    /// # Errors
    ///
    /// What the file system says; [`NotFound`](io::ErrorKind::NotFound) if there is none.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// Whether the path leads to this open file, and not to another one by now, or to none.
    ///
    /// # Errors
    ///
    /// What the file system says.
    fn is_at(&self, file: &Self::File, path: &Path) -> io::Result<bool>;

    /// Locks an open file against other programs until it is closed; false if one of them has locked it.
    ///
    /// # Errors
    ///
    /// What the file system says.
    fn lock(&self, file: &Self::File) -> io::Result<bool>;

    /// The length of an open file.
    ///
    /// # Errors
    ///
    /// What the file system says.
    fn length(&self, file: &Self::File) -> io::Result<u64>;

    /// Reads at that place of an open file; gives how many bytes, and none only at its end.
    ///
    /// # Errors
    ///
    /// What the file system says.
    fn read_at(&self, file: &Self::File, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Cuts an open file off at that length.
    ///
    /// # Errors
    ///
    /// What the file system says.
    fn truncate(&self, file: &Self::File, length: u64) -> io::Result<()>;

    /// Appends all of the bytes.
    ///
    /// # Errors
    ///
    /// What the file system says; a part may have been written.
    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;

    /// A hint that this file will be synced soon, behind others: the disk may begin now. That it is ignored must do no harm, and what
    /// goes wrong is told by [`sync_file`](Self::sync_file).
    fn start_write_back(&self, file: &Self::File) {
        let _ = file;
    }

    /// Returns when what was written is on the disk.
    ///
    /// # Errors
    ///
    /// What the file system says. The file's content is then unknown, and a second call can lie about it.
    fn sync_file(&self, file: &Self::File) -> io::Result<()>;

    /// Moves a file to another directory of the same file system.
    ///
    /// # Errors
    ///
    /// What the file system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Returns when the entries of a directory are on the disk.
    ///
    /// # Errors
    ///
    /// What the file system says. Which entries are on the disk is then unknown, and a second call can lie about it.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// What the file system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Tells of each plain file of a directory, and when it was last read or written.
    ///
    /// # Errors
    ///
    /// What the file system says. Some may have been told of.
    fn list(&self, path: &Path, file: &mut dyn FnMut(&Path, SystemTime)) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct StdFiles;

impl FileOps for StdFiles {
    type File = File;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut made = fs::create_dir(path);
        if let Err(error) = &made
            && error.kind() == io::ErrorKind::NotFound
            && let Some(parent) = path.parent()
        {
            self.create_dir(parent)?;
            made = fs::create_dir(path);
        }
        match made {
            Ok(()) => {}
            // Two messages may be the first ones at the same time.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
            Err(error) => return Err(error),
        }
        match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => self.sync_dir(Path::new(".")),
            Some(parent) => self.sync_dir(parent),
            None => Ok(()),
        }
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            // Mail is for its owner.
            options.mode(0o600);
        }
        options.open(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).append(true).open(path)
    }

    #[cfg(unix)]
    fn is_at(&self, file: &File, path: &Path) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt as _;
        let open = file.metadata()?;
        match fs::metadata(path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (open.dev(), open.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    #[cfg(not(unix))]
    fn is_at(&self, _: &File, _: &Path) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(unix)]
    fn lock(&self, file: &File) -> io::Result<bool> {
        // The lock of POSIX, which mail programs agree upon, NFS included; flock would be another one, of which they don't know.
        match rustix::fs::fcntl_lock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(unix))]
    fn lock(&self, _: &File) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn length(&self, file: &File) -> io::Result<u64> {
        file.metadata().map(|metadata| metadata.len())
    }

    #[cfg(unix)]
    fn read_at(&self, file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(file, buffer, offset)
    }

    #[cfg(not(unix))]
    fn read_at(&self, _: &File, _: u64, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn start_write_back(&self, file: &File) {
        // On Linux this advice begins to write what is dirty, and waits for nothing; what it cannot drop from memory yet, it leaves
        // there. An error of the disk stays with the file and is told by the sync.
        #[cfg(target_os = "linux")]
        let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
        #[cfg(not(target_os = "linux"))]
        let _ = file;
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, path: &Path, file: &mut dyn FnMut(&Path, SystemTime)) -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // Of a link, not of what it leads to. One that is gone meanwhile is none of ours.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() {
                let written = metadata.modified()?;
                file(&entry.path(), metadata.accessed().map_or(written, |read| read.max(written)));
            }
        }
        Ok(())
    }
}
