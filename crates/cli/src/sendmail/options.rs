//! The options that programs give to /usr/sbin/sendmail.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use crate::failure::Failure;

/// Options with a value, in the same word or in the next one.
const WITH_VALUE: &[u8] = b"ABCFLNORVXbefhopr";
/// Those without.
const WITHOUT: &[u8] = b"GUcimnqtvx";

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Given {
    /// Recipients are those of the header, too.
    pub(super) from_header: bool,
    /// A line that is a dot is text.
    pub(super) dots: bool,
    pub(super) verbose: bool,
    /// A queue was to be worked off, which there is not.
    pub(super) queue: bool,
    pub(super) sender: Option<String>,
    pub(super) full_name: Option<String>,
    pub(super) notify: Option<String>,
    pub(super) ret: Option<String>,
    pub(super) envid: Option<String>,
    pub(super) config: Option<String>,
    pub(super) recipients: Vec<String>,
}

impl Given {
    /// Reads words as getopt(3) does: letters may stand together, a value in the word of its letter or in the next, options behind recipients, and behind
    /// `--` are none.
    pub(super) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        let mut given = Self::default();
        let mut words = words.into_iter();
        let mut only_recipients = false;
        while let Some(word) = words.next() {
            let word = word.into_vec();
            if only_recipients || word.len() < 2 || word[0] != b'-' {
                given.recipients.push(text(word)?);
                continue;
            }
            if word == b"--" {
                only_recipients = true;
                continue;
            }
            let mut rest = &word[1..];
            while let Some((&letter, behind)) = rest.split_first() {
                // -q has a value only in its own word: an interval.
                if letter == b'q' {
                    given.queue = true;
                    break;
                }
                if WITHOUT.contains(&letter) {
                    given.flag(letter);
                    rest = behind;
                    continue;
                }
                if !WITH_VALUE.contains(&letter) {
                    return Err(refused(letter, behind));
                }
                let value = if behind.is_empty() {
                    let missing = || Failure::usage(format_args!("-{} wants a value", char::from(letter)));
                    words.next().ok_or_else(missing)?.into_vec()
                } else {
                    behind.to_vec()
                };
                given.value(letter, text(value)?)?;
                break;
            }
        }
        Ok(given)
    }

    fn flag(&mut self, letter: u8) {
        match letter {
            b't' => self.from_header = true,
            b'i' => self.dots = true,
            b'v' => self.verbose = true,
            // Queues, aliases and users' own modes, of which there are none here.
            _ => {}
        }
    }

    fn value(&mut self, letter: u8, value: String) -> Result<(), Failure> {
        match letter {
            b'f' | b'r' => self.sender = Some(value),
            b'F' => self.full_name = Some(value),
            b'N' => self.notify = Some(value),
            b'R' => self.ret = Some(value),
            b'V' => self.envid = Some(value),
            b'C' => self.config = Some(value),
            b'o' if value == "i" => self.dots = true,
            b'b' if value != "m" => return Err(mode(&value)),
            // How errors are told, how it is delivered, what the body is: there is one way for each here.
            _ => {}
        }
        Ok(())
    }
}

fn text(word: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(word).map_err(|error| {
        Failure::usage(format_args!("{}: not UTF-8", String::from_utf8_lossy(error.as_bytes()).escape_debug()))
    })
}

fn mode(value: &str) -> Failure {
    let missing = match value {
        "s" => "SMTP on the standard input (ehlo serve is a server)",
        "p" => "a queue that could be listed: a message is handed to the server at once, or not at all",
        "i" => "aliases to be built",
        "d" | "D" | "l" => "a daemon (ehlo serve is a server)",
        "t" | "v" => "address tests: the server that the message goes to knows its addresses",
        _ => "such a mode",
    };
    Failure::usage(format_args!(
        "-b{}: there is not {missing}; only -bm, sending a message, is there",
        value.escape_debug()
    ))
}

fn refused(letter: u8, behind: &[u8]) -> Failure {
    match letter {
        b'I' => Failure::usage("-I: there are no aliases to be built"),
        _ => Failure::usage(format_args!(
            "-{}{}: no option that is known here; sendmail --help shows those that are",
            char::from(letter).escape_debug(),
            String::from_utf8_lossy(behind).escape_debug()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Given, Failure> {
        Given::read(line.split_ascii_whitespace().map(OsString::from))
    }

    #[test]
    fn options_are_read_as_programs_write_them() {
        let some = |text: &str| Some(text.to_owned());
        let base = Given::default;
        let to =
            |given: Given, to: &[&str]| Given { recipients: to.iter().map(|to| (*to).to_owned()).collect(), ..given };
        for (line, given) in [
            ("-t -i", Given { from_header: true, dots: true, ..base() }),
            ("-ti -f a@b", Given { from_header: true, dots: true, sender: some("a@b"), ..base() }),
            ("-oi -fa@b -- -x@y", to(Given { dots: true, sender: some("a@b"), ..base() }, &["-x@y"])),
            ("-oem -oi -odi -r a@b c@d", to(Given { dots: true, sender: some("a@b"), ..base() }, &["c@d"])),
            (
                "-i -B8BITMIME -B 8BITMIME -FCronDaemon -bm -em c@d",
                to(Given { dots: true, full_name: some("CronDaemon"), ..base() }, &["c@d"]),
            ),
            ("c@d -v e@f", to(Given { verbose: true, ..base() }, &["c@d", "e@f"])),
            ("-o i -q30m", Given { dots: true, queue: true, ..base() }),
            (
                "-N never -R hdrs -V x -L tag -X/dev/null -O a=b -h 5 -p smtp -U -G -n -m",
                Given { notify: some("never"), ret: some("hdrs"), envid: some("x"), ..base() },
            ),
            ("-oMr x - y", to(base(), &["x", "-", "y"])),
        ] {
            assert_eq!(read(line).ok(), Some(given), "{line}");
        }
    }

    #[test]
    fn what_is_not_there_is_said() {
        for (line, words) in [
            ("-bs", "-bs: there is not SMTP on the standard input"),
            ("-b p", "-bp: there is not a queue"),
            ("-bt", "address tests"),
            ("-bi", "aliases"),
            ("-I", "aliases"),
            ("-bd -q1h", "a daemon"),
            ("-z", "-z: no option that is known here"),
            ("-f", "-f wants a value"),
            ("--frobnicate", "--frobnicate: no option"),
        ] {
            let failure = read(line).unwrap_err();
            assert_eq!(failure.code, crate::failure::EX_USAGE);
            assert!(failure.message.contains(words), "{line}: {}", failure.message);
        }
    }
}
