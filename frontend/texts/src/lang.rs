//! The languages themselves.

use crate::{Key, en, ru};

/// A language of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lang {
    /// English: the one that is always there.
    En,
    /// Russian.
    Ru,
}

impl Lang {
    /// All of them, in the order a menu shows.
    pub const ALL: &'static [Lang] = &[Lang::En, Lang::Ru];

    /// The tag for `lang` attributes and for the account (BCP 47).
    pub const fn tag(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Ru => "ru",
        }
    }

    /// Its name in itself: who looks for it can read that.
    pub const fn name(self) -> &'static str {
        match self {
            Lang::En => "English",
            Lang::Ru => "Русский",
        }
    }

    /// The language of a tag, such as `en-GB`.
    pub fn from_tag(tag: &str) -> Option<Lang> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL
            .iter()
            .copied()
            .find(|lang| lang.tag().eq_ignore_ascii_case(primary))
    }

    /// The first of the wanted ones, most wanted first, that the console speaks; else English.
    pub fn preferred<'a>(wanted: impl IntoIterator<Item = &'a str>) -> Lang {
        wanted.into_iter().find_map(Lang::from_tag).unwrap_or(Lang::En)
    }

    /// The text of a key. Whoever calls this links every language.
    pub const fn text(self, key: Key) -> &'static str {
        match self {
            Lang::En => en::text(key),
            Lang::Ru => ru::text(key),
        }
    }
}
