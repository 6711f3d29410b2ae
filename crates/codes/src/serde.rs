//! Codes as values of a data format: a reply code is a number, everything else its text. Rows can be written, not read.

use core::fmt;
use core::marker::PhantomData;
use core::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use crate::explain::Verdict;
use crate::{
    Advice, ClassInfo, EnhancedCode, EnhancedInfo, Fault, Outcome, Parameter, Party, Protocol, ReplyClass, ReplyCode,
    ReplyInfo, ReplyMeaning, ReplyText, Requirement, SaslMechanism, ServiceExtension, Stage, StageReply, Standing,
    StatusDetail, SubjectInfo, Usage, VendorCode, Verb, VerbInfo, WithProtocol,
};

/// A number from 100 to 999.
impl Serialize for ReplyCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.get())
    }
}

/// A number from 100 to 999, or a text of three digits.
impl<'de> Deserialize<'de> for ReplyCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Code;

        impl Visitor<'_> for Code {
            type Value = ReplyCode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reply code from 100 to 999")
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<ReplyCode, E> {
                let code = u16::try_from(value).ok().and_then(ReplyCode::new);
                code.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<ReplyCode, E> {
                let code = u16::try_from(value).ok().and_then(ReplyCode::new);
                code.ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<ReplyCode, E> {
                value.parse().map_err(|_| E::invalid_value(Unexpected::Str(value), &self))
            }
        }

        deserializer.deserialize_any(Code)
    }
}

/// Reads a text by a function.
struct Text<T, F> {
    expecting: &'static str,
    read: F,
    value: PhantomData<T>,
}

impl<T, F: Fn(&str) -> Option<T>> Visitor<'_> for Text<T, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<T, E> {
        (self.read)(value).ok_or_else(|| E::invalid_value(Unexpected::Str(value), &self))
    }
}

/// Types that are read from the text that they are written as.
macro_rules! text {
    ($($type:ty, $expecting:literal, $read:expr;)*) => { $(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Text { expecting: $expecting, read: $read, value: PhantomData };
                deserializer.deserialize_str(text)
            }
        }
    )* };
}

text! {
    EnhancedCode, "an enhanced status code such as 5.7.1", |text: &str| Self::from_str(text).ok();
    StatusDetail, "a subject and detail such as X.7.1", |text: &str| Self::from_str(text).ok();
    Verb, "the verb of a command", |text: &str| Self::from_bytes(text.as_bytes());
    Stage, "a verb, connect, unknown-verb, data-end or auth-response", Self::by_name;
}

/// Types that are written as one of a few words.
macro_rules! word {
    ($($type:ty),*) => { $(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )* };
}

word!(Fault, Outcome, Party, Protocol, ReplyClass, ReplyText, Requirement, Standing, Usage, Verdict);

/// Rows, field by field.
macro_rules! row {
    ($($type:ident { $($field:ident),* })*) => { $(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut row = serializer.serialize_struct(stringify!($type), [$(stringify!($field)),*].len())?;
                $(row.serialize_field(stringify!($field), &self.$field)?;)*
                row.end()
            }
        }
    )* };
}

row! {
    Advice { first, sender, recipient, postmaster }
    ClassInfo { class, title, meaning, reference }
    EnhancedInfo { status, title, meaning, classes, replies, advice, reference, standing }
    Parameter { name, verb, extension, value, octets, meaning, reference }
    ReplyInfo { code, title, meaning, advice, note, meanings, reference, standing, enhanced }
    ReplyMeaning { title, meaning, stages, subjects, details, retry, advice, reference }
    SaslMechanism { name, meaning, usage, reveals_secret, reference, standing }
    ServiceExtension {
        keyword, title, meaning, parameter, verbs, mail_line, rcpt_line, limits, relay, submission, reference, replaces, note,
        standing
    }
    StageReply { code, outcome, text, reference }
    SubjectInfo { subject, title, meaning, reference }
    VendorCode { provider, reply, code, last_detail, meaning, advice, source }
    VerbInfo { verb, name, meaning, keyword, reference, standing }
    WithProtocol { name, meaning, protocol, tls, auth, utf8, reference, standing }
}
