//! Owned forms, for keeping.

use super::{Domain, ForwardPath, Mailbox, PathFault, ReversePath};
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

macro_rules! owned {
    ($(#[$doc:meta])* $buf:ident, $view:ident, $get:ident, $parse:expr) => {
        $(#[$doc])*
        ///
        /// Equality and order are those of the text, in which case counts.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $buf(String);

        impl $buf {
            #[doc = concat!("The [`", stringify!($view), "`] in it, which was checked when it was made.")]
            #[must_use]
            pub fn $get(&self) -> $view<'_> {
                match $parse(&self.0) {
                    Ok(view) => view,
                    Err(_) => unreachable!("it was read once, and what is read once is read again"),
                }
            }

            /// As it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<$view<'_>> for $buf {
            fn from(view: $view<'_>) -> Self {
                Self(alloc::format!("{view}"))
            }
        }

        impl FromStr for $buf {
            type Err = PathFault;

            /// Reads it with characters beyond ASCII allowed (RFC 6531 §3.3).
            fn from_str(text: &str) -> Result<Self, PathFault> {
                // Written again, not copied: a source route is not kept.
                $parse(text).map(Self::from)
            }
        }

        impl fmt::Display for $buf {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $buf {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($buf)).field(&self.0).finish()
            }
        }
    };
}

owned! {
    /// An owned [`Domain`].
    ///
    /// ```
    /// use ehlo_codec::DomainBuf;
    /// let name: DomainBuf = "mail.example.com".parse()?;
    /// assert!(!name.as_domain().is_literal());
    /// # Ok::<(), ehlo_codec::PathFault>(())
    /// ```
    DomainBuf, Domain, as_domain, Domain::parse_utf8
}
owned! {
    /// An owned [`Mailbox`].
    ///
    /// ```
    /// use ehlo_codec::MailboxBuf;
    /// let mailbox: MailboxBuf = "\"a b\"@example.com".parse()?;
    /// assert_eq!(mailbox.as_mailbox().unquoted_local_part(), "a b");
    /// # Ok::<(), ehlo_codec::PathFault>(())
    /// ```
    MailboxBuf, Mailbox, as_mailbox, Mailbox::parse_utf8
}
owned! {
    /// An owned [`ReversePath`], kept with its brackets: `<>` or `<ada@example.org>`.
    ///
    /// ```
    /// use ehlo_codec::{ReversePath, ReversePathBuf};
    /// let sender: ReversePathBuf = "<>".parse()?;
    /// assert_eq!(sender.as_path(), ReversePath::Null);
    /// assert!("ada@example.org".parse::<ReversePathBuf>().is_err());
    /// # Ok::<(), ehlo_codec::PathFault>(())
    /// ```
    ReversePathBuf, ReversePath, as_path, reverse_path
}
owned! {
    /// An owned [`ForwardPath`], kept with its brackets: `<ada@example.org>` or `<Postmaster>`.
    ForwardPathBuf, ForwardPath, as_path, forward_path
}

fn reverse_path(text: &str) -> Result<ReversePath<'_>, PathFault> {
    whole(ReversePath::parse_prefix_utf8(text))
}

fn forward_path(text: &str) -> Result<ForwardPath<'_>, PathFault> {
    whole(ForwardPath::parse_prefix_utf8(text))
}

/// Nothing may stand behind a path that is kept.
fn whole<T>(read: Result<(T, &str), PathFault>) -> Result<T, PathFault> {
    match read? {
        (path, "") => Ok(path),
        _ => Err(PathFault::Brackets),
    }
}
