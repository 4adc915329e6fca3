//! Which licences a package is used under: of what an SPDX expression offers, what comes first in a list of ours.

use std::collections::BTreeSet;

/// What is taken where there is a choice, the first of these: Portolan's own first, then what asks for least.
const PREFERRED: [&str; 10] = [
    "Apache-2.0",
    "MIT",
    "ISC",
    "BSD-3-Clause",
    "BSD-2-Clause",
    "Zlib",
    "Unicode-3.0",
    "BSL-1.0",
    "CC0-1.0",
    "MPL-2.0",
];

/// The licences that together allow the use; `None` if the expression makes no sense.
pub(super) fn chosen(expression: &str) -> Option<BTreeSet<String>> {
    // Old manifests write a slash for OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (chosen, rest) = either(&words)?;
    rest.is_empty().then_some(chosen)
}

/// What was read, and the words after it.
type Read<'a> = Option<(BTreeSet<String>, &'a [&'a str])>;

/// Alternatives.
fn either<'a>(words: &'a [&'a str]) -> Read<'a> {
    let (mut best, mut rest) = all(words)?;
    while let [word, after @ ..] = rest
        && *word == "OR"
    {
        let (other, left) = all(after)?;
        if cost(&other) < cost(&best) {
            best = other;
        }
        rest = left;
    }
    Some((best, rest))
}

/// Licences that hold together; AND binds before OR.
fn all<'a>(words: &'a [&'a str]) -> Read<'a> {
    let (mut sum, mut rest) = one(words)?;
    while let [word, after @ ..] = rest
        && *word == "AND"
    {
        let (other, left) = one(after)?;
        sum.extend(other);
        rest = left;
    }
    Some((sum, rest))
}

/// A licence, or something in parentheses.
fn one<'a>(words: &'a [&'a str]) -> Read<'a> {
    match words {
        ["(", inner @ ..] => {
            let (sum, rest) = either(inner)?;
            let after = rest.strip_prefix(&[")"])?;
            Some((sum, after))
        }
        [id, "WITH", exception, rest @ ..] => Some((BTreeSet::from([format!("{id} WITH {exception}")]), rest)),
        [id, rest @ ..] if !["OR", "AND", "WITH", ")"].contains(id) => Some((BTreeSet::from([(*id).to_owned()]), rest)),
        _ => None,
    }
}

/// The less, the rather.
fn cost(licences: &BTreeSet<String>) -> (usize, usize) {
    let rank = |id: &String| {
        PREFERRED
            .iter()
            .position(|known| known == id)
            .unwrap_or(PREFERRED.len())
    };
    (licences.iter().map(rank).max().unwrap_or_default(), licences.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_choice_our_own_licence_is_taken_and_what_is_joined_is_kept() {
        for (expression, expected) in [
            ("MIT", "MIT"),
            ("MIT OR Apache-2.0", "Apache-2.0"),
            ("Unlicense/MIT", "MIT"),
            ("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", "Apache-2.0"),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", "Apache-2.0 Unicode-3.0"),
            ("ISC AND (Apache-2.0 OR ISC)", "Apache-2.0 ISC"),
            ("MIT OR Apache-2.0 AND ISC", "MIT"),
        ] {
            let expected = expected.split(' ').map(str::to_owned).collect();
            assert_eq!(chosen(expression), Some(expected), "{expression}");
        }
    }

    #[test]
    fn what_is_no_expression_is_not_guessed_at() {
        for expression in ["", "MIT OR", "(MIT", "MIT Apache-2.0", "AND MIT", "MIT)"] {
            assert_eq!(chosen(expression), None, "{expression}");
        }
    }
}
