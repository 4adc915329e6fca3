//! Messages about a range of addresses, and a drawing to scale of two that overlap, with what they share.

use leptos::prelude::*;
use portolan_shared::addr::{Cidr, to_bits};

use super::dynamic;
use super::field::Weight;
use crate::browser;
use crate::forms::range::{Overlap, Said};
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

/// The narrowest span that is drawn, as a share of the whole; less could not be seen.
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

/// Shown under a range: how large it is, what is in its way, and a range to take instead.
///
/// `name` is the field's, which gets the focus back when the offer is taken; `mine` names the range.
pub fn range_remarks(said: Signal<Said>, value: RwSignal<String>, name: &'static str, mine: Key) -> AnyView {
    let remarks = dynamic(move || {
        let said = said.get();
        let mut remarks = Vec::new();
        let wrong = said
            .message
            .as_ref()
            .is_some_and(|message| message.weight == Weight::Error);
        if let Some(size) = said.size.filter(|_| !wrong) {
            remarks.push(view! { <p class="field__hint">{size}</p> }.into_any());
        }
        if let Some(overlap) = &said.overlap {
            remarks.push(overlap_bars(overlap, mine));
        }
        if let Some(offered) = said.offered {
            let text = tp(Key::UseInstead, &[("cidr", &offered.to_string())]);
            let take = move |_| {
                value.set(offered.to_string());
                browser::focus(&format!("input[name={name}]"));
            };
            remarks.push(
                view! {
                    <p class="field__offer">
                        <button type="button" class="button button--small" on:click=take>
                            {text}
                        </button>
                    </p>
                }
                .into_any(),
            );
        }
        remarks.into_any()
    });
    view! { <div class="field__remarks" aria-live="polite">{remarks}</div> }.into_any()
}

/// The drawing; the sentence beside it says the same in words, so it is hidden from screen readers.
fn overlap_bars(overlap: &Overlap, mine: Key) -> AnyView {
    let drawing = draw(overlap.mine, overlap.theirs);
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
    let theirs = if overlap.name.is_empty() {
        overlap.theirs.to_string()
    } else {
        overlap.name.clone()
    };
    view! {
        <figure class="ranges" aria-hidden="true">
            {row(t(mine).to_owned(), drawing.mine, "ranges__mine")}
            {row(theirs, drawing.theirs, "ranges__theirs")}
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
