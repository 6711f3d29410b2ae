//! What the client and the host of a scenario do.

use std::io::ErrorKind;
use std::time::Duration;

use ehlo_server::Shutdown;

use super::policy::lock;
use super::wire::Wire;
use super::{Run, tick};
use crate::format::Act;

impl Run<'_> {
    pub(super) async fn act(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Send(bytes) => self.send(bytes).await,
            Act::After(wait) => {
                tick().await;
                let mut left = *wait;
                while !left.is_zero() {
                    let step = left.min(Duration::from_secs(1));
                    tokio::time::advance(step).await;
                    left -= step;
                }
                // tokio's timers count in whole milliseconds.
                tokio::time::advance(Duration::from_millis(1)).await;
                tick().await;
            }
            Act::Eof => {
                tick().await;
                if let Some(client) = &mut self.client {
                    // An error means that the server was faster.
                    let _ = socket2::SockRef::from(client.stream()).shutdown(std::net::Shutdown::Write);
                }
            }
            Act::Reset => {
                tick().await;
                if let Some(client) = self.client.take() {
                    socket2::SockRef::from(client.stream())
                        .set_linger(Some(Duration::ZERO))
                        .map_err(|e| e.to_string())?;
                }
            }
            Act::Stressed(_) | Act::Shutdown(Shutdown::Overload) => {
                return Err(self.script.describe("a driver", "one whose load a scenario says"));
            }
            Act::Shutdown(how) => {
                tick().await;
                if let Some(stop) = self.stop.take() {
                    stop.send(()).ok();
                }
                tick().await;
                if *how == Shutdown::Now {
                    tokio::time::advance(self.drain + Duration::from_millis(1)).await;
                }
            }
            Act::PauseBody => lock(&self.shared).paused = true,
            Act::ResumeBody | Act::FailBody(_) => {
                let waker = {
                    let mut shared = lock(&self.shared);
                    shared.paused = false;
                    shared.failing = matches!(act, Act::FailBody(_));
                    shared.waker.take()
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Act::StopReading => self.reading = false,
            Act::Read => self.reading = true,
            Act::Tls => {
                let Some(client) = &mut self.client else { return Ok(()) };
                client.begin_tls()?;
                for _ in 0..self.patience {
                    self.fill()?;
                    if !self.client.as_ref().is_some_and(Wire::is_handshaking) {
                        return Ok(());
                    }
                    tick().await;
                }
                return Err(self.script.describe("nothing", "a handshake"));
            }
            Act::TlsFailed => self.send(b"\x16\x03\x01\x00\x04nope").await,
            Act::TlsUnavailable => return Err(self.script.describe("a driver", "one that can be without TLS")),
            Act::Answer(verdict, late) => {
                let Some(asked) = self.kept.take() else {
                    return Err(self.script.describe("no question that was answered `later`", "a question to answer"));
                };
                tick().await;
                let stale = !self.answer(asked, verdict)?;
                if stale != *late {
                    return Err(self.script.describe("the contrary", "an answer that is taken, or is stale"));
                }
            }
        }
        Ok(())
    }

    /// Writes. Who is gone does not read it, which other lines tell.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.setup.piece.min(bytes.len().max(1))) {
            let mut rest = piece;
            for _ in 0..self.patience {
                let Some(client) = &mut self.client else { return };
                match client.try_write(rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => tick().await,
                    Err(_) => return,
                }
                if rest.is_empty() {
                    break;
                }
            }
        }
    }
}
