//! Virtual time.

use std::time::Instant;

/// Its beginning. Nothing here looks at a clock again.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can only be made by the clock; the tests count on from this one"
)]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}
