//! Reads transcripts.

use ehlo_client::codec::{BodyType, ReplyLimits};
use ehlo_client::{BodyEnd, Config, StartTls};
use std::time::Duration;

/// One transcript: what is done to a session, and what it must do.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) title: String,
    pub(crate) config: Config,
    /// Several transactions may be open.
    pub(crate) ahead: bool,
    pub(crate) steps: Vec<Step>,
}

/// One thing that is done to the session, and all that it must cause.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// In the file, counted from 1.
    pub(crate) line: usize,
    pub(crate) action: Action,
    pub(crate) expected: Expected,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Nothing was done yet: the session is new.
    Start,
    /// Bytes from the server.
    Server(Vec<u8>),
    Begin(Begin),
    Body {
        end: BodyEnd,
        /// The call is a misuse, and must say so.
        misuse: bool,
    },
    Progress,
    /// A chunk of so many octets is begun, perhaps the last one.
    Chunk(u64, bool),
    ChunkFinished,
    /// A TLS handshake was made, with a server that was verified or not; or it failed.
    Tls(Option<bool>),
    Auth(String, Option<Vec<u8>>),
    Respond(Vec<u8>),
    Cancel,
    Abandon,
    Quit,
    Eof,
    After(Duration),
    /// So many bytes of the output were written.
    Sent(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Begin {
    pub(crate) from: String,
    /// Each with its parameters.
    pub(crate) to: Vec<(String, String)>,
    /// Further parameters of MAIL.
    pub(crate) params: String,
    pub(crate) size: Option<u64>,
    pub(crate) body: BodyType,
    pub(crate) utf8: bool,
    /// `Debug` of the error that must come.
    pub(crate) error: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) output: Vec<u8>,
    /// The output stays unsent.
    pub(crate) held: bool,
    pub(crate) events: Vec<String>,
    pub(crate) recipients: Option<String>,
    /// From now, and what for; `None` inside for a session that is closed.
    pub(crate) deadline: Option<Option<(Duration, String)>>,
    pub(crate) reply: Option<String>,
}

/// Reads all transcripts of a file.
pub(crate) fn read(text: &str) -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix("== ") {
            scenarios.push(Scenario {
                title: format!("{number}: {title}"),
                config: Config::new("client.example").expect("a domain"),
                ahead: false,
                steps: vec![Step { line: number, action: Action::Start, expected: Expected::default() }],
            });
            continue;
        }
        let scenario = scenarios.last_mut().unwrap_or_else(|| panic!("line {number} stands before the first title"));
        scenario.read_line(number, line).unwrap_or_else(|what| panic!("line {number}: {what}: {line}"));
    }
    scenarios
}

impl Scenario {
    fn read_line(&mut self, number: usize, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let action = match word {
            "S:" | "S+" | "S*" => {
                let bytes = server_bytes(word, rest)?;
                // Lines that follow each other come in one piece.
                match self.steps.last_mut() {
                    Some(Step { action: Action::Server(block), expected, .. }) if expected.is_untouched() => {
                        block.extend_from_slice(&bytes);
                        return Ok(());
                    }
                    _ => Action::Server(bytes),
                }
            }
            "begin" => Action::Begin(begin(rest)?),
            "body" => {
                let (end, misuse) = match rest.split_once(" -> ") {
                    Some((end, "misuse")) => (end, true),
                    Some(_) => return Err("only `-> misuse` may stand here".into()),
                    None => (rest, false),
                };
                Action::Body { end: body_end(end)?, misuse }
            }
            "chunk" if rest == "finished" => Action::ChunkFinished,
            "chunk" => {
                let (octets, last) =
                    rest.split_once(' ').map_or((rest, false), |(octets, word)| (octets, word == "last"));
                Action::Chunk(octets.parse().map_err(|_| "a number of octets is wanted")?, last)
            }
            "tls" => Action::Tls(match rest {
                "verified" => Some(true),
                "unverified" => Some(false),
                "failed" => None,
                _ => return Err("tls is verified, unverified or failed".into()),
            }),
            "auth" => match rest.split_once(' ') {
                Some((mechanism, initial)) => Action::Auth(mechanism.to_owned(), Some(unescape(initial)?)),
                None => Action::Auth(rest.to_owned(), None),
            },
            "respond" => Action::Respond(unescape(rest)?),
            "cancel" => Action::Cancel,
            "abandon" => Action::Abandon,
            "progress" => Action::Progress,
            "quit" => Action::Quit,
            "eof" => Action::Eof,
            "after" => Action::After(duration(rest)?),
            "sent" => Action::Sent(rest.parse().map_err(|_| "a number of bytes is wanted")?),
            "ready" => {
                self.steps.extend(greeted(number, rest));
                return Ok(());
            }
            "config" => return self.configure(rest),
            _ => return self.expect(word, rest),
        };
        self.steps.push(Step { line: number, action, expected: Expected::default() });
        Ok(())
    }

    fn expect(&mut self, word: &str, rest: &str) -> Result<(), String> {
        let expected = &mut self.steps.last_mut().ok_or("nothing was done yet")?.expected;
        match word {
            "C:" | "held:" | "held+" => {
                let held = word != "C:";
                if expected.held != held && !expected.output.is_empty() {
                    return Err("one step's output is sent as a whole or held as a whole".into());
                }
                expected.held = held;
                expected.output.extend_from_slice(&unescape(rest)?);
                if word != "held+" {
                    expected.output.extend_from_slice(b"\r\n");
                }
            }
            "E:" => expected.events.push(rest.to_owned()),
            "R:" => expected.recipients = Some(rest.to_owned()),
            "reply:" => expected.reply = Some(rest.to_owned()),
            "D:" if rest == "none" => expected.deadline = Some(None),
            "D:" => {
                let (time, reason) = rest.split_once(' ').ok_or("a time and a reason are wanted")?;
                expected.deadline = Some(Some((duration(time)?, reason.to_owned())));
            }
            _ => return Err("no such word".into()),
        }
        Ok(())
    }

    fn configure(&mut self, rest: &str) -> Result<(), String> {
        let mut limits = ReplyLimits::default();
        let mut config = self.config.clone();
        for word in rest.split(' ') {
            let (key, value) = word.split_once('=').ok_or("KEY=VALUE is wanted")?;
            let number = || value.parse::<usize>().map_err(|_| "a number is wanted");
            match key {
                "name" => config = Config::new(value).map_err(|fault| fault.to_string())?,
                "lmtp" => config = config.lmtp(value == "on"),
                "pipelining" => config = config.pipelining(value == "on"),
                "chunking" => config = config.chunking(value == "on"),
                "fuse" => config = config.fuse(number()? as u64),
                "ahead" => {
                    config = config.ahead(number()?);
                    self.ahead = true;
                }
                "starttls" => {
                    config = config.starttls(match value {
                        "required" => StartTls::Required,
                        "opportunistic" => StartTls::Opportunistic,
                        _ => StartTls::Off,
                    });
                }
                "recipients" => config = config.max_recipients(number()?),
                "line" => limits.line = number()?,
                "lines" => limits.lines = number()?,
                "total" => limits.total = number()?,
                _ => return Err(format!("no setting {key}")),
            }
        }
        self.config = config.reply_limits(limits);
        Ok(())
    }
}

impl Expected {
    fn is_untouched(&self) -> bool {
        self.output.is_empty()
            && self.events.is_empty()
            && self.recipients.is_none()
            && self.deadline.is_none()
            && self.reply.is_none()
    }
}

/// The greeting, and EHLO answered with these keywords.
fn greeted(line: usize, keywords: &str) -> Vec<Step> {
    let texts: Vec<&str> = ["mx.example"].into_iter().chain(keywords.split(", ").filter(|k| !k.is_empty())).collect();
    let mut ehlo = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        let separator = if i + 1 == texts.len() { ' ' } else { '-' };
        ehlo.extend_from_slice(format!("250{separator}{text}\r\n").as_bytes());
    }
    let step = |action, output: &[u8], events: &[&str]| Step {
        line,
        action,
        expected: Expected {
            output: output.to_vec(),
            events: events.iter().map(|&e| e.to_owned()).collect(),
            ..Expected::default()
        },
    };
    vec![
        step(Action::Server(b"220 mx.example ESMTP\r\n".to_vec()), b"EHLO client.example\r\n", &["reply Greeting 220"]),
        step(Action::Server(ehlo), b"", &["reply Ehlo 250", "ready"]),
    ]
}

fn server_bytes(word: &str, rest: &str) -> Result<Vec<u8>, String> {
    match word {
        "S:" => Ok([unescape(rest)?, b"\r\n".to_vec()].concat()),
        "S+" => unescape(rest),
        _ => {
            let (count, text) = rest.split_once(' ').ok_or("a count and a text are wanted")?;
            Ok(unescape(text)?.repeat(count.parse().map_err(|_| "a count is wanted")?))
        }
    }
}

/// `\r`, `\n`, `\0`, `\\` and `\xHH`.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b'0') => 0,
                Some(b'\\') => b'\\',
                Some(b'x') => {
                    let digits: String = rest.by_ref().take(2).map(char::from).collect();
                    u8::from_str_radix(&digits, 16).map_err(|_| "two hexadecimal digits are wanted")?
                }
                _ => return Err("no such escape".into()),
            },
            other => other,
        });
    }
    Ok(bytes)
}

fn begin(rest: &str) -> Result<Begin, String> {
    let (call, error) = match rest.split_once(" -> ") {
        Some((call, error)) => (call, Some(error.to_owned())),
        None => (rest, None),
    };
    let mut begin = Begin {
        from: String::new(),
        to: Vec::new(),
        params: String::new(),
        size: None,
        body: BodyType::SevenBit,
        utf8: false,
        error,
    };
    for (i, word) in call.split(' ').enumerate() {
        if let Some(size) = word.strip_prefix("SIZE=") {
            begin.size = Some(size.parse().map_err(|_| "SIZE is a number")?);
        } else if let Some(body) = word.strip_prefix("BODY=") {
            begin.body = BodyType::parse(body).ok_or("no such BODY")?;
        } else if word == "SMTPUTF8" {
            begin.utf8 = true;
        } else if i == 0 {
            begin.from = word.to_owned();
        } else if word.starts_with('<') {
            let end = word.rfind('>').map_or(word.len(), |at| at + 1);
            let (path, params) = word.split_at(end);
            begin.to.push((path.to_owned(), params.trim_start_matches('|').replace('|', " ")));
        } else {
            if !begin.params.is_empty() {
                begin.params.push(' ');
            }
            begin.params.push_str(word);
        }
    }
    Ok(begin)
}

fn body_end(word: &str) -> Result<BodyEnd, String> {
    match word {
        "dot" => Ok(BodyEnd::Dot),
        "crlf-dot" => Ok(BodyEnd::CrlfDot),
        "included" => Ok(BodyEnd::Included),
        _ => Err("a body ends by dot, crlf-dot or included".into()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let number: u64 = digits.parse().map_err(|_| "a duration is a number and ms, s or m")?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(60 * number)),
        _ => Err("a duration ends in ms, s or m".into()),
    }
}
