//! A message before it is in the mbox.

use std::io;
use std::sync::Arc;

use super::{FileOps, Shared};
use crate::store::incoming::{BUFFER, Cancelled, Deposit};

/// Where a message that does not fit into the buffer waits: in a file that no directory tells of, and which ends with this value.
#[derive(Debug)]
pub(super) struct Spool<F: FileOps> {
    shared: Arc<Shared<F>>,
    pub(super) cancelled: Cancelled,
    name: Arc<str>,
    file: Option<F::File>,
    length: u64,
}

impl<F: FileOps> Spool<F> {
    pub(super) fn new(shared: Arc<Shared<F>>, name: Arc<str>, cancelled: Cancelled) -> Self {
        Self { shared, cancelled, name, file: None, length: 0 }
    }

    fn create(&self) -> io::Result<F::File> {
        let files = &self.shared.files;
        let mut name = self.shared.path.file_name().unwrap_or_default().to_owned();
        name.push(".incoming-");
        name.push(&*self.name);
        let path = self.shared.parent.join(name);
        let file = files.create(&path)?;
        // A crash leaves nothing then.
        files.remove(&path)?;
        Ok(file)
    }

    /// Gives what was written to `take`, in pieces.
    pub(super) fn read(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let (mut buffer, mut offset) = (vec![0; BUFFER], 0);
        while offset < self.length {
            let wanted = usize::try_from(self.length - offset).unwrap_or(BUFFER).min(BUFFER);
            let length = self.shared.files.read_at(file, offset, &mut buffer[..wanted])?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            take(&buffer[..length])?;
            offset += length as u64;
        }
        Ok(())
    }
}

impl<F: FileOps> Deposit for Spool<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.cancelled.check()?;
        if self.file.is_none() {
            self.file = Some(self.create()?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        self.shared.files.write(file, bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn undo(&mut self) {
        self.file = None;
    }

    fn is_made(&self) -> bool {
        self.file.is_some()
    }
}
