//! Limits how many of something run at once: per address, per user, per project, and in all. Each of these is a share;
//! one that is used up leaves the others their places.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// How many places of each share are taken; a share that nobody holds is not remembered.
pub(crate) struct Places<K>(Arc<Mutex<HashMap<K, usize>>>);

impl<K> Clone for Places<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for Places<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// A place that is held. Dropping it gives it back, also when its holder gives up waiting.
pub(crate) struct Place<K: Eq + Hash> {
    places: Places<K>,
    shares: Vec<K>,
}

/// A share has no place left of the `most` it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) most: usize,
}

impl<K: Clone + Eq + Hash> Places<K> {
    /// Takes one place of each share, given with its limit; takes all of them or none.
    ///
    /// # Errors
    /// The first share that has none left.
    pub(crate) fn take(&self, shares: impl IntoIterator<Item = (K, usize)>) -> Result<Place<K>, Full> {
        let mut counts = self.0.lock();
        let mut taken = Vec::new();
        for (share, most) in shares {
            if counts.get(&share).is_some_and(|count| *count >= most) || most == 0 {
                return Err(Full { most });
            }
            taken.push(share);
        }
        for share in &taken {
            *counts.entry(share.clone()).or_default() += 1;
        }
        Ok(Place {
            places: self.clone(),
            shares: taken,
        })
    }

    /// Whether nobody holds a place.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = self.places.0.lock();
        for share in &self.shares {
            if let Some(count) = counts.get_mut(share) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(share);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_does_not_take_everybodys_place() {
        let places = Places::default();
        let first = places.take([("one", 2)]);
        let second = places.take([("one", 2)]);
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(places.take([("one", 2)]).err(), Some(Full { most: 2 }), "a third");
        assert!(places.take([("other", 2)]).is_ok(), "somebody else");
        drop(first);
        assert!(places.take([("one", 2)]).is_ok(), "a place was given back");
        drop(second);
        assert!(places.is_empty(), "nobody is remembered");
    }

    #[test]
    fn a_share_that_is_full_takes_nothing_of_the_others() {
        let places = Places::default();
        let held = places.take([("all", 3), ("ann", 1)]);
        assert!(held.is_ok());
        for _ in 0..5 {
            assert_eq!(places.take([("all", 3), ("ann", 1)]).err(), Some(Full { most: 1 }));
        }
        let others = [
            places.take([("all", 3), ("bob", 1)]),
            places.take([("all", 3), ("cyd", 1)]),
        ];
        assert!(others.iter().all(Result::is_ok), "two of all are left");
        assert_eq!(places.take([("all", 3), ("dan", 1)]).err(), Some(Full { most: 3 }));
    }
}
