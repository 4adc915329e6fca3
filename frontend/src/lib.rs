//! The console: a single-page application over `/portolan/v1` (reads, live) and `/v2.0` (writes).
//!
//! It never decides what the server decides: it says beforehand what the server would say, with the
//! server's own code (`portolan-shared`). It keeps no secret: the session is a cookie it cannot read.
//! Everything but [`browser`] and the components' event handlers is plain functions, tested on the host.
//!
//! Start with [`screens`] (which pages there are), then [`app`] (where they are) and a page such as
//! [`screens::networks`], then [`table`] (rows as data) and [`api::read`] (how a page stays true).

pub mod api;
pub mod app;
pub mod browser;
pub mod components;
pub mod forms;
pub mod i18n;
pub mod live;
pub mod paths;
pub mod screens;
pub mod session;
pub mod table;

/// Mounts the application into the page, once the language to be shown is there.
pub fn mount() {
    std::panic::set_hook(Box::new(|info| leptos::logging::error!("{info}")));
    wasm_bindgen_futures::spawn_local(async {
        let missing = i18n::choice::start().await;
        leptos::mount::mount_to_body(move || app::app(missing));
    });
}
