//! The lines of the append-only file that pods' addresses survive in. Pure.
//!
//! A line an event: eight hex digits of CRC-32C over the rest, a space, JSON, a line feed. A power cut can tear only
//! lines whose request was not answered yet (an answer waits for the sync), but a disk or a hand can damage any line, and the
//! two look alike: what was in a damaged line may run, see `held`. Lines after it are still read: to take a free address for
//! given costs little, but to give one twice is a duplicate. A log with such lines is written anew before anything is added.

use std::io::{self, Write as _};

use super::ledger::Event;

/// What a log was found to hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) events: Vec<Event>,
    /// Damaged lines, a cut-off last one included.
    pub(super) damaged: usize,
}

/// Reads all lines that are not damaged.
pub(super) fn decode(bytes: &[u8]) -> Contents {
    let mut contents = Contents::default();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match decode_line(line) {
            Some(event) => contents.events.push(event),
            None => contents.damaged += 1,
        }
    }
    contents
}

fn decode_line(line: &[u8]) -> Option<Event> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, rest) = line.split_at_checked(8)?;
    let json = rest.strip_prefix(b" ")?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    (sum == crc32c(json)).then(|| serde_json::from_slice(json).ok())?
}

/// Adds the line of an event to `out`.
pub(super) fn encode(event: &Event, out: &mut Vec<u8>) -> io::Result<()> {
    let json = serde_json::to_vec(event)?;
    write!(out, "{:08x} ", crc32c(&json))?;
    out.extend_from_slice(&json);
    out.push(b'\n');
    Ok(())
}

/// The polynomial of CRC-32C (RFC 3720, appendix B.4), bits reversed.
const CASTAGNOLI: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut n = 0;
    while n < 256 {
        let mut value = n as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                value >> 1 ^ CASTAGNOLI
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[n] = value;
        n += 1;
    }
    table
};

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0, |sum, byte| TABLE[usize::from(sum as u8 ^ byte)] ^ sum >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::record::Release;

    fn event(n: u8) -> Event {
        let id = portolan_shared::ids::PortId::from_bytes([n; 16]);
        Event::Released(Release {
            id,
            allocation_seq: 1,
            seq: u64::from(n),
        })
    }

    fn log(of: impl IntoIterator<Item = u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for n in of {
            encode(&event(n), &mut bytes).unwrap();
        }
        bytes
    }

    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_torn_end_is_left_out_wherever_it_is_torn() {
        let whole = log([1, 2, 3]);
        let two = log([1, 2]).len();
        for cut in two..whole.len() {
            let contents = decode(&whole[..cut]);
            assert_eq!(contents.events, [event(1), event(2)], "cut at {cut}");
            assert_eq!(contents.damaged, usize::from(cut > two));
        }
        assert_eq!(
            decode(&whole),
            Contents {
                events: vec![event(1), event(2), event(3)],
                damaged: 0
            }
        );
    }

    #[test]
    fn a_flipped_bit_costs_its_line_only() {
        let whole = log([1, 2, 3]);
        let line = log([1]).len();
        for at in line..2 * line - 1 {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            let contents = decode(&bytes);
            assert!(contents.damaged >= 1);
            assert!(
                contents.events.contains(&event(1)) && contents.events.contains(&event(3)),
                "at {at}"
            );
            assert!(!contents.events.contains(&event(2)));
        }
    }
}
