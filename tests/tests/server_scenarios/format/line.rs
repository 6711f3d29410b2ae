//! The lines that tell what is done, and what has to happen.

use ehlo_server::codec::{EnhancedCode, Priority, Reply, ReplyCode};
use ehlo_server::{Override, RecipientAnswer, Shutdown};

use super::reason::{parse_abort, parse_close};
use super::settings::{duration, number};
use super::{Act, Expect, Kind, MANY, Pattern, Verdict};
use crate::escape::unescape;

/// The bytes of a `C` line.
pub(super) fn sent(line: &str) -> Result<Option<Vec<u8>>, String> {
    if let Some(text) = line.strip_prefix("C:") {
        let text = text.strip_prefix(' ').unwrap_or(text);
        return Ok(Some([text.as_bytes(), b"\r\n"].concat()));
    }
    if let Some(text) = line.strip_prefix("C~") {
        return unescape(text.strip_prefix(' ').unwrap_or(text)).map(Some);
    }
    Ok(None)
}

pub(super) fn parse_line(line: &str) -> Result<Kind, String> {
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
        "override" => parse_override(rest).map(Verdict::Override),
        "each" => rest.split(" | ").map(parse_part).collect::<Result<_, _>>().map(Verdict::Each),
        _ => Err(format!("there is no answer {word}")),
    }
}

/// What is done instead: `say REPLY`, `octets "text"`, `silence` or `usual`, behind `obey`, `close` or both.
fn parse_override(text: &str) -> Result<Override, String> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    Ok(match word {
        "obey" => parse_override(rest)?.obey(),
        "close" => parse_override(rest)?.close(),
        "say" => Override::reply(parse_server_reply(rest)?),
        "octets" => {
            let text = rest.strip_prefix('"').and_then(|r| r.strip_suffix('"')).ok_or("octets need \"text\"")?;
            Override::octets(unescape(text)?)
        }
        "silence" if rest.is_empty() => Override::silence(),
        "usual" if rest.is_empty() => Override::usual(),
        _ => return Err(format!("nothing is overridden by {text}")),
    })
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
