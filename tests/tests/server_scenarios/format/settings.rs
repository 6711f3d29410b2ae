//! The `config` lines of a scenario.

use std::time::Duration;

use ehlo_server::codec::{FutureRelease, Timestamp};
use ehlo_server::{AuthMechanism, BareLineEnds, MechanismNeeds, Protocol, Questions, Solicitations, TlsMode};

use super::Scenario;
use crate::escape::unescape;

impl Scenario {
    /// One `key=value` of a config line.
    pub(super) fn set(&mut self, setting: &str) -> Result<(), String> {
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
            "announce-limits" => config.announce_limits = on(value)?,
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
            "override-answer-timeout" => timeouts.override_answer = duration(value)?,
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

pub(super) fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
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
            "override" => Questions::OVERRIDE,
            _ => return Err(format!("there is no question {name}")),
        };
        Ok(set | one)
    })
}

/// `4m59s`, `10ms`, `1h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
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
