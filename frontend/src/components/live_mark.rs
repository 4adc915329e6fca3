//! Shows whether what is on screen is up to date, and if not, since when.

use leptos::prelude::*;

use super::button::{Look, button};
use super::status::shape;
use super::time::use_clock;
use super::{dynamic, nothing};
use crate::i18n::{Key, format, t, tp};
use crate::live::Live;
use crate::live::link::Mark;
use crate::table::Tone;

/// The mark. Red, it can be pressed to try at once.
pub fn live_mark() -> AnyView {
    let live = expect_context::<Live>();
    let zone = use_clock().zone();
    let mark = dynamic(move || {
        let at = |time| format::clock(time, zone);
        let (class, drawing, text, long) = match live.link.get().mark() {
            Mark::Connecting => ("live", nothing(), t(Key::LiveConnecting).to_owned(), None),
            Mark::Live => ("live live--live", shape(Tone::Active), t(Key::Live).to_owned(), None),
            Mark::Reconnecting(since) => (
                "live live--reconnecting",
                shape(Tone::Building),
                t(Key::Reconnecting).to_owned(),
                Some(tp(Key::DataFrom, &[("time", &at(since))]).into_any()),
            ),
            Mark::Down(since) => (
                "live live--down",
                shape(Tone::Down),
                tp(Key::NotLiveSince, &[("time", &at(since))]),
                Some(button(Look::Link, Key::Retry, Callback::new(move |()| live.retry()))),
            ),
        };
        let long = match long {
            Some(long) => view! { <span class="live__long">{long}</span> }.into_any(),
            None => nothing(),
        };
        view! { <span class=class>{drawing} {text} {long}</span> }.into_any()
    });
    view! {
        <div role="status" aria-label=t(Key::LiveLabel) data-testid="live-mark">
            {mark}
        </div>
    }
    .into_any()
}
