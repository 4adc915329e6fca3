//! Every word on a screen, by key.
//!
//! [`en`] defines the keys together with the English texts. Another language is a file that lists
//! the same keys with `language!`; the match it makes is exhaustive, so **a missing key does not
//! compile**. Placeholders are `{name}`; a text that counts holds its plural forms separated by
//! `|`, in the order of [`plural::Form`]. Tests hold every language to the same placeholders.

pub mod en;
pub mod format;
pub mod plural;

pub use en::Key;

use plural::Form;

/// Makes the match of one more language: `language! { russian; Networks: "Сети", … }`.
#[allow(
    unused_macros,
    reason = "English is the first language; the second is one file with this macro"
)]
macro_rules! language {
    ($name:ident; $($key:ident: $text:literal,)*) => {
        /// The text of a key in this language.
        pub fn $name(key: crate::i18n::Key) -> &'static str {
            match key { $(crate::i18n::Key::$key => $text,)* }
        }
    };
}
#[allow(unused_imports, reason = "as above")]
pub(crate) use language;

/// A language of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    /// English.
    En,
}

impl Lang {
    /// All of them, in the order a menu shows.
    pub const ALL: &'static [Lang] = &[Lang::En];

    /// The tag for `lang` attributes (BCP 47).
    pub const fn tag(self) -> &'static str {
        match self {
            Lang::En => "en",
        }
    }

    /// The language for a browser's preference, such as `en-GB`.
    pub fn from_tag(tag: &str) -> Option<Lang> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL
            .iter()
            .copied()
            .find(|lang| lang.tag().eq_ignore_ascii_case(primary))
    }

    /// The raw text of a key.
    pub fn text(self, key: Key) -> &'static str {
        match self {
            Lang::En => en::english(key),
        }
    }
}

/// The language being shown. Choosing another mounts the application anew.
pub const fn current() -> Lang {
    Lang::En
}

/// The text of a key without placeholders.
pub fn t(key: Key) -> &'static str {
    current().text(key)
}

/// The text of a key with its placeholders filled.
pub fn tp(key: Key, params: &[(&str, &str)]) -> String {
    fill(t(key), params)
}

/// The text of a key that counts; `{n}` is the number, written as the language writes numbers.
pub fn tn(key: Key, n: u64) -> String {
    tnp(key, n, &[])
}

/// As [`tn`], with more placeholders.
pub fn tnp(key: Key, n: u64, params: &[(&str, &str)]) -> String {
    let lang = current();
    let form = plural::form(lang, n);
    let number = format::number(n);
    let mut all = vec![("n", number.as_str())];
    all.extend_from_slice(params);
    fill(pick(lang.text(key), form), &all)
}

/// The plural form wanted, or the last there is.
fn pick(text: &'static str, form: Form) -> &'static str {
    let mut last = text;
    for (index, part) in text.split('|').enumerate() {
        last = part;
        if index == form as usize {
            break;
        }
    }
    last
}

/// Replaces `{name}` by its value. What has no value stays, so that a test sees it.
pub fn fill(text: &str, params: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let Some(end) = rest[start..].find('}').map(|end| start + end) else {
            break;
        };
        out.push_str(&rest[..start]);
        let name = &rest[start + 1..end];
        match params.iter().find(|(param, _)| *param == name) {
            Some((_, value)) => out.push_str(value),
            None => out.push_str(&rest[start..=end]),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_unknown_ones_stay() {
        assert_eq!(fill("{a} of {b}{", &[("a", "1"), ("b", "2")]), "1 of 2{");
        assert_eq!(fill("{who}", &[]), "{who}");
        assert_eq!(fill("é{a}é", &[("a", "ü")]), "éüé");
    }

    #[test]
    fn counting_texts_agree_with_their_number() {
        assert_eq!(tn(Key::CountPorts, 1), "1 port");
        assert_eq!(tn(Key::CountPorts, 0), "0 ports");
        assert_eq!(tn(Key::CountPorts, 1234), "1,234 ports");
    }

    #[test]
    fn a_browser_preference_finds_its_language() {
        assert_eq!(Lang::from_tag("en-GB"), Some(Lang::En));
        assert_eq!(Lang::from_tag("tlh"), None);
    }

    #[test]
    fn every_language_has_the_placeholders_and_plural_forms_of_english() {
        fn names(text: &str) -> Vec<&str> {
            let first = text.split('|').next().unwrap_or_default();
            let mut names: Vec<&str> = first
                .split('{')
                .skip(1)
                .filter_map(|part| part.split('}').next())
                .collect();
            names.sort_unstable();
            names.dedup();
            names
        }
        for lang in Lang::ALL {
            for key in Key::ALL {
                let (english, text) = (Lang::En.text(*key), lang.text(*key));
                assert!(!text.is_empty(), "{key:?} is empty in {}", lang.tag());
                assert_eq!(names(english), names(text), "{key:?} in {}", lang.tag());
                if english.contains('|') {
                    assert_eq!(
                        text.split('|').count(),
                        plural::forms(*lang),
                        "{key:?} in {}",
                        lang.tag()
                    );
                }
            }
        }
    }
}
