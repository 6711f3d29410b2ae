//! Who sends and who gets a message.

use crate::extension::MailParams;
use ehlo_codec::{BodyType, ClientId, Domain, ForwardPath, ReversePath};

/// The peer's name and the open transaction. Its memory is kept from one transaction to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Envelope {
    /// The name in EHLO or HELO.
    name: String,
    pub(crate) extended: bool,
    /// The reverse-path as `<...>`, then the forward-paths.
    text: String,
    /// Where each path ends in `text`.
    ends: Vec<u32>,
    pub(crate) params: MailParams,
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
    }

    /// Ends the transaction.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.params = MailParams::default();
    }

    pub(crate) fn set_sender(&mut self, from: ReversePath<'_>, params: MailParams) {
        self.clear();
        self.push(from.as_str());
        self.params = params;
    }

    pub(crate) fn push_recipient(&mut self, to: ForwardPath<'_>) {
        self.push(to.as_str());
    }

    fn push(&mut self, path: &str) {
        self.text.push('<');
        self.text.push_str(path);
        self.text.push('>');
        // Limits::envelope keeps it far below 4 GiB.
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }

    pub(crate) fn recipients(&self) -> usize {
        self.ends.len().saturating_sub(1)
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn view(&self) -> EnvelopeView<'_> {
        EnvelopeView { envelope: self }
    }

    fn path(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        self.text.get(start..end)
    }
}

/// The peer's name and the envelope of the open transaction.
#[derive(Clone, Copy, Debug)]
pub struct EnvelopeView<'s> {
    envelope: &'s Envelope,
}

impl<'s> EnvelopeView<'s> {
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

    /// The sender; `None` if no transaction is open.
    #[must_use]
    pub fn reverse_path(&self) -> Option<ReversePath<'s>> {
        ReversePath::parse_prefix(self.envelope.path(0)?.as_bytes()).ok().map(|(path, _)| path)
    }

    /// The sender as `<...>`; empty if no transaction is open.
    #[must_use]
    pub fn reverse_path_text(&self) -> &'s str {
        self.envelope.path(0).unwrap_or_default()
    }

    /// The recipients that were accepted, in order.
    pub fn recipients(&self) -> impl Iterator<Item = ForwardPath<'s>> + use<'s> {
        let envelope = self.envelope;
        // They were parsed before they came here, so none is lost in this.
        (1..envelope.ends.len())
            .filter_map(|i| envelope.path(i))
            .filter_map(|p| ForwardPath::parse_prefix(p.as_bytes()).ok())
            .map(|(path, _)| path)
    }

    /// How many recipients were accepted.
    #[must_use]
    pub fn recipient_count(&self) -> usize {
        self.envelope.recipients()
    }

    /// The size that MAIL declared, in octets (RFC 1870).
    #[must_use]
    pub const fn declared_size(&self) -> Option<u64> {
        self.envelope.params.size
    }

    /// The kind of body that MAIL declared (RFC 6152).
    #[must_use]
    pub const fn body_type(&self) -> BodyType {
        self.envelope.params.body
    }
}
