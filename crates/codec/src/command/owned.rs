//! A command that is kept.

use super::Command;
use alloc::vec::Vec;
use core::fmt;

/// An owned [`Command`].
///
/// ```
/// use ehlo_codec::{Command, CommandBuf};
///
/// let kept = CommandBuf::from(Command::parse(b"mail FROM:<ada@example.org> SIZE=7").unwrap());
/// let Command::Mail { params, .. } = kept.as_command() else { unreachable!("it was one") };
/// assert_eq!(params.size(), Some(7));
/// assert_eq!(kept.as_bytes(), b"MAIL FROM:<ada@example.org> SIZE=7\r\n");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CommandBuf(Vec<u8>);

impl CommandBuf {
    /// The command.
    #[must_use]
    pub fn as_command(&self) -> Command<'_> {
        let line = self.0.strip_suffix(b"\r\n").unwrap_or(&self.0);
        match Command::parse_utf8(line) {
            Ok(command) => command,
            Err(error) => unreachable!("it was a command when it was written: {error}"),
        }
    }

    /// As it goes over the wire, with CRLF.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Command<'_>> for CommandBuf {
    fn from(command: Command<'_>) -> Self {
        let mut line = Vec::new();
        command.write_to(&mut line);
        Self(line)
    }
}

impl fmt::Debug for CommandBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CommandBuf").field(&self.as_command()).finish()
    }
}
