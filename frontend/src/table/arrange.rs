//! Which lines a table shows, in which order: filter, sort, fold.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::cell::{Column, Row};
use super::filter::Filter;
use crate::i18n::Key;

/// From this many folded rows on, folds are closed unless opened.
const FOLD_FROM: usize = 30;

/// By which column, and which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// Index of the column; `None`: as the server has it.
    pub column: Option<usize>,
    /// Largest first.
    pub descending: bool,
}

impl Sort {
    /// From a page's address: `name`, `-name`.
    pub fn parse(text: &str, columns: &[Column]) -> Self {
        let (descending, id) = text.strip_prefix('-').map_or((false, text), |id| (true, id));
        Self {
            column: columns.iter().position(|column| column.id == id),
            descending,
        }
    }

    /// For a page's address; `None` as the server has it.
    pub fn write(self, columns: &[Column]) -> Option<String> {
        let column = columns.get(self.column?)?;
        Some(format!("{}{}", if self.descending { "-" } else { "" }, column.id))
    }

    /// What a click on a heading makes of it: up, down, off.
    pub fn clicked(self, column: usize) -> Self {
        match self {
            Sort {
                column: Some(now),
                descending: false,
            } if now == column => Sort {
                column: Some(column),
                descending: true,
            },
            Sort {
                column: Some(now),
                descending: true,
            } if now == column => Sort::default(),
            _ => Sort {
                column: Some(column),
                descending: false,
            },
        }
    }
}

/// One line of a table's body.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A row, by id.
    Row(String),
    /// The heading of folded rows.
    Fold {
        /// The anchor they belong to.
        anchor: String,
        /// Its name.
        label: String,
        /// How many rows it holds.
        count: usize,
        /// Counts them in words.
        words: Key,
        /// Whether they are shown below it.
        open: bool,
    },
}

impl Line {
    /// What stays the same while the line is the same one.
    pub fn key(&self) -> String {
        match self {
            Line::Row(id) => id.clone(),
            Line::Fold { anchor, .. } => format!("fold {anchor}"),
        }
    }
}

/// What is to be shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arranged {
    /// In order.
    pub lines: Vec<Line>,
    /// Rows that match, folded ones included.
    pub matching: usize,
}

/// Lines for `rows`; `toggled` are the anchors whose fold is not as it would be by itself.
///
/// While a filter is set all folds are open: what matches must be seen.
pub fn arrange(rows: &[Arc<Row>], filter: &Filter, sort: Sort, toggled: &HashSet<String>) -> Arranged {
    let mut matching: Vec<&Arc<Row>> = rows.iter().filter(|row| filter.matches(row)).collect();
    if let Some(column) = sort.column {
        matching.sort_by(|a, b| {
            let order = match (a.cells.get(column), b.cells.get(column)) {
                (Some(a), Some(b)) => a.compare(b),
                _ => std::cmp::Ordering::Equal,
            };
            if sort.descending { order.reverse() } else { order }
        });
    }
    let folded = matching.iter().filter(|row| row.fold.is_some()).count();
    let open_by_itself = folded < FOLD_FROM;
    let mut groups: HashMap<&str, Vec<&Arc<Row>>> = HashMap::new();
    for row in &matching {
        if let Some(fold) = &row.fold {
            groups.entry(&fold.anchor).or_default().push(row);
        }
    }
    let mut lines = Vec::with_capacity(matching.len() + groups.len());
    let place = |lines: &mut Vec<Line>, group: Vec<&Arc<Row>>| {
        let Some(fold) = group.first().and_then(|row| row.fold.as_ref()) else {
            return;
        };
        let by_itself = open_by_itself && !fold.closed;
        let open = !filter.is_empty() || (by_itself != toggled.contains(&fold.anchor));
        lines.push(Line::Fold {
            anchor: fold.anchor.clone(),
            label: fold.label.clone(),
            count: group.len(),
            words: fold.count,
            open,
        });
        if open {
            lines.extend(group.iter().map(|row| Line::Row(row.id.clone())));
        }
    };
    for row in &matching {
        if row.fold.is_some() {
            continue;
        }
        lines.push(Line::Row(row.id.clone()));
        if let Some(anchor) = &row.anchor
            && let Some(group) = groups.remove(anchor.as_str())
        {
            place(&mut lines, group);
        }
    }
    // Their anchor is not in this table: in the order of their first row.
    for row in &matching {
        if let Some(fold) = &row.fold
            && let Some(group) = groups.remove(fold.anchor.as_str())
        {
            place(&mut lines, group);
        }
    }
    Arranged {
        lines,
        matching: matching.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::{Align, Cell, Fold};
    use super::*;

    const COLUMNS: [Column; 1] = [Column::new("name", Key::Name, Align::Name)];

    fn row(name: &str) -> Row {
        Row::new(name.to_owned(), vec![Cell::Text(name.to_owned())])
    }

    fn node(name: &str) -> Arc<Row> {
        Arc::new(Row {
            anchor: Some(name.to_owned()),
            ..row(name)
        })
    }

    fn pod(name: &str, node: &str) -> Arc<Row> {
        Arc::new(Row {
            fold: Some(Fold {
                anchor: node.to_owned(),
                label: node.to_uppercase(),
                count: Key::CountPods,
                closed: false,
            }),
            ..row(name)
        })
    }

    fn shown(arranged: &Arranged) -> Vec<String> {
        arranged
            .lines
            .iter()
            .map(|line| match line {
                Line::Row(id) => id.clone(),
                Line::Fold { label, count, open, .. } => format!("{label}:{count}:{open}"),
            })
            .collect()
    }

    #[test]
    fn pods_stand_under_their_node_whatever_the_order() {
        let rows = [pod("p1", "b"), node("b"), pod("p2", "a"), node("a"), pod("p3", "gone")];
        let by_name = Sort::parse("-name", &COLUMNS);
        let arranged = arrange(&rows, &Filter::default(), by_name, &HashSet::new());
        assert_eq!(
            shown(&arranged),
            ["b", "B:1:true", "p1", "a", "A:1:true", "p2", "GONE:1:true", "p3"]
        );
        assert_eq!(arranged.matching, 5);
    }

    #[test]
    fn a_closed_fold_counts_what_it_hides_and_a_filter_opens_it() {
        let rows = [node("a"), pod("p1", "a"), pod("p2", "a")];
        let toggled = HashSet::from(["a".to_owned()]);
        assert_eq!(
            shown(&arrange(&rows, &Filter::default(), Sort::default(), &toggled)),
            ["a", "A:2:false"]
        );
        let filter = Filter::parse("p2", &COLUMNS);
        assert_eq!(
            shown(&arrange(&rows, &filter, Sort::default(), &toggled)),
            ["A:1:true", "p2"]
        );
    }

    #[test]
    fn many_pods_are_folded_by_themselves() {
        let mut rows = vec![node("a")];
        rows.extend((0..FOLD_FROM).map(|n| pod(&format!("p{n}"), "a")));
        let arranged = arrange(&rows, &Filter::default(), Sort::default(), &HashSet::new());
        assert_eq!(shown(&arranged), ["a", "A:30:false"]);
    }

    #[test]
    fn a_fold_may_be_closed_however_little_it_holds() {
        let mut row = (*pod("p1", "b")).clone();
        if let Some(fold) = &mut row.fold {
            fold.closed = true;
        }
        let rows = [Arc::new(row), node("a")];
        let shown_with =
            |toggled: &HashSet<String>| shown(&arrange(&rows, &Filter::default(), Sort::default(), toggled));
        assert_eq!(shown_with(&HashSet::new()), ["a", "B:1:false"], "and it comes last");
        assert_eq!(shown_with(&HashSet::from(["b".to_owned()])), ["a", "B:1:true", "p1"]);
    }

    #[test]
    fn a_heading_sorts_up_down_and_back() {
        let up = Sort::default().clicked(0);
        assert_eq!(up.write(&COLUMNS).as_deref(), Some("name"));
        let down = up.clicked(0);
        assert_eq!(down.write(&COLUMNS).as_deref(), Some("-name"));
        assert_eq!(Sort::parse("-name", &COLUMNS), down);
        assert_eq!(down.clicked(0), Sort::default());
        assert_eq!(Sort::parse("nonsense", &COLUMNS).column, None);
    }
}
