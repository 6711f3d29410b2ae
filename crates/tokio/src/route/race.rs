//! The addresses of a host against each other (RFC 8305 §5, "Happy Eyeballs").

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::connector::Connector;

/// An attempt that is under way.
type Attempt<'a, S> = Pin<Box<dyn Future<Output = io::Result<S>> + Send + 'a>>;

/// Tries one address after the other, in that order, each within its time: the next one when `stagger` has passed or the one before has failed, while those
/// before go on. The first connection wins, and the other attempts are given up.
///
/// Addresses are taken out of the list when they have failed or won, and only then: those that are left may be tried again. `None` if none is left.
pub(super) async fn race<C: Connector>(
    connector: &C,
    addresses: &mut VecDeque<SocketAddr>,
    stagger: Duration,
    each: Duration,
    mut failed: impl FnMut(SocketAddr, io::Error),
) -> Option<(SocketAddr, C::Stream)> {
    let mut to_start: VecDeque<SocketAddr> = addresses.clone();
    let mut running: Vec<(SocketAddr, Attempt<'_, C::Stream>)> = Vec::new();
    let mut next_start = pin!(sleep_until(Instant::now()));
    poll_fn(|cx| {
        loop {
            let mut at_once = false;
            let mut index = 0;
            // The one that began first wins, if two are there at a time.
            while let Some((address, attempt)) = running.get_mut(index) {
                let address = *address;
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => {
                        addresses.retain(|other| *other != address);
                        return Poll::Ready(Some((address, stream)));
                    }
                    Poll::Ready(Err(error)) => {
                        addresses.retain(|other| *other != address);
                        failed(address, error);
                        drop(running.remove(index));
                        at_once = true;
                    }
                    Poll::Pending => index += 1,
                }
            }
            if to_start.is_empty() {
                return if running.is_empty() { Poll::Ready(None) } else { Poll::Pending };
            }
            if !at_once && next_start.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let Some(address) = to_start.pop_front() else { continue };
            next_start.as_mut().reset(Instant::now() + stagger);
            running.push((address, Box::pin(within(each, connector.connect(address)))));
        }
    })
    .await
}

async fn within<S>(time: Duration, attempt: impl Future<Output = io::Result<S>>) -> io::Result<S> {
    match timeout(time, attempt).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {time:?}"))),
    }
}

#[cfg(test)]
mod tests;
