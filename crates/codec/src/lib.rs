//! SMTP bytes to types and back.
//!
//! Two stages, never mixed:
//!
//! 1. **Framing** finds where a line ([`LineFramer`]), a message body ([`DataDecoder`]) or a reply ([`ReplyReader`]) ends. It knows
//!    no grammar, holds at most one partial line under a hard cap, and accepts one line ending: CRLF. Whatever else a peer sends
//!    is reported with its kind, never repaired.
//! 2. **Grammar** reads a complete frame: [`CommandLine`] and [`Command`], [`Mailbox`] and paths, [`Params`], replies,
//!    [`Capabilities`]. It borrows from the frame and allocates nothing.
//!
//! Because the end of a frame is known before its grammar is looked at, a malformed frame can be thrown away whole: no part of it
//! is ever read as the next command.
//!
//! In front of both, [`ProxyReader`] reads the header by which a proxy tells whose connection it passes on (PROXY protocol).
//!
//! The way back is [`Command`]'s `write_to`, [`Reply::write_to`] and [`Stuffer`].
//!
//! # Example
//!
//! ```
//! use ehlo_codec::{Command, Framed, LineFramer};
//!
//! let mut framer = LineFramer::new(512);
//! let input = b"MAIL FROM:<ada@example.org> SIZE=1000\r\nRCPT TO:<bob@example.net>\r\n";
//! let (used, frame) = framer.next(input);
//! let Framed::Line(line) = frame else { panic!("a whole line is there") };
//! let Ok(Command::Mail { from, params }) = Command::parse(line) else { panic!("it is a MAIL command") };
//! assert_eq!(from.to_string(), "<ada@example.org>");
//! assert_eq!(params.size(), Some(1000));
//! assert_eq!(&input[used..][..4], b"RCPT");
//! ```
//!
//! The grammar is RFC 5321 §4.1 and §4.2 with the parameters of RFC 5321 §4.1.2.
#![no_std]

extern crate alloc;
#[cfg(feature = "tokio-util")]
extern crate std;

mod capability;
mod chunk;
#[cfg(feature = "tokio-util")]
mod codecs;
mod command;
mod data;
mod line;
mod param;
mod path;
mod proxy;
mod reply;
mod reply_line;
mod reply_reader;
mod scan;
mod stuff;
mod text;
mod timestamp;
mod xtext;

pub use capability::{
    Auth, AuthMechanism, AuthMechanisms, Capabilities, Capability, CapabilityError, EhloError, EhloReply,
    EhloWriteError, Extension, FutureRelease, Limit, Limits, Words, write_ehlo_reply,
};
pub use chunk::{ChunkDecoder, ChunkStep, LineCheck};
#[cfg(feature = "tokio-util")]
pub use codecs::{BodyPiece, CodecError, CommandCodec, CommandFrame, ReplyBuf, ReplyCodec};
pub use command::{
    AuthResponse, Base64, BurlUri, Command, CommandBuf, CommandLine, DomainList, EtrnNode, EtrnOption, MechanismName,
    ObsoleteVerb, SyntaxError,
};
pub use data::{DataDecoder, DataFaults, DataStep};
pub use ehlo_codes as codes;
pub use ehlo_codes::{EnhancedCode, ReplyClass, ReplyCode, Verb};
pub use line::{Framed, LineFault, LineFramer};
pub use param::{
    BodyType, ByMode, DeliverBy, Expiry, MailParam, MailParams, MailParamsBuf, Notify, OriginalRecipient, Param,
    ParamFault, Params, Priority, RcptParam, RcptParams, RcptParamsBuf, RecipientValidSince, Return, Tracking,
};
pub use path::{
    ClientId, Domain, DomainBuf, ForwardPath, ForwardPathBuf, MAX_DOMAIN, MAX_LOCAL_PART, Mailbox, MailboxBuf,
    PathFault, Postmaster, ReversePath, ReversePathBuf,
};
pub use proxy::{MAX_PROXY_V1, MAX_PROXY_V2, ProxyError, ProxyHeader, ProxyReader, ProxyStep, begins_proxy_header};
pub use reply::{MAX_REPLY_LINE, Reply, ReplyError};
pub use reply_reader::{ReplyFault, ReplyLimits, ReplyReader, ReplyStep, ReplyView};
pub use stuff::{LineEnding, StuffError, Stuffed, Stuffer};
pub use text::Text;
pub use timestamp::{MAX_FRACTION_DIGITS, Timestamp, TimestampError};
pub use xtext::XText;

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
