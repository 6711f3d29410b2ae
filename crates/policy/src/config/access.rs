//! The tables about who is let in, and how often.

use std::num::{NonZeroU32, NonZeroUsize};

use serde::Deserialize;

use super::{At, Bytes, Net, Period};

/// `[names]`: what the local part of a recipient's address may look like; others are 553 5.1.3.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Names {
    /// Patterns of local parts that are none: `*` stands for any characters, `?` for one. Case does not count.
    pub forbid: Vec<At<String>>,
    /// The fewest characters.
    pub min_length: Option<At<usize>>,
    /// The most characters.
    pub max_length: Option<At<usize>>,
    /// ASCII only, whatever SMTPUTF8 allows.
    pub ascii: bool,
}

/// `[rates]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Bits of an IPv4 address that make a network. Default: 32.
    pub ipv4_prefix: Option<At<u8>>,
    /// Bits of an IPv6 address that make a network. Default: 64.
    pub ipv6_prefix: Option<At<u8>>,
    /// Networks, senders or users that each `[[rate]]` keeps in mind. Of more, those are forgotten who have used least. Default: 10,000.
    pub max_entries: Option<At<NonZeroUsize>>,
}

/// `[[rate]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// What is counted.
    pub of: At<Measure>,
    /// For whom it is counted.
    pub per: At<Per>,
    /// How many of them, in `every`.
    pub limit: At<Bytes>,
    /// In which time.
    pub every: At<Period>,
    /// How many may come at once. Default: `limit`.
    #[serde(default)]
    pub burst: Option<At<Bytes>>,
    /// The reply to one more: 421, 450, 451 or 452. Default: 421 for connections, 450 for messages and bytes, 452 for recipients.
    #[serde(default)]
    pub reply: Option<At<u16>>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Connections, at the greeting.
    Connections,
    /// Messages, at MAIL.
    Messages,
    /// Recipients, at RCPT, those who are refused as well.
    Recipients,
    /// Bytes of messages: asked about at MAIL, counted at their end.
    Bytes,
}

/// For whom it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// The client's network.
    Network,
    /// The sender in MAIL, wherever it comes from. The null sender is not counted: reports must come through (RFC 2505 §2.6.1).
    Sender,
    /// Who has authenticated.
    User,
}

/// `[repeats]`: the same message from the same network again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeats {
    /// For how long a message is remembered.
    pub within: At<Period>,
    /// How often it may come in that time. A client that has lost its 250 sends the message again: 1, the default, refuses that.
    #[serde(default)]
    pub allowed: Option<At<NonZeroU32>>,
    /// The reply to one more: 557, 554, 550, 450 or 451. Default: 557, which no RFC knows, as some servers do.
    #[serde(default)]
    pub reply: Option<At<u16>>,
    /// Messages that are remembered. Of more, the oldest are forgotten. Default: 10,000.
    #[serde(default)]
    pub max_entries: Option<At<NonZeroUsize>>,
}

/// `[[client]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Whom it is about.
    pub network: At<Net>,
    /// What becomes of them.
    pub action: At<Action>,
    /// The greeting of who is refused: 554, 521 or 421. Default: 554.
    #[serde(default)]
    pub reply: Option<At<u16>>,
}

/// What becomes of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is let in, and no DNS list is asked about it.
    Accept,
    /// It is not.
    Refuse,
}

/// `[senders]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Senders {
    /// Whether the domain in MAIL is looked up (RFC 2505 §2.9), and what becomes of one that does not exist: `temporary` is 450 4.1.8,
    /// `permanent` 550 5.1.8. Default: `off`.
    pub verify_domain: Verification,
    /// Whether a sender in a domain of this server has to exist where its client may relay (RFC 2505 §2.10): 550 5.1.7.
    pub verify_local: bool,
}

/// What becomes of a sender whose domain does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verification {
    /// Nobody looks.
    #[default]
    Off,
    /// A 4yz reply.
    Temporary,
    /// A 5yz reply.
    Permanent,
}

/// `[[sender]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    /// An address, or `@DOMAIN` for all of a domain. None of this server's own (RFC 2505 §2.6.2).
    pub address: At<String>,
    /// The reply to its MAIL: 550, 553, 554, 450 or 451. Default: 550.
    #[serde(default)]
    pub reply: Option<At<u16>>,
}

/// `[dns]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// How long an answer may take. Default: 5s.
    pub timeout: Option<At<Period>>,
    /// Answers that are kept. Default: 10,000.
    pub max_cached: Option<At<NonZeroUsize>>,
    /// The longest time for which one is kept. Default: 1h.
    pub max_ttl: Option<At<Period>>,
}

/// `[[dnsbl]]`: a list in DNS (RFC 5782).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dnsbl {
    /// The domain below which addresses are looked up.
    pub zone: At<String>,
    /// The answers that count, in 127.0.0.0/8. Default: all of these.
    #[serde(default)]
    pub answers: Vec<At<Net>>,
    /// Where it is asked. Default: `recipient`, so that those who authenticate are not asked about.
    #[serde(default)]
    pub at: Stage,
    /// The reply to who is listed: 550, 554, 450 or 451 at RCPT; 554 or 421 in a greeting. Default: 554 and 554.
    #[serde(default)]
    pub reply: Option<At<u16>>,
}

/// Where a list is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Before the greeting.
    Connect,
    /// At the first RCPT of one who may not relay.
    #[default]
    Recipient,
}
