//! Who sends and who gets a message.

use ehlo_codec::{BodyType, ClientId, Domain, ForwardPath, MailParams, Priority, RcptParams, ReversePath, XText};
use std::fmt;

/// What of the parameters of MAIL the session itself looks at later on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) size: Option<u64>,
    pub(crate) body: BodyType,
    /// Addresses may have characters beyond ASCII (RFC 6531 §3.4).
    pub(crate) smtputf8: bool,
}

impl From<&MailParams<'_>> for Declared {
    fn from(params: &MailParams<'_>) -> Self {
        Self { size: params.size(), body: params.body().unwrap_or_default(), smtputf8: params.smtputf8() }
    }
}

/// Octets of addresses, and as many recipients as have them, whose memory a session keeps for the next transaction. A message of a few
/// dozen recipients fits; after one of more its memory is given back, so that a peer that falls silent behind it holds none.
const KEPT: usize = 4096;
const KEPT_RECIPIENTS: usize = KEPT / 32;

/// The peer's name and the open transaction. Its memory is kept from one transaction to the next, up to a bound.
#[derive(Clone, Debug, Default)]
pub(crate) struct Envelope {
    /// The name in EHLO or HELO.
    name: String,
    pub(crate) extended: bool,
    /// Who the client has proven to be.
    identity: Option<Box<str>>,
    /// The reverse-path as `<...>` and the parameters of MAIL, then the same for each recipient. Nothing stands between.
    text: String,
    /// Where each of them ends in `text`.
    ends: Vec<Ends>,
    pub(crate) declared: Declared,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    path: u32,
    params: u32,
}

impl Envelope {
    pub(crate) fn set_name(&mut self, name: ClientId<'_>, extended: bool) {
        self.name.clear();
        self.name.push_str(name.as_str());
        self.extended = extended;
    }

    /// Forgets the client's name, too (RFC 3207 §4.2).
    pub(crate) fn forget(&mut self) {
        self.clear();
        self.name.clear();
        self.extended = false;
        self.identity = None;
    }

    pub(crate) fn set_identity(&mut self, identity: Box<str>) {
        self.identity = Some(identity);
    }

    pub(crate) fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// Ends the transaction.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(KEPT);
        self.ends.clear();
        self.ends.shrink_to(KEPT_RECIPIENTS);
        self.declared = Declared::default();
    }

    /// Begins a transaction. With a priority, it stands in place of what the client asked for.
    pub(crate) fn set_sender(&mut self, from: ReversePath<'_>, params: &MailParams<'_>, priority: Option<Priority>) {
        self.clear();
        self.push(from.as_str(), if priority.is_some() { "" } else { params.as_str() });
        if let Some(priority) = priority {
            self.push_with_priority(params, priority);
        }
        self.declared = params.into();
    }

    fn push_with_priority(&mut self, params: &MailParams<'_>, priority: Priority) {
        use fmt::Write as _;
        const KEYWORD: &str = "MT-PRIORITY";
        for param in params.raw().iter().filter(|param| !param.keyword.eq_ignore_ascii_case(KEYWORD)) {
            let _: fmt::Result = write!(self.text, "{param} ");
        }
        let _: fmt::Result = write!(self.text, "{KEYWORD}={priority}");
        let end = self.end();
        if let Some(last) = self.ends.last_mut() {
            last.params = end;
        }
    }

    pub(crate) fn push_recipient(&mut self, to: ForwardPath<'_>, params: &RcptParams<'_>) {
        self.push(to.as_str(), params.as_str());
    }

    fn push(&mut self, path: &str, params: &str) {
        self.text.push('<');
        self.text.push_str(path);
        self.text.push('>');
        let path = self.end();
        self.text.push_str(params);
        self.ends.push(Ends { path, params: self.end() });
    }

    /// Where the text ends. `Limits::envelope` keeps it far below 4 GiB.
    fn end(&self) -> u32 {
        u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn recipients(&self) -> usize {
        self.ends.len().saturating_sub(1)
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// Octets that it takes beside its fixed size.
    pub(crate) fn memory(&self) -> usize {
        let identity = self.identity().map_or(0, str::len);
        self.name.capacity() + identity + self.text.capacity() + self.ends.capacity() * size_of::<Ends>()
    }

    pub(crate) fn view(&self) -> EnvelopeView<'_> {
        EnvelopeView { envelope: self }
    }

    /// A path and what stands behind it: the sender at 0, then the recipients.
    fn entry(&self, index: usize) -> Option<(&str, &str)> {
        let Ends { path, params } = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1].params };
        Some((self.text.get(start as usize..path as usize)?, self.text.get(path as usize..params as usize)?))
    }
}

/// The peer's name and the envelope of the open transaction.
#[derive(Clone, Copy, Debug)]
pub struct EnvelopeView<'s> {
    envelope: &'s Envelope,
}

/// A recipient that was accepted. `Display` writes its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Recipient<'s> {
    /// Whom the message is for.
    pub path: ForwardPath<'s>,
    /// The parameters of RCPT, which were checked: NOTIFY and ORCPT (RFC 3461), RRVS (RFC 7293).
    pub params: RcptParams<'s>,
}

impl fmt::Display for Recipient<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// An envelope with other recipients than those that the peer named: of whom a message goes to in one place, or whom an alias stands for.
///
/// ```
/// # use ehlo_server::{Config, Peer, Session};
/// # use ehlo_server::codec::{ForwardPath, RcptParams};
/// # let now = std::time::Instant::now();
/// # let session = Session::new(now, std::sync::Arc::new(Config::new("mx.example")?), Peer::new(1));
/// let mut envelope = session.envelope().without_recipients();
/// let (to, _) = ForwardPath::parse_prefix(b"<bob@example.org>")?;
/// envelope.push(to, &RcptParams::default());
/// assert_eq!(envelope.view().recipient_count(), 0, "no transaction is open, so there is no sender");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct EnvelopeBuf(Envelope);

impl EnvelopeBuf {
    /// Adds a recipient. Without an open transaction there are none, and this does nothing.
    pub fn push(&mut self, to: ForwardPath<'_>, params: &RcptParams<'_>) {
        if !self.0.ends.is_empty() {
            self.0.push_recipient(to, params);
        }
    }

    /// What it says.
    #[must_use]
    pub const fn view(&self) -> EnvelopeView<'_> {
        EnvelopeView { envelope: &self.0 }
    }
}

impl<'s> EnvelopeView<'s> {
    /// The same peer, sender and parameters, and no recipient yet.
    #[must_use]
    pub fn without_recipients(&self) -> EnvelopeBuf {
        let Envelope { name, extended, identity, text, ends, declared } = self.envelope;
        let sender = ends.first().map_or(0, |ends| ends.params as usize);
        EnvelopeBuf(Envelope {
            name: name.clone(),
            extended: *extended,
            identity: identity.clone(),
            text: text[..sender].to_owned(),
            ends: ends.first().into_iter().copied().collect(),
            declared: *declared,
        })
    }

    /// The name that the peer gave in EHLO or HELO; `None` before that.
    #[must_use]
    pub fn client_name(&self) -> Option<ClientId<'s>> {
        let name = self.envelope.name.as_str();
        if name.is_empty() {
            return None;
        }
        Domain::parse_utf8(name).ok()
    }

    /// Whether the peer said EHLO: `with ESMTP`, not `with SMTP`, in a `Received:` field (RFC 5321 §4.4, RFC 3848).
    #[must_use]
    pub const fn is_extended(&self) -> bool {
        self.envelope.extended
    }

    /// The authorization identity that the client has proven: `with ESMTPA` in a `Received:` field (RFC 3848). At most
    /// [`MAX_IDENTITY`](crate::auth::MAX_IDENTITY) octets; `None` before authentication.
    #[must_use]
    pub fn identity(&self) -> Option<&'s str> {
        self.envelope.identity()
    }

    /// The sender; `None` if no transaction is open.
    #[must_use]
    pub fn reverse_path(&self) -> Option<ReversePath<'s>> {
        ReversePath::parse_prefix_utf8(self.envelope.entry(0)?.0).ok().map(|(path, _)| path)
    }

    /// The sender as `<...>`; empty if no transaction is open.
    #[must_use]
    pub fn reverse_path_text(&self) -> &'s str {
        self.envelope.entry(0).unwrap_or_default().0
    }

    /// The parameters of MAIL, which were checked; none if no transaction is open.
    ///
    /// MT-PRIORITY is the priority that was granted, which may be lower than what the client asked for (RFC 6710 §4.1).
    #[must_use]
    pub fn mail_params(&self) -> MailParams<'s> {
        // They were parsed before they came here.
        self.envelope.entry(0).and_then(|(_, params)| MailParams::parse_utf8(params).ok()).unwrap_or_default()
    }

    /// Who submitted the message, by AUTH= of MAIL: the mailbox, if the client has authenticated, and `None` if it has not, or says
    /// that it is not known (RFC 4954 §5). Whether this client is trusted to tell is for the application to decide.
    #[must_use]
    pub fn submitter(&self) -> Option<XText<'s>> {
        self.mail_params().auth().filter(|submitter| self.identity().is_some() && !submitter.is_unknown())
    }

    /// The recipients that were accepted, in order.
    pub fn recipients(&self) -> impl Iterator<Item = Recipient<'s>> + use<'s> {
        let envelope = self.envelope;
        // They were parsed before they came here, so none is lost in this.
        (1..envelope.ends.len()).filter_map(|i| envelope.entry(i)).filter_map(|(path, params)| {
            let (path, _) = ForwardPath::parse_prefix_utf8(path).ok()?;
            Some(Recipient { path, params: RcptParams::parse_utf8(params).ok()? })
        })
    }

    /// How many recipients were accepted.
    #[must_use]
    pub fn recipient_count(&self) -> usize {
        self.envelope.recipients()
    }

    /// The size that MAIL declared, in octets (RFC 1870).
    #[must_use]
    pub const fn declared_size(&self) -> Option<u64> {
        self.envelope.declared.size
    }

    /// The kind of body that MAIL declared (RFC 6152).
    #[must_use]
    pub const fn body_type(&self) -> BodyType {
        self.envelope.declared.body
    }

    /// Whether MAIL had SMTPUTF8: addresses and header may be in UTF-8, and trace fields name that kind of SMTP (RFC 6531 §3.4, §3.7.3).
    #[must_use]
    pub const fn is_smtputf8(&self) -> bool {
        self.envelope.declared.smtputf8
    }
}
