//! Whether what is on screen is true now, and since when not.

use leptos::prelude::*;

use super::status::shape;
use super::time::use_clock;
use crate::i18n::{Key, format, t, tp};
use crate::live::Live;
use crate::live::link::Mark;
use crate::table::Tone;

/// The mark. Red, it can be pressed to try at once.
pub fn live_mark() -> impl IntoView {
    let live = expect_context::<Live>();
    let zone = use_clock().zone();
    let mark = Memo::new(move |_| live.link.get().mark());
    view! {
        <div role="status" aria-label=t(Key::LiveLabel) data-testid="live-mark">
            {move || {
                let at = |time| format::clock(time, zone);
                match mark.get() {
                    Mark::Connecting => view! { <span class="live">{t(Key::LiveConnecting)}</span> }.into_any(),
                    Mark::Live => {
                        view! { <span class="live live--live">{shape(Tone::Active)} {t(Key::Live)}</span> }.into_any()
                    }
                    Mark::Reconnecting(since) => {
                        view! {
                            <span class="live live--reconnecting">
                                {shape(Tone::Building)} {t(Key::Reconnecting)}
                                <span class="live__long">{tp(Key::DataFrom, &[("time", &at(since))])}</span>
                            </span>
                        }
                            .into_any()
                    }
                    Mark::Down(since) => {
                        view! {
                            <span class="live live--down">
                                {shape(Tone::Down)} {tp(Key::NotLiveSince, &[("time", &at(since))])} " "
                                <button
                                    type="button"
                                    class="button button--link"
                                    on:click=move |_| live.retry()
                                >
                                    {t(Key::Retry)}
                                </button>
                            </span>
                        }
                            .into_any()
                    }
                }
            }}
        </div>
    }
}
