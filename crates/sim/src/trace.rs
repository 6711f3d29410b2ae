//! What happens, with times: told to whoever replays a seed, digested always.

use std::time::Duration;

/// Takes the lines of a transcript.
pub(crate) type Tell<'t> = Option<&'t mut dyn FnMut(&str)>;

pub(crate) struct Trace<'t> {
    tell: Tell<'t>,
    digest: u64,
}

impl<'t> Trace<'t> {
    pub(crate) fn new(seed: u64, mut tell: Tell<'t>) -> Self {
        if let Some(tell) = &mut tell {
            tell(&format!("seed {seed}"));
        }
        Self { tell, digest: seed }
    }

    pub(crate) fn say(&mut self, at: Duration, text: impl FnOnce() -> String) {
        self.mix(at.as_nanos() as u64);
        if let Some(tell) = &mut self.tell {
            tell(&format!("{:12.6} {}", at.as_secs_f64(), text()));
        }
    }

    /// Bytes that went over the wire.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.mix(bytes.len() as u64);
        bytes.iter().for_each(|b| self.mix(u64::from(*b)));
        if let Some(tell) = &mut self.tell {
            let shown = &bytes[..bytes.len().min(300)];
            tell(&format!("{:12} {} bytes: {}", "", bytes.len(), shown.escape_ascii()));
        }
    }

    const fn mix(&mut self, word: u64) {
        self.digest = mix(self.digest, word);
    }

    pub(crate) const fn finish(&self) -> u64 {
        self.digest
    }
}

/// FNV-1a, a word at a time: two runs are told apart, not protected from anybody.
pub(crate) const fn mix(digest: u64, word: u64) -> u64 {
    (digest ^ word).wrapping_mul(0x0100_0000_01b3)
}
