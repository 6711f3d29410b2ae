//! What is to be sent to whom.

use ehlo_codec::{BodyType, Domain, ForwardPath, MailParams, Mailbox, PathFault, Postmaster, RcptParams, ReversePath};

/// The envelope of one message. Its addresses and parameters are checked types, so none can end a command early.
///
/// What a parameter asks for needs an extension of the server's. Where that is not offered, a parameter that can be left out is: those of
/// DSN (RFC 3461 §5.2.2), AUTH, MT-PRIORITY, DELIVERBY with notification, and others of that kind. One whose meaning would be lost
/// is a [`BeginError`](crate::BeginError): REQUIRETLS, DELIVERBY with return, FUTURERELEASE, RRVS.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Envelope<'a> {
    /// Where reports go.
    pub from: ReversePath<'a>,
    /// Whom the message is for; at least one.
    pub to: &'a [Recipient<'a>],
    /// The message's size in octets before dot-stuffing, if known: declared by SIZE where the server offers it (RFC 1870 §5), and the length of
    /// the only chunk where it offers CHUNKING.
    pub size: Option<u64>,
    /// Whether the body has octets above 127: then the server must offer 8BITMIME (RFC 6152); or is binary: then BINARYMIME (RFC 3030).
    pub body: BodyType,
    /// Whether a header field has characters beyond ASCII: then the server must offer SMTPUTF8 (RFC 6531). An address that has some needs no
    /// word of it here.
    pub utf8: bool,
    /// Further parameters of MAIL. SIZE, BODY and SMTPUTF8 in them are not looked at.
    pub params: MailParams<'a>,
}

/// One recipient of an [`Envelope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recipient<'a> {
    /// Its path.
    pub to: ForwardPath<'a>,
    /// Parameters of RCPT.
    pub params: RcptParams<'a>,
}

impl<'a> Recipient<'a> {
    /// An address such as `bob@mx.example`, `postmaster`, or the same in angle brackets. It may have characters beyond ASCII (RFC 6531), for
    /// servers that offer SMTPUTF8.
    ///
    /// # Errors
    ///
    /// [`PathFault`] says what does not fit the grammar.
    pub fn parse(address: &'a str) -> Result<Self, PathFault> {
        if address.starts_with('<') {
            return match ForwardPath::parse_prefix_utf8(address)? {
                (path, "") => Ok(path.into()),
                _ => Err(PathFault::Brackets),
            };
        }
        if let Some(postmaster) = Postmaster::parse(address) {
            return Ok(ForwardPath::Postmaster(postmaster).into());
        }
        Ok(ForwardPath::Mailbox(Mailbox::parse_utf8(address)?).into())
    }

    /// With parameters, such as what reports are wanted (RFC 3461).
    #[must_use]
    pub const fn with_params(mut self, params: RcptParams<'a>) -> Self {
        self.params = params;
        self
    }

    /// Its domain; `Postmaster` has none.
    pub(crate) fn domain(&self) -> Option<Domain<'a>> {
        match self.to {
            ForwardPath::Mailbox(mailbox) => Some(mailbox.domain()),
            _ => None,
        }
    }
}

impl<'a> From<ForwardPath<'a>> for Recipient<'a> {
    fn from(to: ForwardPath<'a>) -> Self {
        Self { to, params: RcptParams::NONE }
    }
}

impl<'a> Envelope<'a> {
    /// An envelope for a 7-bit message of unknown size.
    #[must_use]
    pub const fn new(from: ReversePath<'a>, to: &'a [Recipient<'a>]) -> Self {
        Self { from, to, size: None, body: BodyType::SevenBit, utf8: false, params: MailParams::NONE }
    }

    /// An envelope with a sender such as `ada@client.example`, or the same in angle brackets; an empty one, or `<>`, is the null sender of reports
    /// (RFC 5321 §4.5.5).
    ///
    /// # Errors
    ///
    /// [`PathFault`] says what does not fit the grammar.
    pub fn parse(from: &'a str, to: &'a [Recipient<'a>]) -> Result<Self, PathFault> {
        let from = if from.is_empty() {
            ReversePath::Null
        } else if from.starts_with('<') {
            match ReversePath::parse_prefix_utf8(from)? {
                (path, "") => path,
                _ => return Err(PathFault::Brackets),
            }
        } else {
            ReversePath::Mailbox(Mailbox::parse_utf8(from)?)
        };
        Ok(Self::new(from, to))
    }

    /// With the message's size in octets.
    #[must_use]
    pub const fn with_size(mut self, octets: u64) -> Self {
        self.size = Some(octets);
        self
    }

    /// With SMTPUTF8, or without.
    #[must_use]
    pub const fn with_utf8(mut self, utf8: bool) -> Self {
        self.utf8 = utf8;
        self
    }

    /// With the kind of body.
    #[must_use]
    pub const fn with_body(mut self, body: BodyType) -> Self {
        self.body = body;
        self
    }

    /// With further parameters of MAIL.
    #[must_use]
    pub const fn with_params(mut self, params: MailParams<'a>) -> Self {
        self.params = params;
        self
    }

    /// Whether the server must know SMTPUTF8: for the header, or for an address.
    #[must_use]
    pub fn needs_utf8(&self) -> bool {
        self.utf8 || !self.from.as_str().is_ascii() || self.to.iter().any(|to| !to.to.as_str().is_ascii())
    }
}
