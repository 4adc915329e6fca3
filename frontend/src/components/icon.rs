//! Small drawings beside words. Never alone: a button that shows only one has a name of its own.

use leptos::prelude::*;

/// Which drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// Two sheets.
    Copy,
    /// Done.
    Check,
    /// Close.
    Cross,
    /// Opens to the right; turned, downwards.
    Chevron,
    /// Sort: largest last.
    Up,
    /// Sort: largest first.
    Down,
    /// Filter.
    Search,
    /// Drawer.
    Menu,
    /// Light theme.
    Sun,
    /// Dark theme.
    Moon,
    /// As the system has it.
    Screen,
    /// Networks.
    Network,
    /// Clusters.
    Cluster,
    /// Leave.
    Leave,
    /// More.
    Plus,
    /// Less.
    Minus,
    /// Attention.
    Warning,
    /// Waiting.
    Clock,
    /// Shadowport: a harbour's own.
    Anchor,
    /// Audit.
    List,
    /// Queue.
    Inbox,
    /// Looking only.
    Eye,
    /// A note for oneself.
    Note,
}

impl Icon {
    /// Strokes in a box of 16 by 16.
    fn path(self) -> &'static str {
        match self {
            Icon::Copy => "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
            Icon::Check => "M3 8.5l3.5 3.5L13 4.5",
            Icon::Cross => "M4 4l8 8M12 4l-8 8",
            Icon::Chevron => "M6 3.5L10.5 8 6 12.5",
            Icon::Up => "M8 12.5v-9M4.5 7L8 3.5 11.5 7",
            Icon::Down => "M8 3.5v9M4.5 9L8 12.5 11.5 9",
            Icon::Search => "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.5 10.5L14 14",
            Icon::Menu => "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
            Icon::Sun => {
                "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1"
            }
            Icon::Moon => "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z",
            Icon::Screen => "M2 3h12v8H2zM6 14h4M8 11v3",
            Icon::Network => "M6 2h4v3.5H6zM1.5 10.5h4V14h-4zM10.5 10.5h4V14h-4zM8 5.5V8M3.5 10.5V8h9v2.5",
            Icon::Cluster => "M8 1.5L13.5 4.7v6.6L8 14.5l-5.5-3.2V4.7zM8 8L13.3 4.8M8 8v6.3M8 8L2.7 4.8",
            Icon::Leave => "M6.5 2.5h-4v11h4M10 5l3 3-3 3M13 8H6",
            Icon::Plus => "M8 3v10M3 8h10",
            Icon::Minus => "M3 8h10",
            Icon::Warning => "M8 2L14.5 13.5h-13zM8 6.5v3M8 11.4v.2",
            Icon::Clock => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.8V8l2 1.5",
            Icon::Anchor => {
                "M8 4.5v9.5M8 4.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zM5.5 7h5M2.5 9c.3 3 2.6 5 5.5 5s5.2-2 5.5-5"
            }
            Icon::List => "M6 4h7.5M6 8h7.5M6 12h7.5M2.8 4h.4M2.8 8h.4M2.8 12h.4",
            Icon::Inbox => "M2.5 9.5L4.3 3h7.4l1.8 6.5v4h-11zM2.5 9.5h3.3L6.6 11h2.8l.8-1.5h3.3",
            Icon::Eye => {
                "M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8zM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4z"
            }
            Icon::Note => "M3 2.5h10v7l-3.5 4H3zM13 9.5H9.5v4M5.5 5.5h5M5.5 8h2.5",
        }
    }
}

/// The drawing, hidden from screen readers.
pub fn icon(icon: Icon) -> AnyView {
    view! {
        <svg
            width="16"
            height="16"
            viewBox="0 0 16 16"
            fill="none"
            stroke="currentColor"
            stroke-width="1.4"
            stroke-linecap="round"
            stroke-linejoin="round"
            aria-hidden="true"
        >
            <path d=icon.path()></path>
        </svg>
    }
    .into_any()
}
