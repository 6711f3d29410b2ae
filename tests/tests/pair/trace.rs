//! What happened, with times: told when a seed is replayed, digested otherwise.

use std::time::Duration;

pub(crate) struct Trace {
    told: bool,
    digest: u64,
}

impl Trace {
    #[expect(clippy::print_stderr, reason = "a replayed seed is told to a person")]
    pub(crate) fn new(seed: u64, told: bool) -> Self {
        if told {
            eprintln!("seed {seed}");
        }
        Self { told, digest: seed }
    }

    #[expect(clippy::print_stderr, reason = "a replayed seed is told to a person")]
    pub(crate) fn say(&mut self, at: Duration, text: impl FnOnce() -> String) {
        self.mix(at.as_nanos() as u64);
        if self.told {
            eprintln!("{:12.6} {}", at.as_secs_f64(), text());
        }
    }

    /// Bytes that went over the wire.
    #[expect(clippy::print_stderr, reason = "a replayed seed is told to a person")]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.mix(bytes.len() as u64);
        bytes.iter().for_each(|b| self.mix(u64::from(*b)));
        if self.told {
            let shown = &bytes[..bytes.len().min(300)];
            eprintln!("{:12} {} bytes: {}", "", bytes.len(), shown.escape_ascii());
        }
    }

    /// FNV-1a, a word at a time: two runs are told apart, not protected from anybody.
    const fn mix(&mut self, word: u64) {
        self.digest = (self.digest ^ word).wrapping_mul(0x0100_0000_01b3);
    }

    pub(crate) const fn finish(&self) -> u64 {
        self.digest
    }
}
