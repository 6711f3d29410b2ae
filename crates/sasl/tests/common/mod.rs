//! What the tests share: a server's loop and a client's, without anything between them.
#![allow(dead_code, reason = "each test uses a part of it")]

use ehlo_sasl::{
    Answer, ChannelBindings, ClientExchange, ClientOptions, Credentials, Error, Failure, Identity, Mechanism, Nonce,
    Request, ServerExchange, ServerOptions, StaticUsers, Step,
};

pub(crate) const NAME: &str = "ada@client.example";
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// One user. Made once per test: the derivation takes a while.
pub(crate) fn users() -> StaticUsers {
    let mut users = StaticUsers::new("a secret that is kept");
    users.add(NAME, PASSWORD).unwrap();
    users
}

pub(crate) fn bindings() -> ChannelBindings {
    ChannelBindings::none().with_exporter([7; 32]).with_server_end_point(&[9; 32])
}

/// Options as a driver gives them: channel binding data is there, and the `-PLUS` mechanisms are offered.
pub(crate) fn server_options(users: &StaticUsers) -> ServerOptions {
    let mut options = ServerOptions::new(Nonce::from_random([1; 18]), users.unknown_users());
    options.channel_bindings = bindings();
    options.host = Some("mx.example".into());
    options.port = Some(587);
    options
}

/// Options of a client that uses channel binding only where the mechanism wants it.
pub(crate) fn client_options(mechanism: Mechanism) -> ClientOptions {
    let mut options = ClientOptions::new(Nonce::from_random([2; 18]));
    if mechanism.needs_channel_binding() {
        options.channel_bindings = bindings();
    }
    options.host = Some("mx.example".into());
    options.port = Some(587);
    options
}

pub(crate) fn credentials(mechanism: Mechanism, name: &str, secret: &str) -> Credentials {
    match mechanism {
        Mechanism::External => Credentials::external(),
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => Credentials::bearer(name, secret),
        _ => Credentials::password(name, secret),
    }
}

/// Answers like `StaticUsers`, and knows a client by its certificate.
pub(crate) fn answer(users: &StaticUsers, request: &Request) -> Answer {
    match request {
        Request::External { .. } => Answer::AcceptAs(NAME.into()),
        request => users.answer(request),
    }
}

/// How an exchange ended for the server, and for the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) server: Result<Identity, Failure>,
    pub(crate) client: Result<(), Error>,
}

/// Runs both sides. `tamper` sees each message with its number and direction and may change it.
pub(crate) fn run(
    mut exchange: ClientExchange,
    mechanism: Mechanism,
    options: ServerOptions,
    with_initial: bool,
    mut decide: impl FnMut(&Request) -> Answer,
    mut tamper: impl FnMut(usize, bool, &mut Vec<u8>),
) -> Outcome {
    let mut number = 0;
    let initial = if with_initial { exchange.initial_response() } else { None };
    let initial = initial.map(|message| {
        let mut message = message.as_bytes().to_vec();
        tamper(number, true, &mut message);
        number += 1;
        message
    });
    let (mut server, mut step) = ServerExchange::start(mechanism, options, initial.as_deref());
    for _ in 0..20 {
        step = match step {
            Step::Challenge(mut challenge) => {
                tamper(number, false, &mut challenge);
                number += 1;
                let mut response = match exchange.respond(&challenge) {
                    Ok(response) => response.as_bytes().to_vec(),
                    Err(error) => return Outcome { server: Err(Failure::Rejected), client: Err(error) },
                };
                tamper(number, true, &mut response);
                number += 1;
                server.respond(&response)
            }
            Step::Ask(request) => server.answer(decide(&request)),
            Step::Done(identity) => {
                assert_eq!(server.respond(b""), Step::Failed(Failure::Misuse), "over is over");
                return Outcome { server: Ok(identity), client: exchange.finish() };
            }
            Step::Failed(failure) => {
                assert_eq!(server.respond(b""), Step::Failed(Failure::Misuse), "over is over");
                return Outcome { server: Err(failure), client: Err(Error::Unexpected) };
            }
        };
    }
    panic!("{mechanism} does not end");
}

/// Both sides as they should be, with this password on the client's.
pub(crate) fn meet(users: &StaticUsers, mechanism: Mechanism, name: &str, secret: &str) -> Outcome {
    let client = ClientExchange::new(mechanism, credentials(mechanism, name, secret), client_options(mechanism));
    let decide = |request: &Request| answer(users, request);
    run(client.unwrap(), mechanism, server_options(users), true, decide, |_, _, _| {})
}
