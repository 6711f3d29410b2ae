//! Commands, line by line.

use super::*;
use crate::{ParamFault, PathFault};
use alloc::string::ToString;

fn round_trip(line: &str) {
    let command = Command::parse(line.as_bytes()).unwrap_or_else(|e| panic!("{line}: {e:?}"));
    let mut out = Vec::new();
    command.write_to(&mut out);
    assert_eq!(out, [line.as_bytes(), b"\r\n"].concat());
}

#[test]
fn commands_are_written_as_they_were_read() {
    for line in [
        "EHLO mail.example.com",
        "EHLO [127.0.0.1]",
        "HELO x",
        "MAIL FROM:<>",
        "MAIL FROM:<a@b> SIZE=1 BODY=8BITMIME X-NEW",
        "RCPT TO:<Postmaster>",
        "RCPT TO:<\"a b\"@c> NOTIFY=SUCCESS,FAILURE",
        "DATA",
        "RSET",
        "QUIT",
        "NOOP",
        "NOOP hello there",
        "VRFY ada",
        "EXPN list",
        "HELP",
        "HELP MAIL",
        "ETRN example.org",
    ] {
        round_trip(line);
    }
}

#[test]
fn verbs_and_keywords_are_the_same_in_any_case() {
    let Ok(Command::Mail { from, .. }) = Command::parse(b"mAiL fRoM:<Ada@B>  ") else { panic!("it is MAIL") };
    assert_eq!(from.to_string(), "<Ada@B>");
}

#[test]
fn wrong_lines_are_refused_with_their_kind() {
    use SyntaxError as E;
    for (line, error) in [
        ("", E::UnknownCommand),
        ("FROBNICATE", E::UnknownCommand),
        ("DATA now", E::UnexpectedArgument),
        ("QUIT x", E::UnexpectedArgument),
        ("EHLO", E::MissingArgument),
        ("EHLO bad domain!", E::ClientId(PathFault::Domain)),
        ("MAIL", E::MissingArgument),
        ("MAIL FROM:", E::MissingArgument),
        ("MAIL FROM :<a@b>", E::MissingArgument),
        ("MAIL FROM: <a@b>", E::ReversePath(PathFault::Brackets)),
        ("MAIL FROM:a@b", E::ReversePath(PathFault::Brackets)),
        ("MAIL FROM:<a@b>SIZE=1", E::Params(ParamFault::Syntax)),
        ("MAIL FROM:<a@b> SIZE=1 SIZE=1", E::Params(ParamFault::Duplicate)),
        ("RCPT TO:<>", E::ForwardPath(PathFault::LocalPart)),
        ("RCPT TO:Postmaster", E::ForwardPath(PathFault::Brackets)),
        ("VRFY", E::MissingArgument),
        ("NOOP \x07", E::Characters),
    ] {
        assert_eq!(Command::parse(line.as_bytes()), Err(error), "{line}");
        assert!(error.reply().code().get() >= 500);
    }
}

#[test]
fn a_wrong_value_is_told_with_what_it_has_to_be() {
    let of = |line: &str| match Command::parse(line.as_bytes()) {
        Err(error) => error.reply().to_string(),
        Ok(command) => panic!("{command:?}"),
    };
    assert_eq!(of("MAIL FROM:<a@b> body=9BIT"), "501 5.5.4 BODY must be 7BIT, 8BITMIME or BINARYMIME");
    // RFC 6710 §4.1 has an enhanced code of its own.
    assert_eq!(of("MAIL FROM:<a@b> MT-PRIORITY=10"), "501 5.5.2 MT-PRIORITY must be -9 to 9");
    assert_eq!(of("MAIL FROM:<a@b> SMTPUTF8=yes"), "501 5.5.4 SMTPUTF8 takes no value");
    for parameter in ["SIZE", "RET=ALL", "ENVID==", "AUTH", "BY=1", "HOLDFOR=0", "HOLDUNTIL=now", "MTRK=-"] {
        let reply = of(&alloc::format!("MAIL FROM:<a@b> {parameter}"));
        let keyword = parameter.split('=').next().expect("a keyword");
        assert!(
            reply.starts_with(&alloc::format!("501 5.5.4 {keyword} must be")) || reply.contains("Parameter is"),
            "{reply}"
        );
    }
    for parameter in ["NOTIFY=ALWAYS", "ORCPT=a@b", "RRVS=0"] {
        let reply = of(&alloc::format!("RCPT TO:<a@b> {parameter}"));
        let keyword = parameter.split('=').next().expect("a keyword");
        assert!(reply.starts_with(&alloc::format!("501 5.5.4 {keyword} must be")), "{reply}");
    }
}
