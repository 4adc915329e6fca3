//! How full something is: the numbers, and a thin bar that shows them.

use leptos::prelude::*;

use crate::i18n::{Key, format, t, tp};

/// The bar is amber from this share on, in percent.
const WARN_FROM: u8 = 75;
/// The bar is red from this share on, in percent.
const FULL_FROM: u8 = 90;

/// What the bar says by its colour and a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Room enough.
    Fine,
    /// Getting full.
    Warning,
    /// Full, or nearly.
    Full,
}

/// How full `used` of `total` is.
pub fn fill(used: u64, total: u64) -> Fill {
    match format::percent(used, total) {
        _ if total == 0 => Fill::Fine,
        FULL_FROM.. => Fill::Full,
        WARN_FROM.. => Fill::Warning,
        _ => Fill::Fine,
    }
}

/// `231 of 253`, with the share and a word where it is getting full.
pub fn text(used: u64, total: u64) -> String {
    let of = tp(
        Key::UsedOf,
        &[("used", &format::number(used)), ("total", &format::number(total))],
    );
    match fill(used, total) {
        Fill::Fine => of,
        _ if used >= total => format!("{of}, {}", t(Key::Full)),
        _ => format!("{of}, {}", format::percent_text(used, total)),
    }
}

/// The bar with its numbers.
pub fn bar(used: u64, total: u64, wide: bool) -> AnyView {
    let class = match fill(used, total) {
        Fill::Fine => "bar",
        Fill::Warning => "bar bar--warning",
        Fill::Full => "bar bar--full",
    };
    let empty = used == 0 || total == 0;
    view! {
        <span class=class class:bar--wide=wide>
            <span class="bar__track" aria-hidden="true">
                <span
                    class="bar__fill"
                    class:bar__fill--none=empty
                    style:width=format!("{}%", format::percent(used, total))
                ></span>
            </span>
            <span class="bar__text">{text(used, total)}</span>
        </span>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_the_colour_says() {
        assert_eq!((fill(0, 0), text(0, 0).as_str()), (Fill::Fine, "0 of 0"));
        assert_eq!((fill(74, 100), text(74, 100).as_str()), (Fill::Fine, "74 of 100"));
        assert_eq!(
            (fill(231, 253), text(231, 253).as_str()),
            (Fill::Full, "231 of 253, 91 %")
        );
        assert_eq!(
            (fill(75, 100), text(75, 100).as_str()),
            (Fill::Warning, "75 of 100, 75 %")
        );
        assert_eq!((fill(5, 5), text(5, 5).as_str()), (Fill::Full, "5 of 5, full"));
    }
}
