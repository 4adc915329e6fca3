//! What a state is made of: items of several kinds, each with an id and a body.
//!
//! A kind is a number, an id 16 bytes, a body the encoded message of the kind. Both sides keep items without looking into
//! them: what an older agent does not know yet it holds all the same, so that the digests agree.

use std::collections::BTreeMap;

use prost::Message;
use sha2::{Digest as _, Sha256};

use crate::agent::{self, Block, Cluster, ItemKind, Node};
use crate::digest::Digest;
use crate::field::{self, BadField};

/// What an item is known by. Sorts by kind, then id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemId {
    /// As on the wire; one that this build does not know is kept.
    pub kind: i32,
    /// 16 bytes.
    pub id: [u8; 16],
}

impl ItemId {
    /// As it is written in a message.
    pub fn key(self) -> agent::ItemKey {
        agent::ItemKey {
            kind: self.kind,
            id: self.id.to_vec(),
        }
    }

    /// From a message.
    ///
    /// # Errors
    /// If the id has not 16 bytes.
    pub fn of_key(key: &agent::ItemKey) -> Result<Self, BadField> {
        Ok(Self {
            kind: key.kind,
            id: field::id("item.id", &key.id)?,
        })
    }
}

/// A message that is the body of one kind of item.
pub trait Body: Message + Default {
    /// The kind.
    const KIND: ItemKind;

    /// Its id, which is the item's.
    fn id(&self) -> &[u8];

    /// Whether all its fields are as the protocol says.
    ///
    /// # Errors
    /// If one is not.
    fn check(&self) -> Result<(), BadField>;

    /// As an item.
    fn item(&self) -> agent::Item {
        agent::Item {
            kind: Self::KIND.into(),
            id: self.id().to_vec(),
            body: self.encode_to_vec(),
        }
    }
}

impl Body for Cluster {
    const KIND: ItemKind = ItemKind::Cluster;

    fn id(&self) -> &[u8] {
        &self.id
    }

    fn check(&self) -> Result<(), BadField> {
        field::prefixes("pod_ranges", &self.pod_ranges)?;
        field::prefixes("node_ranges", &self.node_ranges)?;
        field::prefixes("service_ranges", &self.service_ranges)?;
        if !matches!(self.probe_key.len(), 0 | 32) {
            return Err(BadField::Other("probe_key"));
        }
        Ok(())
    }
}

impl Body for Node {
    const KIND: ItemKind = ItemKind::Node;

    fn id(&self) -> &[u8] {
        &self.id
    }

    fn check(&self) -> Result<(), BadField> {
        field::addresses("addresses", &self.addresses).map(drop)
    }
}

impl Body for Block {
    const KIND: ItemKind = ItemKind::Block;

    fn id(&self) -> &[u8] {
        &self.id
    }

    fn check(&self) -> Result<(), BadField> {
        field::id("node_id", &self.node_id)?;
        field::prefix("prefix", self.prefix.as_ref().ok_or(BadField::Missing("prefix"))?).map(drop)
    }
}

/// Reads an item of a message: its id, and its body once that is checked. A kind that this build does not know is taken
/// as it is.
///
/// # Errors
/// If the id or the body is not as the protocol says.
pub fn read(item: agent::Item) -> Result<(ItemId, Vec<u8>), BadField> {
    let id = ItemId {
        kind: item.kind,
        id: field::id("item.id", &item.id)?,
    };
    match ItemKind::try_from(item.kind) {
        Ok(ItemKind::Cluster) => checked::<Cluster>(&item)?,
        Ok(ItemKind::Node) => checked::<Node>(&item)?,
        Ok(ItemKind::Block) => checked::<Block>(&item)?,
        Ok(ItemKind::Unknown) | Err(_) => {}
    }
    Ok((id, item.body))
}

fn checked<B: Body>(item: &agent::Item) -> Result<(), BadField> {
    let body = B::decode(&item.body[..]).map_err(|_| BadField::Other("item.body"))?;
    if body.id() != item.id {
        return Err(BadField::Other("item.id"));
    }
    body.check()
}

/// The items of a state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Items(BTreeMap<ItemId, Vec<u8>>);

impl Items {
    /// Puts one in, or in place of the one with its id.
    pub fn put(&mut self, id: ItemId, body: Vec<u8>) {
        self.0.insert(id, body);
    }

    /// Takes one out, if it is there.
    pub fn drop(&mut self, id: ItemId) {
        self.0.remove(&id);
    }

    /// Whether it has one of this id.
    pub fn has(&self, id: ItemId) -> bool {
        self.0.contains_key(&id)
    }

    /// One of a kind, by its id.
    pub fn get<B: Body>(&self, id: [u8; 16]) -> Option<B> {
        let body = self.0.get(&ItemId {
            kind: B::KIND.into(),
            id,
        })?;
        B::decode(&body[..]).ok()
    }

    /// All of a kind, by id. Cost: each body is decoded.
    pub fn all<B: Body>(&self) -> impl Iterator<Item = B> {
        let of = |id| ItemId {
            kind: B::KIND.into(),
            id,
        };
        self.0
            .range(of([0; 16])..=of([0xff; 16]))
            // They were checked when they were taken.
            .filter_map(|(_, body)| B::decode(&body[..]).ok())
    }

    /// All as they are written in messages, by kind and id.
    pub fn iter(&self) -> impl Iterator<Item = agent::Item> {
        self.0.iter().map(|(id, body)| agent::Item {
            kind: id.kind,
            id: id.id.to_vec(),
            body: body.clone(),
        })
    }

    /// SHA-256 over all items, by kind and id; of each its kind (4 bytes), its id, its body's length (4 bytes) and its
    /// body. Numbers are big endian.
    pub fn digest(&self) -> Digest {
        let mut hasher = Sha256::new();
        for (id, body) in &self.0 {
            hasher.update(id.kind.to_be_bytes());
            hasher.update(id.id);
            hasher.update(u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
            hasher.update(body);
        }
        hasher.finalize().into()
    }
}

impl FromIterator<(ItemId, Vec<u8>)> for Items {
    fn from_iter<I: IntoIterator<Item = (ItemId, Vec<u8>)>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u8, name: &str) -> Node {
        Node {
            id: vec![id; 16],
            name: name.into(),
            addresses: vec![vec![10, 0, 0, id]],
            machine: vec![id; 32],
        }
    }

    fn items(all: &[agent::Item]) -> Items {
        all.iter().map(|item| read(item.clone()).unwrap()).collect()
    }

    #[test]
    fn every_part_of_every_item_counts_in_the_digest_and_their_order_does_not() {
        let cluster = Cluster {
            id: vec![9; 16],
            name: "shop".into(),
            mtu: 1500,
            ..Cluster::default()
        };
        let (one, two) = (node(1, "node-1").item(), node(2, "node-2").item());
        let unknown = agent::Item {
            kind: 77,
            id: vec![1; 16],
            body: vec![1, 2, 3],
        };
        let all = items(&[cluster.item(), one.clone(), two.clone(), unknown.clone()]).digest();
        let turned = items(&[unknown.clone(), two.clone(), one.clone(), cluster.item()]);
        assert_eq!(turned.digest(), all);
        let smaller = Cluster {
            mtu: 1450,
            ..cluster.clone()
        };
        let changed = agent::Item {
            body: vec![1, 2, 4],
            ..unknown.clone()
        };
        let others = [
            items(&[smaller.item(), one.clone(), two.clone(), unknown.clone()]).digest(),
            items(&[cluster.item(), one.clone(), unknown.clone()]).digest(),
            items(&[cluster.item(), one.clone(), node(2, "node-3").item(), unknown]).digest(),
            items(&[cluster.item(), one.clone(), two.clone(), changed]).digest(),
            items(&[cluster.item(), one, two]).digest(),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(*other, all, "{at}");
            assert!(!others[..at].contains(other), "{at}");
        }
    }

    #[test]
    fn the_digest_is_part_of_the_protocol() {
        // A build that hashes otherwise makes every agent load a snapshot after an upgrade.
        let digest = items(&[node(1, "node-1").item()]).digest();
        let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "a09d051c14254deb");
    }

    #[test]
    fn a_body_that_is_not_its_kinds_is_refused_and_an_unknown_kind_kept() {
        let good = node(1, "node-1").item();
        assert!(read(good.clone()).is_ok());
        let other_id = agent::Item {
            id: vec![2; 16],
            ..good.clone()
        };
        let no_body = agent::Item {
            body: vec![0xff],
            ..good.clone()
        };
        let short = agent::Item {
            id: vec![1; 15],
            ..good.clone()
        };
        for bad in [other_id, no_body.clone(), short] {
            assert!(read(bad.clone()).is_err(), "{bad:?}");
        }
        let block = Block {
            id: vec![1; 16],
            node_id: vec![2; 16],
            ..Block::default()
        };
        assert_eq!(read(block.item()), Err(BadField::Missing("prefix")));
        let unknown = agent::Item { kind: 77, ..no_body };
        assert_eq!(read(unknown).unwrap().0.kind, 77);
    }

    #[test]
    fn items_of_a_kind_are_found_among_others() {
        let mut all = items(&[node(2, "b").item(), node(1, "a").item()]);
        let names: Vec<String> = all.all::<Node>().map(|node| node.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(all.get::<Node>([2; 16]).unwrap().name, "b");
        assert_eq!(all.all::<Block>().count(), 0);
        let id = ItemId {
            kind: ItemKind::Node.into(),
            id: [2; 16],
        };
        assert!(all.has(id));
        all.drop(id);
        assert_eq!(all.get::<Node>([2; 16]), None);
    }
}
