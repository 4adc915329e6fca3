//! The server's parameters in the reader's language: who has what was asked for, and words of the server's own.

use super::{Key, codes, t, tn, tp};

/// A sentence of the server's in the reader's language: its params, and the reader's own.
///
/// `None` if a placeholder has no value: the server's own sentence has no holes.
pub fn sentence(key: Key, params: &[(String, String)], own: &[(&str, &str)]) -> Option<String> {
    let params: Vec<(&str, String)> = params
        .iter()
        .map(|(name, value)| (name.as_str(), param(name, value)))
        .collect();
    let mut all = own.to_vec();
    all.extend(params.iter().map(|(name, value)| (*name, value.as_str())));
    let said = tp(key, &all);
    (!said.contains('{')).then_some(said)
}

/// A param as the reader's language has it: holders and the server's own words in that language, all else as it is.
fn param(name: &str, value: &str) -> String {
    if codes::HOLDER_PARAMS.contains(&name) {
        return holders(value);
    }
    let known = |(word, _): &&(&str, Key)| codes::WORD_PARAMS.contains(&name) && value.eq_ignore_ascii_case(word);
    match codes::WORDS.iter().find(known).map(|(_, key)| t(*key)) {
        // English words may begin a sentence.
        Some(said) if !said.eq_ignore_ascii_case(value) => said,
        _ => value,
    }
    .to_owned()
}

/// The holders that have a page, each in the reader's language, with where it is below the project.
pub fn pages(params: &[(String, String)]) -> Vec<(String, String)> {
    let lines = params
        .iter()
        .filter(|(name, _)| codes::HOLDER_PARAMS.contains(&name.as_str()))
        .flat_map(|(_, value)| value.split('\n'));
    let page = |line: &str| {
        let (_, at) = line.split_once(' ')?.0.split_once('@')?;
        Some((holder(line), at.to_owned()))
    };
    lines.filter_map(page).collect()
}

/// `port web-1, pod default/db-0 and 3 more`, from a line for each holder.
fn holders(lines: &str) -> String {
    let said: Vec<String> = lines.split('\n').map(holder).collect();
    match said.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => tp(Key::ListLast, &[("most", &most.join(", ")), ("last", last)]),
    }
}

/// A holder: a number and a word, or a word with or without a name. What this console does not know stays.
pub fn holder(line: &str) -> String {
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (first, _) = first.split_once('@').unwrap_or((first, ""));
    let key = |list: &[(&str, Key)], word: &str| list.iter().find(|(known, _)| *known == word).map(|(_, key)| *key);
    if let Ok(n) = first.parse::<u64>() {
        return key(codes::COUNTS, rest).map_or_else(|| line.to_owned(), |key| tn(key, n));
    }
    let (pod, node) = rest.rsplit_once(' ').unwrap_or((rest, ""));
    key(codes::HOLDERS, first).map_or_else(
        || line.to_owned(),
        |key| tp(key, &[("name", rest), ("pod", pod), ("node", node)]),
    )
}

#[cfg(test)]
mod tests {
    use portolan_shared::holder::{At, Holder, Holders, Named, Plain, Several};
    use portolan_shared::ids::PortId;
    use portolan_shared::refusal::{Param, Unusable};

    use super::*;
    use crate::i18n::Lang;
    use crate::i18n::tests::in_language;

    /// One of each kind; names as odd as they may be.
    fn all() -> Vec<Holder> {
        let named = Named::ALL.iter().map(|kind| {
            Holder::Named(
                *kind,
                "3 pod, and {n}".into(),
                Some(At::Port(PortId::from_bytes([1; 16]))),
            )
        });
        let plain = Plain::ALL.iter().map(|plain| Holder::The(*plain));
        let several = Several::ALL
            .iter()
            .flat_map(|kind| [1, 2, 5].map(|n| Holder::Count(*kind, n)));
        let on = Holder::PodOn("default/web-1".into(), "node-2".into(), None);
        named.chain(plain).chain(several).chain([on]).collect()
    }

    #[test]
    fn english_is_what_the_server_says() {
        for holder in all() {
            assert_eq!(param("holder", &holder.param()), holder.to_string());
        }
        for held in [&all()[..0], &all()[..1], &all()[..2], &all()[..]] {
            let held = Holders(held.to_vec());
            assert_eq!(param("holders", &held.param()), held.to_string());
        }
        for reason in Unusable::ALL {
            assert_eq!(param("reason", &reason.param()), reason.to_string());
        }
    }

    #[test]
    fn every_holder_and_reason_is_said_in_russian() {
        let latin = |text: &str| text.chars().any(|c| c.is_ascii_alphabetic());
        in_language(Lang::Ru, || {
            for holder in all() {
                let said = param("holder", &holder.param());
                let names = ["3 pod, and {n}", "default/web-1", "node-2", "Portolan", "IP"];
                let words = names.iter().fold(said.clone(), |said, name| said.replace(name, ""));
                assert!(!latin(&words), "{said}");
            }
            for reason in Unusable::ALL {
                let said = param("reason", &reason.param());
                assert!(
                    !latin(&said.replace("loopback", "").replace("link-local", "")),
                    "{said}"
                );
            }
            assert_eq!(
                param("holders", "port web-1\npod_on default/db-0 node-2\n3 more"),
                "порт web-1, под default/db-0 на узле node-2 и ещё 3"
            );
        });
    }

    #[test]
    fn holders_with_a_page_are_linked() {
        let at = At::Port(PortId::from_bytes([1; 16]));
        let held = Holders(vec![
            Holder::Named(Named::Port, "web@1 x".into(), Some(at)),
            Holder::Named(Named::Port, "a@ports/b c".into(), None),
            Holder::The(Plain::Provider),
            Holder::Count(Several::More, 3),
        ]);
        let params = [
            ("network".to_owned(), held.param()),
            ("holders".to_owned(), held.param()),
        ];
        assert_eq!(pages(&params), [("port web@1 x".to_owned(), at.to_string())]);
    }

    #[test]
    fn what_is_not_known_stays() {
        for odd in ["", "moon", "moon base", "3 moons"] {
            assert_eq!(param("holder", odd), odd);
        }
        assert_eq!(param("name", "port"), "port");
    }
}
