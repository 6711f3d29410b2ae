//! Whole tables.

use clap::ValueEnum;
use ehlo_codes::{
    Parameter, ReplyCode, SaslMechanism, ServiceExtension, Stage, StatusDetail, VendorCode, Verb, WithProtocol,
};
use serde_json::{Value, json};

use super::human::range;
use super::wrap::entry;

/// A table of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Table {
    /// Reply codes
    Codes,
    /// Enhanced status codes
    Enhanced,
    /// Service extensions, with their parameters
    Extensions,
    /// Commands, and the replies that each may get
    Commands,
    /// SASL mechanisms
    Sasl,
    /// Protocols of Received fields
    With,
    /// What providers mean by a code
    Vendor,
}

impl Table {
    pub(super) fn json(self) -> Value {
        match self {
            Self::Codes => json!(ReplyCode::registered()),
            Self::Enhanced => json!(StatusDetail::registered()),
            Self::Extensions => ServiceExtension::ALL
                .iter()
                .map(|row| {
                    let mut value = json!(row);
                    value["parameters"] = json!(row.parameters().collect::<Vec<&Parameter>>());
                    value
                })
                .collect(),
            Self::Commands => Verb::ALL
                .iter()
                .map(|verb| {
                    let mut value = json!(verb.info());
                    value["replies"] = json!(verb.replies());
                    value
                })
                .collect(),
            Self::Sasl => json!(SaslMechanism::ALL),
            Self::With => json!(WithProtocol::ALL),
            Self::Vendor => json!(VendorCode::ALL),
        }
    }

    /// A row a line, or more where it is long: what it is called, then what it is.
    pub(super) fn text(self) -> String {
        let mut out = String::new();
        let mut row = |label: &str, column: usize, text: &str| entry(&mut out, 0, label, column, text);
        match self {
            Self::Codes => {
                for info in ReplyCode::registered() {
                    row(&info.code.to_string(), 5, &format!("{} ({}; {})", info.title, info.reference, info.standing));
                }
            }
            Self::Enhanced => {
                for info in StatusDetail::registered() {
                    let text = format!("{} ({}; {})", info.title, info.reference, info.standing);
                    row(&info.status.to_string(), 8, &text);
                }
            }
            Self::Extensions => {
                for info in ServiceExtension::ALL {
                    let names: Vec<String> =
                        info.parameters().map(|row| format!("{} {}", row.verb, row.name)).collect();
                    let adds: Vec<String> = info.verbs.iter().map(ToString::to_string).chain(names).collect();
                    let adds = if adds.is_empty() { String::new() } else { format!(" Adds {}.", adds.join(", ")) };
                    let text = format!("{}.{adds} ({}; {})", info.title, info.reference, info.standing);
                    row(info.keyword, 21, &text);
                }
            }
            Self::Commands => {
                for verb in Verb::ALL {
                    let info = verb.info();
                    let codes: Vec<String> = verb.replies().iter().map(|reply| reply.code.to_string()).collect();
                    let text = format!("{} {} ({}; {})", info.meaning, codes.join(" "), info.reference, info.standing);
                    row(info.name, 10, &text);
                }
                let codes: Vec<String> = Stage::EVERY_COMMAND.iter().map(|reply| reply.code.to_string()).collect();
                row("any", 10, &format!("{} (RFC 5321 §4.3.2)", codes.join(" ")));
            }
            Self::Sasl => {
                for info in SaslMechanism::ALL {
                    let text = format!("{} ({}; {}, {} use)", info.meaning, info.reference, info.standing, info.usage);
                    row(info.name, 20, &text);
                }
            }
            Self::With => {
                for info in WithProtocol::ALL {
                    row(info.name, 12, &format!("{} ({}; {})", info.meaning, info.reference, info.standing));
                }
            }
            Self::Vendor => {
                for info in VendorCode::ALL {
                    let reply = info.reply.map(|code| format!("{code} ")).unwrap_or_default();
                    let label = format!("{reply}{}", range(info.code, info.last_detail));
                    row(&label, 15, &format!("{}: {} {}", info.provider, info.meaning, info.advice));
                }
            }
        }
        out
    }
}
