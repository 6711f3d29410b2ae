//! Trace fields: what a server puts on top of the messages that it takes (RFC 5321 §4.4).
//!
//! A store that delivers or forwards writes them in [`BodySink::begin`](crate::BodySink::begin), in front of the message:
//! [`return_path`] if the message leaves SMTP there (final delivery), and [`received`] in any case. [`Maildir`](crate::store::Maildir)
//! does both. [`Discard`](crate::store::Discard), [`Memory`](crate::store::Memory) and [`Verify`](crate::store::Verify) add nothing, so
//! that what they hold are the bytes that were sent.
//!
//! Nothing of what a client says can break out of its field: names and paths are written only as the grammars of RFC 5321 have read them,
//! and characters beyond ASCII only where SMTPUTF8 allows them. Neither is the identity written that a client has proved, nor the
//! recipients of a message that has more than one: readers may not know of each other (§7.2).

pub(crate) mod date;

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::time::SystemTime;

use ehlo_server::TlsInfo;
use ehlo_server::codec::codes::{Protocol, WithProtocol};
use ehlo_server::codec::{ClientId, Mailbox, Priority, ReversePath};

use self::date::Date;
use crate::sink::MessageContext;

/// Columns of a line, its end not counted, unless one word is longer (RFC 5322 §2.1.1: a line should have no more). Names and paths have
/// their own limits (RFC 5321 §4.5.3.1), so that no line comes near the 998 octets that it must not exceed.
pub const MAX_COLUMNS: usize = 78;

/// Appends a `Received:` field for a message that came in now, ended by CRLF: `id` is what this server calls it.
///
/// It is `Received::of(message, id, time).write_to(out)`, see [`Received`].
pub fn received(message: &MessageContext<'_>, id: &str, time: SystemTime, out: &mut Vec<u8>) {
    Received::of(message, id, time).write_to(out);
}

/// Appends a `Return-Path:` field, ended by CRLF. For a final delivery, and for it alone; it stands in front of everything else
/// (RFC 5321 §4.4). Such fields that the message has already are left alone: the section allows to remove them, and does not ask for it.
///
/// ```
/// use ehlo_tokio::ehlo_server::codec::ReversePath;
///
/// let mut out = Vec::new();
/// ehlo_tokio::trace::return_path(ReversePath::Null, &mut out);
/// assert_eq!(out, b"Return-Path: <>\r\n");
/// ```
pub fn return_path(from: ReversePath<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Return-Path: <");
    out.extend_from_slice(from.as_bytes());
    out.extend_from_slice(b">\r\n");
}

/// What a `Received:` field tells (RFC 5321 §4.4).
///
/// ```text
/// Received: from client.example ([192.0.2.1])
///         by mx.example with ESMTPS (TLSv1.3) id 4XyZ for <bob@mx.example>
///         tls TLS_AES_128_GCM_SHA256;
///         Thu, 1 Jan 1970 00:00:00 +0000
/// ```
///
/// The date is in UTC: the local offset is nothing that the standard library knows.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Received<'a> {
    /// The name that the client gave itself. Where there is none, or one that may not stand here, its address takes the place.
    pub client: Option<ClientId<'a>>,
    /// Where it connected from; behind a proxy that is believed, the address that the proxy told.
    pub peer: IpAddr,
    /// This server.
    pub hostname: &'a str,
    /// How the session began: a part of the word behind `with`.
    pub protocol: Protocol,
    /// The TLS that the message came through: `S` in that word, the version as a comment, and the cipher suite in the clause of
    /// RFC 8314 §4.3.
    pub tls: Option<&'a TlsInfo>,
    /// Whether the client has proved who it is: `A` in that word (RFC 3848). Who it is is not told.
    pub authenticated: bool,
    /// Whether the message uses SMTPUTF8: `UTF8` in that word (RFC 6531 §4.3), and what may hold characters beyond ASCII.
    pub utf8: bool,
    /// What this server calls the message. If it is no `Atom` it is written as `<id@hostname>`, and characters that may not stand there
    /// as `_`.
    pub id: &'a str,
    /// The recipient, if there is exactly one (RFC 5321 §7.2).
    pub recipient: Option<Mailbox<'a>>,
    /// The message's priority, if it was given one by MT-PRIORITY or a policy (RFC 6710 §4.1): the clause of its §7.
    pub priority: Option<Priority>,
    /// When it came.
    pub time: SystemTime,
}

impl<'a> Received<'a> {
    /// What is known of a message that came in at that time. Its fields can be changed before it is written.
    #[must_use]
    pub fn of(message: &MessageContext<'a>, id: &'a str, time: SystemTime) -> Self {
        let envelope = message.envelope;
        let mut recipients = envelope.recipients();
        let recipient = match (recipients.next(), recipients.next()) {
            (Some(only), None) => only.path.mailbox(),
            _ => None,
        };
        Self {
            client: envelope.client_name(),
            peer: message.peer.ip(),
            hostname: message.hostname,
            protocol: match message.protocol {
                ehlo_server::Protocol::Lmtp => Protocol::Lmtp,
                _ if envelope.is_extended() => Protocol::Esmtp,
                _ => Protocol::Smtp,
            },
            tls: message.tls,
            authenticated: envelope.identity().is_some(),
            utf8: envelope.is_smtputf8(),
            id,
            recipient,
            priority: envelope.mail_params().priority(),
            time,
        }
    }

    /// The word behind `with` (RFC 3848, RFC 6531 §4.3). A session that began with HELO is `SMTP` whatever it was inside of: there is no
    /// other word for it.
    #[must_use]
    pub fn with(&self) -> &'static str {
        let found = WithProtocol::of(self.protocol, self.tls.is_some(), self.authenticated, self.utf8);
        found.map_or(self.protocol.as_str(), |row| row.name)
    }

    /// Appends the field, folded, each line ended by CRLF.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let may_stand = |text: &str| self.utf8 || text.is_ascii();
        let address = Literal(self.peer.to_canonical());
        let mut field = Folded { out, column: 0, clause: String::new() };
        field.out.extend_from_slice(b"Received:");
        field.column = b"Received:".len();
        match self.client.filter(|name| may_stand(name.as_str())) {
            Some(name) => field.clause(format_args!("from {name}")),
            None => field.clause(format_args!("from {address}")),
        }
        field.clause(format_args!("({address})"));
        field.fold();
        field.clause(format_args!("by {}", self.hostname));
        field.clause(format_args!("with {}", self.with()));
        if let Some(tls) = self.tls {
            field.clause(format_args!("({})", tls.version));
        }
        field.clause(format_args!("id {}", Id(self)));
        if let Some(recipient) = self.recipient.filter(|recipient| may_stand(recipient.as_str())) {
            field.clause(format_args!("for <{recipient}>"));
        }
        if let Some(tls) = self.tls.filter(|tls| is_cipher_name(tls.cipher)) {
            field.clause(format_args!("tls {}", tls.cipher));
        }
        if let Some(priority) = self.priority {
            field.clause(format_args!("PRIORITY {priority}"));
        }
        field.out.push(b';');
        field.fold();
        field.clause(format_args!("{}", Date(self.time)));
        field.out.extend_from_slice(b"\r\n");
    }
}

/// `tls-cipher-name` (RFC 8314 §4.3).
fn is_cipher_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A field that is written clause by clause, and folded between them.
struct Folded<'o> {
    out: &'o mut Vec<u8>,
    column: usize,
    /// The clause, while its length is not known.
    clause: String,
}

impl Folded<'_> {
    /// Writes a clause, on a line of its own if it doesn't fit. One column is left for the `;` that may follow.
    fn clause(&mut self, text: fmt::Arguments<'_>) {
        self.clause.clear();
        // A String takes everything; there is no error to hand on.
        let _ = self.clause.write_fmt(text);
        if self.column > 1 {
            if self.column + 1 + self.clause.len() < MAX_COLUMNS {
                self.out.push(b' ');
                self.column += 1;
            } else {
                self.fold();
            }
        }
        self.out.extend_from_slice(self.clause.as_bytes());
        self.column += self.clause.len();
    }

    /// Begins another line of the field.
    fn fold(&mut self) {
        self.out.extend_from_slice(b"\r\n\t");
        self.column = 1;
    }
}

/// `address-literal` (RFC 5321 §4.1.3).
#[derive(Clone, Copy)]
struct Literal(IpAddr);

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => write!(f, "[{ip}]"),
            IpAddr::V6(ip) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

/// `Atom / msg-id` (RFC 5321 §4.4).
struct Id<'r, 'a>(&'r Received<'a>);

impl fmt::Display for Id<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Received { id, hostname, .. } = self.0;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if !id.is_empty() && id.chars().all(plain) {
            return f.write_str(id);
        }
        // `id-left` is words with single dots in between.
        f.write_str("<")?;
        let mut dot = true;
        let mut rest = id.chars().peekable();
        while let Some(c) = rest.next() {
            let splits = c == '.' && !dot && rest.peek().is_some_and(|&next| next != '.');
            f.write_char(if plain(c) || splits { c } else { '_' })?;
            dot = splits;
        }
        if id.is_empty() {
            f.write_str("_")?;
        }
        write!(f, "@{hostname}>")
    }
}

#[cfg(test)]
mod tests;
