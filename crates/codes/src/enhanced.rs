//! Names for enhanced status codes: every registered subject and detail, and the few whole codes that each server sends.
//!
//! A registration leaves the class open, and so do these constants: choose it where you use one, with
//! [`success`](crate::StatusDetail::success), [`transient`](crate::StatusDetail::transient) or [`permanent`](crate::StatusDetail::permanent).
//! For a code that is better known by its number there is [`EnhancedCode::literal`].
//!
//! ```
//! use ehlo_codes::enhanced;
//! assert_eq!(enhanced::DELIVERY_NOT_AUTHORIZED.permanent().to_string(), "5.7.1");
//! assert_eq!(enhanced::SENDER_OK.to_string(), "2.1.0");
//! ```

use crate::EnhancedCode;

pub use crate::generated::enhanced::names::*;

/// 2.0.0: done, and there is nothing more to tell.
pub const OK: EnhancedCode = OTHER_STATUS.success();

/// 2.1.0: the sender of MAIL is fine.
pub const SENDER_OK: EnhancedCode = OTHER_ADDRESS_STATUS.success();

/// 2.1.5: the recipient of RCPT is fine.
pub const RECIPIENT_OK: EnhancedCode = DESTINATION_ADDRESS_VALID.success();
