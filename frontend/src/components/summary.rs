//! The first glance of a list or a thing: how many of what, and whether all is well.

use super::page::Figure;
use crate::i18n::{Key, t};

/// Shows `counts`, then what is `wrong`; if nothing is, `well` in its place.
pub fn summary(counts: Vec<String>, wrong: Option<String>, well: Option<Key>) -> Vec<Figure> {
    let mut figures: Vec<Figure> = counts.into_iter().map(Figure::plain).collect();
    figures.extend(match wrong {
        Some(wrong) => Some(Figure::wrong(wrong)),
        None => well.map(|well| Figure::plain(t(well).to_owned())),
    });
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_takes_the_place_of_all_is_well() {
        let last = |wrong: Option<&str>, well| {
            summary(vec!["3 ports".into()], wrong.map(str::to_owned), well)
                .pop()
                .map(|figure| (figure.text, figure.wrong))
        };
        assert_eq!(
            last(Some("1 down"), Some(Key::AllActive)),
            Some(("1 down".into(), true))
        );
        assert_eq!(last(None, Some(Key::AllActive)), Some(("all active".into(), false)));
        assert_eq!(last(None, None), Some(("3 ports".into(), false)));
    }
}
