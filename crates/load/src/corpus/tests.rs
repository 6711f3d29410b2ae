use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use ehlo_client::codec::{DataDecoder, DataStep};

use super::*;

/// A folder that goes away with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(files: &[(&str, &[u8])]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("ehlo-corpus-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        for (name, bytes) in files {
            let file = path.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        Self(path)
    }

    fn build(&self, line_endings: LineEndings) -> Result<Corpus, CorpusError> {
        build(&Source::Path(self.0.clone()), line_endings, 1)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a server makes of the wire form. It must end just where the wire form does.
fn decode(wire: &[u8]) -> Vec<u8> {
    let (mut decoder, mut rest, mut body) = (DataDecoder::new(), wire, Vec::new());
    loop {
        let (used, step) = decoder.next(rest);
        rest = &rest[used..];
        match step {
            DataStep::Body(piece) => body.extend_from_slice(piece),
            DataStep::End => break,
            DataStep::NeedMore => panic!("no end"),
        }
    }
    assert!(rest.is_empty() && !decoder.faults().any());
    body
}

fn check(corpus: &Corpus) {
    let messages = corpus.messages.messages();
    assert_eq!(corpus.facts.messages, messages.len() as u64);
    for message in messages {
        assert_eq!(decode(&message.wire), *message.decoded);
        assert_eq!(message.eight_bit, !message.decoded.is_ascii());
    }
}

#[test]
fn a_folder_gives_its_files_in_the_order_of_their_names() {
    let folder = Folder::new(&[
        ("b/two.eml", b"Subject: 2\r\n\r\n.dot\r\n..\r\n"),
        ("a.eml", b"Subject: 1\n\ntext\n"),
        ("b/c/three", "Subject: 3\r\n\r\ngr\u{fc}n".as_bytes()),
        ("INDEX.tsv", b"a.eml\t1\n"),
        (".hidden", b"x"),
    ]);
    let corpus = folder.build(LineEndings::Strict).unwrap();
    check(&corpus);
    let wires: Vec<&[u8]> = corpus.messages.messages().iter().map(|message| &*message.wire).collect();
    assert_eq!(
        wires,
        [
            &b"Subject: 1\r\n\r\ntext\r\n.\r\n"[..],
            "Subject: 3\r\n\r\ngr\u{fc}n\r\n.\r\n".as_bytes(),
            b"Subject: 2\r\n\r\n..dot\r\n...\r\n.\r\n",
        ]
    );
    let facts = &corpus.facts;
    assert_eq!((facts.converted, facts.normalized, facts.completed), (1, 0, 1));
    assert_eq!((facts.eight_bit, facts.dots_stuffed, facts.skipped), (1, 2, 2));
    assert_eq!((facts.smallest, facts.largest, facts.bytes), (65, 69, 65 + 3 * 45));
}

#[test]
fn an_empty_file_is_a_message() {
    let folder = Folder::new(&[("empty", b"")]);
    let corpus = folder.build(LineEndings::Strict).unwrap();
    assert_eq!(&*corpus.messages.messages()[0].wire, b".\r\n");
}

#[test]
fn files_that_cannot_be_sent_are_named_with_what_and_where() {
    let folder = Folder::new(&[
        ("1-good.eml", b"S: 1\r\n\r\nx\r\n"),
        ("2-mixed.eml", b"S: 2\r\n\r\nx\n"),
        ("3-cr.eml", b"S: 3\n\nx\ry\n"),
        ("4-nul.eml", b"S: 4\n\n\0\n"),
    ]);
    let error = folder.build(LineEndings::Strict).unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 4, "{error}");
    assert!(
        lines[0].ends_with("2-mixed.eml: mixed line endings: 1 LF among 2 CRLF, the first in line 3 (byte 9)"),
        "{error}"
    );
    assert!(lines[1].ends_with("3-cr.eml: 1 CR without LF, the first in line 3 (byte 7)"), "{error}");
    assert!(lines[2].ends_with("4-nul.eml: 1 NUL byte, the first in line 3 (byte 6)"), "{error}");
    assert!(lines[3].contains("--line-endings normalize"));

    let corpus = folder.build(LineEndings::Normalize).unwrap();
    check(&corpus);
    assert_eq!((corpus.facts.messages, corpus.facts.normalized, corpus.facts.converted), (4, 3, 0));
}

#[test]
fn an_mbox_file_gives_its_messages() {
    let mailbox = b"From a@b Thu Jan  2 09:30:00 2025\nSubject: 1\n\n>From x\n\nFrom a@b Thu Jan  2 09:30:00 2025\nSubject: 2\n\n.\n\n";
    let folder = Folder::new(&[("mail.mbox", mailbox), ("not.mbox", b"Subject: x\n\n")]);
    let of = |name| build(&Source::Path(folder.0.join(name)), LineEndings::Strict, 1);
    let corpus = of("mail.mbox").unwrap();
    check(&corpus);
    let decoded: Vec<&[u8]> = corpus.messages.messages().iter().map(|message| &*message.decoded).collect();
    assert_eq!(decoded, [&b"Subject: 1\r\n\r\nFrom x\r\n"[..], b"Subject: 2\r\n\r\n.\r\n"]);
    assert_eq!(corpus.facts.converted, 2);
    assert!(matches!(of("not.mbox"), Err(CorpusError::NotMailbox { .. })));
}

#[test]
fn a_path_that_cannot_be_used_is_named() {
    let missing = build(&Source::Path("/nonexistent/corpus".into()), LineEndings::Strict, 1).unwrap_err().to_string();
    assert!(missing.starts_with("/nonexistent/corpus: "), "{missing}");
    let empty = Folder::new(&[("notes.md", b"x")]);
    assert!(matches!(empty.build(LineEndings::Strict), Err(CorpusError::Empty { .. })));
}

#[test]
fn synthetic_messages_have_the_size_asked_for_with_their_id() {
    for size in [SMALLEST, 48, 100, 1000, 4096, 1 << 20] {
        let corpus = build(&Source::Sized(size), LineEndings::Strict, 7).unwrap();
        check(&corpus);
        assert!(corpus.messages.messages().iter().all(|message| message.size() == size as u64), "{size}");
    }
    let refused = build(&Source::Sized(SMALLEST - 1), LineEndings::Strict, 7).unwrap_err();
    assert_eq!(refused.to_string(), "a message of 46 bytes cannot be made: 47 bytes to 256 MiB can");
}

#[test]
fn the_default_mix_is_the_same_for_the_same_seed() {
    let mix = |seed| build(&Source::Mixed, LineEndings::Strict, seed).unwrap();
    let corpus = mix(1);
    check(&corpus);
    assert_eq!(corpus.messages, mix(1).messages);
    assert_ne!(corpus.messages, mix(2).messages);
    assert_eq!(corpus.facts.bytes, mix(2).facts.bytes);
    assert!(corpus.facts.dots_stuffed > 64);
}

/// `EHLO_CORPUS` names a folder of real messages, good and malformed.
#[test]
fn every_real_message_can_be_sent_when_normalised() {
    let Some(folder) = std::env::var_os("EHLO_CORPUS") else {
        // Not by a macro: of a test that passes, its text would not be shown. And whole, since
        // other tests write, too: they cover each kind of message.
        let _ = io::stderr().write_all(b"\nnot run: EHLO_CORPUS does not name a folder of messages\n");
        return;
    };
    let corpus = build(&Source::Path(folder.into()), LineEndings::Normalize, 1).unwrap();
    check(&corpus);
}
