//! Where a view keeps objects: a table a kind, each with the indexes that the kind declares (`indexes!`).
//!
//! [`Table`] does for all kinds but ports, of which there may be a million ([`Ports`]).

mod index;
mod ports;

use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;

pub(crate) use index::indexes;
pub use index::{Children, Index, Indexes, Sorted, Unique};
pub use ports::{PortScope, Ports, SubnetUse};

use crate::model::Kind;

/// Keeps the objects of a kind.
pub trait Keep<K: Kind>: Default {
    /// The object with this id.
    fn get(&self, id: K::Id) -> Option<&Arc<K>>;

    /// All, in id order.
    fn all<'a>(&'a self) -> impl Iterator<Item = &'a Arc<K>>
    where
        K: 'a;

    /// Puts an object in; gives back the one that had its id.
    fn put(&mut self, object: Arc<K>) -> Option<Arc<K>>;

    /// Takes an object out.
    fn take(&mut self, id: K::Id) -> Option<Arc<K>>;
}

/// Objects by id, with indexes `I`.
pub struct Table<K: Kind, I> {
    objects: BTreeMap<K::Id, Arc<K>>,
    /// Kept in step with the objects.
    pub(crate) indexes: I,
}

impl<K: Kind, I: Default> Default for Table<K, I> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            indexes: I::default(),
        }
    }
}

impl<K: Kind, I: Indexes<K>> Keep<K> for Table<K, I> {
    fn get(&self, id: K::Id) -> Option<&Arc<K>> {
        self.objects.get(&id)
    }

    fn all<'a>(&'a self) -> impl Iterator<Item = &'a Arc<K>>
    where
        K: 'a,
    {
        self.objects.values()
    }

    fn put(&mut self, object: Arc<K>) -> Option<Arc<K>> {
        let old = self.objects.insert(object.id(), Arc::clone(&object));
        if let Some(old) = &old {
            self.indexes.remove(old);
        }
        self.indexes.add(&object);
        old
    }

    fn take(&mut self, id: K::Id) -> Option<Arc<K>> {
        let old = self.objects.remove(&id)?;
        self.indexes.remove(&old);
        Some(old)
    }
}

impl<K: Kind, I> Table<K, I> {
    /// Objects with ids from `first` to `last`, both included.
    pub(crate) fn range(&self, first: K::Id, last: K::Id) -> impl Iterator<Item = &Arc<K>> {
        self.objects.range(first..=last).map(|(_, object)| object)
    }
}

/// What objects of a kind are in, by its id: a network for subnets, a project for all that it has.
pub trait Parent<K: Kind>: Copy + Eq + Hash + 'static {
    /// What this object is in.
    fn of(object: &K) -> Option<Self>;

    /// The index of it.
    fn children(table: &K::Table) -> &Children<Self, K::Id>;
}
