//! Plural rules (Unicode CLDR, cardinal, whole numbers), one function a language.

use super::Lang;

/// Which of a text's forms, in the order the text lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// 1 port; 1, 21, 31 порт.
    One = 0,
    /// Everything else in English; 2 to 4, 22 to 24 порта.
    Few = 1,
    /// 0, 5 to 20, 25 портов. English has no such form and takes its last.
    Many = 2,
}

/// How many forms the language tells apart.
pub const fn forms(lang: Lang) -> usize {
    match lang {
        Lang::En => 2,
        Lang::Ru => 3,
    }
}

/// The form for `n` in `lang`.
pub const fn form(lang: Lang, n: u64) -> Form {
    match lang {
        Lang::En => one_other(n),
        Lang::Ru => slavic(n),
    }
}

/// English, German, Spanish and most of western Europe.
pub const fn one_other(n: u64) -> Form {
    if n == 1 { Form::One } else { Form::Few }
}

/// Russian, Ukrainian, Serbian.
pub const fn slavic(n: u64) -> Form {
    match (n % 10, n % 100) {
        (1, hundred) if hundred != 11 => Form::One,
        (2..=4, hundred) if hundred < 12 || hundred > 14 => Form::Few,
        _ => Form::Many,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_tells_one_from_the_rest() {
        assert_eq!(
            [0, 1, 2, 21].map(one_other),
            [Form::Few, Form::One, Form::Few, Form::Few]
        );
    }

    #[test]
    fn russian_goes_by_the_last_digits() {
        for n in [1, 21, 101, 1001] {
            assert_eq!(slavic(n), Form::One, "{n}");
        }
        for n in [2, 3, 4, 22, 104] {
            assert_eq!(slavic(n), Form::Few, "{n}");
        }
        for n in [0, 5, 11, 12, 14, 20, 111, 112] {
            assert_eq!(slavic(n), Form::Many, "{n}");
        }
    }
}
