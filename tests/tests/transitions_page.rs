//! The documentation's page of transitions is what the table of the session gives.
//!
//! `EHLO_WRITE_PAGES=1 cargo test -p ehlo-tests --test transitions_page` writes it anew.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use ehlo_server::codec::Verb;
use ehlo_server::table::{Cell, ROWS, State};

const PAGE: &str = "docs/src/reference/transitions.md";

const HEAD: &str = "\
<!-- Written by the test tests/tests/transitions_page.rs from crates/server/src/table.rs: change the table, not this page. -->

# Which command may come when

The session of `ehlo-server` looks each command up in one table before it reads the command's arguments (RFC 5321 §4.1.4): a command
out of sequence is 503 however malformed the rest of it is. Only a BDAT that does not tell where its chunk ends is 501 and ends the session,
wherever it comes.

What stands in place of `yes` is what the reply 503 tells. Behind a greeting of 554 or 521 only QUIT is obeyed, and everything else is 503 or
521 (RFC 5321 §3.1, RFC 7504 §3).

";

/// Those that have a column; of the other one the head tells.
const COLUMNS: [State; 6] =
    [State::Greeted, State::Ready, State::Sender, State::Recipients, State::Chunks, State::Failed];

fn state(state: State) -> &'static str {
    match state {
        State::Refused => "refused",
        State::Greeted => "greeted",
        State::Ready => "ready",
        State::Sender => "sender",
        State::Recipients => "recipients",
        State::Chunks => "chunks",
        State::Failed => "failed",
    }
}

fn state_meaning(state: State) -> &'static str {
    match state {
        State::Refused => "the greeting was 554 or 521",
        State::Greeted => "no EHLO or HELO was accepted yet",
        State::Ready => "EHLO or HELO was accepted, and no transaction is open",
        State::Sender => "MAIL was accepted",
        State::Recipients => "MAIL and at least one RCPT were accepted",
        State::Chunks => "chunks of the message came by BDAT, but not the last one (RFC 3030 §2)",
        State::Failed => "a chunk was refused, and with it the transaction (RFC 3030 §2)",
    }
}

fn cell(cell: Cell) -> &'static str {
    match cell {
        Cell::Allow => "yes",
        Cell::NeedsHello => "EHLO first",
        Cell::NeedsMail => "MAIL first",
        Cell::Nested => "one is open",
        Cell::NeedsRecipient => "no recipient",
        Cell::WithinTransaction | Cell::NeedsReset => "RSET first",
        Cell::WithinChunks => "BDAT or RSET",
        Cell::NeedsQuit => "QUIT only",
    }
}

fn page() -> String {
    let mut out = HEAD.to_owned();
    let mut line = |text: &str| {
        let _: std::fmt::Result = writeln!(out, "{text}");
    };
    let names: Vec<&str> = COLUMNS.into_iter().map(state).collect();
    line(&format!("| command | {} |", names.join(" | ")));
    line(&format!("|---|{}", "---|".repeat(names.len())));
    for row in ROWS {
        assert_eq!(row.cells[State::Refused as usize] == Cell::NeedsQuit, row.verb != Verb::Quit, "as the head says");
        let cells: Vec<&str> = COLUMNS.into_iter().map(|state| cell(row.cells[state as usize])).collect();
        line(&format!("| {} | {} |", row.verb, cells.join(" | ")));
    }
    line(
        "\nA verb without a row is one that this server does not implement: 502; so are STARTTLS, AUTH, BDAT, EXPN, ETRN and HELP where they are switched off, and LHLO where SMTP is spoken. EHLO and HELO where LMTP is spoken are 500 (RFC 2033 §4.1), and so is a word that is no verb.\n",
    );
    line("The states:\n");
    for one in COLUMNS {
        line(&format!("- {}: {}", state(one), state_meaning(one)));
    }
    let list = |verbs: Vec<Verb>| verbs.iter().map(Verb::to_string).collect::<Vec<_>>().join(", ");
    let idle = list(ROWS.iter().filter(|row| row.idle).map(|row| row.verb).collect());
    let last = list(ROWS.iter().filter(|row| row.ends_group).map(|row| row.verb).collect());
    line(&format!(
        "\n{idle} do nothing for a message: they count against `Limits::idle_commands` until the next message is accepted."
    ));
    line(&format!(
        "\n{last} must be the last of a pipelined group (RFC 2920 §3.1). The session answers what comes behind them all the same."
    ));
    out
}

#[test]
fn the_page_of_transitions_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
    let page = page();
    if env::var_os("EHLO_WRITE_PAGES").is_some() {
        fs::write(&path, &page).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let there = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(
        there == page,
        "{PAGE} is not what the table gives: run `EHLO_WRITE_PAGES=1 cargo test -p ehlo-tests --test transitions_page`"
    );
}
