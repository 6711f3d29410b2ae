//! Explains a reply: `cargo run -p ehlo-codes --example explain -- '550 5.7.1 no relaying here'`.
#![expect(clippy::print_stdout, reason = "an example for the command line")]

use ehlo_codes::{Explanation, Party};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let reply = words.join(" ");
    match Explanation::of(reply.as_bytes()) {
        Ok(explanation) => print(&explanation),
        Err(error) => println!("usage: explain REPLY   for example: explain 550 5.7.1\n{error}"),
    }
}

fn print(explanation: &Explanation<'_>) {
    if let Some(code) = explanation.reply() {
        match explanation.reply_info() {
            Some(info) => println!("{code} {}: {} ({}, {})", info.title, info.meaning, info.reference, info.standing),
            None => println!("{code} is not registered"),
        }
        for digit in explanation.digits().into_iter().flat_map(|digits| digits.iter()) {
            println!("    {} {}", digit.value, digit.meaning);
        }
        for (stage, reply) in explanation.stages() {
            println!("    may come after {stage} ({})", reply.reference);
        }
    }
    if let Some(status) = explanation.status() {
        match explanation.enhanced_info() {
            Some(info) => println!("{status} {}: {} ({}, {})", info.title, info.meaning, info.reference, info.standing),
            None => println!("{status} is not registered"),
        }
    }
    match explanation.meaning() {
        Some(meaning) => println!("{}: {}", meaning.title, meaning.meaning),
        None => explanation.meanings().iter().for_each(|meaning| println!("perhaps {}", meaning.title)),
    }
    for party in [Party::Sender, Party::Recipient, Party::Postmaster] {
        if let Some(what) = explanation.advice().and_then(|advice| advice.of(party)) {
            println!("{party}: {what}");
        }
    }
    for remark in explanation.remarks() {
        println!("note: {remark}");
    }
    println!("{}", explanation.verdict().sentence());
}
