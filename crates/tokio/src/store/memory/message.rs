//! A message that is kept, with all that is known of how it came.

use std::fmt;
use std::net::SocketAddr;

use ehlo_server::codec::{MailParams, RcptParams};
use ehlo_server::{Protocol, TlsInfo};

use crate::sink::MessageContext;

/// What a message costs beside its bytes: its structure, its place in the list and what the allocator adds, rounded up.
pub(super) const MESSAGE: usize = 512;

/// What an address costs beside its bytes, with its parameters, reckoned likewise.
const ADDRESS: usize = 96;

/// A message with its envelope. [`Debug`](fmt::Debug) shows lengths only: what people write to each other is not for logs.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Where it came from; behind a proxy that is believed, the address that the proxy told.
    pub peer: SocketAddr,
    /// SMTP, or LMTP.
    pub protocol: Protocol,
    /// The name that the client gave itself.
    pub helo: String,
    /// Whether it said EHLO (or LHLO), and not HELO.
    pub extended: bool,
    /// Who the client has proven to be by AUTH.
    pub identity: Option<String>,
    /// Version, cipher suite and server name of the TLS that it came through. A client's certificate is not kept.
    pub tls: Option<TlsInfo>,
    /// The sender's address without brackets; empty for the null path.
    pub from: String,
    /// The accepted recipients' addresses without brackets, in order.
    pub to: Vec<String>,
    /// The body: dot-stuffing removed, line ends as sent, nothing added.
    pub body: Vec<u8>,
    /// The parameters of MAIL, and of each RCPT.
    mail_params: String,
    rcpt_params: Vec<String>,
}

impl Message {
    /// What is known of a message that is about to come.
    pub(super) fn of(message: &MessageContext<'_>) -> Self {
        let envelope = message.envelope;
        let own = |tls: &TlsInfo| {
            let info = TlsInfo::new(tls.version, tls.cipher);
            tls.server_name.as_deref().map_or(info.clone(), |name| info.with_server_name(name))
        };
        Self {
            peer: message.peer,
            protocol: message.protocol,
            helo: envelope.client_name().map_or_else(String::new, |name| name.as_str().to_owned()),
            extended: envelope.is_extended(),
            identity: envelope.identity().map(str::to_owned),
            tls: message.tls.map(own),
            from: envelope.reverse_path().map_or("", |path| path.as_str()).to_owned(),
            to: envelope.recipients().map(|to| to.path.as_str().to_owned()).collect(),
            body: Vec::new(),
            mail_params: envelope.mail_params().as_str().to_owned(),
            rcpt_params: envelope.recipients().map(|to| to.params.as_str().to_owned()).collect(),
        }
    }

    /// A message between these, of which nothing else is known.
    #[cfg(test)]
    pub(super) fn between(from: String, to: Vec<String>) -> Self {
        Self {
            peer: SocketAddr::from(([127, 0, 0, 1], 0)),
            protocol: Protocol::default(),
            helo: String::new(),
            extended: false,
            identity: None,
            tls: None,
            from,
            rcpt_params: vec![String::new(); to.len()],
            to,
            body: Vec::new(),
            mail_params: String::new(),
        }
    }

    /// The parameters of MAIL: SIZE, BODY, SMTPUTF8, RET, ENVID and others.
    #[must_use]
    pub fn mail_params(&self) -> MailParams<'_> {
        // They were parsed before they came here.
        MailParams::parse_utf8(&self.mail_params).unwrap_or_default()
    }

    /// The parameters of RCPT for the recipient of that index: NOTIFY, ORCPT and others. None where there is no such recipient.
    #[must_use]
    pub fn rcpt_params(&self, recipient: usize) -> RcptParams<'_> {
        self.rcpt_params.get(recipient).and_then(|params| RcptParams::parse_utf8(params).ok()).unwrap_or_default()
    }

    /// Whether it is for this address, which is compared without regard to upper and lower case.
    #[must_use]
    pub fn is_to(&self, address: &str) -> bool {
        self.to.iter().any(|to| to.eq_ignore_ascii_case(address))
    }

    /// The body as text; bytes that are no UTF-8 are shown as U+FFFD.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of the first header field of that name, with folded lines put together; nothing is decoded.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.body);
        let mut lines = text.split("\r\n").take_while(|line| !line.is_empty()).skip_while(|line| {
            !line.split_once(':').is_some_and(|(field, _)| field.trim_ascii_end().eq_ignore_ascii_case(name))
        });
        let (_, first) = lines.next()?.split_once(':')?;
        let folded = lines.take_while(|line| line.starts_with([' ', '\t']));
        Some(folded.fold(first.to_owned(), |value, line| value + line).trim_ascii().to_owned())
    }

    /// What it takes without its body.
    pub(super) fn envelope_bytes(&self) -> usize {
        let addresses = std::iter::once((&self.from, &self.mail_params)).chain(self.to.iter().zip(&self.rcpt_params));
        let addresses: usize = addresses.map(|(address, params)| ADDRESS + address.len() + params.len()).sum();
        let tls = self.tls.as_ref().and_then(|tls| tls.server_name.as_ref()).map_or(0, |name| name.len());
        addresses + MESSAGE + self.helo.len() + self.identity.as_ref().map_or(0, String::len) + tls
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("from_bytes", &self.from.len())
            .field("recipients", &self.to.len())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields_are_found_by_name_and_unfolded() {
        let mut message = Message::between(String::new(), vec!["Bob@Example.org".to_owned()]);
        message.body = b"From: ada\r\nSubject : a\r\n\tb\r\n  c\r\nsubject: second\r\n\r\nTo: body\r\n".to_vec();
        assert_eq!(message.header("SUBJECT").as_deref(), Some("a\tb  c"));
        assert_eq!(message.header("from").as_deref(), Some("ada"));
        assert_eq!(message.header("To"), None, "that is the body");
        assert!(message.is_to("bob@example.org") && !message.is_to("ob@example.org"));
    }

    #[test]
    fn what_a_message_costs_is_not_less_than_it_takes() {
        let to: Vec<_> = (0..100).map(|i| format!("someone{i}@example.org")).collect();
        let message = Message::between("ada@example.org".to_owned(), to);
        let strings = message.to.iter().chain(&message.rcpt_params).map(|text| size_of::<String>() + text.len());
        assert!(message.envelope_bytes() >= size_of::<Message>() + strings.sum::<usize>());
        assert!(size_of::<Message>() + 64 <= MESSAGE);
    }
}
