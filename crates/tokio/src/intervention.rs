//! What a policy can do to a client besides accepting and refusing.

use std::num::NonZeroU32;
use std::time::Duration;

use ehlo_server::Override;

/// Something else than a server does, for tests of clients: any words in place of a reply, the end of the connection, or slowness. The
/// answer of [`Policy::intervene`](crate::Policy::intervene), by way of [`Decision::Intervene`](crate::Decision::Intervene); by itself it
/// does nothing.
///
/// To wait before, use [`Decision::after`](crate::Decision::after).
///
/// ```
/// use ehlo_tokio::ehlo_server::codec::Reply;
/// use ehlo_tokio::ehlo_server::{Moment, Override, Questions};
/// use ehlo_tokio::store::{Discard, Store};
/// use ehlo_tokio::{BodySink, Decision, Intervention, Policy, Upcoming};
///
/// /// Stores each message, and breaks the connection before the client knows.
/// struct LosesReplies(Discard);
///
/// impl Policy for LosesReplies {
///     type Sink = <Discard as Store>::Sink;
///
///     fn questions(&self) -> Questions {
///         Questions::OVERRIDE
///     }
///
///     fn sink(&self) -> Self::Sink {
///         self.0.sink()
///     }
///
///     fn intervene(&self, upcoming: &Upcoming<'_>) -> Decision {
///         match upcoming.moment {
///             Moment::Message { .. } => Decision::Intervene(Intervention::new(Override::silence().obey().close()).reset()),
///             _ => Decision::Accept,
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Intervention {
    pub(crate) with: Option<Box<Override>>,
    pub(crate) reset: bool,
    pub(crate) rate: Option<NonZeroU32>,
    pub(crate) lasts: bool,
    pub(crate) hold: Duration,
}

impl Intervention {
    /// Has this done in place of what a session does by itself.
    #[must_use]
    pub fn new(with: Override) -> Self {
        Self { with: Some(Box::new(with)), ..Self::default() }
    }

    /// Resets the connection where it is otherwise closed: what the client has not read by then is lost to it. Of use with
    /// [`Override::close`].
    #[must_use]
    pub const fn reset(mut self) -> Self {
        self.reset = true;
        self
    }

    /// Lets so many octets pass each second: of the reply, with what waits to be written along with it; and at DATA and BDAT also of the message
    /// that comes, of which no more is taken than the sink is owed.
    #[must_use]
    pub const fn rate(mut self, octets: NonZeroU32) -> Self {
        self.rate = Some(octets);
        self
    }

    /// Keeps to the rate for as long as the connection lasts.
    #[must_use]
    pub const fn for_good(mut self) -> Self {
        self.lasts = true;
        self
    }

    /// At DATA and BDAT, takes nothing of the message that comes for so long.
    #[must_use]
    pub const fn hold(mut self, time: Duration) -> Self {
        self.hold = time;
        self
    }
}
