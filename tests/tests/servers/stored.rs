//! What a server has stored: a folder for each recipient below one, with a file for each message.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long a delivery may take within the server.
const PATIENCE: Duration = Duration::from_secs(30);

/// Fields that a server that delivers puts in front of a message (RFC 5321 §4.4, RFC 7208 §9.1, RFC 8601, RFC 9228).
const TRACE: [&str; 13] = [
    "Return-Path",
    "Received",
    "Received-SPF",
    "Delivered-To",
    "Envelope-To",
    "Delivery-Date",
    "X-Original-To",
    "Authentication-Results",
    // Those of smtp-sink.
    "X-Client-Addr",
    "X-Client-Proto",
    "X-Helo-Args",
    "X-Mail-Args",
    "X-Rcpt-Args",
];

pub(crate) struct Mailboxes(pub(crate) PathBuf);

impl Mailboxes {
    /// The messages of a recipient that are there. What is still being written has a name that begins with a dot, or is in a folder `tmp`.
    fn files(&self, user: &str) -> Vec<PathBuf> {
        fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && name != "tmp" => walk(&entry.path(), into),
                    Ok(kind) if kind.is_file() && !name.starts_with('.') => into.push(entry.path()),
                    _ => {}
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.0.join(user), &mut files);
        files
    }

    /// Waits for the recipient's one message, and takes it away.
    pub(crate) fn take(&self, user: &str) -> Result<Vec<u8>, String> {
        let begin = Instant::now();
        loop {
            let files = self.files(user);
            match &files[..] {
                [] if begin.elapsed() > PATIENCE => return Err(format!("nothing is stored for {user}")),
                [] => thread::sleep(Duration::from_millis(10)),
                [file] => {
                    let text = fs::read(file).unwrap();
                    fs::remove_file(file).unwrap();
                    return Ok(text);
                }
                more => return Err(format!("{} messages are stored for {user}", more.len())),
            }
        }
    }

    /// Whether nobody has a message.
    pub(crate) fn are_empty(&self) -> bool {
        self.files("").is_empty()
    }
}

/// Takes the trace fields away, and gives line ends the form that they have on the wire. What was not a trace field, if anything was not.
pub(crate) fn without_trace(stored: &[u8], sent: &[u8]) -> Result<(), String> {
    let mut text = Vec::with_capacity(stored.len() + stored.len() / 20);
    for &octet in stored {
        if octet == b'\n' && text.last() != Some(&b'\r') {
            text.push(b'\r');
        }
        text.push(octet);
    }
    let Some(added) = text.strip_suffix(sent) else {
        let at = sent.iter().rev().zip(text.iter().rev()).take_while(|(a, b)| a == b).count();
        let show = |all: &[u8]| {
            let end = all.len() - at;
            String::from_utf8_lossy(&all[end.saturating_sub(200)..end]).into_owned()
        };
        let (was, is) = (show(sent), show(&text));
        return Err(format!("{} octets became {}; before the last {at}: {was:?} is {is:?}", sent.len(), text.len()));
    };
    let added = String::from_utf8_lossy(added);
    for line in added.split_terminator("\r\n") {
        let name = line.split_once(':').map_or(line, |(name, _)| name);
        let folded = line.starts_with([' ', '\t']);
        if !folded && !TRACE.iter().any(|field| field.eq_ignore_ascii_case(name)) {
            return Err(format!("it has added {line:?}"));
        }
    }
    Ok(())
}

#[test]
fn a_changed_octet_is_found() {
    let sent = b"Subject: x\r\n\r\n..\r\n";
    let stored = |text: &str| without_trace(text.as_bytes(), sent);
    assert_eq!(stored("Return-path: <>\nReceived: from x\n\tby y\nSubject: x\n\n..\n"), Ok(()));
    assert_eq!(stored("Subject: x\r\n\r\n..\r\n"), Ok(()));
    for changed in
        ["Subject: x\n\n.\n", "Subject: y\n\n..\n", "Subject: x\n\n..\n\n", "Date: z\nSubject: x\n\n..\n", ""]
    {
        assert!(stored(changed).is_err(), "{changed:?}");
    }
}
