//! Why a message is aborted or a session closed, by name.

use ehlo_server::{AbortReason, CloseReason, Reason};

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

pub(super) fn parse_abort(text: &str) -> Result<AbortReason, String> {
    Ok(match text.split_once(' ').unwrap_or((text, "")) {
        ("too-large", "") => AbortReason::TooLarge,
        ("bare-line-end", "") => AbortReason::BareLineEnd,
        ("loop", "") => AbortReason::Loop,
        ("reset", "") => AbortReason::Reset,
        ("not-stored", "") => AbortReason::NotStored,
        ("overridden", "") => AbortReason::Overridden,
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
        AbortReason::Overridden => "aborted overridden".to_owned(),
        AbortReason::Disconnected => "aborted disconnected".to_owned(),
        AbortReason::TimedOut(reason) => format!("aborted timed-out {}", show_reason(reason)),
        other => format!("aborted {other:?}"),
    }
}

pub(super) fn parse_close(text: &str) -> Result<CloseReason, String> {
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
