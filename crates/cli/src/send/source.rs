//! What is to be sent: files, the standard input, mboxes, folders of files, and maildirs.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use super::message::Source;
use super::octets::{Pieces, Place};
use crate::console::tell;

/// Octets of a From_ line that are looked at.
const FROM_LINE: usize = 1024;

/// The messages that an argument names.
pub(crate) fn find(name: &str) -> io::Result<Vec<Source>> {
    if name == "-" {
        if io::stdin().is_terminal() {
            tell("send", "reading a message from the terminal; end it with Ctrl-D");
        }
        return of_place(name, Place::spool(io::stdin().lock())?);
    }
    let path = Path::new(name);
    let kind = std::fs::metadata(path)?;
    if kind.is_dir() {
        return folder(path);
    }
    if kind.is_file() {
        of_place(name, Place::Path(path.to_owned()))
    } else {
        of_place(name, Place::spool(File::open(path)?)?)
    }
}

/// A maildir's messages, those in new/ before those in cur/; or each file of another folder.
fn folder(path: &Path) -> io::Result<Vec<Source>> {
    let (new, cur) = (path.join("new"), path.join("cur"));
    if new.is_dir() && cur.is_dir() {
        let files = files(&new)?.into_iter().chain(files(&cur)?);
        return Ok(files.map(|file| whole(&file.display().to_string(), Place::Path(file))).collect());
    }
    let mut found = Vec::new();
    for file in files(path)? {
        found.extend(of_place(&file.display().to_string(), Place::Path(file))?);
    }
    Ok(found)
}

/// The files of a folder by name, without those that are hidden.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn whole(name: &str, place: Place) -> Source {
    Source { name: name.to_owned(), place, start: 0, end: u64::MAX, quoted: false, sender: None }
}

/// The messages of an mbox, or else one.
fn of_place(name: &str, place: Place) -> io::Result<Vec<Source>> {
    let mut front = [0; 5];
    let read = place.open()?.read_at(&mut front, 0)?;
    if &front[..read] != b"From " {
        return Ok(vec![whole(name, place)]);
    }
    mbox(name, &place)
}

/// Cuts an mbox by its From_ lines: the first one, and each behind an empty line (RFC 4155).
fn mbox(name: &str, place: &Place) -> io::Result<Vec<Source>> {
    let mut found: Vec<Source> = Vec::new();
    let mut pieces = Pieces::new(place.open()?, 0, u64::MAX);
    let (mut at, mut line_start) = (0_u64, 0_u64);
    // The front of the present line, its length without its end, and where the line before began if it was empty.
    let (mut line, mut empty_before) = (Vec::new(), Some(0_u64));
    loop {
        let piece = pieces.next()?;
        if piece.is_empty() {
            break;
        }
        for &octet in piece {
            at += 1;
            if octet != b'\n' {
                if line.len() < FROM_LINE {
                    line.push(octet);
                }
                continue;
            }
            if let Some(end) = empty_before
                && line.starts_with(b"From ")
            {
                if let Some(last) = found.last_mut() {
                    last.end = end;
                }
                let sender = String::from_utf8_lossy(&line[5..]);
                let sender = sender.split_ascii_whitespace().next().unwrap_or_default();
                let sender = if sender.eq_ignore_ascii_case("MAILER-DAEMON") { "<>" } else { sender };
                found.push(Source {
                    name: format!("{name}#{}", found.len() + 1),
                    start: at,
                    quoted: true,
                    sender: Some(sender.to_owned()),
                    ..whole(name, place.clone())
                });
            }
            empty_before = matches!(line[..], [] | [b'\r']).then_some(line_start);
            line.clear();
            line_start = at;
        }
    }
    if let Some(last) = found.last_mut() {
        // An empty line ends the last message, too.
        last.end = empty_before.filter(|end| *end >= last.start && line.is_empty()).unwrap_or(at);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mbox_is_cut_by_its_from_lines() {
        let text: &[u8] = b"From ada@x Mon Jan  1 00:00:00 2024\nS: 1\n\nFrom here\nno From b\n>From c\n\nFrom MAILER-DAEMON Mon\nS: 2\n\n\nFrom c@d\nS: 3\n";
        let found = of_place("m", Place::Memory(text.into())).unwrap();
        let parts: Vec<_> = found
            .iter()
            .map(|source| (source.sender.as_deref().unwrap(), &text[source.start as usize..source.end as usize]))
            .collect();
        // Behind an empty line, a From_ line is one, whatever it says: writers quote those that are text.
        assert_eq!(
            parts,
            [("ada@x", &b"S: 1\n"[..]), ("here", b"no From b\n>From c\n"), ("<>", b"S: 2\n\n"), ("c@d", b"S: 3\n")]
        );
    }
}
