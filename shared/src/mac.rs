//! Hardware addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An Ethernet address; written in lower case with colons, read with colons or hyphens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress([u8; 6]);

/// A text that is not a usable hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMac {
    /// Not six pairs of hex digits.
    #[error("a MAC address is six pairs of hex digits, such as fa:16:3e:00:00:01")]
    Syntax,
    /// All zero, or a group address: no interface can have it (IEEE 802, the I/G bit).
    #[error("all zeros and group addresses belong to no interface")]
    NotUnicast,
}

impl MacAddress {
    /// From six octets, the first on the wire first. Not checked: see [`FromStr`] for input.
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// The six octets.
    pub const fn octets(&self) -> [u8; 6] {
        self.0
    }

    /// As a number of 48 bits, so that addresses can be walked.
    pub const fn to_u64(self) -> u64 {
        let o = self.0;
        u64::from_be_bytes([0, 0, o[0], o[1], o[2], o[3], o[4], o[5]])
    }

    /// From the low 48 bits of a number.
    pub const fn from_u64(number: u64) -> Self {
        let b = number.to_be_bytes();
        Self([b[2], b[3], b[4], b[5], b[6], b[7]])
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddress {
    type Err = BadMac;

    fn from_str(text: &str) -> Result<Self, BadMac> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut octets = [0; 6];
        let mut parts = text.split(separator);
        for octet in &mut octets {
            let part = parts.next().ok_or(BadMac::Syntax)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(BadMac::Syntax);
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| BadMac::Syntax)?;
        }
        if parts.next().is_some() {
            return Err(BadMac::Syntax);
        }
        if octets == [0; 6] || octets[0] & 1 == 1 {
            return Err(BadMac::NotUnicast);
        }
        Ok(Self(octets))
    }
}

impl Serialize for MacAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b':'; 17];
        for (pair, octet) in text.chunks_mut(3).zip(self.0) {
            pair[0] = DIGITS[usize::from(octet >> 4)];
            pair[1] = DIGITS[usize::from(octet & 15)];
        }
        serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for MacAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_separators_and_writes_colons() {
        assert_eq!(
            "FA-16-3E-00-0a-01".parse::<MacAddress>().unwrap().to_string(),
            "fa:16:3e:00:0a:01"
        );
    }

    #[test]
    fn refuses_what_no_interface_can_have() {
        assert_eq!("00:00:00:00:00:00".parse::<MacAddress>(), Err(BadMac::NotUnicast));
        assert_eq!("01:00:5e:00:00:01".parse::<MacAddress>(), Err(BadMac::NotUnicast));
        for bad in [
            "",
            "fa:16:3e:00:00",
            "fa:16:3e:00:00:01:02",
            "fa:16:3e:0:0:1",
            "+a:16:3e:00:00:01",
        ] {
            assert_eq!(bad.parse::<MacAddress>(), Err(BadMac::Syntax), "{bad}");
        }
    }

    #[test]
    fn number_and_back() {
        let mac: MacAddress = "fa:16:3e:00:ff:01".parse().unwrap();
        assert_eq!(MacAddress::from_u64(mac.to_u64()), mac);
        assert_eq!(
            MacAddress::from_u64(mac.to_u64() + 0x100).to_string(),
            "fa:16:3e:01:00:01"
        );
    }
}
