//! Pages and panels that are not in the first download; each is loaded when it is first needed.
//!
//! Parts come in groups. A group is one file beside the console's, and the functions of its name that `wasm_split`
//! marks are in that file. Code that only such functions reach is in the same file; code that two groups reach is in a
//! file that both load.

use std::pin::Pin;
use std::sync::Arc;

use leptos::prelude::*;
use leptos::wasm_split::SplitLoaderError;

use super::button::{Look, button};
use super::error::error_block;
use super::panel::{Closing, panel};
use super::{dynamic, nothing};
use crate::api::Failure;
use crate::i18n::{Key, t};

/// Draws a part whose file is there.
pub type Draw = Arc<dyn Fn() -> AnyView + Send + Sync>;

/// A file that is being loaded, and what draws the part out of it.
pub type Loading = Pin<Box<dyn Future<Output = Result<Draw, SplitLoaderError>>>>;

/// A part that is not in the first download.
pub struct LazyPart {
    /// Loads its file; at once where it is there already.
    pub load: Box<dyn Fn() -> Loading + Send + Sync>,
    /// What it is called and what closes it, where it is a panel.
    pub panel: Option<(String, Callback<()>)>,
}

/// How far the file is.
#[derive(Clone)]
enum State {
    Loading,
    Loaded(Draw),
    Failed,
}

/// Shows the part as soon as its file is loaded, or an error with *Try again*.
pub fn lazy(part: LazyPart) -> AnyView {
    let LazyPart { load, panel } = part;
    let state = RwSignal::new(State::Loading);
    let load = Callback::new(move |()| {
        let loading = load();
        leptos::task::spawn_local(async move {
            let loaded = loading.await;
            // The reader may have left the page while its file was on the way; then its signal is gone.
            state.try_set(loaded.map_or(State::Failed, State::Loaded));
        });
    });
    load.run(());
    dynamic(move || {
        let state = state.get();
        untrack(|| match state {
            State::Loading => nothing(),
            State::Loaded(draw) => draw(),
            State::Failed => failed(panel.clone(), load),
        })
    })
}

/// Shown in place of the part when it could not be loaded.
fn failed(of_panel: Option<(String, Callback<()>)>, again: Callback<()>) -> AnyView {
    let said = error_block(&Failure::unreadable(t(Key::FailurePart)), Some(again));
    let Some((title, close)) = of_panel else {
        return said;
    };
    let closing = Closing::new(Signal::stored(false), close);
    let foot = move || button(Look::Plain, Key::Close, close);
    panel(Signal::stored(title), closing, said, Box::new(foot))
}
