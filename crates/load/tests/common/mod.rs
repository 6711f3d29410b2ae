//! A server that does as it is told, a thread per connection, written without any code of this workspace: it is the second opinion.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared by several test programs, each of which uses a part"
)]

use ehlo_load::{Counts, Message, MessageSet, Mode, Options, Results, Stop, Target};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the server sees.
pub enum Seen<'a> {
    /// A connection, numbered from 0.
    Connection(usize),
    /// A command.
    Command(&'a str),
    /// DATA was answered; the body is to be read.
    BodyBegins,
    /// A message as decoded.
    Message(&'a [u8]),
}

/// What it does then.
pub enum Act {
    /// As a server that takes everything.
    AsUsual,
    /// This instead of the usual reply.
    Say(&'static str),
    /// This, and close.
    SayAndClose(&'static str),
    Close,
    /// Close so that the client gets a reset.
    Reset,
    /// Read on and never say anything again.
    Silence,
}

pub struct Server {
    pub address: SocketAddr,
    pub stored: Arc<Mutex<Vec<Vec<u8>>>>,
    pub connections: Arc<AtomicUsize>,
    pub quits: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

pub const USUAL_EHLO: &str = "250-test.invalid\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n";

type Script = dyn Fn(Seen<'_>) -> Act + Send + Sync;

impl Server {
    pub fn start(script: impl Fn(Seen<'_>) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self::start_on(listener, script)
    }

    pub fn start_on(listener: TcpListener, script: impl Fn(Seen<'_>) -> Act + Send + Sync + 'static) -> Self {
        Self::start_with(listener, true, script)
    }

    pub fn start_with(
        listener: TcpListener,
        nodelay: bool,
        script: impl Fn(Seen<'_>) -> Act + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let stored = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let quits = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let script: Arc<Script> = Arc::new(script);
        let handle = std::thread::spawn({
            let (stored, connections) = (Arc::clone(&stored), Arc::clone(&connections));
            let (quits, stop) = (Arc::clone(&quits), Arc::clone(&stop));
            move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    // Replies are written one by one here, and would else wait for acknowledgements.
                    stream.set_nodelay(nodelay).unwrap();
                    let number = connections.fetch_add(1, Ordering::SeqCst);
                    let peer = Peer {
                        reader: BufReader::new(stream),
                        script: Arc::clone(&script),
                        stored: Arc::clone(&stored),
                        quits: Arc::clone(&quits),
                    };
                    // Ends with its connection.
                    std::thread::spawn(move || peer.serve(number));
                }
            }
        });
        Self { address, stored, connections, quits, stop, listener: Some(handle) }
    }

    /// A server that takes everything.
    pub fn usual() -> Self {
        Self::start(|_| Act::AsUsual)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if TcpStream::connect(self.address).is_ok()
            && let Some(listener) = self.listener.take()
        {
            let _ = listener.join();
        }
    }
}

struct Peer {
    reader: BufReader<TcpStream>,
    script: Arc<Script>,
    stored: Arc<Mutex<Vec<Vec<u8>>>>,
    quits: Arc<AtomicUsize>,
}

impl Peer {
    fn serve(mut self, number: usize) {
        let act = (self.script)(Seen::Connection(number));
        if !self.act(act, "220 test.invalid\r\n") {
            return;
        }
        let mut line = String::new();
        loop {
            line.clear();
            if !matches!(self.reader.read_line(&mut line), Ok(n) if n > 0) {
                return;
            }
            let verb = line[..4.min(line.len())].to_ascii_uppercase();
            let usual = match verb.as_str() {
                "EHLO" => USUAL_EHLO,
                "DATA" => "354 go on\r\n",
                "QUIT" => "221 bye\r\n",
                "MAIL" | "RCPT" | "RSET" | "HELO" => "250 ok\r\n",
                _ => "500 what?\r\n",
            };
            let act = (self.script)(Seen::Command(line.trim_end()));
            let goes_on = matches!(&act, Act::AsUsual) || matches!(&act, Act::Say(text) if text.starts_with('3'));
            if verb == "QUIT" {
                self.quits.fetch_add(1, Ordering::SeqCst);
            }
            if !self.act(act, usual) || verb == "QUIT" {
                return;
            }
            if verb == "DATA" && goes_on && !self.body() {
                return;
            }
        }
    }

    fn body(&mut self) -> bool {
        let act = (self.script)(Seen::BodyBegins);
        if !matches!(act, Act::AsUsual) && !self.act(act, "") {
            return false;
        }
        let mut message = Vec::new();
        let mut line = Vec::new();
        loop {
            line.clear();
            if !matches!(self.reader.read_until(b'\n', &mut line), Ok(n) if n > 0) {
                return false;
            }
            if line == b".\r\n" {
                break;
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        let act = (self.script)(Seen::Message(&message));
        if matches!(act, Act::AsUsual) {
            self.stored.lock().unwrap().push(message);
        }
        self.act(act, "250 stored\r\n")
    }

    fn act(&mut self, act: Act, usual: &str) -> bool {
        let (text, goes_on) = match act {
            Act::AsUsual => (usual, true),
            Act::Say(text) => (text, true),
            Act::SayAndClose(text) => (text, false),
            Act::Close => return false,
            Act::Reset => {
                let socket = socket2::SockRef::from(self.reader.get_ref());
                let _ = socket.set_linger(Some(Duration::ZERO));
                return false;
            }
            Act::Silence => {
                let _ = std::io::copy(&mut self.reader.by_ref(), &mut std::io::sink());
                return false;
            }
        };
        self.reader.get_mut().write_all(text.as_bytes()).is_ok() && goes_on
    }
}

/// A message of about so many octets, with dots to stuff.
pub fn message(size: usize) -> Message {
    let mut decoded = b"Subject: a test\r\n\r\n.\r\n..\r\n.hidden\r\n".to_vec();
    while decoded.len() < size {
        decoded.extend_from_slice(b"What is sent is what is stored.\r\n");
    }
    let mut wire = Vec::new();
    for line in decoded.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire.extend_from_slice(b".\r\n");
    Message { wire: wire.into(), decoded: decoded.into(), eight_bit: false }
}

/// A closed loop of so many messages over few connections, without warm-up.
pub fn options(address: SocketAddr, messages: u64) -> Options {
    let set = MessageSet::new(vec![message(200), message(3000)]).unwrap();
    let mut options = Options::new(Target::from(address), Arc::new(set));
    options.connections = 4;
    options.threads = 1;
    options.warm_up = Duration::ZERO;
    options.stop = Stop { messages: Some(messages), duration: None };
    options.timeouts.greeting = Duration::from_secs(10);
    options
}

/// The same at a fixed rate for so long.
pub fn at_rate(address: SocketAddr, rate: f64, duration: Duration) -> Options {
    let mut options = options(address, 0);
    options.mode = Mode::Open { rate };
    options.stop = Stop { messages: None, duration: Some(duration) };
    options
}

/// Every message that was begun is in exactly one of the other counts.
pub fn assert_adds_up(results: &Results) {
    for counts in [results.totals, results.measured, results.warm_up] {
        let Counts { started, accepted, refused, failed, unknown, unfinished, .. } = counts;
        assert_eq!(started, accepted + refused + failed + unknown + unfinished, "{counts:?}");
    }
    assert_eq!(results.totals.started, results.measured.started + results.warm_up.started);
    assert_eq!(results.refused_by_code.values().sum::<u64>(), results.totals.refused);
}
