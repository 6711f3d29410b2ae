//! Sends one message from the standard input.
//!
//! ```text
//! cargo run --package ehlo-blocking --example send -- localhost:2525 ada@client.example bob@mx.example < message.eml
//! ```

use std::error::Error;
use std::io::{self, Read as _, Write as _};

use ehlo_blocking::{Client, Envelope, LineEndings, Recipient};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, from, names @ ..] = &arguments[..] else { return Err("usage: send HOST:PORT FROM TO...".into()) };
    let to = names.iter().map(|name| Recipient::parse(name)).collect::<Result<Vec<_>, _>>()?;
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;

    // ANCHOR: send
    let mut client = Client::builder().line_endings(LineEndings::Normalize).connect(target)?;
    let report = client.send(&Envelope::parse(from, &to)?, &text)?;
    for (name, fate) in names.iter().zip(report.iter()) {
        writeln!(io::stdout(), "{name}: {fate}")?;
    }
    client.quit()?;
    // ANCHOR_END: send
    Ok(())
}
