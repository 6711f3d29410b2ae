//! What a session is told before it begins.

use crate::auth::AuthConfig;
use crate::limits::{Limits, Stress, Timeouts};
use crate::question::Questions;
use crate::replies;
use ehlo_codec::{Domain, FutureRelease, MailParams, PathFault, Reply, ReplyCode, ReplyError};
use std::net::IpAddr;

/// What to do with a message that has a CR or LF outside of a CRLF.
///
/// Such a message never ends early: only CRLF `.` CRLF ends it. But programs further on may see other lines in it than this one
/// does, and other message ends; that is how messages are smuggled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BareLineEnds {
    /// Refuse it with 550 5.6.0 once its true end was read (RFC 5321 §2.3.8).
    #[default]
    Reject,
    /// Take it as it came. For an application that is known to treat them as what they are: not line ends.
    Keep,
    /// Make a CRLF of each of them before the application sees it: an LF goes in behind a bare CR, and a CR before a bare LF. The octets
    /// that are put in count as octets of the message.
    ///
    /// Where the message ends is decided before that: only CRLF `.` CRLF as it was sent ends it, and a line that begins with a dot only
    /// since its bare line end was made good keeps that dot. A CR that ends one chunk of BDAT and an LF that begins the next are one
    /// CRLF; a CR that ends the message is a bare one.
    Normalize,
}

/// What is spoken on the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// SMTP (RFC 5321): one reply for a message.
    #[default]
    Smtp,
    /// LMTP (RFC 2033): LHLO in place of EHLO and HELO, and behind a message one reply for each recipient that was accepted, in their
    /// order. Not for port 25, nor for wide area networks (RFC 2033 §5), which also wants PIPELINING and ENHANCEDSTATUSCODES on.
    Lmtp,
}

/// Whether a session that began in clear can go on inside TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsMode {
    /// STARTTLS is neither offered nor known: 502.
    #[default]
    Off,
    /// STARTTLS is offered outside of TLS (RFC 3207).
    StartTls,
    /// As [`StartTls`](Self::StartTls), and before it nothing but NOOP, EHLO, STARTTLS and QUIT is obeyed: 530 5.7.0 (RFC 3207 §4).
    /// Not for a server that is named in a domain's MX records: it must take mail without TLS (same section).
    Required,
}

impl TlsMode {
    /// Whether STARTTLS is known.
    #[must_use]
    pub const fn has_starttls(self) -> bool {
        !matches!(self, Self::Off)
    }
}

/// Kinds of solicitation that are not wanted, as NO-SOLICITING announces them (RFC 3865 §2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Solicitations(String);

impl Solicitations {
    /// Most octets of the list, so that it fits in a reply line with its keyword (RFC 5321 §4.5.3.1.5).
    pub const MAX: usize = 480;

    /// Reads keywords with commas between, such as `org.example:ADV`; an empty text names none in particular. `None` if they do not fit
    /// `Solicitation-keywords` (RFC 3865 §2.2), or are longer than [`MAX`](Self::MAX).
    #[must_use]
    pub fn parse(keywords: &str) -> Option<Self> {
        let fits = keywords.is_empty()
            || MailParams::parse(&format!("SOLICIT={keywords}")).is_ok_and(|params| params.raw().iter().count() == 1);
        (fits && keywords.len() <= Self::MAX).then(|| Self(keywords.to_owned()))
    }

    /// As they are written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The refusal of a message that is of one of these kinds, with those that it is of (RFC 3865 §2.4). The RFC does not say whether
    /// letters have a case; keywords begin with a domain, which has none.
    pub(crate) fn refusal(&self, params: &MailParams<'_>) -> Option<Reply> {
        let is_unwanted =
            |word: &&str| !word.is_empty() && params.solicit().any(|kind| kind.eq_ignore_ascii_case(word));
        let unwanted: Vec<&str> = self.0.split(',').filter(is_unwanted).collect();
        let text = (!unwanted.is_empty()).then(|| format!("SOLICIT={} refused", unwanted.join(",")))?;
        // No list is longer than MAX, so that it fits in a line.
        Some(Reply::new(replies::REJECTED.code(), replies::REJECTED.enhanced(), text).unwrap_or(replies::REJECTED))
    }
}

/// The settings of a [`Session`](crate::Session), shared by any number of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    pub(crate) hostname: String,
    /// Bounds of each session.
    pub limits: Limits,
    /// Patience of each session.
    pub timeouts: Timeouts,
    /// What a session is held to while the server is nearly full.
    pub stress: Stress,
    /// Which decisions are asked for; the others are taken by the session, in the peer's favour.
    pub questions: Questions,
    /// SMTP, or LMTP.
    pub protocol: Protocol,
    /// What becomes of bare CR and LF in a message. One that is `BODY=BINARYMIME` has no lines, and is taken as it comes.
    pub bare_line_ends: BareLineEnds,
    /// Whether PIPELINING is offered (RFC 2920). Batches are read whether or not.
    pub pipelining: bool,
    /// Whether 8BITMIME is offered (RFC 6152). Octets above 127 are taken whether or not.
    pub eight_bit_mime: bool,
    /// Whether CHUNKING is offered, and BDAT known (RFC 3030 §2). Default: yes.
    pub chunking: bool,
    /// Whether BINARYMIME is offered, together with CHUNKING and not without (RFC 3030 §3). Default: yes.
    pub binary_mime: bool,
    /// Whether ENHANCEDSTATUSCODES is offered, and replies carry them (RFC 2034).
    pub enhanced_status_codes: bool,
    /// Whether SMTPUTF8 is offered, where 8BITMIME is (RFC 6531). Then addresses may have characters beyond ASCII, in transactions that
    /// say so. Default: on.
    pub smtputf8: bool,
    /// Whether DSN is offered (RFC 3461). Who takes messages has to see to the reports: what was asked for is in
    /// [`EnvelopeView::mail_params`](crate::EnvelopeView::mail_params) and [`Recipient`](crate::Recipient). Default: on.
    pub dsn: bool,
    /// Whether REQUIRETLS is offered, inside TLS (RFC 8689). Whoever relays the message must keep to it (§4.2). Default: off.
    pub requiretls: bool,
    /// Whether LIMITS is offered, which tells clients beforehand of [`Limits::recipients`], and of [`Limits::transactions`] and
    /// [`Limits::recipient_domains`] where they are bounds (RFC 9422). The limits hold whether or not. Default: on.
    pub announce_limits: bool,
    /// The least seconds that BY may give with `R`, and with it whether DELIVERBY is offered (RFC 2852); 0 names no least time. Above
    /// 999,999,999 it is taken to be that. Default: off.
    pub deliver_by: Option<u32>,
    /// How far ahead messages may be held, and with it whether FUTURERELEASE is offered (RFC 4865); an interval beyond 1 to 999,999,999
    /// seconds is taken to be the nearest of them. Only for submission (§3). A session knows no date: whether HOLDUNTIL has passed, or
    /// is behind BY, is the application's to see at [`Question::Mail`](crate::Question::Mail). Default: off.
    pub future_release: Option<FutureRelease>,
    /// Whether MT-PRIORITY is offered (RFC 6710). A priority above 0 is lowered to 0, with 250 2.3.6, unless the application grants it by
    /// [`MailToken::accept_with_priority`](crate::MailToken::accept_with_priority) (§4.1). Default: off.
    pub mt_priority: bool,
    /// Whether RRVS is offered (RFC 7293). Whether a mailbox has had its owner for long enough is the application's to see at
    /// [`Question::Rcpt`](crate::Question::Rcpt). Default: off.
    pub rrvs: bool,
    /// The kinds of solicitation that are not wanted, and with it whether NO-SOLICITING is offered (RFC 3865). A message that says that it
    /// is one of them is refused at MAIL with 550 5.7.1, and those of other kinds are the application's to judge, for some recipients or
    /// all (§2.3): SOLICIT is in [`EnvelopeView::mail_params`](crate::EnvelopeView::mail_params). Default: off.
    pub no_soliciting: Option<Solicitations>,
    /// Whether ETRN is offered, and [asked](crate::Question::Etrn) about (RFC 1985); otherwise it is 502. Default: off.
    pub etrn: bool,
    /// Whether EXPN is offered, and [asked](crate::Question::Expn) about (RFC 5321 §3.5); otherwise it is 502. Default: off.
    pub expn: bool,
    /// Whether HELP is offered; otherwise it is 502 (RFC 5321 §4.1.1.8). Default: on.
    pub help: bool,
    pub(crate) help_text: Option<Reply>,
    /// Whether STARTTLS is offered, or required. The driver must be able to do the handshake.
    pub tls: TlsMode,
    /// Which SASL mechanisms are offered, and whether clients have to use one.
    pub auth: AuthConfig,
}

impl Config {
    /// Defaults for a server of that name: a domain, or an address literal in brackets (RFC 5321 §4.2, `Greeting`).
    ///
    /// # Errors
    ///
    /// [`PathFault`] if it is neither.
    pub fn new(hostname: &str) -> Result<Self, PathFault> {
        Domain::parse(hostname)?;
        Ok(Self {
            hostname: hostname.to_owned(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            stress: Stress::default(),
            questions: Questions::NONE,
            protocol: Protocol::default(),
            bare_line_ends: BareLineEnds::default(),
            pipelining: true,
            eight_bit_mime: true,
            chunking: true,
            binary_mime: true,
            enhanced_status_codes: true,
            smtputf8: true,
            dsn: true,
            requiretls: false,
            announce_limits: true,
            deliver_by: None,
            future_release: None,
            mt_priority: false,
            rrvs: false,
            no_soliciting: None,
            etrn: false,
            expn: false,
            help: true,
            help_text: None,
            tls: TlsMode::Off,
            auth: AuthConfig::default(),
        })
    }

    /// The server's name.
    #[must_use]
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// Gives the server another name.
    ///
    /// # Errors
    ///
    /// [`PathFault`] as for [`new`](Self::new); the name stays what it was then.
    pub fn set_hostname(&mut self, hostname: &str) -> Result<(), PathFault> {
        Domain::parse(hostname)?;
        hostname.clone_into(&mut self.hostname);
        Ok(())
    }

    /// Has HELP answered with this text, LF between its lines, in place of the list of commands (RFC 5321 §4.1.1.8).
    ///
    /// # Errors
    ///
    /// [`ReplyError`] if it does not fit in a reply; what was there stays then.
    pub fn set_help_text(&mut self, text: &str) -> Result<(), ReplyError> {
        self.help_text = Some(Reply::new(ReplyCode::HELP, None, text.to_owned())?);
        Ok(())
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// A number that no other session of the same driver has: tokens carry it, so that an answer cannot reach the wrong session.
    pub id: u64,
    /// The address that the connection came from.
    pub address: Option<IpAddr>,
    /// Whether the connection begins with a TLS handshake (implicit TLS, RFC 8314 §3.3), behind which the greeting comes.
    pub implicit_tls: bool,
}

impl Peer {
    /// A peer whose address is not known.
    #[must_use]
    pub const fn new(id: u64) -> Self {
        Self { id, address: None, implicit_tls: false }
    }

    /// With the address that the connection came from.
    #[must_use]
    pub const fn with_address(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// On a connection that begins with a TLS handshake.
    #[must_use]
    pub const fn with_implicit_tls(mut self) -> Self {
        self.implicit_tls = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_list_of_unwanted_kinds_fits_in_a_reply() {
        let longest = ["x".repeat(Solicitations::MAX), "a,".repeat(Solicitations::MAX / 2 - 1) + "aa"];
        for kinds in &longest {
            assert_eq!(kinds.len(), Solicitations::MAX);
            let params = format!("SOLICIT={kinds}");
            let reply = Solicitations::parse(kinds).unwrap().refusal(&MailParams::parse(&params).unwrap()).unwrap();
            let mut line = Vec::new();
            reply.write_to(&mut line, true);
            assert_eq!(String::from_utf8(line).unwrap(), format!("550 5.7.1 {params} refused\r\n"));
        }
        let none = Solicitations::parse("").unwrap();
        assert_eq!(none.refusal(&MailParams::parse("SOLICIT=a").unwrap()), None);
        assert_eq!(Solicitations::parse("a").unwrap().refusal(&MailParams::parse("SIZE=1").unwrap()), None);
    }
}
