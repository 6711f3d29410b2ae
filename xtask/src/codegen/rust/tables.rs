//! The modules of the tables beside those of codes.

use std::fmt::Write as _;

use super::{preamble, variant};
use crate::codegen::Generated;
use crate::codegen::data::Registry;

pub(super) fn files(registry: &Registry) -> Vec<Generated> {
    vec![
        Generated { path: "crates/codes/src/generated/extensions.rs", text: extensions(registry) },
        Generated { path: "crates/codes/src/generated/sasl.rs", text: sasl(registry) },
        Generated { path: "crates/codes/src/generated/vendor.rs", text: vendor(registry) },
        Generated { path: "crates/codes/src/generated/with.rs", text: with(registry) },
    ]
}

fn extensions(registry: &Registry) -> String {
    let mut out =
        preamble("Service extensions and their parameters.", "`data/extensions.tsv` and `data/parameters.tsv`");
    out.push_str("use crate::{Parameter, Requirement, ServiceExtension, Standing, Verb};\n\n");
    out.push_str("/// All rows, in the order of the table.\npub(crate) const EXTENSIONS: &[ServiceExtension] = &[\n");
    for row in &registry.extensions {
        line!(out, "    ServiceExtension {{");
        line!(out, "        keyword: {:?},", row.keyword);
        line!(out, "        title: {:?},", row.title);
        line!(out, "        meaning: {:?},", row.meaning);
        line!(out, "        parameter: {:?},", row.parameter);
        line!(out, "        verbs: &{:?},", row.verbs);
        line!(out, "        mail_line: {},", row.mail_line);
        line!(out, "        rcpt_line: {},", row.rcpt_line);
        line!(out, "        limits: {:?},", row.limits);
        line!(out, "        relay: {},", row.relay);
        match row.submission {
            None => line!(out, "        submission: None,"),
            Some(requirement) => line!(out, "        submission: Some(Requirement::{requirement}),"),
        }
        line!(out, "        reference: {:?},", row.reference);
        line!(out, "        replaces: {:?},", row.replaces);
        line!(out, "        note: {:?},", row.note);
        line!(out, "        standing: Standing::{},\n    }},", row.standing.variant());
    }
    out.push_str(
        "];\n\n/// All parameters, in the order of the table.\npub(crate) const PARAMETERS: &[Parameter] = &[\n",
    );
    for row in &registry.parameters {
        line!(out, "    Parameter {{");
        line!(out, "        name: {:?},", row.name);
        line!(out, "        verb: Verb::{},", variant(&row.verb));
        line!(out, "        extension: {:?},", row.extension);
        line!(out, "        value: {:?},", row.value);
        line!(out, "        octets: {:?},", row.octets);
        line!(out, "        meaning: {:?},", row.meaning);
        line!(out, "        reference: {:?},\n    }},", row.reference);
    }
    out.push_str("];\n");
    out
}

fn sasl(registry: &Registry) -> String {
    let mut out = preamble("SASL mechanisms.", "`data/sasl.tsv`");
    out.push_str("use crate::{SaslMechanism, Standing, Usage};\n\n");
    out.push_str("/// All rows, in the order of the table.\npub(crate) const MECHANISMS: &[SaslMechanism] = &[\n");
    for row in &registry.mechanisms {
        line!(out, "    SaslMechanism {{");
        line!(out, "        name: {:?},", row.name);
        line!(out, "        meaning: {:?},", row.meaning);
        line!(out, "        usage: Usage::{},", row.usage);
        line!(out, "        reveals_secret: {},", row.secret);
        line!(out, "        reference: {:?},", row.reference);
        line!(out, "        standing: Standing::{},\n    }},", row.standing.variant());
    }
    out.push_str("];\n");
    out
}

fn with(registry: &Registry) -> String {
    let mut out = preamble("Protocol names for Received fields.", "`data/with.tsv`");
    out.push_str("use crate::{Protocol, Standing, WithProtocol};\n\n");
    out.push_str("/// All rows, in the order of the table.\npub(crate) const WITH: &[WithProtocol] = &[\n");
    for row in &registry.withs {
        line!(out, "    WithProtocol {{");
        line!(out, "        name: {:?},", row.name);
        line!(out, "        meaning: {:?},", row.meaning);
        line!(out, "        protocol: Protocol::{},", row.protocol);
        line!(out, "        tls: {},", row.tls);
        line!(out, "        auth: {},", row.auth);
        line!(out, "        utf8: {},", row.utf8);
        line!(out, "        reference: {:?},", row.reference);
        line!(out, "        standing: Standing::{},\n    }},", row.standing.variant());
    }
    out.push_str("];\n");
    out
}

fn vendor(registry: &Registry) -> String {
    let mut out = preamble("Codes of providers.", "`data/vendor.tsv`");
    out.push_str("use crate::{EnhancedCode, ReplyCode, VendorCode};\n\n");
    out.push_str("/// All rows, by rising code.\npub(crate) const VENDORS: &[VendorCode] = &[\n");
    for row in &registry.vendors {
        line!(out, "    VendorCode {{");
        line!(out, "        provider: {:?},", row.provider);
        match row.reply {
            None => line!(out, "        reply: None,"),
            Some(code) => line!(out, "        reply: Some(ReplyCode::literal({code})),"),
        }
        line!(out, "        code: EnhancedCode::literal({}, {}, {}),", row.class, row.subject, row.detail);
        line!(out, "        last_detail: {},", row.last);
        line!(out, "        meaning: {:?},", row.meaning);
        line!(out, "        advice: {:?},", row.advice);
        line!(out, "        source: {:?},\n    }},", row.source);
    }
    out.push_str("];\n");
    out
}
