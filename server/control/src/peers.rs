//! How many connections each address has, so that no one address takes everybody's place.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// How many connections there are from each address.
#[derive(Clone, Default)]
pub(crate) struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection's place among those of its address; given back when dropped.
pub(crate) struct Place {
    peers: Peers,
    address: IpAddr,
}

impl Peers {
    /// A place for one more connection from `address`, unless there are `most` already.
    pub(crate) fn place(&self, address: IpAddr, most: usize) -> Option<Place> {
        let mut counts = self.0.lock();
        let count = counts.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place {
            peers: self.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.peers.0.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_everybodys_place() {
        let peers = Peers::default();
        let (one, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let first = peers.place(one, 2);
        let second = peers.place(one, 2);
        assert!(first.is_some() && second.is_some());
        assert!(peers.place(one, 2).is_none(), "a third");
        assert!(peers.place(other, 2).is_some(), "somebody else");
        drop(first);
        assert!(peers.place(one, 2).is_some(), "a place was given back");
        drop(second);
        assert!(peers.0.lock().is_empty(), "nobody is remembered");
    }
}
