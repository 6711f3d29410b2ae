//! One stream of octets into several sinks, each at its own pace.

use std::io;
use std::task::{Context, Poll};

/// How far ahead of the others each sink is.
#[derive(Debug, Default)]
pub(super) struct Fan {
    ahead: Vec<usize>,
}

impl Fan {
    pub(super) fn new(sinks: usize) -> Self {
        Self { ahead: vec![0; sinks] }
    }

    /// Offers octets to each sink that has not had them. Gives how many all of them have taken; as a sink's own answer this is, the octets
    /// behind come again.
    ///
    /// `write` offers a sink, by its number, octets as [`BodySink::poll_write`](ehlo_tokio::BodySink::poll_write) does.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        mut write: impl FnMut(usize, &mut Context<'_>, &[u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        for (number, ahead) in self.ahead.iter_mut().enumerate() {
            while *ahead < bytes.len() {
                match write(number, cx, &bytes[*ahead..]) {
                    // One that takes nothing and says so would be asked for ever.
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(taken)) => *ahead += taken,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => break,
                }
            }
        }
        let taken = self.ahead.iter().copied().min().unwrap_or(bytes.len()).min(bytes.len());
        if taken == 0 {
            return Poll::Pending;
        }
        for ahead in &mut self.ahead {
            *ahead -= taken;
        }
        Poll::Ready(Ok(taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn every_sink_gets_every_octet_once_whatever_their_paces_and_the_pieces() {
        let message: Vec<u8> = (0..500_u32).map(|n| n as u8).collect();
        for seed in 0..200_u64 {
            let mut random = seed;
            let mut next = |most: usize| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) as usize % most
            };
            let sinks = 1 + next(4);
            let mut got = vec![Vec::new(); sinks];
            let mut fan = Fan::new(sinks);
            let mut at = 0;
            let mut rounds = 0;
            while at < message.len() {
                rounds += 1;
                assert!(rounds < 100_000, "it goes on");
                let end = (at + 1 + next(60)).min(message.len());
                let mut cx = Context::from_waker(Waker::noop());
                let result = fan.poll_write(&mut cx, &message[at..end], |sink, _, bytes| {
                    let taken = next(9).min(bytes.len());
                    if taken == 0 {
                        return Poll::Pending;
                    }
                    got[sink].extend_from_slice(&bytes[..taken]);
                    Poll::Ready(Ok(taken))
                });
                if let Poll::Ready(taken) = result {
                    at += taken.unwrap();
                }
            }
            assert!(got.iter().all(|got| *got == message), "seed {seed}");
        }
    }

    #[test]
    fn one_that_fails_fails_all() {
        let mut fan = Fan::new(2);
        let mut cx = Context::from_waker(Waker::noop());
        let result = fan.poll_write(&mut cx, b"x", |sink, _, bytes| {
            Poll::Ready(if sink == 0 { Ok(bytes.len()) } else { Err(io::ErrorKind::StorageFull.into()) })
        });
        assert!(matches!(result, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::StorageFull));
    }
}
