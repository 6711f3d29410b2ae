//! Connections that are slow on purpose, and what else an intervention does to one.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use ehlo_server::codec::{ReplyCode, Verb};
use ehlo_server::{Answer, Moment, Override, OverrideToken, Pending};

use super::{Body, Connection};
use crate::intervention::Intervention;
use crate::policy::{Decision, Policy};

/// Octets that pass little by little.
#[derive(Clone, Copy, Debug)]
struct Drip {
    /// Octets a second; `None`: any number.
    rate: Option<NonZeroU32>,
    /// When some may pass.
    ready: Instant,
}

impl Drip {
    /// How many pass at a time: those of a tenth of a second, or one.
    fn may_pass(&self, now: Instant, most: usize) -> usize {
        match self.rate {
            _ if now < self.ready => 0,
            None => most,
            Some(rate) => most.min((rate.get() as usize / 10).max(1)),
        }
    }

    fn passed(&mut self, now: Instant, octets: usize) {
        if let Some(rate) = self.rate {
            let time = Duration::from_secs_f64(octets as f64 / f64::from(rate.get()));
            // Nothing is made up for.
            self.ready = self.ready.max(now) + time;
        }
    }
}

/// How slowly a connection is written to and read from.
#[derive(Debug, Default)]
pub(super) struct Drips {
    write: Option<Drip>,
    read: Option<Drip>,
    /// The rate for all that comes.
    lasting: Option<NonZeroU32>,
}

impl Drips {
    pub(super) fn may_write(&self, now: Instant, most: usize) -> usize {
        self.write.map_or(most, |drip| drip.may_pass(now, most))
    }

    pub(super) fn may_read(&self, now: Instant, most: usize) -> usize {
        self.read.map_or(most, |drip| drip.may_pass(now, most))
    }

    /// So many octets were written, and perhaps all that waited.
    pub(super) fn written(&mut self, now: Instant, octets: usize, all: bool) {
        if let Some(drip) = &mut self.write {
            drip.passed(now, octets);
        }
        if all && self.lasting.is_none() {
            self.write = None;
        }
    }

    pub(super) fn read(&mut self, now: Instant, octets: usize) {
        if let Some(drip) = &mut self.read {
            drip.passed(now, octets);
        }
    }

    /// When something may pass, if it is waited for.
    pub(super) fn next(&self, writes: bool, reads: bool) -> Option<Instant> {
        let write = self.write.filter(|_| writes).map(|drip| drip.ready);
        let read = self.read.filter(|_| reads).map(|drip| drip.ready);
        [write, read].into_iter().flatten().min()
    }

    /// Goes on from an intervention; `reads`: a message may come behind it.
    fn begin(&mut self, now: Instant, with: &Intervention, reads: bool) {
        if with.lasts {
            self.lasting = with.rate;
        }
        let rate = with.rate.or(self.lasting);
        if rate.is_some() {
            self.write = Some(Drip { rate, ready: now });
        }
        if reads {
            self.read = Some(Drip { rate, ready: now + with.hold }).filter(|_| rate.is_some() || !with.hold.is_zero());
        }
    }
}

impl<P: Policy> Connection<P> {
    /// What the policy has done to the session and the connection.
    pub(super) fn intervene(&mut self, now: Instant, token: OverrideToken, decision: Decision) -> Answer {
        let mut with = match decision {
            Decision::Intervene(with) => with,
            Decision::Reject(reply) | Decision::Defer(reply) => {
                let close = reply.code() == ReplyCode::SERVICE_NOT_AVAILABLE;
                let with = Override::reply(reply);
                Intervention::new(if close { with.close() } else { with })
            }
            _ => Intervention::default(),
        };
        if let Some(with) = &with.with {
            tracing::debug!(connection = self.slot.id(), ?with, "overridden");
        }
        self.reset |= with.reset;
        // Between two chunks a message goes on as it came.
        let reads = match self.session.pending() {
            Pending::Override(Moment::Command { verb, .. }) => {
                matches!(self.body, Body::None) || verb == Some(Verb::Bdat)
            }
            _ => false,
        };
        if self.drips.is_some() || with.rate.is_some() || !with.hold.is_zero() {
            self.drips.get_or_insert_default().begin(now, &with, reads);
        }
        match with.with.take() {
            Some(with) => token.answer(*with),
            None => token.proceed(),
        }
    }
}
