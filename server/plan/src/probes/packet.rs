//! What a probe looks like: one header, the same for UDP and TCP, for questions and answers.
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | `PTLp` |
//! | 4 | version, 1 |
//! | 5 | 1: a question; 2: its answer |
//! | 6..8 | length of the whole datagram, big endian: what was cut off on the way is no probe |
//! | 8..16 | which key: the beginning of its SHA-256 |
//! | 16..32 | nonce of the question, random |
//! | 32..48 | the node that asks |
//! | 48..64 | the node that is asked: an address that another machine has by now proves nothing |
//! | 64..80 | in an answer, the address of the answering node's pod end (IPv4 as `::ffff:a.b.c.d`); zeros: none |
//! | 80..112 | HMAC-SHA256 of what is before it, by the cluster's key |
//!
//! Zeros follow up to the length, for questions of full size. An answer is a header alone, so it is never larger than
//! its question, and what comes back of a large one proves one direction.

use std::net::{IpAddr, Ipv6Addr};

use hmac::{Hmac, KeyInit as _, Mac as _};
use portolan_shared::ids::NodeId;
use sha2::{Digest as _, Sha256};

/// Bytes of a header, which is all of an answer.
pub const HEADER: usize = 112;

const MAGIC: &[u8; 4] = b"PTLp";
const VERSION: u8 = 1;
const QUESTION: u8 = 1;
const ANSWER: u8 = 2;

/// Bytes that are not hashed: the hash itself.
const HASHED: usize = 80;

/// What the nodes of a cluster know each other by in probes.
#[derive(Clone, PartialEq, Eq)]
pub struct ProbeKey([u8; 32]);

impl ProbeKey {
    /// From the control plane's bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for ProbeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProbeKey(…)")
    }
}

/// A question, and what its answer repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Random.
    pub nonce: [u8; 16],
    /// The node that asks.
    pub from: NodeId,
    /// The node that is asked.
    pub to: NodeId,
}

/// A datagram that was made with the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Somebody asks.
    Question(Probe),
    /// An answer, and where the answering node's pod end is.
    Answer(Probe, Option<IpAddr>),
}

/// Makes and reads probes.
#[derive(Clone)]
pub struct ProbeSeal {
    mac: Hmac<Sha256>,
    key_id: [u8; 8],
}

impl ProbeSeal {
    /// By a cluster's key.
    pub fn new(key: &ProbeKey) -> Self {
        let digest = Sha256::digest(key.0);
        let mut key_id = [0; 8];
        key_id.copy_from_slice(&digest[..8]);
        Self {
            mac: Hmac::new_from_slice(&key.0).expect("a key of any length will do"),
            key_id,
        }
    }

    /// A question of this many bytes, of a header at least.
    pub fn question(&self, probe: &Probe, bytes: usize) -> Vec<u8> {
        let bytes = bytes.clamp(HEADER, usize::from(u16::MAX));
        let mut datagram = vec![0; bytes];
        let length = u16::try_from(bytes).unwrap_or(u16::MAX);
        datagram[..HEADER].copy_from_slice(&self.header(QUESTION, length, probe, None));
        datagram
    }

    /// The answer to a question.
    pub fn answer(&self, probe: &Probe, pod_end: Option<IpAddr>) -> [u8; HEADER] {
        self.header(ANSWER, HEADER as u16, probe, pod_end)
    }

    /// Reads a datagram; `None` if it was not made with the key, or did not come whole.
    pub fn read(&self, datagram: &[u8]) -> Option<Heard> {
        let (header, _) = datagram.split_first_chunk::<HEADER>()?;
        let part = |from: usize| <[u8; 16]>::try_from(&header[from..from + 16]).unwrap_or_default();
        let length = usize::from(u16::from_be_bytes([header[6], header[7]]));
        if header[..4] != *MAGIC || header[4] != VERSION || length != datagram.len() || header[8..16] != self.key_id {
            return None;
        }
        let (hashed, hash) = header.split_at(HASHED);
        self.mac.clone().chain_update(hashed).verify_slice(hash).ok()?;
        let probe = Probe {
            nonce: part(16),
            from: NodeId::from_bytes(part(32)),
            to: NodeId::from_bytes(part(48)),
        };
        let pod_end = Ipv6Addr::from(part(64));
        match header[5] {
            QUESTION => Some(Heard::Question(probe)),
            ANSWER => {
                let pod_end = (!pod_end.is_unspecified()).then(|| IpAddr::V6(pod_end).to_canonical());
                Some(Heard::Answer(probe, pod_end))
            }
            _ => None,
        }
    }

    fn header(&self, direction: u8, length: u16, probe: &Probe, pod_end: Option<IpAddr>) -> [u8; HEADER] {
        let pod_end = match pod_end {
            None => [0; 16],
            Some(IpAddr::V4(address)) => address.to_ipv6_mapped().octets(),
            Some(IpAddr::V6(address)) => address.octets(),
        };
        let parts: [&[u8]; 8] = [
            MAGIC,
            &[VERSION, direction],
            &length.to_be_bytes(),
            &self.key_id,
            &probe.nonce,
            probe.from.as_bytes(),
            probe.to.as_bytes(),
            &pod_end,
        ];
        let mut header = [0; HEADER];
        let mut at = 0;
        for part in parts {
            header[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        let hash = self.mac.clone().chain_update(&header[..HASHED]).finalize().into_bytes();
        header[HASHED..].copy_from_slice(&hash);
        header
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seal(key: u8) -> ProbeSeal {
        ProbeSeal::new(&ProbeKey::new([key; 32]))
    }

    fn probe() -> Probe {
        Probe {
            nonce: [3; 16],
            from: NodeId::from_bytes([1; 16]),
            to: NodeId::from_bytes([2; 16]),
        }
    }

    #[test]
    fn another_key_says_nothing_and_a_key_is_in_no_log() {
        assert_eq!(seal(2).read(&seal(1).question(&probe(), HEADER)), None);
        assert!(!format!("{:?}", ProbeKey::new([7; 32])).contains('7'));
    }

    proptest! {
        #[test]
        fn what_was_sent_is_read_and_nothing_else(bytes in 0_usize..2000, pod_end in any::<Option<IpAddr>>()) {
            let seal = seal(1);
            let question = seal.question(&probe(), bytes);
            prop_assert_eq!(question.len(), bytes.max(HEADER));
            prop_assert_eq!(seal.read(&question), Some(Heard::Question(probe())));
            let answer = seal.answer(&probe(), pod_end);
            prop_assert!(answer.len() <= question.len(), "an answer is never larger");
            let known = pod_end.map(|address| address.to_canonical()).filter(|address| !address.is_unspecified() || address.is_ipv4());
            prop_assert_eq!(seal.read(&answer), Some(Heard::Answer(probe(), known)));
        }

        #[test]
        fn a_changed_or_cut_datagram_is_no_probe(at in 0_usize..HEADER, by in 1_u8.., cut in 1_usize..300) {
            let seal = seal(1);
            let mut question = seal.question(&probe(), 300);
            prop_assert_eq!(seal.read(&question[..300 - cut]), None);
            question[at] ^= by;
            prop_assert_eq!(seal.read(&question), None);
        }

        #[test]
        fn anything_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(seal(1).read(&bytes), None);
        }
    }
}
