//! Prints what the registry holds about reply codes, enhanced status codes and verbs:
//! `cargo run -p ehlo-codes --example explain -- 550 5.7.1 starttls`.
#![expect(clippy::print_stdout, reason = "an example for the command line")]

use ehlo_codes::{EnhancedCode, ReplyCode, Verb};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.is_empty() {
        println!("usage: explain CODE...   for example: explain 421 5.1.1 MAIL");
    }
    for word in &words {
        if let Ok(code) = word.parse() {
            reply(code);
        } else if let Ok(code) = word.parse() {
            enhanced(code);
        } else if let Some(verb) = Verb::from_bytes(word.as_bytes()) {
            command(verb);
        } else {
            println!("{word}: neither a reply code, an enhanced code nor a verb");
        }
    }
}

fn reply(code: ReplyCode) {
    match code.info() {
        Some(info) => println!(
            "{code} {}\n    {}\n    {}\n    {}, {}",
            info.title, info.meaning, info.advice, info.reference, info.standing
        ),
        None => println!("{code} is not registered; its first digit says {:?}", code.class()),
    }
}

fn enhanced(code: EnhancedCode) {
    if let Some(class) = code.class_info() {
        println!("{code} {}: {}", class.title, class.meaning);
    }
    if let Some(subject) = code.subject_info() {
        println!("    {}: {}", subject.title, subject.meaning);
    }
    match code.info() {
        Some(info) => println!("    {}: {}\n    {}, {}", info.title, info.meaning, info.reference, info.standing),
        None => println!("    {} is not registered", code.status()),
    }
}

fn command(verb: Verb) {
    let info = verb.info();
    println!("{verb} {}\n    {}, {}", info.meaning, info.reference, info.standing);
    for reply in verb.replies() {
        println!("    {:?} {} ({})", reply.outcome, reply.code, reply.reference);
    }
}
