//! What MAIL's and RCPT's parameters have in common: where in the text the known ones stand.

use super::{ParamFault, Params};
use crate::text::Charset;

/// The known parameters of one command.
pub(super) trait Table {
    /// The keywords in capitals, by their numbers.
    const KEYWORDS: &[&str];

    /// The number of a keyword, below 32.
    fn number(keyword: &[u8]) -> Option<u8>;

    /// Whether the value fits the grammar of the parameter's extension.
    fn is_valid(number: u8, value: Option<&[u8]>, charset: Charset) -> bool;
}

/// Parameters, and which of the known ones are among them. Where they stand is looked for when somebody asks: few do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Known<'a> {
    pub(super) bytes: &'a [u8],
    /// A bit for each number.
    pub(super) seen: u32,
}

impl<'a> Known<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, seen: 0 }
    }

    /// A parameter that is not of the usual ones.
    pub(super) fn note<T: Table>(
        &mut self,
        keyword: &[u8],
        value: Option<&[u8]>,
        charset: Charset,
    ) -> Result<bool, ParamFault> {
        let Some(number) = T::number(keyword) else { return Ok(false) };
        if self.has(number) {
            return Err(ParamFault::Duplicate);
        }
        self.seen |= 1 << number;
        if T::is_valid(number, value, charset) {
            Ok(true)
        } else {
            Err(ParamFault::Value(T::KEYWORDS[usize::from(number)]))
        }
    }

    pub(super) const fn raw(&self) -> Params<'a> {
        Params(self.bytes)
    }

    #[inline]
    pub(super) const fn has(&self, number: u8) -> bool {
        self.seen & (1 << number) != 0
    }

    /// The value of a known parameter.
    pub(super) fn value<T: Table>(&self, number: u8) -> Option<&'a str> {
        if !self.has(number) {
            return None;
        }
        self.raw().iter().find(|p| T::number(p.keyword.as_bytes()) == Some(number))?.value
    }
}

/// Whether a parameter may end here.
#[inline(always)]
pub(super) fn ends(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at), None | Some(b' '))
}

/// The parts that [`MailParams`](super::MailParams) and [`RcptParams`](super::RcptParams) share.
macro_rules! params {
    ($name:ident, $param:ident, $table:ident, $verb:literal) => {
        impl<'a> $name<'a> {
            /// No parameters.
            pub const NONE: Self = Self::new(&[]);

            #[doc = concat!("Reads what stands behind the path of ", $verb, ".")]
            ///
            /// # Errors
            ///
            /// [`ParamFault`] if one does not fit the grammar of RFC 5321 §4.1.2 or of its extension, or stands twice.
            pub fn parse(text: &'a str) -> Result<Self, ParamFault> {
                Self::with(text.as_bytes(), Charset::Ascii)
            }

            /// The same, with characters beyond ASCII in values (RFC 6531 §3.3).
            ///
            /// # Errors
            ///
            /// Those of [`parse`](Self::parse).
            pub fn parse_utf8(text: &'a str) -> Result<Self, ParamFault> {
                Self::with(text.as_bytes(), Charset::Utf8)
            }

            /// Those of every day, if there are no others: by the tables, each costs several times as much.
            #[inline(always)]
            pub(crate) fn usual(bytes: &'a [u8]) -> Option<Self> {
                let mut params = Self::new(bytes);
                let mut at = 0;
                while !bytes.is_empty() {
                    at = params.usual_at(bytes, at)?;
                    if at == bytes.len() {
                        break;
                    }
                    // It is a space that it ends at.
                    at += 1;
                }
                Some(params)
            }

            /// In [`Charset::Utf8`] the bytes must be UTF-8.
            pub(crate) fn with(bytes: &'a [u8], charset: Charset) -> Result<Self, ParamFault> {
                let mut reader = Reader { params: Self::new(bytes), charset };
                scan(bytes, charset, &mut reader)?;
                Ok(reader.params)
            }

            /// Whether there are none.
            #[must_use]
            pub const fn is_empty(&self) -> bool {
                self.known.raw().is_empty()
            }

            /// All of them as they were written, without their meaning.
            #[must_use]
            pub const fn raw(&self) -> Params<'a> {
                self.known.raw()
            }

            /// As they were written.
            #[must_use]
            pub const fn as_str(&self) -> &'a str {
                self.known.raw().as_str()
            }

            #[doc = concat!("One after the other, each as what it means. Unknown ones are [`", stringify!($param), "::Other`].")]
            pub fn iter(&self) -> impl Iterator<Item = $param<'a>> + Clone + use<'a> {
                self.raw().iter().map($param::from)
            }

            #[doc = concat!("Those that no ", $verb, " parameter of the registry is: kept as they came.")]
            pub fn unknown(&self) -> impl Iterator<Item = Param<'a>> + Clone + use<'a> {
                self.raw().iter().filter(|p| $table::number(p.keyword.as_bytes()).is_none())
            }
        }

        /// Reads the parameters of one command.
        struct Reader<'a> {
            params: $name<'a>,
            charset: Charset,
        }

        impl Visit for Reader<'_> {
            #[inline(always)]
            fn usual(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
                self.params.usual_at(bytes, at)
            }

            fn note(&mut self, keyword: &[u8], value: Option<&[u8]>) -> Result<bool, ParamFault> {
                let known = self.params.known.note::<$table>(keyword, value, self.charset)?;
                if known && let Some(value) = value {
                    self.params.keep(keyword, value);
                }
                Ok(known)
            }
        }

        impl Default for $name<'_> {
            fn default() -> Self {
                Self::NONE
            }
        }

        impl core::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.as_str()).finish()
            }
        }

        impl core::fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use params;
