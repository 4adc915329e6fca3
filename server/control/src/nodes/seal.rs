//! Keyed hashes by which the control plane knows again what it has told: positions of its history, leases. One is told as
//! it is: the key by which a cluster's nodes know each other in probes.
//!
//! The key is made of the CA's, so all replicas have the same, and a store that is put back has it still. Agents keep the
//! hashes and show them; they cannot make them, nor the key of another cluster.

use hmac::{Hmac, KeyInit as _, Mac as _};
use portolan_core::history::Point;
use portolan_core::protocol::leases::Lease;
use portolan_shared::ids::ClusterId;
use portolan_wire::field::address_bytes;
use sha2::Sha256;

/// What makes the hashes.
pub(super) struct Seal(Hmac<Sha256>);

impl Seal {
    /// By a secret of the control plane's.
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("a key of any length will do"))
    }

    fn of(&self, what: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(what);
        for part in parts {
            // With its length, so that no two lists of parts read alike.
            mac.update(&[u8::try_from(part.len()).unwrap_or(u8::MAX)]);
            mac.update(part);
        }
        mac
    }

    fn position_of(&self, store: &[u8; 16], point: Point) -> Hmac<Sha256> {
        let revision = point.revision.to_be_bytes();
        self.of(b"position", &[store, point.incarnation.as_bytes(), &revision])
    }

    /// Proof that a position of this store was told.
    pub(super) fn position(&self, store: &[u8; 16], point: Point) -> Vec<u8> {
        self.position_of(store, point).finalize().into_bytes().to_vec()
    }

    /// Whether a position of this store was told.
    pub(super) fn told(&self, store: &[u8; 16], point: Point, mark: &[u8]) -> bool {
        self.position_of(store, point).verify_slice(mark).is_ok()
    }

    /// A ticket is the machine's, whichever node it is: removed and joined again, it shows the one it has.
    fn ticket_of(&self, machine: &[u8; 32], number: u64) -> Hmac<Sha256> {
        self.of(b"ticket", &[machine, &number.to_be_bytes()])
    }

    /// Proof that a ticket was given.
    pub(super) fn ticket(&self, machine: &[u8; 32], number: u64) -> Vec<u8> {
        self.ticket_of(machine, number).finalize().into_bytes().to_vec()
    }

    /// Whether a ticket was given.
    pub(super) fn gave(&self, machine: &[u8; 32], number: u64, proof: &[u8]) -> bool {
        self.ticket_of(machine, number).verify_slice(proof).is_ok()
    }

    /// What the nodes of a cluster know each other by in probes.
    pub(super) fn probe_key(&self, cluster: ClusterId) -> Vec<u8> {
        self.of(b"probes", &[cluster.as_bytes()])
            .finalize()
            .into_bytes()
            .to_vec()
    }

    fn lease_of(&self, lease: &Lease) -> Hmac<Sha256> {
        self.of(
            b"lease",
            &[
                lease.cluster.as_bytes(),
                lease.node.as_bytes(),
                &lease.machine,
                lease.block.as_bytes(),
                &address_bytes(lease.prefix.first()),
                &[lease.prefix.prefix()],
                &lease.leased_at.to_be_bytes(),
            ],
        )
    }

    /// Proof that a block was leased.
    pub(super) fn lease(&self, lease: &Lease) -> Vec<u8> {
        self.lease_of(lease).finalize().into_bytes().to_vec()
    }

    /// Whether a block was leased so.
    pub(super) fn leased(&self, lease: &Lease, proof: &[u8]) -> bool {
        self.lease_of(lease).verify_slice(proof).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use portolan_core::history::Incarnation;
    use portolan_shared::ids::{BlockId, ClusterId, NodeId};

    use super::*;

    fn point(incarnation: u8, revision: u64) -> Point {
        Point {
            incarnation: Incarnation::from_bytes([incarnation; 16]),
            revision,
        }
    }

    fn lease() -> Lease {
        Lease {
            cluster: ClusterId::from_bytes([1; 16]),
            node: NodeId::from_bytes([2; 16]),
            machine: [3; 32],
            block: BlockId::from_bytes([4; 16]),
            prefix: "10.1.0.0/26".parse().unwrap(),
            leased_at: 7,
        }
    }

    #[test]
    fn a_position_is_known_again_and_no_other() {
        let seal = Seal::new(b"secret");
        let mark = seal.position(&[7; 16], point(1, 90));
        assert!(seal.told(&[7; 16], point(1, 90), &mark));
        assert!(!seal.told(&[7; 16], point(1, 91), &mark));
        assert!(!seal.told(&[7; 16], point(2, 90), &mark));
        assert!(!seal.told(&[8; 16], point(1, 90), &mark));
        assert!(!seal.told(&[7; 16], point(1, 90), &[]));
        assert!(!Seal::new(b"another").told(&[7; 16], point(1, 90), &mark));
    }

    #[test]
    fn a_ticket_is_known_again_and_no_other() {
        let seal = Seal::new(b"secret");
        let machine = [3; 32];
        let proof = seal.ticket(&machine, 7);
        assert!(seal.gave(&machine, 7, &proof));
        assert!(!seal.gave(&machine, 8, &proof));
        assert!(!seal.gave(&[4; 32], 7, &proof));
    }

    #[test]
    fn a_lease_is_known_again_and_no_other() {
        let seal = Seal::new(b"secret");
        let proof = seal.lease(&lease());
        assert!(seal.leased(&lease(), &proof));
        let others = [
            Lease {
                node: NodeId::from_bytes([9; 16]),
                ..lease()
            },
            Lease {
                machine: [9; 32],
                ..lease()
            },
            Lease {
                prefix: "10.1.0.0/25".parse().unwrap(),
                ..lease()
            },
            Lease {
                prefix: "10.1.0.64/26".parse().unwrap(),
                ..lease()
            },
            Lease {
                cluster: ClusterId::from_bytes([9; 16]),
                ..lease()
            },
            Lease {
                leased_at: 8,
                ..lease()
            },
            Lease {
                block: BlockId::from_bytes([9; 16]),
                ..lease()
            },
        ];
        for other in others {
            assert!(!seal.leased(&other, &proof), "{other:?}");
        }
    }
}
