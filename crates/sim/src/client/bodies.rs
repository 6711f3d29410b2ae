//! Bodies, as a driver writes them.

use super::{Client, Op};
use crate::plan::Message;
use ehlo_client::{BodyEnd, BodyWriter, LineEndings, Session, Transfer};
use std::time::Instant;

/// A body that is being written.
#[derive(Debug)]
pub(super) struct Body {
    message: usize,
    /// What goes over the wire, or the message itself where a writer makes it.
    octets: Vec<u8>,
    written: usize,
    how: How,
}

#[derive(Debug)]
enum How {
    /// As one piece with its end.
    Whole(BodyEnd),
    /// In chunks of this length; so much is left of the present one, if there is one, and whether it is the last.
    Chunks { length: usize, left: Option<(usize, bool)> },
    /// In the form that a writer makes of it, which may know that this is all.
    Writer { writer: Box<BodyWriter>, chunks: bool, ended: bool },
}

impl Body {
    pub(super) fn new(message: &Message, place: usize, transfer: Transfer, writer: bool) -> Self {
        let (octets, how) = match transfer {
            _ if writer => {
                let writer = BodyWriter::new(transfer, message.kind, message.declared, LineEndings::Refuse);
                (
                    message.raw.clone(),
                    How::Writer { writer: Box::new(writer), chunks: transfer == Transfer::Chunks, ended: false },
                )
            }
            Transfer::Dots => {
                let mut wire = message.wire.clone();
                // Either the driver writes the end, or the session does.
                let end = match message.end {
                    _ if place % 2 == 1 => {
                        wire.extend_from_slice(message.end);
                        BodyEnd::Included
                    }
                    b".\r\n" => BodyEnd::Dot,
                    _ => BodyEnd::CrlfDot,
                };
                (wire, How::Whole(end))
            }
            Transfer::Whole => (message.raw.clone(), How::Whole(BodyEnd::Included)),
            Transfer::Chunks => {
                let length = [1, 7, 100, 10_000][message.raw.len() % 4].max(message.raw.len() / 50);
                (message.raw.clone(), How::Chunks { length, left: None })
            }
        };
        Self { message: place, octets, written: 0, how }
    }

    pub(super) const fn message(&self) -> usize {
        self.message
    }

    /// Whether a driver would write some of it, or begin a chunk.
    pub(super) fn has_output(&self, session: &Session) -> bool {
        match &self.how {
            How::Whole(_) | How::Chunks { left: Some(_), .. } => true,
            How::Chunks { left: None, .. } => session.wants_chunk(),
            How::Writer { writer, ended, .. } => {
                !writer.wire().is_empty() || (!ended && writer.wants_more()) || session.wants_chunk()
            }
        }
    }
}

impl Client {
    pub(super) fn send_body(&mut self, now: Instant, most: usize) -> Vec<u8> {
        let bytes = self.write_body(now, most);
        self.record(now, || Op::Sent(bytes.len()));
        bytes
    }

    /// A body or chunk without octets ends with its command.
    pub(super) fn end_empty(&mut self, now: Instant) {
        let is_empty = |body: &Body| match &body.how {
            How::Whole(_) => body.octets.is_empty(),
            How::Chunks { left, .. } => matches!(left, Some((0, _))),
            How::Writer { chunks, .. } => !chunks && body.octets.is_empty(),
        };
        while self.session.output().is_empty() && self.body.as_ref().is_some_and(is_empty) {
            self.write_body(now, 0);
        }
    }

    fn write_body(&mut self, now: Instant, most: usize) -> Vec<u8> {
        let Some(mut body) = self.body.take() else { return Vec::new() };
        let (bytes, over) = match &mut body.how {
            How::Whole(end) => {
                let bytes = some(&body.octets, &mut body.written, most);
                self.model.body_sent(bytes.len());
                self.session.body_progress(now);
                let over = body.written == body.octets.len();
                if over {
                    self.session.body_finished(now, *end).expect("a body was wanted");
                    self.body_ends();
                }
                (bytes, over)
            }
            How::Chunks { length, left } => {
                let rest = body.octets.len() - body.written;
                match left {
                    None if self.session.wants_chunk() => {
                        let octets = rest.min(*length);
                        // The last one may be empty.
                        let last = octets == rest && (*length % 2 == 0 || rest == 0);
                        self.session.chunk(now, octets as u64, last).expect("a chunk is wanted");
                        *left = Some((octets, last));
                        (Vec::new(), false)
                    }
                    None => (Vec::new(), false),
                    Some((octets, last)) => {
                        let bytes = some(&body.octets, &mut body.written, most.min(*octets));
                        *octets -= bytes.len();
                        self.model.body_sent(bytes.len());
                        self.session.body_progress(now);
                        let (done, last) = (*octets == 0, *last);
                        if done {
                            self.session.chunk_finished(now).expect("a chunk was begun");
                            self.model.body_finished(0);
                            *left = None;
                        }
                        (bytes, done && last)
                    }
                }
            }
            How::Writer { writer, chunks, ended } => {
                if !*ended && writer.wants_more() {
                    if body.written == body.octets.len() {
                        writer.end().expect("nothing is wrong with it");
                        *ended = true;
                    } else {
                        let most = 500 + body.octets.len() % 3000;
                        let piece = &body.octets[body.written..];
                        body.written += writer.put(&piece[..piece.len().min(most)]).expect("nothing is wrong with it");
                    }
                }
                let mut over = self.advance(now, writer, *chunks);
                let mut bytes = Vec::new();
                if !over && self.session.output().is_empty() {
                    bytes.extend_from_slice(&writer.wire()[..most.min(writer.wire().len())]);
                    writer.sent(bytes.len());
                    if !bytes.is_empty() {
                        self.model.body_sent(bytes.len());
                        self.session.body_progress(now);
                    }
                    over = self.advance(now, writer, *chunks);
                }
                (bytes, over)
            }
        };
        if !over {
            self.body = Some(body);
        }
        bytes
    }

    /// Has a writer tell the session what there is to tell.
    fn advance(&mut self, now: Instant, writer: &mut BodyWriter, chunks: bool) -> bool {
        let full = chunks && self.model.is_chunk_full();
        let over = writer.advance(&mut self.session, now).expect("the session wants a body");
        if full {
            self.model.body_finished(0);
        } else if over && !chunks {
            self.body_ends();
        }
        over
    }

    fn body_ends(&mut self) {
        self.end_left = self.session.output().len();
        self.model.body_finished(self.end_left);
    }
}

/// What comes next, at most so much.
fn some(octets: &[u8], written: &mut usize, most: usize) -> Vec<u8> {
    let rest = &octets[*written..];
    let bytes = rest[..most.min(rest.len())].to_vec();
    *written += bytes.len();
    bytes
}
