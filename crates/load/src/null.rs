//! The null responder: the cheapest thing that an SMTP client takes for a server.
//!
//! It answers with canned replies after a look at the first byte of each line, one read and one write per exchange, and keeps
//! nothing. What a generator reaches against it is the generator's own ceiling. It is no server: it checks no syntax and no order,
//! and takes any five bytes CRLF.CRLF at the end of a read for the end of a message, which a dot-stuffed message has only there.

use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

const GREETING: &[u8] = b"220 null.invalid ESMTP\r\n";
const EHLO: &[u8] = b"250-null.invalid\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n";
const OK: &[u8] = b"250 2.0.0 Ok\r\n";
const GO_ON: &[u8] = b"354 Go on\r\n";
const BYE: &[u8] = b"221 2.0.0 Bye\r\n";
const WHAT: &[u8] = b"500 5.5.2 What?\r\n";

const LISTENER: Token = Token(usize::MAX);
const LIFELINE: Token = Token(usize::MAX - 1);
const WAKER: Token = Token(usize::MAX - 2);
/// Octets of the one read buffer.
const BUFFER: usize = 64 * 1024;
/// Events taken from one poll.
const EVENTS: usize = 256;

/// Connections that may wait to be accepted. With the 128 of the standard library, thousands of clients that connect at once try again
/// after a second or more, and what is measured is their retries.
const BACKLOG: i32 = 4096;

/// A listener with room for many clients at once.
///
/// # Errors
///
/// Those of the operating system.
pub fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Answers every connection to `listener` until `lifeline` is closed at its other end.
///
/// The lifeline is the read end of a pipe whose write end the parent process holds (its child's standard input, say): a responder
/// in a process of its own then ends with its parent, however that ends. With `None` it goes on for ever.
///
/// # Errors
///
/// Those of the operating system on polling; a lifeline that cannot be polled (a file, `/dev/null`) is one of them.
pub fn serve(listener: std::net::TcpListener, lifeline: Option<&OwnedFd>) -> io::Result<()> {
    let poll = Poll::new()?;
    if let Some(fd) = lifeline {
        poll.registry().register(&mut SourceFd(&fd.as_raw_fd()), LIFELINE, Interest::READABLE)?;
    }
    run(poll, listener, &AtomicBool::new(false))
}

/// A null responder on a thread of this process, on a free port of 127.0.0.1. Ends when dropped.
///
/// It competes with the generator in ways that another process does not; meant for tests.
#[derive(Debug)]
pub struct Thread {
    address: SocketAddr,
    waker: Waker,
    stop: Arc<AtomicBool>,
    handle: Option<JoinHandle<io::Result<()>>>,
}

impl Thread {
    /// Binds and starts.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn spawn() -> io::Result<Self> {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = listener.local_addr()?;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let handle = std::thread::Builder::new()
            .name("null-responder".to_owned())
            .spawn(move || run(poll, listener, &stopped))?;
        Ok(Self { address, waker, stop, handle: Some(handle) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.waker.wake().is_ok()
            && let Some(handle) = self.handle.take()
        {
            // Its result is of no use any more.
            let _ = handle.join();
        }
    }
}

fn run(poll: Poll, listener: std::net::TcpListener, stop: &AtomicBool) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut responder = Responder { poll, listener, peers: Vec::new(), free: Vec::new(), accept_failed: false };
    let mut events = Events::with_capacity(EVENTS);
    let mut buffer = vec![0; BUFFER];
    let mut out = Vec::with_capacity(1024);
    loop {
        match responder.poll.poll(&mut events, None) {
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            match event.token() {
                LISTENER => responder.accept(),
                LIFELINE if event.is_read_closed() => return Ok(()),
                LIFELINE => {}
                WAKER if stop.load(Ordering::Relaxed) => return Ok(()),
                WAKER => {}
                Token(index) => responder.answer(index, event.is_read_closed(), &mut buffer, &mut out),
            }
        }
    }
}

struct Responder {
    poll: Poll,
    listener: TcpListener,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    /// A connection could not be accepted, for want of descriptors. Tried again when one is closed.
    accept_failed: bool,
}

impl Responder {
    fn accept(&mut self) {
        self.accept_failed = false;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.greet(stream),
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(e) => {
                    self.accept_failed = e.kind() != ErrorKind::WouldBlock;
                    return;
                }
            }
        }
    }

    fn greet(&mut self, mut stream: TcpStream) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.peers.push(None);
            self.peers.len() - 1
        });
        // Nagle's algorithm stays on: a reply is written only when all before it were answered, so there is nothing to delay it.
        let greeted = self.poll.registry().register(&mut stream, Token(index), Interest::READABLE).is_ok()
            && stream.write(GREETING).is_ok_and(|n| n == GREETING.len());
        if greeted {
            self.peers[index] = Some(Peer { stream, dialogue: Dialogue::new() });
        } else {
            self.free.push(index);
        }
    }

    fn answer(&mut self, index: usize, closed: bool, buffer: &mut [u8], out: &mut Vec<u8>) {
        let Some(peer) = self.peers.get_mut(index).and_then(Option::as_mut) else { return };
        if !peer.exchange(closed, buffer, out) {
            self.peers[index] = None;
            self.free.push(index);
            if self.accept_failed {
                self.accept();
            }
        }
    }
}

struct Peer {
    stream: TcpStream,
    dialogue: Dialogue,
}

impl Peer {
    /// Reads what is there and answers it. False when the connection is over.
    fn exchange(&mut self, closed: bool, buffer: &mut [u8], out: &mut Vec<u8>) -> bool {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return false,
                Ok(n) => {
                    out.clear();
                    let goes_on = self.dialogue.take(&buffer[..n], out);
                    // Replies are short and the client waits for them: one that does not fit in the socket's buffer is never read.
                    if !out.is_empty() && !self.stream.write(out).is_ok_and(|written| written == out.len()) {
                        return false;
                    }
                    if !goes_on {
                        return false;
                    }
                    // A short read has emptied the socket, and what comes later is a new event; but an end that was told of
                    // before is none.
                    if n < buffer.len() && !closed {
                        return true;
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return e.kind() == ErrorKind::WouldBlock,
            }
        }
    }
}

struct Dialogue {
    in_body: bool,
    /// The last five bytes of the body, or of what came before it.
    tail: [u8; 5],
    /// First byte of a line that has not ended.
    begun: Option<u8>,
}

impl Dialogue {
    const fn new() -> Self {
        Self { in_body: false, tail: [0; 5], begun: None }
    }

    /// Appends the replies to `input`. False after QUIT.
    fn take(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> bool {
        while !input.is_empty() {
            if self.in_body {
                self.body(input, out);
                return true;
            }
            let first = *self.begun.get_or_insert(input[0]);
            let Some(end) = input.iter().position(|&b| b == b'\n') else { return true };
            input = &input[end + 1..];
            self.begun = None;
            match first | 0x20 {
                b'm' | b'r' | b'n' | b'v' => out.extend_from_slice(OK),
                b'd' => {
                    out.extend_from_slice(GO_ON);
                    (self.in_body, self.tail) = (true, *b"\0\0\0\r\n");
                }
                b'e' | b'h' => out.extend_from_slice(EHLO),
                b'q' => {
                    out.extend_from_slice(BYE);
                    return false;
                }
                _ => out.extend_from_slice(WHAT),
            }
        }
        true
    }

    fn body(&mut self, input: &[u8], out: &mut Vec<u8>) {
        if let Some(last) = input.last_chunk::<5>() {
            self.tail = *last;
        } else {
            self.tail.rotate_left(input.len());
            self.tail[5 - input.len()..].copy_from_slice(input);
        }
        if &self.tail == b"\r\n.\r\n" {
            self.in_body = false;
            out.extend_from_slice(OK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(pieces: &[&[u8]]) -> (String, bool) {
        let (mut dialogue, mut out) = (Dialogue::new(), Vec::new());
        let open = pieces.iter().all(|piece| dialogue.take(piece, &mut out));
        (String::from_utf8(out).unwrap(), open)
    }

    fn codes(replies: &str) -> Vec<&str> {
        replies.lines().filter(|l| l.as_bytes()[3] == b' ').map(|l| &l[..3]).collect()
    }

    const SESSION: &[u8] = b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<b>\r\nDATA\r\n";

    #[test]
    fn a_flight_is_answered_reply_by_reply() {
        let (told, open) = replies(&[SESSION, b"X: y\r\n\r\nhello\r\n.\r\n", b"QUIT\r\n"]);
        assert_eq!(codes(&told), ["250", "250", "250", "354", "250", "221"]);
        assert!(!open);
    }

    #[test]
    fn every_split_of_a_session_is_answered_alike() {
        let whole = [SESSION, b"X: y\r\n\r\nhello\r\n.\r\n"].concat();
        let (expected, _) = replies(&[SESSION, b"X: y\r\n\r\nhello\r\n.\r\n"]);
        for i in 0..whole.len() {
            for j in i..whole.len() {
                assert_eq!(replies(&[&whole[..i], &whole[i..j], &whole[j..]]).0, expected, "{i} {j}");
            }
        }
    }

    #[test]
    fn an_empty_message_ends_too() {
        let (told, _) = replies(&[SESSION, b".\r\n"]);
        assert_eq!(codes(&told).last(), Some(&"250"));
    }

    #[test]
    fn a_responder_answers_over_tcp_and_ends_when_dropped() {
        let responder = Thread::spawn().unwrap();
        let mut stream = std::net::TcpStream::connect(responder.address()).unwrap();
        stream.write_all(b"EHLO a\r\nQUIT\r\n").unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).unwrap();
        assert_eq!(codes(&told), ["220", "250", "221"]);
        let address = responder.address();
        drop(responder);
        assert!(std::net::TcpStream::connect(address).is_err());
    }

    #[test]
    fn a_responder_ends_with_its_lifeline() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let lifeline = OwnedFd::from(reader);
        let served = std::thread::spawn(move || serve(listener, Some(&lifeline)));
        drop(writer);
        served.join().unwrap().unwrap();
    }
}
