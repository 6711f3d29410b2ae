//! The SMTP registry as data: reply codes, enhanced status codes, commands, the replies that each command may get, and service
//! extensions; and the [explanation](explain) of a reply from it.
//!
//! Everything here is a small `Copy` value or a `const` table: no allocation, no I/O, `no_std`, and no dependency unless the feature `serde`
//! is on.
//! The tables are generated from the `data/*.tsv` files of this crate by `cargo xtask codegen`; each row names the RFC that says so.
//!
//! ```
//! use ehlo_codes::{EnhancedCode, ReplyClass, ReplyCode, Stage, Verb};
//!
//! let code: ReplyCode = "550".parse()?;
//! assert_eq!(code, ReplyCode::MAILBOX_UNAVAILABLE);
//! assert_eq!(code.class(), ReplyClass::PermanentFailure);
//! assert!(code.info().is_some_and(|info| info.reference.starts_with("RFC 5321")));
//!
//! let status: EnhancedCode = "5.1.1".parse()?;
//! assert!(status.agrees_with(code));
//!
//! assert_eq!(Verb::from_bytes(b"rcpt"), Some(Verb::Rcpt));
//! assert!(Verb::Rcpt.may_answer(code));
//! assert!(!Stage::DataEnd.permits(ReplyCode::START_MAIL_INPUT));
//! # Ok::<(), ehlo_codes::ParseCodeError>(())
//! ```
#![no_std]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod advice;
pub mod enhanced;
mod error;
pub mod explain;
mod generated;
mod legality;
mod meaning;
mod reply;
mod sasl;
#[cfg(feature = "serde")]
mod serde;
mod service_extension;
mod stage;
mod standing;
mod status;
mod text;
mod vendor;
mod verb;
mod with;

pub use advice::{Advice, Party};
pub use error::ParseCodeError;
pub use explain::Explanation;
pub use generated::verbs::Verb;
pub use legality::{Fault, Faults};
pub use meaning::ReplyMeaning;
pub use reply::{ReplyClass, ReplyCode, ReplyInfo};
pub use sasl::{SaslMechanism, Usage};
pub use service_extension::{Parameter, Requirement, ServiceExtension};
pub use stage::{Outcome, Stage, StageReply};
pub use standing::Standing;
pub use status::{ClassInfo, EnhancedCode, EnhancedInfo, StatusDetail, SubjectInfo};
pub use text::ReplyText;
pub use vendor::VendorCode;
pub use verb::VerbInfo;
pub use with::{Protocol, WithProtocol};
