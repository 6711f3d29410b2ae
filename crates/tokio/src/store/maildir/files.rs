//! The file operations of a maildir, apart, so that a test can see their order and make each of them fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// What a [`Maildir`](super::Maildir) does to a file system. All calls come from threads that may block.
pub trait FileOps: Send + Sync + 'static {
    /// An open file.
    type File: std::fmt::Debug + Send + 'static;

    /// Creates a directory and those above it, if they aren't there, so that they outlive a power cut.
    ///
    /// # Errors
    ///
    /// What the file system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Creates a file that isn't there yet, and opens it for writing.
    ///
    /// # Errors
    ///
    /// What the file system says; [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is such a file.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Appends all of the bytes.
    ///
    /// # Errors
    ///
    /// What the file system says; a part may have been written.
    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;

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
    /// What the file system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// What the file system says.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct StdFiles;

impl FileOps for StdFiles {
    type File = File;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().ok_or(error)?;
                self.create_dir(parent)?;
                fs::create_dir(path)?;
            }
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
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            // Mail is for its owner.
            options.mode(0o600);
        }
        options.open(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
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
}
