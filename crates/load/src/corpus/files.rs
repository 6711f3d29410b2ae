//! Messages out of a folder or an mbox file.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{CorpusError, MAX_DEPTH, MAX_MESSAGES, MAX_TOTAL};

/// Names that end so are lists and notes beside messages, not messages. They are counted, not dropped in silence.
const NOT_MESSAGES: [&str; 6] = ["csv", "json", "md", "mbox", "tsv", "yaml"];

/// A file or a part of it, and what to call it in an error.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// Counts what is read, and refuses too much.
#[derive(Default)]
struct Budget {
    messages: usize,
    bytes: u64,
}

impl Budget {
    fn spend(&mut self, path: &Path, messages: usize, bytes: usize) -> Result<(), CorpusError> {
        self.messages += messages;
        self.bytes += bytes as u64;
        if self.messages > MAX_MESSAGES || self.bytes > MAX_TOTAL {
            return Err(CorpusError::TooMuch { path: path.to_owned() });
        }
        Ok(())
    }
}

/// All messages of a folder and the folders in it, in the order of their paths. Gives also the number of files that were left out.
///
/// Files and folders whose name begins with a dot are left out, and links to folders aren't followed.
pub(super) fn folder(root: &Path) -> Result<(Vec<Found>, u64), CorpusError> {
    let mut paths = Vec::new();
    let mut skipped = 0;
    let mut waiting = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| failed(&folder, error))? {
            let entry = entry.map_err(|error| failed(&folder, error))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|error| failed(&path, error))?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                skipped += u64::from(!kind.is_dir());
            } else if kind.is_dir() {
                if depth == MAX_DEPTH {
                    return Err(CorpusError::TooDeep { path });
                }
                waiting.push((path, depth + 1));
            } else if path.is_file() && !is_other(&path) {
                paths.push(path);
                if paths.len() > MAX_MESSAGES {
                    return Err(CorpusError::TooMuch { path: root.to_owned() });
                }
            } else {
                skipped += 1;
            }
        }
    }
    paths.sort_unstable();
    let mut budget = Budget::default();
    let mut found = Vec::with_capacity(paths.len());
    for path in paths {
        let bytes = read(&path)?;
        budget.spend(&path, 1, bytes.len())?;
        found.push(Found { name: path.display().to_string(), bytes });
    }
    Ok((found, skipped))
}

fn is_other(path: &Path) -> bool {
    path.extension().is_some_and(|extension| NOT_MESSAGES.iter().any(|other| extension.eq_ignore_ascii_case(other)))
}

/// All messages of an mbox file.
pub(super) fn mailbox(path: &Path) -> Result<Vec<Found>, CorpusError> {
    let bytes = read(path)?;
    let mut budget = Budget::default();
    let mut found = Vec::new();
    for message in split(&bytes).ok_or_else(|| CorpusError::NotMailbox { path: path.to_owned() })? {
        budget.spend(path, 1, message.len())?;
        found.push(Found { name: format!("{}, message {}", path.display(), found.len() + 1), bytes: unquote(message) });
    }
    Ok(found)
}

/// The messages between the separator lines, which begin with "From " at the beginning of the file or behind an empty line (RFC 4155).
/// The empty line before a separator belongs to the separator. `None` if the file doesn't begin with a separator.
fn split(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut messages = Vec::new();
    let mut start = None;
    // Where the line before begins, if it is empty.
    let mut empty = Some(0);
    let mut at = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        if line.starts_with(b"From ") {
            if let Some(end) = empty {
                if let Some(start) = start {
                    messages.push(&bytes[start..end]);
                }
                start = Some(at + line.len());
            }
        } else if start.is_none() && !matches!(line, b"\n" | b"\r\n") {
            return None;
        }
        empty = matches!(line, b"\n" | b"\r\n").then_some(at);
        at += line.len();
    }
    messages.push(&bytes[start?..empty.filter(|&end| end >= start.unwrap_or(0)).unwrap_or(bytes.len())]);
    Some(messages)
}

/// Takes one `>` off each line that begins with any number of them and "From ".
fn unquote(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        let quotes = line.iter().take_while(|&&byte| byte == b'>').count();
        let quoted = quotes > 0 && line[quotes..].starts_with(b"From ");
        out.extend_from_slice(&line[usize::from(quoted)..]);
    }
    out
}

/// A whole file, unless it is larger than all messages together may be.
fn read(path: &Path) -> Result<Vec<u8>, CorpusError> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| failed(path, error))?;
    file.take(MAX_TOTAL + 1).read_to_end(&mut bytes).map_err(|error| failed(path, error))?;
    if bytes.len() as u64 > MAX_TOTAL {
        return Err(CorpusError::TooMuch { path: path.to_owned() });
    }
    Ok(bytes)
}

fn failed(path: &Path, error: io::Error) -> CorpusError {
    CorpusError::Io { path: PathBuf::from(path), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(mailbox: &str) -> Vec<String> {
        let parts = split(mailbox.as_bytes()).expect("a mailbox");
        parts.into_iter().map(|part| String::from_utf8(unquote(part)).unwrap()).collect()
    }

    #[test]
    fn separators_are_taken_off_and_quoted_lines_unquoted() {
        let mailbox = "From a@b Thu Jan  2 09:30:00 2025\nSubject: 1\n\nx\n>From here\n>>From there\n> From\n\n\
                       From c@d Thu Jan  2 09:31:00 2025\nSubject: 2\n\n>From the middle\n\n\n";
        assert_eq!(
            messages(mailbox),
            ["Subject: 1\n\nx\nFrom here\n>From there\n> From\n", "Subject: 2\n\nFrom the middle\n\n"]
        );
    }

    #[test]
    fn a_separator_follows_an_empty_line() {
        assert_eq!(messages("From a\nS: 1\n\nFrom b\n"), ["S: 1\n", ""]);
        assert_eq!(messages("From a\nS: 1\nFrom b\n"), ["S: 1\nFrom b\n"]);
        assert_eq!(messages("From a\n"), [""]);
        assert_eq!(messages("From a\n\n"), [""]);
        assert_eq!(messages("From a\r\nS: 1\r\n\r\nb\r\n\r\nFrom b\r\nS: 2\r\n"), ["S: 1\r\n\r\nb\r\n", "S: 2\r\n"]);
    }

    #[test]
    fn an_unfinished_last_line_is_kept() {
        assert_eq!(messages("From a\nS: 1\n\nend"), ["S: 1\n\nend"]);
    }

    #[test]
    fn what_does_not_begin_with_a_separator_is_no_mailbox() {
        assert_eq!(split(b"Subject: x\n\nFrom a\n"), None);
        assert_eq!(split(b""), None);
        assert_eq!(split(b"\n\n"), None);
    }
}
