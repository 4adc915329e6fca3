//! The filter box: words and `key:value`, all of which must hold.

use portolan_shared::addr::Cidr;

use super::cell::{Cell, Column, Row};

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    /// Anywhere in the row.
    Word(String),
    /// In the column of that index.
    In(usize, String),
    /// An address of the column of that index lies in this network.
    Within(usize, Cidr),
}

/// What was typed, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<Term>,
}

impl Filter {
    /// Reads what was typed. A key that is no column is a word: people paste addresses with colons.
    pub fn parse(text: &str, columns: &[Column]) -> Self {
        let term = |word: &str| {
            let word = word.to_lowercase();
            if let Some((key, value)) = word.split_once(':')
                && let Some(index) = columns.iter().position(|column| column.id == key)
            {
                return match value.parse::<Cidr>() {
                    Ok(network) => Term::Within(index, network),
                    Err(_) => Term::In(index, value.to_owned()),
                };
            }
            Term::Word(word)
        };
        Self {
            terms: text.split_whitespace().map(term).collect(),
        }
    }

    /// Nothing was typed.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether the row fulfils every condition.
    pub fn matches(&self, row: &Row) -> bool {
        self.terms.iter().all(|term| match term {
            Term::Word(word) => {
                row.id == *word || row.cells.iter().any(|cell| cell.words().to_lowercase().contains(word))
            }
            Term::In(index, value) => row
                .cells
                .get(*index)
                .is_some_and(|cell| cell.words().to_lowercase().contains(value)),
            Term::Within(index, network) => match row.cells.get(*index) {
                Some(Cell::Codes(codes)) => codes.iter().any(|code| {
                    let first = code.split('/').next().unwrap_or_default();
                    first.parse().is_ok_and(|address| network.contains(address))
                }),
                _ => false,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::Align;
    use super::*;
    use crate::i18n::Key;

    fn matches(text: &str) -> bool {
        let columns = [
            Column::new("name", Key::Name, Align::Name),
            Column::new("ip", Key::IpAddresses, Align::Tight),
        ];
        let cells = vec![
            Cell::Text("Web-1".into()),
            Cell::Codes(vec!["10.0.1.5".into(), "fd00::5".into()]),
        ];
        Filter::parse(text, &columns).matches(&Row::new("some-id".into(), cells))
    }

    #[test]
    fn words_and_keys_must_all_hold() {
        for text in [
            "",
            "web",
            "WEB 10.0",
            "name:web",
            "ip:10.0.1.0/28",
            "fd00::5",
            "some-id",
        ] {
            assert!(matches(text), "{text}");
        }
        for text in ["db", "web db", "ip:web", "ip:10.0.2.0/24", "name:10.0"] {
            assert!(!matches(text), "{text}");
        }
    }
}
