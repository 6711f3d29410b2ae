//! Why a run could not begin.

use std::{fmt, io};

/// Why a run could not begin. What goes wrong once it has begun is counted in the [`Results`](crate::Results).
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// An option makes no sense.
    Option {
        /// Name of the field of [`Options`](crate::Options).
        name: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The target cannot be looked up.
    Target {
        /// As the user wrote it.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A limit of this machine is too low for what is asked.
    Limit {
        /// Which limit.
        what: &'static str,
        /// Its value.
        value: u64,
        /// What the run needs.
        needed: u64,
        /// How to raise it, or to do with it.
        remedy: String,
    },
    /// The generator's ceiling could not be measured.
    Calibration {
        /// What went wrong.
        why: String,
    },
    /// The operating system refused something that is not the target's fault.
    Os {
        /// What was tried.
        what: &'static str,
        /// How it was refused.
        error: io::Error,
    },
}

impl RunError {
    pub(crate) const fn option(name: &'static str, why: String) -> Self {
        Self::Option { name, why }
    }

    pub(crate) fn os(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Os { what, error }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option { name, why } => write!(f, "{name}: {why}"),
            Self::Target { name, why } => write!(f, "target {name}: {why}"),
            Self::Limit { what, value, needed, remedy } => {
                write!(f, "{what} is {value}, and this run needs {needed}: {remedy}")
            }
            Self::Calibration { why } => write!(f, "calibration against the null responder: {why}"),
            Self::Os { what, error } => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Os { error, .. } => Some(error),
            _ => None,
        }
    }
}
