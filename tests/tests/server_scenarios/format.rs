//! Scenario files: what their lines mean. The notation is described in `tests/scenarios/README.md`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ehlo_server::codec::{EnhancedCode, FutureRelease, Priority, Reply, ReplyCode, Timestamp};
use ehlo_server::{
    AbortReason, AuthMechanism, BareLineEnds, CloseReason, Config, MechanismNeeds, Protocol, Questions, Reason,
    RecipientAnswer, Shutdown, Solicitations, TlsMode,
};

use crate::escape::unescape;

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

    /// One `key=value` of a config line.
    fn set(&mut self, setting: &str) -> Result<(), String> {
        let (key, value) = setting.split_once('=').ok_or_else(|| format!("{setting} is no key=value"))?;
        if key == "hostname" {
            return self.config.set_hostname(value).map_err(|e| format!("{value}: {e}"));
        }
        if key == "implicit-tls" {
            self.implicit_tls = on(value)?;
            return Ok(());
        }
        let config = &mut self.config;
        let (limits, timeouts) = (&mut config.limits, &mut config.timeouts);
        match key {
            "questions" => config.questions = questions(value)?,
            "bare-line-ends" => {
                config.bare_line_ends = match value {
                    "reject" => BareLineEnds::Reject,
                    "keep" => BareLineEnds::Keep,
                    "normalize" => BareLineEnds::Normalize,
                    _ => return Err(format!("bare-line-ends={value} is neither reject, keep nor normalize")),
                }
            }
            "protocol" => {
                config.protocol = match value {
                    "smtp" => Protocol::Smtp,
                    "lmtp" => Protocol::Lmtp,
                    _ => return Err(format!("protocol={value} is neither smtp nor lmtp")),
                }
            }
            "tls" => {
                config.tls = match value {
                    "off" => TlsMode::Off,
                    "starttls" => TlsMode::StartTls,
                    "required" => TlsMode::Required,
                    _ => return Err(format!("tls={value} is neither off, starttls nor required")),
                }
            }
            "auth" => config.auth.mechanisms = value.split(',').map(mechanism).collect::<Result<_, _>>()?,
            "allow-plaintext-auth" => config.auth.allow_plaintext_auth = on(value)?,
            "require-auth" => config.auth.require_auth = on(value)?,
            "auth-line" => limits.auth_line = number(value)?,
            "auth-failures" => limits.auth_failures = number(value)?,
            "pipelining" => config.pipelining = on(value)?,
            "8bitmime" => config.eight_bit_mime = on(value)?,
            "chunking" => config.chunking = on(value)?,
            "binarymime" => config.binary_mime = on(value)?,
            "enhanced-status-codes" => config.enhanced_status_codes = on(value)?,
            "smtputf8" => config.smtputf8 = on(value)?,
            "dsn" => config.dsn = on(value)?,
            "requiretls" => config.requiretls = on(value)?,
            "deliver-by" => config.deliver_by = Some(number(value)?),
            "future-release" => config.future_release = Some(future_release(value)?),
            "mt-priority" => config.mt_priority = on(value)?,
            "rrvs" => config.rrvs = on(value)?,
            "no-soliciting" => {
                let classes = Solicitations::parse(value).ok_or_else(|| format!("{value} is no list of keywords"))?;
                config.no_soliciting = Some(classes);
            }
            "etrn" => config.etrn = on(value)?,
            "expn" => config.expn = on(value)?,
            "help" => config.help = on(value)?,
            "help-text" => {
                let text = String::from_utf8(unescape(value)?).map_err(|error| error.to_string())?;
                config.set_help_text(&text).map_err(|error| error.to_string())?;
            }
            "transactions" => limits.transactions = Some(number(value)?),
            "recipient-domains" => limits.recipient_domains = Some(number(value)?),
            "command-line" => limits.command_line = number(value)?,
            "discarded-line" => limits.discarded_line = number(value)?,
            "message-size" => limits.message_size = number(value)?,
            "refused-body" => limits.refused_body = number(value)?,
            "recipients" => limits.recipients = number(value)?,
            "envelope" => limits.envelope = number(value)?,
            "output" => limits.output = number(value)?,
            "bad-commands" => limits.bad_commands = number(value)?,
            "received" => limits.received = if value == "off" { None } else { Some(number(value)?) },
            "idle-commands" => limits.idle_commands = number(value)?,
            "command-timeout" => timeouts.command = duration(value)?,
            "body-timeout" => timeouts.body = duration(value)?,
            "slow-body-timeout" => timeouts.slow_body = duration(value)?,
            "data-rate" => limits.data_rate = number(value)?,
            "flush-timeout" => timeouts.flush = duration(value)?,
            "answer-timeout" => timeouts.answer = duration(value)?,
            "commit-timeout" => timeouts.commit = duration(value)?,
            "sink-timeout" => timeouts.sink = duration(value)?,
            "handshake-timeout" => timeouts.handshake = duration(value)?,
            "session-timeout" => timeouts.session = duration(value)?,
            _ => return Err(format!("there is no setting {key}")),
        }
        Ok(())
    }
}

/// A mechanism, with what `ehlo-tokio` says that it needs.
fn mechanism(name: &str) -> Result<AuthMechanism, String> {
    let needs = match name {
        "EXTERNAL" => MechanismNeeds::ClientCertificate,
        name if name.ends_with("-PLUS") => MechanismNeeds::ChannelBinding,
        _ => MechanismNeeds::Confidentiality,
    };
    let mechanism = AuthMechanism::new(name, needs).ok_or_else(|| format!("{name} is no mechanism"))?;
    Ok(if name == "CRAM-MD5" { mechanism.server_first() } else { mechanism })
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{text} is no number that fits"))
}

/// `86400,2030-01-01T00:00:00Z`.
fn future_release(text: &str) -> Result<FutureRelease, String> {
    let (interval, until) = text.split_once(',').ok_or_else(|| format!("{text} is no interval and date"))?;
    let max_until = Timestamp::parse(until).map_err(|error| format!("{until}: {error}"))?;
    Ok(FutureRelease { max_interval: number(interval)?, max_until })
}

fn on(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("{text} is neither on nor off")),
    }
}

fn questions(text: &str) -> Result<Questions, String> {
    text.split(',').try_fold(Questions::NONE, |set, name| {
        let one = match name {
            "all" => Questions::ALL,
            "none" => Questions::NONE,
            "connect" => Questions::CONNECT,
            "hello" => Questions::HELLO,
            "mail" => Questions::MAIL,
            "rcpt" => Questions::RCPT,
            "data" => Questions::DATA,
            "vrfy" => Questions::VRFY,
            _ => return Err(format!("there is no question {name}")),
        };
        Ok(set | one)
    })
}

/// `4m59s`, `10ms`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is no duration such as 4m59s");
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let letters = rest[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - digits);
        total += match &rest[digits..digits + letters] {
            "ms" => Duration::from_millis(count),
            "s" => Duration::from_secs(count),
            "m" => Duration::from_secs(60 * count),
            "h" => Duration::from_secs(3600 * count),
            _ => return Err(wrong()),
        };
        rest = &rest[digits + letters..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

/// The bytes of a `C` line.
fn sent(line: &str) -> Result<Option<Vec<u8>>, String> {
    if let Some(text) = line.strip_prefix("C:") {
        let text = text.strip_prefix(' ').unwrap_or(text);
        return Ok(Some([text.as_bytes(), b"\r\n"].concat()));
    }
    if let Some(text) = line.strip_prefix("C~") {
        return unescape(text.strip_prefix(' ').unwrap_or(text)).map(Some);
    }
    Ok(None)
}

fn parse_line(line: &str) -> Result<Kind, String> {
    if let Some(rest) = line.strip_prefix("S") {
        return Ok(Kind::Expect(parse_reply(rest)?));
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    Ok(match word {
        "after" => Kind::Do(Act::After(duration(rest)?)),
        "eof" => Kind::Do(Act::Eof),
        "reset" => Kind::Do(Act::Reset),
        "shutdown" => Kind::Do(Act::Shutdown(match rest {
            "graceful" => Shutdown::Graceful,
            "now" => Shutdown::Now,
            "overload" => Shutdown::Overload,
            _ => return Err("shutdown is graceful, now or overload".to_owned()),
        })),
        "stressed" => Kind::Do(Act::Stressed(true)),
        "relieved" => Kind::Do(Act::Stressed(false)),
        "pause-body" => Kind::Do(Act::PauseBody),
        "resume-body" => Kind::Do(Act::ResumeBody),
        "fail-body" => Kind::Do(Act::FailBody(parse_server_reply(rest)?)),
        "stop-reading" => Kind::Do(Act::StopReading),
        "read" => Kind::Do(Act::Read),
        "tls" => Kind::Do(Act::Tls),
        "tls-failed" => Kind::Do(Act::TlsFailed),
        "tls-unavailable" => Kind::Do(Act::TlsUnavailable),
        "answer" => {
            let (verdict, late) = match rest.strip_suffix(" is stale") {
                Some(verdict) => (verdict, true),
                None => (rest, false),
            };
            Kind::Do(Act::Answer(parse_verdict(verdict)?, late))
        }
        "ask" => {
            let (_, verdict) = rest.rsplit_once("-> ").ok_or("ask needs -> and an answer")?;
            let question = rest[..rest.len() - verdict.len() - "-> ".len()].trim_end();
            Kind::Expect(Expect::Ask(question.to_owned(), parse_verdict(verdict)?))
        }
        "aborted" => Kind::Expect(Expect::Aborted(parse_abort(rest)?)),
        "closed" => Kind::Expect(Expect::Closed(parse_close(rest)?)),
        "body" => {
            let text = rest.strip_prefix('"').and_then(|r| r.strip_suffix('"')).ok_or("body needs \"text\"")?;
            Kind::Expect(Expect::Body(unescape(text)?))
        }
        "envelope" => Kind::Expect(Expect::Envelope(rest.to_owned())),
        "open" => Kind::Expect(Expect::Open),
        _ => return Err(format!("there is no line that begins with {word}")),
    })
}

/// What stands behind the `S` of a reply line: `: text`, `? 5yz`, `*100: text`, `+? 250-`.
fn parse_reply(rest: &str) -> Result<Expect, String> {
    let (times, rest) = match rest.strip_prefix('*') {
        None => match rest.strip_prefix('+') {
            None => (1, rest),
            Some(rest) => (MANY, rest),
        },
        Some(rest) => {
            let digits = rest.find([':', '?']).ok_or("S* needs a number and a colon")?;
            (number(&rest[..digits])?, &rest[digits..])
        }
    };
    if let Some(text) = rest.strip_prefix(": ") {
        return Ok(Expect::Reply { pattern: Pattern::Exactly(text.to_owned()), times });
    }
    let text = rest.strip_prefix("? ").ok_or("a reply is written S: TEXT, or S? PATTERN")?;
    let (code, enhanced) = text.split_once(' ').map_or((text, None), |(code, e)| (code, Some(e.to_owned())));
    let (code, more) = code.strip_suffix('-').map_or((code, false), |code| (code, true));
    if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(format!("{code} is no pattern of three digits"));
    }
    Ok(Expect::Reply { pattern: Pattern::Like { code: code.to_owned(), more, enhanced }, times })
}

fn parse_verdict(text: &str) -> Result<Verdict, String> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let bare = |verdict| if rest.is_empty() { Ok(verdict) } else { Err(format!("{word} takes no reply")) };
    match word {
        "accept" => bare(Verdict::Accept),
        "later" => bare(Verdict::Later),
        "never" => bare(Verdict::Never),
        "drop" => bare(Verdict::Drop),
        "accept-at" => {
            let priority = Priority::parse(rest).ok_or_else(|| format!("{rest} is no priority"))?;
            Ok(Verdict::AcceptAt(priority))
        }
        "fail" => bare(Verdict::Fail),
        "accept-as" => Ok(Verdict::AcceptAs(rest.to_owned())),
        "challenge" => {
            let text = rest.strip_prefix('"').and_then(|r| r.strip_suffix('"')).ok_or("challenge needs \"text\"")?;
            Ok(Verdict::Challenge(unescape(text)?))
        }
        "accept-with" => Ok(Verdict::AcceptWith(parse_server_reply(rest)?)),
        "reject" => Ok(Verdict::Reject(parse_server_reply(rest)?)),
        "defer" => Ok(Verdict::Defer(parse_server_reply(rest)?)),
        "each" => rest.split(" | ").map(parse_part).collect::<Result<_, _>>().map(Verdict::Each),
        _ => Err(format!("there is no answer {word}")),
    }
}

/// The answer for one recipient.
fn parse_part(text: &str) -> Result<RecipientAnswer, String> {
    match parse_verdict(text)? {
        Verdict::Accept => Ok(Ok(None)),
        Verdict::AcceptWith(reply) => Ok(Ok(Some(reply))),
        Verdict::Reject(reply) | Verdict::Defer(reply) => Ok(Err(reply)),
        _ => Err(format!("{text} is no answer for one recipient")),
    }
}

/// `550 5.1.1 text`, or `554 text`; `\n` begins a new line.
fn parse_server_reply(text: &str) -> Result<Reply, String> {
    let (code, rest) = text.split_once(' ').ok_or("a reply has a code and a text")?;
    let code = ReplyCode::new(number(code)?).ok_or_else(|| format!("{code} is no reply code"))?;
    let (enhanced, rest) = match EnhancedCode::parse_prefix(rest.as_bytes()) {
        Some((enhanced, length)) => (Some(enhanced), rest[length..].trim_start()),
        None => (None, rest),
    };
    let rest = String::from_utf8(unescape(rest)?).map_err(|error| error.to_string())?;
    Reply::new_utf8(code, enhanced, rest).map_err(|error| error.to_string())
}

const REASONS: [(&str, Reason); 8] = [
    ("handshake", Reason::Handshake),
    ("command", Reason::Command),
    ("body", Reason::Body),
    ("flush", Reason::Flush),
    ("answer", Reason::Answer),
    ("commit", Reason::Commit),
    ("sink", Reason::Sink),
    ("session", Reason::Session),
];

fn parse_reason(text: &str) -> Result<Reason, String> {
    let found = REASONS.iter().find(|(name, _)| *name == text).ok_or_else(|| format!("there is no deadline {text}"))?;
    Ok(found.1)
}

fn show_reason(reason: Reason) -> &'static str {
    REASONS.iter().find(|(_, r)| *r == reason).map_or("?", |(name, _)| name)
}

fn parse_abort(text: &str) -> Result<AbortReason, String> {
    Ok(match text.split_once(' ').unwrap_or((text, "")) {
        ("too-large", "") => AbortReason::TooLarge,
        ("bare-line-end", "") => AbortReason::BareLineEnd,
        ("loop", "") => AbortReason::Loop,
        ("reset", "") => AbortReason::Reset,
        ("not-stored", "") => AbortReason::NotStored,
        ("disconnected", "") => AbortReason::Disconnected,
        ("timed-out", reason) => AbortReason::TimedOut(parse_reason(reason)?),
        _ => return Err(format!("there is no reason to abort {text}")),
    })
}

pub(crate) fn show_abort(reason: AbortReason) -> String {
    match reason {
        AbortReason::TooLarge => "aborted too-large".to_owned(),
        AbortReason::BareLineEnd => "aborted bare-line-end".to_owned(),
        AbortReason::Loop => "aborted loop".to_owned(),
        AbortReason::Reset => "aborted reset".to_owned(),
        AbortReason::NotStored => "aborted not-stored".to_owned(),
        AbortReason::Disconnected => "aborted disconnected".to_owned(),
        AbortReason::TimedOut(reason) => format!("aborted timed-out {}", show_reason(reason)),
        other => format!("aborted {other:?}"),
    }
}

fn parse_close(text: &str) -> Result<CloseReason, String> {
    Ok(match text.split_once(' ').unwrap_or((text, "")) {
        ("quit", "") => CloseReason::Quit,
        ("disconnected", "") => CloseReason::Disconnected,
        ("refused", "") => CloseReason::Refused,
        ("too-many-errors", "") => CloseReason::TooManyErrors,
        ("too-many-auth-failures", "") => CloseReason::TooManyAuthFailures,
        ("too-many-commands", "") => CloseReason::TooManyCommands,
        ("too-many-transactions", "") => CloseReason::TooManyTransactions,
        ("endless", "") => CloseReason::Endless,
        ("out-of-step", "") => CloseReason::OutOfStep,
        ("shutdown", "") => CloseReason::Shutdown,
        ("overload", "") => CloseReason::Overload,
        ("clear-behind-starttls", "") => CloseReason::ClearBehindStartTls,
        ("tls-failed", "") => CloseReason::TlsFailed,
        ("another-protocol", "") => CloseReason::AnotherProtocol,
        ("timed-out", reason) => CloseReason::TimedOut(parse_reason(reason)?),
        _ => return Err(format!("there is no reason to close {text}")),
    })
}

pub(crate) fn show_close(reason: CloseReason) -> String {
    let word = match reason {
        CloseReason::Quit => "quit",
        CloseReason::Disconnected => "disconnected",
        CloseReason::Refused => "refused",
        CloseReason::TooManyErrors => "too-many-errors",
        CloseReason::TooManyAuthFailures => "too-many-auth-failures",
        CloseReason::TooManyCommands => "too-many-commands",
        CloseReason::TooManyTransactions => "too-many-transactions",
        CloseReason::Endless => "endless",
        CloseReason::OutOfStep => "out-of-step",
        CloseReason::Shutdown => "shutdown",
        CloseReason::Overload => "overload",
        CloseReason::ClearBehindStartTls => "clear-behind-starttls",
        CloseReason::TlsFailed => "tls-failed",
        CloseReason::AnotherProtocol => "another-protocol",
        CloseReason::TimedOut(reason) => return format!("closed timed-out {}", show_reason(reason)),
        other => return format!("closed {other:?}"),
    };
    format!("closed {word}")
}
