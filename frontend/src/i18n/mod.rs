//! Every word on a screen, by key, in the language being shown.
//!
//! The words are those of the crate `portolan-texts`. English is linked; another language is a file
//! that `load` brings. [`choice`] decides which one is shown, and shows it. Placeholders are
//! `{name}`; a text that counts holds its plural forms separated by `|`.

pub mod choice;
pub mod format;
mod load;
pub mod params;

use std::cell::Cell;

use portolan_texts::en;
pub use portolan_texts::{Key, Lang, codes, plural};

use plural::Form;

/// The texts of a language that was loaded, in the order of the keys.
pub(crate) type Texts = &'static [&'static str];

thread_local! {
    /// What is shown: one page, one language.
    static SHOWN: Cell<(Lang, Option<Texts>)> = const { Cell::new((Lang::En, None)) };
}

/// The language being shown. Choosing another mounts the pages anew, so nothing needs to follow it.
pub fn current() -> Lang {
    SHOWN.get().0
}

/// Shows a language from now on; English needs no texts.
fn show(lang: Lang, texts: Option<Texts>) {
    SHOWN.set((lang, texts));
}

/// The text of a key without placeholders.
pub fn t(key: Key) -> &'static str {
    let loaded = SHOWN.get().1.and_then(|texts| texts.get(key as usize).copied());
    loaded.unwrap_or_else(|| en::text(key))
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
    let form = plural::form(current(), n);
    let number = format::number(n);
    let mut all = vec![("n", number.as_str())];
    all.extend_from_slice(params);
    fill(pick(t(key), form), &all)
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
pub(crate) mod tests {
    use super::*;

    /// Runs `check` in a language, as if it had been loaded.
    pub(crate) fn in_language(lang: Lang, check: impl FnOnce()) {
        let texts: Vec<&str> = Key::ALL.iter().map(|key| lang.text(*key)).collect();
        show(lang, Some(texts.leak()));
        check();
        show(Lang::En, None);
    }

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
    fn russian_counts_by_the_last_digits() {
        in_language(Lang::Ru, || {
            let counted = [1, 2, 5, 11, 21, 1234].map(|n| tn(Key::CountPorts, n));
            assert_eq!(
                counted,
                [
                    "1 порт",
                    "2 порта",
                    "5 портов",
                    "11 портов",
                    "21 порт",
                    "1\u{a0}234 порта"
                ]
            );
            assert_eq!((current(), t(Key::Networks)), (Lang::Ru, "Сети"));
        });
        assert_eq!((current(), t(Key::Networks)), (Lang::En, "Networks"));
    }

    #[test]
    fn an_account_may_have_any_language_of_the_console_and_no_other() {
        let tags: Vec<&str> = Lang::ALL.iter().map(|lang| lang.tag()).collect();
        assert_eq!(tags, portolan_shared::v1::LANGUAGES);
    }
}
