//! A page for scrapers: as much of HTTP/1.1 (RFC 9112) as that takes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::Metrics;

/// Octets of a request line with its header.
const REQUEST: usize = 8 * 1024;

/// How long a request, and the reading of its answer, may take together.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests at a time; one more waits in the listener's queue.
const REQUESTS: usize = 8;

/// How long accepting rests after it has failed.
const REST: Duration = Duration::from_secs(1);

/// Answers `GET /metrics`, and nothing else, with [`Metrics::render`].
///
/// It closes each connection behind its answer; a request has 8 KiB and, with its answer, 10 seconds; 8 are served at a time. It asks nobody
/// who they are: let it listen where only those can connect who may know.
#[derive(Debug)]
pub struct Endpoint {
    listener: TcpListener,
    metrics: Metrics,
}

impl Endpoint {
    /// One that answers there.
    #[must_use]
    pub const fn new(listener: TcpListener, metrics: Metrics) -> Self {
        Self { listener, metrics }
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests until it is dropped.
    pub async fn serve(self) {
        let places = Arc::new(Semaphore::new(REQUESTS));
        loop {
            // It is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let metrics = self.metrics.clone();
                    tokio::spawn(async move {
                        // One that is too slow, or gone, gets nothing.
                        let _ = tokio::time::timeout(PATIENCE, answer(stream, &metrics)).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a request for metrics can't be accepted");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }
}

async fn answer(mut stream: TcpStream, metrics: &Metrics) -> io::Result<()> {
    let mut request = Vec::new();
    let verdict = loop {
        if let Some(verdict) = judge(&request) {
            break verdict;
        }
        if (&mut stream).take((REQUEST - request.len()) as u64).read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    };
    let (status, allow, body) = match verdict {
        Verdict::Metrics => ("200 OK", "", metrics.render()),
        Verdict::NotFound => ("404 Not Found", "", "Only /metrics is here.\n".to_owned()),
        Verdict::WrongMethod => ("405 Method Not Allowed", "Allow: GET\r\n", "Only GET is known here.\n".to_owned()),
        Verdict::TooLong => ("431 Request Header Fields Too Large", "", "The request is too long.\n".to_owned()),
        Verdict::NoRequest => ("400 Bad Request", "", "This is no request of HTTP/1.1.\n".to_owned()),
    };
    let kind = if matches!(verdict, Verdict::Metrics) { "text/plain; version=0.0.4" } else { "text/plain" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await?;
    stream.shutdown().await?;
    // What is still unread would have the connection reset, and the answer lost.
    let mut rest = [0; 1024];
    for _ in 0..REQUEST / rest.len() {
        if stream.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Metrics,
    NotFound,
    WrongMethod,
    TooLong,
    NoRequest,
}

/// What a request comes to, once its header has come whole. A body, which GET has no use for, is not read.
fn judge(request: &[u8]) -> Option<Verdict> {
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else {
        return (request.len() >= REQUEST).then_some(Verdict::TooLong);
    };
    let line = request[..end].split(|&byte| byte == b'\r').next().unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let [method, target, version] = words[..] else { return Some(Verdict::NoRequest) };
    if !version.starts_with(b"HTTP/1.") || method.is_empty() {
        return Some(Verdict::NoRequest);
    }
    let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    Some(match (path, method) {
        (b"/metrics", b"GET") => Verdict::Metrics,
        (b"/metrics", _) => Verdict::WrongMethod,
        _ => Verdict::NotFound,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_judged_once_it_has_come_whole() {
        let long = [b"GET /metrics HTTP/1.1\r\nX: ".as_slice(), &[b'x'; REQUEST]].concat();
        for (request, verdict) in [
            (&b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"[..], Some(Verdict::Metrics)),
            (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", Some(Verdict::Metrics)),
            (b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r", None),
            (b"", None),
            (b"POST /metrics HTTP/1.1\r\n\r\n", Some(Verdict::WrongMethod)),
            (b"GET / HTTP/1.1\r\n\r\n", Some(Verdict::NotFound)),
            (b"GET /metrics/ HTTP/1.1\r\n\r\n", Some(Verdict::NotFound)),
            (b"EHLO client.example\r\n\r\n", Some(Verdict::NoRequest)),
            (b"GET /metrics\r\n\r\n", Some(Verdict::NoRequest)),
            (b"GET /metrics HTTP/2.0\r\n\r\n", Some(Verdict::NoRequest)),
            (b"\r\n\r\n", Some(Verdict::NoRequest)),
            (&long[..REQUEST], Some(Verdict::TooLong)),
        ] {
            assert_eq!(judge(request), verdict, "{}", String::from_utf8_lossy(request));
        }
    }
}
