//! An SMTP AUTH exchange (RFC 4954) as it stands on the wire, both sides played here.
//!
//! `cargo run -p ehlo-sasl --example smtp_auth -- SCRAM-SHA-256`
#![expect(clippy::print_stdout, reason = "an example that shows a dialogue")]

use std::error::Error;

use ehlo_sasl::{ClientExchange, ClientOptions, Credentials, Failure, Mechanism, Nonce};
use ehlo_sasl::{ServerExchange, ServerOptions, StaticUsers, Step, base64};

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "SCRAM-SHA-256".to_owned());
    let mechanism: Mechanism = name.parse()?;

    let mut users = StaticUsers::new("random bytes that are kept");
    users.add("ada", "correct horse")?;

    // A program takes these from the operating system's randomness.
    let (servers, clients) = (Nonce::from_random(*b"not random, server"), Nonce::from_random(*b"not random, client"));
    let credentials = Credentials::password("ada", "correct horse");
    let mut client = ClientExchange::new(mechanism, credentials, ClientOptions::new(clients))?;

    let initial = client.initial_response();
    match &initial {
        Some(message) => println!("C: AUTH {mechanism} {}", base64::encode_initial_response(message.as_bytes())),
        None => println!("C: AUTH {mechanism}"),
    }
    let mut options = ServerOptions::new(servers, users.unknown_users());
    options.host = Some("mx.example".to_owned());
    let initial = initial.as_ref().map(|message| message.as_bytes());
    let (mut server, mut step) = ServerExchange::start(mechanism, options, initial);
    loop {
        step = match step {
            Step::Challenge(challenge) => {
                println!("S: 334 {}", base64::encode(&challenge));
                let response = client.respond(&challenge)?;
                println!("C: {}", base64::encode(response.as_bytes()));
                server.respond(response.as_bytes())
            }
            // A server with a database answers this later.
            Step::Ask(request) => server.answer(users.answer(&request)),
            Step::Done(identity) => {
                println!("S: 235 2.7.0 {} authenticated", identity.authentication_id);
                break;
            }
            Step::Failed(failure) => {
                let reply = match failure {
                    Failure::Malformed => "501 5.5.2 Malformed response",
                    Failure::UnexpectedInitialResponse => "501 5.7.0 No initial response here",
                    Failure::TooLong => "500 5.5.6 Response too long",
                    Failure::TemporaryFailure => "454 4.7.0 Try again later",
                    _ => "535 5.7.8 Authentication failed",
                };
                println!("S: {reply}");
                return Err(failure.into());
            }
        };
    }
    client.finish()?;
    Ok(())
}
