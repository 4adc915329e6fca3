//! What new data does to the rows on screen: by id, in place.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::cell::Row;

/// Rows after new data came.
///
/// What others deleted while one looks stays where it was, marked; what `own` names, deleted on this
/// page, goes. Rows that did not change are the same allocation as before, so that nothing of them
/// is drawn again.
pub fn patch(shown: &[Arc<Row>], new: Vec<Row>, own: &HashSet<String>) -> Vec<Arc<Row>> {
    let before: HashMap<&str, &Arc<Row>> = shown.iter().map(|row| (row.id.as_str(), row)).collect();
    let present: HashSet<String> = new.iter().map(|row| row.id.clone()).collect();
    let mut rows: Vec<Arc<Row>> = new
        .into_iter()
        .map(|row| match before.get(row.id.as_str()) {
            Some(same) if ***same == row => Arc::clone(same),
            _ => Arc::new(row),
        })
        .collect();
    let places: HashMap<String, usize> = rows.iter().enumerate().map(|(at, row)| (row.id.clone(), at)).collect();
    // Each vanished row goes after the nearest row before it that is still there.
    let mut vanished: Vec<(usize, Arc<Row>)> = Vec::new();
    let mut after = 0;
    for row in shown {
        match places.get(&row.id) {
            Some(at) => after = at + 1,
            None if !present.contains(&row.id) && !own.contains(&row.id) => {
                let row = if row.gone {
                    Arc::clone(row)
                } else {
                    Arc::new(Row {
                        gone: true,
                        ..(**row).clone()
                    })
                };
                vanished.push((after, row));
            }
            None => {}
        }
    }
    // From the back, so that places before stay right; equal places keep their order.
    for (at, row) in vanished.into_iter().rev() {
        rows.insert(at.min(rows.len()), row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::cell::Cell;
    use super::*;

    fn row(id: &str, text: &str) -> Row {
        Row::new(id.to_owned(), vec![Cell::Text(text.to_owned())])
    }

    fn rows(ids: &[&str]) -> Vec<Row> {
        ids.iter().map(|id| row(id, id)).collect()
    }

    fn shown(ids: &[&str]) -> Vec<Arc<Row>> {
        rows(ids).into_iter().map(Arc::new).collect()
    }

    fn ids(rows: &[Arc<Row>]) -> Vec<String> {
        rows.iter()
            .map(|row| format!("{}{}", row.id, if row.gone { "!" } else { "" }))
            .collect()
    }

    #[test]
    fn what_others_deleted_stays_in_its_place() {
        let after = patch(&shown(&["a", "b", "c", "d"]), rows(&["a", "d", "e"]), &HashSet::new());
        assert_eq!(ids(&after), ["a", "b!", "c!", "d", "e"]);
        let later = patch(&after, rows(&["d", "e", "f"]), &HashSet::new());
        assert_eq!(ids(&later), ["a!", "b!", "c!", "d", "e", "f"]);
        assert!(Arc::ptr_eq(&after[1], &later[1]));
    }

    #[test]
    fn what_one_deleted_oneself_goes() {
        let own = HashSet::from(["b".to_owned()]);
        assert_eq!(ids(&patch(&shown(&["a", "b"]), rows(&["a"]), &own)), ["a"]);
    }

    #[test]
    fn what_comes_back_is_not_gone() {
        let after = patch(&shown(&["a", "b"]), rows(&["a"]), &HashSet::new());
        assert_eq!(ids(&patch(&after, rows(&["a", "b"]), &HashSet::new())), ["a", "b"]);
    }

    #[test]
    fn unchanged_rows_are_the_same_ones() {
        let before = shown(&["a", "b"]);
        let after = patch(&before, vec![row("a", "a"), row("b", "changed")], &HashSet::new());
        assert!(Arc::ptr_eq(&before[0], &after[0]));
        assert!(!Arc::ptr_eq(&before[1], &after[1]));
    }
}
