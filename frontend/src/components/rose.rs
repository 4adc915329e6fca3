//! The mark: a sixteen-point compass rose.

use leptos::prelude::*;

/// Points between the half winds: dark halves, light halves.
const SMALL: (&str, &str) = (
    "M0 0L5-7.5L10.3-24.9ZM0 0L8.8-1.8L24.9-10.3ZM0 0L7.5 5L24.9 10.3ZM0 0L1.8 8.8L10.3 24.9ZM0 0L-5 7.5L-10.3 24.9ZM0 0L-8.8 1.8L-24.9 10.3ZM0 0L-7.5-5L-24.9-10.3ZM0 0L-1.8-8.8L-10.3-24.9Z",
    "M0 0L1.8-8.8L10.3-24.9ZM0 0L7.5-5L24.9-10.3ZM0 0L8.8 1.8L24.9 10.3ZM0 0L5 7.5L10.3 24.9ZM0 0L-1.8 8.8L-10.3 24.9ZM0 0L-7.5 5L-24.9 10.3ZM0 0L-8.8-1.8L-24.9-10.3ZM0 0L-5-7.5L-10.3-24.9Z",
);
/// The half winds.
const MIDDLE: (&str, &str) = (
    "M0 0L9.2-3.8L26.2-26.2ZM0 0L3.8 9.2L26.2 26.2ZM0 0L-9.2 3.8L-26.2 26.2ZM0 0L-3.8-9.2L-26.2-26.2Z",
    "M0 0L3.8-9.2L26.2-26.2ZM0 0L9.2 3.8L26.2 26.2ZM0 0L-3.8 9.2L-26.2 26.2ZM0 0L-9.2-3.8L-26.2-26.2Z",
);
/// East, south and west.
const LARGE: (&str, &str) = (
    "M0 0L7.4 7.4L47 0ZM0 0L-7.4 7.4L0 47ZM0 0L-7.4-7.4L-47 0Z",
    "M0 0L7.4-7.4L47 0ZM0 0L7.4 7.4L0 47ZM0 0L-7.4 7.4L-47 0Z",
);

/// The rose, `size` pixels wide; hidden from screen readers.
pub fn rose(size: u32, faint: bool) -> AnyView {
    let tier = |(dark, light): (&'static str, &'static str)| {
        view! {
            <path class="rose__light" d=light></path>
            <path class="rose__dark" d=dark></path>
        }
        .into_any()
    };
    view! {
        <svg
            class=if faint { "rose rose--faint" } else { "rose" }
            width=size
            height=size
            viewBox="-50 -50 100 100"
            aria-hidden="true"
        >
            <circle class="rose__ring" r="31"></circle>
            <circle class="rose__ring" r="33.5"></circle>
            {tier(SMALL)}
            {tier(MIDDLE)}
            {tier(LARGE)}
            <path class="rose__light" d="M0 0L-7.4-7.4L0-47Z"></path>
            <path class="rose__north" d="M0 0L7.4-7.4L0-47Z"></path>
        </svg>
    }
    .into_any()
}

/// Rhumb lines from two roses off the page, behind the log-in form.
pub fn chart() -> AnyView {
    let lines = |x: f64, y: f64| {
        (0..32)
            .map(|wind| {
                let angle = f64::from(wind) * std::f64::consts::PI / 16.0;
                let (to_x, to_y) = (x + 2000.0 * angle.sin(), y - 2000.0 * angle.cos());
                view! {
                    <line
                        x1=format!("{x:.0}")
                        y1=format!("{y:.0}")
                        x2=format!("{to_x:.0}")
                        y2=format!("{to_y:.0}")
                    ></line>
                }
                .into_any()
            })
            .collect::<Vec<AnyView>>()
    };
    view! {
        <svg class="login__chart" viewBox="0 0 1000 700" preserveAspectRatio="xMidYMid slice" aria-hidden="true">
            {lines(170.0, 190.0)}
            {lines(850.0, 560.0)}
            <circle cx="170" cy="190" r="60"></circle>
            <circle cx="850" cy="560" r="90"></circle>
        </svg>
    }
    .into_any()
}
