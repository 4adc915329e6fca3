//! Ways to find objects besides their id. A kind declares its own with `indexes!`; a table keeps them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

/// An index: what it holds of each object is an entry.
pub trait Index: Default {
    /// What it holds of an object.
    type Entry;

    /// Takes an entry in.
    fn add(&mut self, entry: Self::Entry);

    /// Takes it out.
    fn remove(&mut self, entry: &Self::Entry);
}

/// All indexes of a kind.
pub trait Indexes<K>: Default {
    /// Takes an object into each.
    fn add(&mut self, object: &K);

    /// Takes it out of each.
    fn remove(&mut self, object: &K);
}

/// None: the objects are only found by id.
impl<K> Indexes<K> for () {
    fn add(&mut self, _: &K) {}

    fn remove(&mut self, _: &K) {}
}

/// Children by parent, in order.
#[derive(Debug)]
pub struct Children<P, C>(HashMap<P, BTreeSet<C>>);

impl<P, C> Default for Children<P, C> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<P: Eq + Hash, C: Ord + Copy> Children<P, C> {
    /// The children, in order.
    pub fn of(&self, parent: P) -> impl DoubleEndedIterator<Item = C> {
        self.0.get(&parent).into_iter().flatten().copied()
    }

    /// How many children there are; 0 for a parent without any.
    pub fn count(&self, parent: P) -> u64 {
        self.0.get(&parent).map_or(0, |children| children.len() as u64)
    }
}

impl<P: Eq + Hash, C: Ord> Index for Children<P, C> {
    type Entry = (P, C);

    fn add(&mut self, (parent, child): (P, C)) {
        self.0.entry(parent).or_default().insert(child);
    }

    fn remove(&mut self, (parent, child): &(P, C)) {
        if let Some(children) = self.0.get_mut(parent) {
            children.remove(child);
            if children.is_empty() {
                self.0.remove(parent);
            }
        }
    }
}

/// What at most one object has, in order, with the object's id.
#[derive(Debug)]
pub struct Unique<T, C>(pub BTreeMap<T, C>);

impl<T, C> Default for Unique<T, C> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Ord, C: PartialEq> Index for Unique<T, C> {
    type Entry = (T, C);

    fn add(&mut self, (key, id): (T, C)) {
        self.0.insert(key, id);
    }

    /// What another object has taken over meanwhile stays that one's.
    fn remove(&mut self, (key, id): &(T, C)) {
        if self.0.get(key) == Some(id) {
            self.0.remove(key);
        }
    }
}

/// Values in order, which end in the object's id.
#[derive(Debug)]
pub struct Sorted<T>(pub BTreeSet<T>);

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<T: Ord> Index for Sorted<T> {
    type Entry = T;

    fn add(&mut self, entry: T) {
        self.0.insert(entry);
    }

    fn remove(&mut self, entry: &T) {
        self.0.remove(entry);
    }
}

/// Declares the indexes of a kind: those `by` what an object is in (for [`super::Parent`]), `and` others, each with what it
/// holds of an object (`None`: nothing of this one).
macro_rules! indexes {
    (
        $(#[$doc:meta])*
        $name:ident of $kind:ty {
            $(by $parent:ident: $id:ty = $of:expr;)*
            $($(#[$field_doc:meta])* and $field:ident: $index:ty = $entry:expr;)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $name {
            $($parent: $crate::tables::Children<$id, <$kind as $crate::model::Kind>::Id>,)*
            $($(#[$field_doc])* pub(crate) $field: $index,)*
        }

        impl $crate::tables::Indexes<$kind> for $name {
            fn add(&mut self, object: &$kind) {
                use $crate::tables::Index;
                $(if let Some(parent) = <$id as $crate::tables::Parent<$kind>>::of(object) {
                    self.$parent.add((parent, $crate::model::Kind::id(object)));
                })*
                $({
                    let entry: fn(&$kind) -> Option<<$index as Index>::Entry> = $entry;
                    if let Some(entry) = entry(object) {
                        self.$field.add(entry);
                    }
                })*
            }

            fn remove(&mut self, object: &$kind) {
                use $crate::tables::Index;
                $(if let Some(parent) = <$id as $crate::tables::Parent<$kind>>::of(object) {
                    self.$parent.remove(&(parent, $crate::model::Kind::id(object)));
                })*
                $({
                    let entry: fn(&$kind) -> Option<<$index as Index>::Entry> = $entry;
                    if let Some(entry) = entry(object) {
                        self.$field.remove(&entry);
                    }
                })*
            }
        }

        $(impl $crate::tables::Parent<$kind> for $id {
            fn of(object: &$kind) -> Option<Self> {
                let parent: fn(&$kind) -> Option<Self> = $of;
                parent(object)
            }

            fn children(
                table: &<$kind as $crate::model::Kind>::Table,
            ) -> &$crate::tables::Children<Self, <$kind as $crate::model::Kind>::Id> {
                &table.indexes.$parent
            }
        })*
    };
}
pub(crate) use indexes;
