//! What holds for every text of every language.

use crate::{Key, Lang, codes, plural};

/// The placeholders of each form of a text, sorted.
fn placeholders(text: &str) -> Vec<Vec<&str>> {
    text.split('|')
        .map(|form| {
            let parts = form.split('{').skip(1);
            let mut names: Vec<&str> = parts
                .map(|part| part.split_once('}').map_or("", |(name, _)| name))
                .collect();
            names.sort_unstable();
            names
        })
        .collect()
}

#[test]
fn placeholders_are_those_of_english_in_every_form() {
    for lang in Lang::ALL {
        for key in Key::ALL {
            let text = lang.text(*key);
            let wanted = placeholders(Lang::En.text(*key)).pop().unwrap();
            for form in placeholders(text) {
                assert_eq!(form, wanted, "{key:?} in {}: {text}", lang.tag());
            }
            assert_eq!(text.matches('{').count(), text.matches('}').count(), "{key:?}: {text}");
        }
    }
}

#[test]
fn texts_that_count_have_each_form_of_their_language() {
    for lang in Lang::ALL {
        for key in Key::ALL {
            let (english, text) = (Lang::En.text(*key), lang.text(*key));
            let forms = if english.contains('|') { plural::forms(*lang) } else { 1 };
            assert_eq!(text.split('|').count(), forms, "{key:?} in {}: {text}", lang.tag());
        }
    }
}

#[test]
fn texts_are_there_on_one_line_and_do_not_end_in_space() {
    for lang in Lang::ALL {
        for key in Key::ALL {
            let text = lang.text(*key);
            assert!(!text.is_empty() && text.trim_matches(' ') == text, "{key:?}: “{text}”");
            assert!(!text.contains(['\n', '\r', '\t']), "{key:?} in {}", lang.tag());
        }
    }
}

#[test]
fn sentences_end_alike() {
    for key in Key::ALL {
        let (english, russian) = (Lang::En.text(*key), Lang::Ru.text(*key));
        // A word cut short is no sentence.
        let sentence = english.contains(' ') && *key != Key::MonthNames;
        for end in ['.', '?', '…'] {
            assert!(
                !sentence || english.ends_with(end) == russian.ends_with(end),
                "{key:?}: “{english}” but “{russian}”"
            );
        }
        assert!(!russian.contains('!'), "{key:?}: {russian}");
    }
}

#[test]
fn russian_is_russian() {
    let cyrillic = |text: &str| text.chars().any(|c| ('\u{400}'..='\u{4ff}').contains(&c));
    let words = |text: &str| {
        let parts = text.split(['{', '}']).step_by(2);
        parts.flat_map(str::chars).any(char::is_alphabetic)
    };
    // Proper names and abbreviations that Russian writes so too.
    let known = [
        "Portolan",
        "ID",
        "MTU",
        "DHCP",
        "DNS",
        "{page} · Portolan",
        "Shadowport",
        "API",
        "VXLAN",
    ];
    for key in Key::ALL {
        let text = Lang::Ru.text(*key);
        assert!(
            known.contains(&text) || cyrillic(text) || !words(text),
            "{key:?}: {text}"
        );
    }
}

#[test]
fn there_are_twelve_months() {
    for lang in Lang::ALL {
        assert_eq!(lang.text(Key::MonthNames).split(' ').count(), 12, "{}", lang.tag());
    }
}

#[test]
fn codes_are_named_once() {
    for list in [
        codes::ERRORS,
        codes::FAILURES,
        codes::REASONS,
        codes::WORDS,
        codes::HOLDERS,
        codes::COUNTS,
    ] {
        for (index, (code, _)) in list.iter().enumerate() {
            assert!(list[index + 1..].iter().all(|(other, _)| other != code), "{code}");
        }
    }
}

#[test]
fn a_preference_finds_its_language() {
    assert_eq!(Lang::from_tag("en-GB"), Some(Lang::En));
    assert_eq!(Lang::from_tag("RU_ru"), Some(Lang::Ru));
    assert_eq!(Lang::from_tag("tlh"), None);
    assert_eq!(Lang::preferred(["tlh", "ru-RU", "en"]), Lang::Ru);
    assert_eq!(Lang::preferred(["de", ""]), Lang::En);
    assert_eq!(Lang::preferred([]), Lang::En);
}
