//! A store that keeps nothing.

use std::io;
use std::task::{Context, Poll};

use ehlo_server::codec::Reply;

use super::Store;
use crate::sink::{BodySink, MessageContext};

/// Accepts every message and keeps none: for measuring a server or a client, never for mail that anyone wants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl Store for Discard {
    type Sink = DiscardSink;

    fn sink(&self) -> DiscardSink {
        DiscardSink(())
    }
}

/// The sink of [`Discard`].
#[derive(Debug)]
pub struct DiscardSink(());

impl BodySink for DiscardSink {
    fn begin(&mut self, _: &MessageContext<'_>) -> Result<(), Reply> {
        Ok(())
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_commit(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        Poll::Ready(Ok(None))
    }

    fn abort(&mut self) {}
}
