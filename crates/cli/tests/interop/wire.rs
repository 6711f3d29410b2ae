//! What is said in clear between a client and the server, as neither of them tells it.

use std::io::{Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes connections on to a server, and keeps what their clients said.
///
/// Octets are kept before they are passed on, so that all of an acknowledged message is there when the client has its reply.
pub(crate) struct Relay {
    address: SocketAddr,
    said: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Relay {
    pub(crate) fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&said);
        // It ends with the test program.
        thread::spawn(move || {
            for client in listener.incoming() {
                // The server is gone when its test has ended.
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(server)) else { break };
                let index = {
                    let mut said = shared.lock().unwrap();
                    said.push(Vec::new());
                    said.len() - 1
                };
                let said = Arc::clone(&shared);
                let (client_too, server_too) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || copy(client, server, |bytes| said.lock().unwrap()[index].extend(bytes)));
                thread::spawn(move || copy(server_too, client_too, |_| {}));
            }
        });
        Self { address, said }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The beginning of what clients have said since it was last taken, for a message about a failure.
    pub(crate) fn said(&self) -> String {
        let said = self.said.lock().unwrap();
        said.iter().map(|said| said[..said.len().min(800)].escape_ascii().to_string()).collect()
    }

    /// The transactions of all connections so far, which are then forgotten. To be called between deliveries only.
    pub(crate) fn take(&self) -> Vec<Transaction> {
        // Connections that are still closing keep their place.
        self.said.lock().unwrap().iter_mut().flat_map(|said| transactions(&std::mem::take(said))).collect()
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, mut keep: impl FnMut(&[u8])) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        keep(&buffer[..n]);
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// A message with what was said for it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Transaction {
    /// EHLO, LHLO or HELO.
    pub(crate) hello: String,
    /// The mechanism of AUTH.
    pub(crate) auth: Option<String>,
    /// What follows `MAIL `, and each `RCPT `.
    pub(crate) mail: String,
    pub(crate) rcpt: Vec<String>,
    /// DATA or BDAT.
    pub(crate) by: &'static str,
    pub(crate) message: Vec<u8>,
}

/// Reads one side of a dialogue in which the server has accepted everything.
fn transactions(said: &[u8]) -> Vec<Transaction> {
    let (mut found, mut now, mut rest) = (Vec::new(), Transaction::default(), said);
    while let Some(end) = find(rest, b"\r\n") {
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 2..];
        let (verb, arguments) = line.split_once(' ').unwrap_or((&line, ""));
        match verb.to_ascii_uppercase().as_str() {
            hello @ ("EHLO" | "LHLO" | "HELO") => now.hello = hello.to_owned(),
            "AUTH" => now.auth = arguments.split(' ').next().map(str::to_ascii_uppercase),
            "MAIL" => now.mail = arguments.to_owned(),
            "RCPT" => now.rcpt.push(arguments.to_owned()),
            "DATA" => {
                now.by = "DATA";
                // The line end before the dot is the message's own, unless the message is empty.
                let end =
                    if rest.starts_with(b".\r\n") { Some(0) } else { find(rest, b"\r\n.\r\n").map(|end| end + 2) };
                let Some(end) = end else { break };
                now.message = unstuffed(&rest[..end]);
                rest = &rest[end + 3..];
                found.push(next(&mut now));
            }
            "BDAT" => {
                now.by = "BDAT";
                let (size, last) = match arguments.split_once(' ') {
                    Some((size, last)) => (size, last.eq_ignore_ascii_case("LAST")),
                    None => (arguments, false),
                };
                let Some(chunk) = size.parse().ok().and_then(|size| rest.get(..size)) else { break };
                now.message.extend(chunk);
                rest = &rest[chunk.len()..];
                if last {
                    found.push(next(&mut now));
                }
            }
            // What else there is says nothing of a message.
            _ => {}
        }
    }
    found
}

/// Gives the transaction, and begins the next one of the same session.
fn next(now: &mut Transaction) -> Transaction {
    let next = Transaction { hello: now.hello.clone(), auth: now.auth.clone(), ..Transaction::default() };
    std::mem::replace(now, next)
}

/// Removes the first dot of each line that begins with one (RFC 5321 §4.5.2).
fn unstuffed(data: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(data.len());
    for (i, &octet) in data.iter().enumerate() {
        if octet != b'.' || !(i == 0 || data[..i].ends_with(b"\r\n")) {
            message.push(octet);
        }
    }
    message
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[test]
fn a_recorded_dialogue_is_read_as_the_messages_that_it_carried() {
    let said =
        b"EHLO a.example\r\nAUTH plain AGFkYQBvcGVu\r\nMAIL FROM:<a@a.example> SIZE=3\r\nRCPT TO:<b@b.example>\r\n\
                 DATA\r\n..\r\nx.y\r\n...\r\n.\r\nmail from:<>\r\nRCPT TO:<c@b.example>\r\nRCPT TO:<d@b.example>\r\n\
                 BDAT 4\r\nQUITBDAT 3 LAST\r\n\r\n.QUIT\r\n";
    let common = || Transaction { hello: "EHLO".into(), auth: Some("PLAIN".into()), ..Transaction::default() };
    let first = Transaction {
        mail: "FROM:<a@a.example> SIZE=3".into(),
        rcpt: vec!["TO:<b@b.example>".into()],
        by: "DATA",
        message: b".\r\nx.y\r\n..\r\n".to_vec(),
        ..common()
    };
    let second = Transaction {
        mail: "from:<>".into(),
        rcpt: vec!["TO:<c@b.example>".into(), "TO:<d@b.example>".into()],
        by: "BDAT",
        message: b"QUIT\r\n.".to_vec(),
        ..common()
    };
    assert_eq!(transactions(said), [first, second]);
    // A message whose end did not come is none.
    assert_eq!(transactions(b"DATA\r\nx\r\n."), []);
    assert_eq!(transactions(b"DATA\r\n.\r\n").len(), 1);
}
