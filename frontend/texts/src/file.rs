//! A language as a file: what the build writes and a browser loads.
//!
//! One line names the format, the list of keys and the language; then one text a line, in the order
//! of the keys. A file whose first line is not exactly the one expected is not read at all: a page
//! that was loaded before an update never takes texts of other keys.

use crate::{Key, Lang};

/// Tells one list of keys from another: FNV-1a over the names in their order, each with an end.
pub const KEYS: u64 = hash(Key::NAMES);

/// How many texts a file holds.
const COUNT: usize = Key::ALL.len();

const fn hash(names: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut name = 0;
    while name < names.len() {
        let bytes = names[name].as_bytes();
        let mut at = 0;
        while at <= bytes.len() {
            let byte = if at < bytes.len() { bytes[at] } else { b'\n' };
            hash = (hash ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3);
            at += 1;
        }
        name += 1;
    }
    hash
}

/// The first line.
fn head(lang: Lang) -> String {
    format!("portolan-texts {KEYS:016x} {}", lang.tag())
}

/// The file of a language.
pub fn write(lang: Lang) -> String {
    let mut file = head(lang);
    for key in Key::ALL {
        file.push('\n');
        file.push_str(lang.text(*key));
    }
    file
}

/// The texts in a file, in the order of the keys; `None` unless it is this language's for these keys.
pub fn read(file: &str, lang: Lang) -> Option<Vec<&str>> {
    let texts = file.strip_prefix(&head(lang))?.strip_prefix('\n')?;
    let texts: Vec<&str> = texts.split('\n').collect();
    (texts.len() == COUNT).then_some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for lang in Lang::ALL {
            let file = write(*lang);
            let texts = read(&file, *lang).unwrap();
            for (key, text) in Key::ALL.iter().zip(texts) {
                assert_eq!(lang.text(*key), text, "{key:?}");
            }
        }
    }

    #[test]
    fn files_of_other_keys_other_languages_or_half_a_transfer_are_not_read() {
        let file = write(Lang::Ru);
        assert_eq!(read(&file, Lang::En), None);
        let other = file.replacen(&format!("{KEYS:016x}"), &format!("{:016x}", KEYS + 1), 1);
        assert_ne!(other, file);
        assert_eq!(read(&other, Lang::Ru), None);
        let (half, _) = file.rsplit_once('\n').unwrap();
        assert_eq!(read(half, Lang::Ru), None);
        assert_eq!(read(&format!("{file}\n"), Lang::Ru), None);
        assert_eq!(read("", Lang::Ru), None);
    }

    #[test]
    fn lists_of_keys_are_told_apart_by_names_and_order() {
        let all = [
            hash(&["A", "B"]),
            hash(&["B", "A"]),
            hash(&["AB"]),
            hash(&["A", "B", "C"]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[index + 1..].contains(one));
        }
    }
}
