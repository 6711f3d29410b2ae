//! Scenario files: what their lines mean. The notation is described in `tests/scenarios/README.md`.

mod line;
mod reason;
mod settings;

use std::fs;
use std::path::Path;
use std::time::Duration;

use ehlo_server::codec::{Priority, Reply};
use ehlo_server::{AbortReason, CloseReason, Config, Override, RecipientAnswer, Shutdown};

use self::line::{parse_line, sent};
pub(crate) use self::reason::{show_abort, show_close};

/// A scenario, read from its file.
pub(crate) struct Scenario {
    /// The file's name without its ending.
    pub(crate) name: String,
    pub(crate) config: Config,
    /// The connection begins with a TLS handshake.
    pub(crate) implicit_tls: bool,
    pub(crate) steps: Vec<Step>,
}

/// What a line, or several `C` lines, tell.
pub(crate) struct Step {
    /// The number of its (last) line, from 1.
    pub(crate) line: usize,
    /// As it stands in the file.
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Do(Act),
    Expect(Expect),
}

/// What the runner does.
pub(crate) enum Act {
    Send(Vec<u8>),
    After(Duration),
    Eof,
    Reset,
    Shutdown(Shutdown),
    /// The server is nearly full, or is so no more.
    Stressed(bool),
    PauseBody,
    ResumeBody,
    /// The sink fails, and this is what is said then.
    FailBody(Reply),
    StopReading,
    Read,
    /// The TLS handshake; what follows is inside of it.
    Tls,
    /// A TLS handshake that fails.
    TlsFailed,
    /// The driver can do no handshake for now.
    TlsUnavailable,
    /// To the question that was answered `later`; it comes too late if the flag is set.
    Answer(Verdict, bool),
}

/// What has to happen, or to hold.
pub(crate) enum Expect {
    Reply {
        pattern: Pattern,
        times: usize,
    },
    /// The question as it is shown, and the answer.
    Ask(String, Verdict),
    Aborted(AbortReason),
    Closed(CloseReason),
    /// Holds: the message as far as it came.
    Body(Vec<u8>),
    /// Holds: the open transaction.
    Envelope(String),
    /// Holds: the session is not over.
    Open,
}

/// As many lines of a reply as there are, and one at the least.
pub(crate) const MANY: usize = usize::MAX;

pub(crate) enum Pattern {
    Exactly(String),
    /// Three digits, any of which may be a letter that stands for each digit; a `-` for a line that is not the last; an enhanced code
    /// of the same kind.
    Like {
        code: String,
        more: bool,
        enhanced: Option<String>,
    },
}

#[derive(Clone)]
pub(crate) enum Verdict {
    Accept,
    AcceptWith(Reply),
    /// To MAIL, with a priority for the message.
    AcceptAt(Priority),
    Reject(Reply),
    Defer(Reply),
    /// These octets, to a question about AUTH.
    Challenge(Vec<u8>),
    /// The client is this one, to a question about AUTH.
    AcceptAs(String),
    /// Wrong credentials, to a question about AUTH.
    Fail,
    /// One for each recipient.
    Each(Vec<RecipientAnswer>),
    /// To a question whether to override.
    Override(Override),
    /// By an `answer` line further down.
    Later,
    /// The question is lost, and nobody notices.
    Never,
    /// The question is lost, and the driver notices.
    Drop,
}

impl Pattern {
    pub(crate) fn fits(&self, line: &str) -> bool {
        match self {
            Self::Exactly(text) => text == line,
            Self::Like { code, more, enhanced } => {
                let Some((digits, rest)) = line.split_at_checked(3) else { return false };
                let separator = if *more { '-' } else { ' ' };
                let Some(text) = rest.strip_prefix(separator) else { return false };
                let found = text.split(' ').next().unwrap_or_default();
                like(code, digits) && enhanced.as_ref().is_none_or(|e| like_code(e, found))
            }
        }
    }
}

fn like(pattern: &str, digits: &str) -> bool {
    pattern.len() == digits.len()
        && pattern.chars().zip(digits.chars()).all(|(p, d)| p == d || (p.is_ascii_alphabetic() && d.is_ascii_digit()))
}

fn like_code(pattern: &str, code: &str) -> bool {
    let parts = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (pattern, code) = (parts(pattern), parts(code));
    let fits = |(p, c): (&String, &String)| number(c) && (p == c || p.chars().all(|p| p.is_ascii_alphabetic()));
    pattern.len() == code.len() && pattern.iter().zip(&code).all(fits)
}

impl Expect {
    /// Whether it holds or not at a moment, and nothing has to happen for it.
    pub(crate) fn is_state(&self) -> bool {
        matches!(self, Self::Body(_) | Self::Envelope(_) | Self::Open)
    }
}

/// All scenarios of a folder, by name.
///
/// # Errors
///
/// Each line that cannot be read, with its file and number.
pub(crate) fn read_all(folder: &Path) -> Result<Vec<Scenario>, Vec<String>> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .map_err(|error| vec![format!("{}: {error}", folder.display())])?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "scenario"))
        .collect();
    paths.sort();
    let (mut scenarios, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                errors.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        match Scenario::parse(&name, &text) {
            Ok(scenario) => scenarios.push(scenario),
            Err((line, error)) => errors.push(format!("{name}.scenario:{line}: {error}")),
        }
    }
    if errors.is_empty() { Ok(scenarios) } else { Err(errors) }
}

impl Scenario {
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, (usize, String)> {
        let config = Config::new("mx.test").map_err(|error| (0, error.to_string()))?;
        let mut scenario = Self { name: name.to_owned(), config, implicit_tls: false, steps: Vec::new() };
        // Whether a further C line belongs to the flight before it.
        let mut in_flight = false;
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let fail = |error: String| (number, error);
            if line.starts_with('#') {
                continue;
            }
            if line.trim().is_empty() {
                in_flight = false;
                continue;
            }
            if let Some(settings) = line.strip_prefix("config:") {
                if !scenario.steps.is_empty() {
                    return Err(fail("config comes before everything else".to_owned()));
                }
                for setting in settings.split_whitespace() {
                    scenario.set(setting).map_err(fail)?;
                }
                continue;
            }
            let bytes = sent(line).map_err(fail)?;
            if let (Some(bytes), true, Some(Step { kind: Kind::Do(Act::Send(flight)), text, line: last })) =
                (&bytes, in_flight, scenario.steps.last_mut())
            {
                flight.extend_from_slice(bytes);
                *text = format!("{text}\n{line}");
                *last = number;
                continue;
            }
            in_flight = bytes.is_some();
            let kind = match bytes {
                Some(bytes) => Kind::Do(Act::Send(bytes)),
                None => parse_line(line).map_err(fail)?,
            };
            scenario.steps.push(Step { line: number, text: line.to_owned(), kind });
        }
        if scenario.steps.is_empty() {
            return Err((1, "nothing happens in it".to_owned()));
        }
        Ok(scenario)
    }
}
