//! What a rule can look at.

use std::net::IpAddr;

use ehlo_codes::Stage;
use ehlo_tokio::Upcoming;
use ehlo_tokio::ehlo_server::codec::Command;
use ehlo_tokio::ehlo_server::{EnvelopeView, Moment};

use super::pattern::Address;
use super::stage::stage_of;

/// What is known of a client, and of what comes next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) stage: Stage,
    pub(super) client: IpAddr,
    /// The name in EHLO, HELO or LHLO: of this command, or of the last one.
    pub(super) helo: Option<&'a str>,
    /// Without brackets; `None` outside of a transaction.
    pub(super) sender: Option<&'a str>,
    pub(super) recipients: Recipients<'a>,
    /// Of the message, or what MAIL has declared.
    pub(super) size: Option<u64>,
    pub(super) tls: bool,
    pub(super) user: Option<&'a str>,
    /// The command line.
    pub(super) line: Option<&'a [u8]>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Recipients<'a> {
    /// That of this command.
    One(&'a str),
    /// Those of the transaction.
    All(EnvelopeView<'a>),
    #[cfg(test)]
    These(&'a [&'a str]),
}

impl Recipients<'_> {
    pub(super) fn any(&self, fits: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::One(one) => fits(one),
            Self::All(envelope) => envelope.recipients().any(|to| fits(to.path.as_str())),
            #[cfg(test)]
            Self::These(these) => these.iter().any(|one| fits(one)),
        }
    }

    pub(super) fn fit(&self, patterns: &[Address]) -> bool {
        self.any(|address| patterns.iter().any(|pattern| pattern.fits(address)))
    }
}

impl<'a> Facts<'a> {
    /// `None` for a moment that no rule can name.
    pub(super) fn of(upcoming: &Upcoming<'a>) -> Option<Self> {
        let (context, envelope) = (&upcoming.context, upcoming.context.envelope);
        let mut facts = Self {
            stage: stage_of(upcoming.moment)?,
            client: context.peer.ip().to_canonical(),
            helo: envelope.client_name().map(|name| name.as_str()),
            sender: without_brackets(envelope.reverse_path_text()),
            recipients: Recipients::All(envelope),
            size: envelope.declared_size(),
            tls: context.tls.is_some(),
            user: envelope.identity(),
            line: None,
        };
        match upcoming.moment {
            Moment::Command { line, .. } => {
                facts.line = Some(line);
                // A line that breaks the grammar names nobody.
                match Command::parse_utf8(line) {
                    Ok(Command::Ehlo(name) | Command::Helo(name) | Command::Lhlo(name)) => {
                        facts.helo = Some(name.as_str())
                    }
                    Ok(Command::Mail { from, params }) => {
                        (facts.sender, facts.size) = (Some(from.as_str()), params.size())
                    }
                    Ok(Command::Rcpt { to, .. }) => facts.recipients = Recipients::One(to.as_str()),
                    Ok(Command::Vrfy { text, .. } | Command::Expn { text, .. }) => {
                        facts.recipients = Recipients::One(text.as_str());
                    }
                    _ => {}
                }
            }
            Moment::Message { size } => facts.size = Some(size),
            _ => {}
        }
        Some(facts)
    }
}

/// `None` if there is nothing.
fn without_brackets(path: &str) -> Option<&str> {
    path.strip_prefix('<')?.strip_suffix('>')
}
