//! Relative times that update by themselves.

use std::time::Duration;

use leptos::prelude::*;

use super::maybe;
use crate::browser;
use crate::i18n::{Key, format, t};

/// An age below this is no length worth naming (milliseconds).
const JUST_NOW: i64 = 5_000;

/// Now, as the page shows it.
#[derive(Clone, Copy)]
pub struct Clock {
    now: RwSignal<i64>,
    zone: i64,
}

impl Clock {
    /// Provides the clock to everything below; it ticks every 5 s.
    pub fn provide() {
        let now = RwSignal::new(browser::now());
        set_interval(move || now.set(browser::now()), Duration::from_secs(5));
        provide_context(Clock {
            now,
            zone: browser::zone(),
        });
    }

    /// Milliseconds, UTC; views that read it are drawn again at each tick.
    pub fn now(self) -> i64 {
        self.now.get()
    }

    /// Minutes east of UTC.
    pub fn zone(self) -> i64 {
        self.zone
    }
}

/// The clock of this application.
pub fn use_clock() -> Clock {
    expect_context::<Clock>()
}

/// A time: relative up to a day, whole on hover.
pub fn time(rfc3339: String) -> AnyView {
    shown(rfc3339, |at, clock| format::ago(at, clock.now(), clock.zone()))
}

/// How long ago something was, whole on hover.
pub fn age(rfc3339: String) -> AnyView {
    shown(rfc3339, |at, clock| match clock.now() - at {
        ..JUST_NOW => t(Key::JustNow).to_owned(),
        length => format::duration(length),
    })
}

fn shown(rfc3339: String, words: fn(i64, Clock) -> String) -> AnyView {
    let clock = use_clock();
    let at = format::parse_time(&rfc3339);
    let whole = at.map(|at| format::whole(at, clock.zone()));
    view! {
        <time class="nowrap" datetime=rfc3339 title=whole>
            {maybe(move || Some(words(at?, clock).into_any()))}
        </time>
    }
    .into_any()
}
