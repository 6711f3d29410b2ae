//! Parameters that are put together, and kept.

use super::{MailParam, MailParams, Param, ParamFault, RcptParam, RcptParams, is_param};
use alloc::string::{String, ToString as _};
use core::fmt;

macro_rules! owned {
    ($(#[$doc:meta])* $buf:ident, $view:ident, $param:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $buf(String);

        impl $buf {
            /// No parameters.
            #[must_use]
            pub const fn new() -> Self {
                Self(String::new())
            }

            /// Puts one behind the others.
            ///
            /// # Errors
            ///
            /// [`ParamFault`] if its keyword is there already, if a value does not fit its grammar, or if there are too many. Nothing
            /// was added then.
            pub fn push(&mut self, param: $param<'_>) -> Result<&mut Self, ParamFault> {
                let length = self.0.len();
                let added = self.try_push(&param, &param.to_string());
                if added.is_err() {
                    self.0.truncate(length);
                }
                added.map(|()| self)
            }

            fn try_push(&mut self, param: &$param<'_>, text: &str) -> Result<(), ParamFault> {
                let (keyword, value) = match text.split_once('=') {
                    Some((keyword, value)) => (keyword, Some(value)),
                    None => (text, None),
                };
                let read = Param { keyword, value };
                if !is_param(&read) {
                    return Err(ParamFault::Syntax);
                }
                if !self.0.is_empty() {
                    self.0.push(' ');
                }
                self.0.push_str(text);
                $view::parse_utf8(&self.0)?;
                // A value that is put together of parts must come apart in the same place.
                if matches!(param, $param::Other(_)) || $param::from(read) == *param {
                    Ok(())
                } else {
                    Err(ParamFault::Syntax)
                }
            }

            /// The parameters in it.
            #[must_use]
            pub fn as_params(&self) -> $view<'_> {
                $view::parse_utf8(&self.0).unwrap_or_default()
            }

            /// As they are written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<$view<'_>> for $buf {
            fn from(params: $view<'_>) -> Self {
                Self(params.as_str().into())
            }
        }

        impl From<&$buf> for String {
            fn from(params: &$buf) -> Self {
                params.0.clone()
            }
        }

        impl fmt::Display for $buf {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

owned! {
    /// Owned parameters of MAIL, and the way to make some.
    ///
    /// ```
    /// use ehlo_codec::{BodyType, MailParam, MailParamsBuf};
    ///
    /// let mut params = MailParamsBuf::new();
    /// params.push(MailParam::Size(12345))?.push(MailParam::Body(BodyType::EightBitMime))?;
    /// assert_eq!(params.as_str(), "SIZE=12345 BODY=8BITMIME");
    /// assert!(params.push(MailParam::Size(1)).is_err(), "it is there already");
    /// # Ok::<(), ehlo_codec::ParamFault>(())
    /// ```
    MailParamsBuf, MailParams, MailParam
}
owned! {
    /// Owned parameters of RCPT, and the way to make some.
    ///
    /// ```
    /// use ehlo_codec::{Notify, RcptParam, RcptParamsBuf};
    ///
    /// let mut params = RcptParamsBuf::new();
    /// params.push(RcptParam::Notify(Notify::FAILURE | Notify::DELAY))?;
    /// assert_eq!(params.as_str(), "NOTIFY=FAILURE,DELAY");
    /// # Ok::<(), ehlo_codec::ParamFault>(())
    /// ```
    RcptParamsBuf, RcptParams, RcptParam
}
