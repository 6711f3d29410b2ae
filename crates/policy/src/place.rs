//! Places that take messages: by their names in the file.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ehlo_tokio::BodySink;
use ehlo_tokio::store::{Discard, Lmtp, LmtpAddress, Maildir, Memory, Store};

use crate::config::Bytes;
use crate::path::Template;

/// A place that takes messages. Every [`Store`] is one.
pub trait Place: Send + Sync + 'static {
    /// A sink for one message.
    fn open(&self) -> Box<dyn BodySink>;
}

impl<S: Store> Place for S {
    fn open(&self) -> Box<dyn BodySink> {
        Box::new(self.sink())
    }
}

/// Makes a place of what stands behind the colon of its name, for a server of that name; the error says what is wrong.
type Make = dyn Fn(&str, &str) -> Result<Arc<dyn Place>, String> + Send + Sync;

/// The kind that forwards.
const LMTP: &str = "lmtp";

/// The kinds of places that a file can name, and those that it has named.
///
/// `discard`, `memory:BYTES`, `maildir:PATH`, `lmtp:HOST:PORT` and `lmtp:unix:PATH` are there. Others can be [added](Self::add) before a file is read.
#[derive(Clone)]
pub struct Places {
    kinds: BTreeMap<String, Arc<Make>>,
    /// By their whole names: a place that a new version of the file names as well is the same one.
    open: Arc<Mutex<HashMap<String, Arc<dyn Place>>>>,
}

impl Default for Places {
    fn default() -> Self {
        let mut places = Self { kinds: BTreeMap::new(), open: Arc::default() };
        places.add("discard", |rest| {
            if rest.is_empty() { Ok(Arc::new(Discard)) } else { Err("discard has nothing behind it".to_owned()) }
        });
        places.add("memory", |rest| match rest.parse() {
            Ok(Bytes(bytes)) => Ok(Arc::new(Memory::new(usize::try_from(bytes).unwrap_or(usize::MAX)))),
            Err(error) => Err(error.to_owned()),
        });
        places.add("maildir", |rest| match Maildir::open(rest) {
            Ok(maildir) => Ok(Arc::new(maildir)),
            Err(error) => Err(format!("{rest} cannot be used as a maildir: {error}")),
        });
        places.add_named(LMTP, |rest, hostname| match Lmtp::new(lmtp_address(rest)?, hostname) {
            Ok(lmtp) => Ok(Arc::new(lmtp)),
            Err(error) => Err(format!("{hostname:?} can't be said in LHLO: {error}")),
        });
        places
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("kinds", &self.kinds.keys()).finish_non_exhaustive()
    }
}

impl Places {
    /// Adds a kind, in place of one of that name if there is one: `KIND:REST` is made by that function of `REST`. It is called once for
    /// each name, when a file is put into force, and may block.
    pub fn add(&mut self, kind: &str, make: impl Fn(&str) -> Result<Arc<dyn Place>, String> + Send + Sync + 'static) {
        self.add_named(kind, move |rest, _| make(rest));
    }

    /// The same, where the server's name is needed as well.
    fn add_named(
        &mut self,
        kind: &str,
        make: impl Fn(&str, &str) -> Result<Arc<dyn Place>, String> + Send + Sync + 'static,
    ) {
        self.kinds.insert(kind.to_owned(), Arc::new(make));
    }

    /// Puts a place there under its whole name, such as a store that a test keeps an eye on.
    pub fn insert(&self, name: &str, place: Arc<dyn Place>) {
        self.lock().insert(name.to_owned(), place);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<dyn Place>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a name says, without making anything.
    pub(crate) fn parse(&self, name: &str) -> Result<Location, String> {
        if self.lock().contains_key(name) {
            return Ok(Location::Place(name.to_owned()));
        }
        let (kind, rest) = name.split_once(':').unwrap_or((name, ""));
        if kind == "maildir" {
            return Template::parse(rest).map(Location::Maildir).map_err(str::to_owned);
        }
        if kind == "memory" {
            rest.parse::<Bytes>().map_err(|error| format!("memory:BYTES: {error}"))?;
        }
        if kind == LMTP {
            lmtp_address(rest)?;
        }
        if !self.kinds.contains_key(kind) {
            let kinds: Vec<&str> = self.kinds.keys().map(String::as_str).collect();
            return Err(format!("there is no kind of place {kind:?}; the kinds are {}", kinds.join(", ")));
        }
        Ok(Location::Place(name.to_owned()))
    }

    /// The place of that name, which is made if it is not there yet, for a server of that name. May block.
    pub(crate) fn get(&self, name: &str, hostname: &str) -> Result<Arc<dyn Place>, String> {
        let (kind, rest) = name.split_once(':').unwrap_or((name, ""));
        // One that says the server's name is another one under another name.
        let key = if kind == LMTP { format!("{name} {hostname}") } else { name.to_owned() };
        let known = self.lock();
        if let Some(place) = known.get(name).or_else(|| known.get(&key)) {
            return Ok(Arc::clone(place));
        }
        drop(known);
        let make = self.kinds.get(kind).ok_or_else(|| format!("there is no kind of place {kind:?}"))?;
        let place = make(rest, hostname)?;
        self.lock().insert(key, Arc::clone(&place));
        Ok(place)
    }
}

fn lmtp_address(text: &str) -> Result<LmtpAddress, String> {
    text.parse().map_err(|error: &str| format!("lmtp:HOST:PORT or lmtp:unix:PATH: {error}"))
}

/// Whether that name is one of a place that forwards by LMTP.
pub(crate) fn is_lmtp(name: &str) -> bool {
    name.split_once(':').is_some_and(|(kind, _)| kind == LMTP)
}

/// What the name of a place means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// A maildir, or one for each mailbox.
    Maildir(Template),
    /// A place by its name.
    Place(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_forwards_is_known_by_its_address_and_by_the_name_that_it_says() {
        let places = Places::default();
        for good in ["lmtp:127.0.0.1:2424", "lmtp:mail.example:24", "lmtp:unix:/run/lmtp"] {
            assert_eq!(places.parse(good), Ok(Location::Place(good.to_owned())));
            assert!(is_lmtp(good));
        }
        for (wrong, why) in [
            ("lmtp", "HOST:PORT or unix:PATH"),
            ("lmtp:", "HOST:PORT or unix:PATH"),
            ("lmtp:mail.example", "HOST:PORT or unix:PATH"),
            ("lmtp:unix:", "HOST:PORT or unix:PATH"),
            ("lmtp:mail.example:25", "RFC 2033"),
            ("lmpt:mail.example:24", "the kinds are discard, lmtp, maildir, memory"),
        ] {
            let error = places.parse(wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
        let get = |hostname| places.get("lmtp:127.0.0.1:2424", hostname);
        let (first, second) = (get("a.example").ok().unwrap(), get("a.example").ok().unwrap());
        assert!(Arc::ptr_eq(&first, &second), "a version of the file that names it again has the same one");
        assert!(!Arc::ptr_eq(&first, &get("b.example").ok().unwrap()));
        assert!(get("not a name").is_err());
    }
}
