//! What a policy remembers of a connection.

use std::any::Any;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A place for what a [`Policy`](crate::Policy) remembers of one connection: it lives as long as that, and [`Context`](crate::Context) and
/// [`MessageContext`](crate::MessageContext) show the same one.
///
/// There is one value of each type at the most, so that a policy and one that wraps it don't get in each other's way. A connection whose
/// policy notes nothing costs no allocation.
///
/// ```
/// use ehlo_tokio::{Context, Decision, Notes, Policy};
///
/// #[derive(Default)]
/// struct Recipients(u32);
///
/// fn count(notes: &Notes) -> u32 {
///     notes.with(|Recipients(count)| {
///         *count += 1;
///         *count
///     })
/// }
/// # let notes = Notes::default();
/// # assert_eq!((count(&notes), count(&notes)), (1, 2));
/// ```
#[derive(Default)]
pub struct Notes {
    values: Mutex<Vec<Box<dyn Any + Send>>>,
}

impl Notes {
    /// Shows the value of that type, which is made by default where there is none yet.
    ///
    /// What is called may not ask the same notes again: it would wait for itself.
    pub fn with<T: Default + Send + 'static, R>(&self, show: impl FnOnce(&mut T) -> R) -> R {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let place = match values.iter().position(|value| value.is::<T>()) {
            Some(place) => place,
            None => {
                values.push(Box::<T>::default());
                values.len() - 1
            }
        };
        show(values[place].downcast_mut().expect("its type was looked at"))
    }
}

impl fmt::Debug for Notes {
    /// Without what is in it, which is for the policy to show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_value_of_each_type() {
        let notes = Notes::default();
        notes.with(|number: &mut u32| *number = 7);
        notes.with(|text: &mut String| text.push('x'));
        assert_eq!(notes.with(|number: &mut u32| *number), 7);
        assert_eq!(notes.with(|text: &mut String| text.clone()), "x");
        assert_eq!(notes.with(|other: &mut u64| *other), 0);
    }
}
