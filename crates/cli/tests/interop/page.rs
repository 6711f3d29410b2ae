//! The documentation's page of clients is what their rows say.
//!
//! `EHLO_WRITE_PAGES=1 cargo test -p ehlo --test interop page` writes it anew.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use crate::clients::{ALL, Client, Has};

const PAGE: &str = "docs/src/reference/clients.md";

const HEAD: &str = "\
<!-- Written by the test crates/cli/tests/interop/page.rs from the rows in clients.rs there: change those, not this page. -->

# Clients of others

Each of these clients delivers to [`ehlo serve`](../guide/serve.md) in a test, `crates/cli/tests/interop`: in clear, by STARTTLS and over TLS from the
beginning, and on each of these ways with each other thing of its row, one at a time. A message passes if it is stored once, octet for octet as it
went over the wire, with the sender, the recipients and the word behind `with` in `Received:` that belong to it. What goes over the wire in clear is
recorded between both: the mechanism of AUTH, the parameters of MAIL and RCPT, and whether the message came by DATA or BDAT are read there. Each
client also tries a wrong password, in vain.

```sh
tests/peers/setup.sh                 # unpacks the clients
cargo test -p ehlo --test interop    # tells on the standard error what could not be judged
```

";

fn has<T>(it: Has<T>) -> &'static str {
    if it.is_ok() { "yes" } else { "no" }
}

fn row(client: &Client) -> String {
    let auth: Vec<_> = client.auth.iter().map(|mechanism| mechanism.name()).collect();
    let dsn = client.dsn.map_or("no".to_owned(), |keywords| keywords.join(", "));
    let cells = [
        client.title.to_owned(),
        client.version.to_owned(),
        has(client.clear).to_owned(),
        "yes".to_owned(),
        "yes".to_owned(),
        auth.join(", "),
        has(client.utf8).to_owned(),
        dsn,
        has(client.bdat).to_owned(),
        has(client.lmtp).to_owned(),
    ];
    format!("| {} |", cells.join(" | "))
}

/// Why a row says no.
fn reasons(client: &Client) -> Vec<String> {
    let all = [
        ("in clear", client.clear.err()),
        ("SMTPUTF8", client.utf8.err()),
        ("DSN", client.dsn.err()),
        ("BDAT", client.bdat.err()),
        ("LMTP", client.lmtp.err()),
    ];
    let missing = all.into_iter().filter_map(|(what, why)| Some((what, why?)));
    missing.map(|(what, why)| format!("- {}, {what}: it {why}.", client.title)).collect()
}

fn page() -> String {
    let mut out = HEAD.to_owned();
    let mut line = |text: &str| {
        let _: std::fmt::Result = writeln!(out, "{text}");
    };
    line("| client | version | in clear | STARTTLS | TLS | AUTH | SMTPUTF8 | DSN | BDAT | LMTP |");
    line("|---|---|---|---|---|---|---|---|---|---|");
    ALL.iter().for_each(|client| line(&row(client)));
    line(
        "\nThe version is the one that was measured; others of the same client may have more. LMTP is tried in clear and by STARTTLS.\n",
    );
    line("What a client does not have:\n");
    ALL.iter().flat_map(|client| reasons(client)).for_each(|reason| line(&reason));
    out
}

#[test]
fn the_page_of_clients_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(PAGE);
    if path.parent().is_none_or(|folder| !folder.exists()) {
        // The package of the command has no book.
        return;
    }
    let page = page();
    if env::var_os("EHLO_WRITE_PAGES").is_some() {
        fs::write(&path, &page).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let there = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(
        there == page,
        "{PAGE} is not what the rows say: run `EHLO_WRITE_PAGES=1 cargo test -p ehlo --test interop page`"
    );
}
