//! Two ranges of addresses to scale, one under the other, with what they share.

use leptos::prelude::*;
use portolan_shared::addr::{Cidr, to_bits};

use crate::i18n::{Key, t, tp};

/// Where something lies on a line from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Left end.
    pub from: f64,
    /// Length.
    pub length: f64,
}

/// Two networks that overlap, drawn on the larger one.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// The one being typed.
    pub mine: Span,
    /// The one that is there.
    pub theirs: Span,
    /// What both have.
    pub both: Span,
    /// First and last address of the drawing.
    pub ends: (String, String),
}

/// Narrowest span drawn, as a share of the whole: less could not be seen.
const NARROWEST: f64 = 0.012;

/// Where two networks that overlap lie on the larger one. They nest, as networks do.
pub fn draw(mine: Cidr, theirs: Cidr) -> Drawing {
    let whole = if mine.prefix() <= theirs.prefix() { mine } else { theirs };
    let (start, size) = (to_bits(whole.first()), whole.size() as f64);
    let span = |network: Cidr| {
        let length = (network.size() as f64 / size).clamp(NARROWEST, 1.0);
        let from = (to_bits(network.first()).saturating_sub(start)) as f64 / size;
        Span {
            from: from.min(1.0 - length),
            length,
        }
    };
    let (mine_span, theirs_span) = (span(mine), span(theirs));
    let both = if mine.prefix() >= theirs.prefix() {
        mine_span
    } else {
        theirs_span
    };
    Drawing {
        mine: mine_span,
        theirs: theirs_span,
        both,
        ends: (whole.first().to_string(), whole.last().to_string()),
    }
}

/// The drawing; the sentence beside it says the same in words, so it is hidden from screen readers.
pub fn overlap_bars(mine: Cidr, theirs: Cidr, their_name: &str) -> AnyView {
    let drawing = draw(mine, theirs);
    let row = |name: String, span: Span, class: &'static str| {
        let rect = |span: Span, class: &'static str| {
            view! {
                <rect
                    class=class
                    x=format!("{:.3}%", span.from * 100.0)
                    width=format!("{:.3}%", span.length * 100.0)
                    height="12"
                ></rect>
            }
            .into_any()
        };
        view! {
            <div class="ranges__row">
                <span class="ranges__name" title=name.clone()>{name.clone()}</span>
                <svg class="ranges__track">
                    <rect class="ranges__ground" width="100%" height="12"></rect>
                    {rect(span, class)}
                    {rect(drawing.both, "ranges__both")}
                </svg>
            </div>
        }
        .into_any()
    };
    let theirs_name = if their_name.is_empty() {
        theirs.to_string()
    } else {
        their_name.to_owned()
    };
    view! {
        <figure class="ranges" aria-hidden="true">
            {row(t(Key::ThisSubnet).to_owned(), drawing.mine, "ranges__mine")}
            {row(tp(Key::OtherSubnet, &[("name", &theirs_name)]), drawing.theirs, "ranges__theirs")}
            <div class="ranges__scale ranges__scale--offset">
                <span>{drawing.ends.0}</span>
                <span>{drawing.ends.1}</span>
            </div>
        </figure>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn the_smaller_lies_where_it_lies_in_the_larger() {
        let drawing = draw(cidr("10.0.1.0/24"), cidr("10.0.0.0/23"));
        assert_eq!(drawing.mine, Span { from: 0.5, length: 0.5 });
        assert_eq!(drawing.theirs, Span { from: 0.0, length: 1.0 });
        assert_eq!(drawing.both, drawing.mine);
        assert_eq!(drawing.ends, ("10.0.0.0".to_owned(), "10.0.1.255".to_owned()));
    }

    #[test]
    fn the_tiniest_can_still_be_seen_and_stays_inside() {
        let drawing = draw(cidr("10.0.0.0/8"), cidr("10.255.255.255/32"));
        assert_eq!(drawing.theirs.length, NARROWEST);
        assert!(drawing.theirs.from + drawing.theirs.length <= 1.0);
        let wide = draw(cidr("2001:db8::/32"), cidr("2001:db8::/64"));
        assert_eq!(wide.both, wide.theirs);
    }
}
