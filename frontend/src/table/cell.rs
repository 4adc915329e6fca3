//! What stands in a table, as data.

use std::cmp::Ordering;
use std::net::IpAddr;

use portolan_shared::status::Reason;

use crate::i18n::{Key, t};

/// How a thing is doing: a word, a colour and a shape of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// As it should be.
    Active,
    /// On the way.
    Building,
    /// Nothing to do, and nothing wrong with that.
    Idle,
    /// Switched off on purpose.
    Disabled,
    /// Not working.
    Down,
    /// Refused.
    Error,
}

impl Tone {
    /// Ending of the class.
    pub fn as_str(self) -> &'static str {
        match self {
            Tone::Active => "active",
            Tone::Building => "building",
            Tone::Idle => "idle",
            Tone::Disabled => "disabled",
            Tone::Down => "down",
            Tone::Error => "error",
        }
    }
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing to say, and that is all there is to it.
    Empty,
    /// Words.
    Text(String),
    /// Words, a line each.
    Lines(Vec<String>),
    /// Words with a second line.
    Noted(String, String),
    /// A count.
    Number(u64),
    /// Addresses, IDs, MACs, each with a copy button.
    Codes(Vec<String>),
    /// A link: text, address, second line.
    Link(String, String, String),
    /// Several links in one line: text before it, text, address.
    Trail(Vec<(String, Option<String>)>),
    /// Each opens a panel by setting a parameter of the page's address: text, name, value.
    Open(Vec<(String, &'static str, String)>),
    /// Status word, and why.
    Status(Tone, Key, Option<Reason>),
    /// Used, of how many.
    Bar(u64, u64),
    /// A time, RFC 3339.
    Time(String),
    /// How long ago that was, however long.
    Age(String),
}

impl Cell {
    /// What a filter looks in, and what is read aloud.
    pub fn words(&self) -> String {
        match self {
            Cell::Empty => String::new(),
            Cell::Text(text) => text.clone(),
            Cell::Noted(text, note) | Cell::Link(text, _, note) => format!("{text} {note}"),
            Cell::Lines(lines) => lines.join(" "),
            Cell::Number(number) => number.to_string(),
            Cell::Codes(codes) => codes.join(" "),
            Cell::Trail(parts) => parts
                .iter()
                .map(|(text, _)| text.as_str())
                .collect::<Vec<_>>()
                .join(" / "),
            Cell::Open(panels) => {
                let texts: Vec<&str> = panels.iter().map(|(text, ..)| text.as_str()).collect();
                texts.join(" ")
            }
            Cell::Status(_, word, reason) => {
                format!(
                    "{} {}",
                    t(*word),
                    reason.as_ref().map_or("", |reason| reason.sentence.as_str())
                )
            }
            Cell::Bar(used, total) => format!("{used} {total}"),
            Cell::Time(time) | Cell::Age(time) => time.clone(),
        }
    }

    /// Whether a change of this cell is worth a flash: a clock that goes on is not.
    pub fn flashes(&self, before: &Cell) -> bool {
        !matches!(self, Cell::Time(_) | Cell::Age(_)) && self != before
    }

    /// Order within a column: numbers and addresses as numbers, words by [`natural`], empty last.
    pub fn compare(&self, other: &Cell) -> Ordering {
        match (self, other) {
            (Cell::Empty, Cell::Empty) => Ordering::Equal,
            (Cell::Empty, _) => Ordering::Greater,
            (_, Cell::Empty) => Ordering::Less,
            (Cell::Number(a), Cell::Number(b)) => a.cmp(b),
            (Cell::Status(a, ..), Cell::Status(b, ..)) => b.cmp(a),
            (Cell::Bar(a, of_a), Cell::Bar(b, of_b)) => {
                // a/of_a < b/of_b without a division
                (u128::from(*a) * u128::from(*of_b))
                    .cmp(&(u128::from(*b) * u128::from(*of_a)))
                    .then(of_a.cmp(of_b))
            }
            (Cell::Codes(a), Cell::Codes(b)) => match (first(a), first(b)) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => a.cmp(b),
            },
            // The oldest is the largest.
            (Cell::Age(a), Cell::Age(b)) => b.cmp(a),
            (a, b) => natural(&a.words(), &b.words()),
        }
    }
}

/// The address that a cell of codes sorts by.
fn first(codes: &[String]) -> Option<(IpAddr, u8)> {
    address(codes.first()?)
}

/// The address in a code: `10.0.0.1`, or that of `10.0.0.0/24` with its length.
fn address(code: &str) -> Option<(IpAddr, u8)> {
    match code.split_once('/') {
        Some((address, prefix)) => Some((address.parse().ok()?, prefix.parse().ok()?)),
        None => Some((code.parse().ok()?, u8::MAX)),
    }
}

/// Order of words as people expect it: case does not count, numbers count as numbers (node-2 before node-10).
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    loop {
        let (Some(first_a), Some(first_b)) = (rest_a.chars().next(), rest_b.chars().next()) else {
            return rest_a.len().cmp(&rest_b.len()).then_with(|| a.cmp(b));
        };
        let order = if first_a.is_ascii_digit() && first_b.is_ascii_digit() {
            let (digits_a, tail_a) = digits(rest_a);
            let (digits_b, tail_b) = digits(rest_b);
            (rest_a, rest_b) = (tail_a, tail_b);
            digits_a.len().cmp(&digits_b.len()).then_with(|| digits_a.cmp(digits_b))
        } else {
            (rest_a, rest_b) = (&rest_a[first_a.len_utf8()..], &rest_b[first_b.len_utf8()..]);
            first_a.to_lowercase().cmp(first_b.to_lowercase())
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Leading digits without leading zeros, and the rest.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].trim_start_matches('0'), &text[end..])
}

/// Where a row is folded away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Rows with the same one are folded together, under the row that is the anchor if there is one.
    pub anchor: String,
    /// Its name, in words.
    pub label: String,
    /// Counts what is folded, in words.
    pub count: Key,
    /// Closed unless opened; else only when there is much.
    pub closed: bool,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Id of what it shows; rows keep their place and focus by it.
    pub id: String,
    /// As many as there are columns.
    pub cells: Vec<Cell>,
    /// Rows of others may be folded under this one: its name as an anchor.
    pub anchor: Option<String>,
    /// Folded away with others.
    pub fold: Option<Fold>,
    /// Deleted by somebody while one looks at it.
    pub gone: bool,
}

impl Row {
    /// A row that stands for itself.
    pub fn new(id: String, cells: Vec<Cell>) -> Self {
        Self {
            id,
            cells,
            anchor: None,
            fold: None,
            gone: false,
        }
    }
}

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Start,
    /// Numbers.
    End,
    /// The name: wraps, takes the room there is.
    Name,
    /// Words that do not wrap.
    Tight,
    /// Words that wrap, but not one by one.
    Wide,
}

impl Align {
    /// The class of its cells.
    pub fn class(self) -> &'static str {
        match self {
            Align::Start => "",
            Align::End => "cell--number",
            Align::Name => "cell--name",
            Align::Tight => "cell--tight",
            Align::Wide => "cell--wide",
        }
    }
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in filters (`status:down`), addresses and test ids.
    pub id: &'static str,
    /// Its heading.
    pub title: Key,
    /// How it is set.
    pub align: Align,
    /// Left out in a narrow window.
    pub spare: bool,
}

impl Column {
    /// The classes of its cells.
    pub fn class(&self) -> String {
        let spare = if self.spare { " col--spare" } else { "" };
        format!("{}{spare}", self.align.class())
    }

    /// A column that is always shown.
    pub const fn new(id: &'static str, title: Key, align: Align) -> Self {
        Self {
            id,
            title,
            align,
            spare: false,
        }
    }

    /// A column left out in a narrow window.
    pub const fn spare(id: &'static str, title: Key, align: Align) -> Self {
        Self {
            id,
            title,
            align,
            spare: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(code: &str) -> Cell {
        Cell::Codes(vec![code.to_owned()])
    }

    #[test]
    fn addresses_sort_as_numbers() {
        let mut cells = ["10.0.0.10", "10.0.0.9", "2001:db8::1", "9.0.0.0/8", "9.0.0.0/7"].map(codes);
        cells.sort_by(Cell::compare);
        assert_eq!(
            cells,
            ["9.0.0.0/7", "9.0.0.0/8", "10.0.0.9", "10.0.0.10", "2001:db8::1"].map(codes)
        );
    }

    #[test]
    fn names_sort_as_people_count() {
        let mut names = ["node-10", "Node-2", "node-02b", "web", "node-1", ""];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["", "node-1", "Node-2", "node-02b", "node-10", "web"]);
    }

    #[test]
    fn bars_sort_by_how_full_they_are_and_trouble_comes_first() {
        assert_eq!(Cell::Bar(1, 2).compare(&Cell::Bar(60, 100)), Ordering::Less);
        assert_eq!(Cell::Bar(0, 0).compare(&Cell::Bar(0, 0)), Ordering::Equal);
        let (down, active) = (
            Cell::Status(Tone::Down, Key::StatusDown, None),
            Cell::Status(Tone::Active, Key::StatusActive, None),
        );
        assert_eq!(down.compare(&active), Ordering::Less);
        let age = |time: &str| Cell::Age(time.to_owned());
        assert_eq!(
            age("2026-11-20").compare(&age("2026-11-21")),
            Ordering::Greater,
            "older is more"
        );
        assert_eq!(
            Cell::Empty.compare(&Cell::Number(0)),
            Ordering::Greater,
            "empty is last"
        );
    }

    #[test]
    fn a_clock_that_goes_on_does_not_flash() {
        assert!(Cell::Number(1).flashes(&Cell::Number(2)));
        assert!(!Cell::Number(1).flashes(&Cell::Number(1)));
        assert!(!Cell::Time("a".into()).flashes(&Cell::Time("b".into())));
    }
}
