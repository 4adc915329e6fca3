//! What only a browser can do, behind functions so thin that nothing in them needs a test.
//!
//! Everything else in this crate compiles and is tested on the host; calling one of these there
//! panics, so pure code takes what they return as a parameter.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, ScrollIntoViewOptions, ScrollLogicalPosition};

/// Milliseconds since 1970, UTC.
pub fn now() -> i64 {
    js_sys::Date::now() as i64
}

/// The reader's zone, in minutes east of UTC.
pub fn zone() -> i64 {
    -(js_sys::Date::new_0().get_timezone_offset() as i64)
}

/// A number from 0 up to 1, for jitter alone.
pub fn random() -> f64 {
    js_sys::Math::random()
}

/// A key that no other request has: what makes a retried create one create.
pub fn fresh_key() -> String {
    if window().is_secure_context()
        && let Ok(crypto) = window().crypto()
    {
        return crypto.random_uuid();
    }
    // Plain http on another machine has no `randomUUID`; uniqueness is enough here.
    format!("{:x}-{:x}", now(), (random() * 9e15) as u64)
}

/// Reads a choice kept in this browser.
pub fn remembered(name: &str) -> Option<String> {
    window()
        .local_storage()
        .ok()??
        .get_item(&format!("portolan.{name}"))
        .ok()?
}

/// Keeps a choice in this browser; `None` forgets it. Never for secrets.
pub fn remember(name: &str, value: Option<&str>) {
    let Ok(Some(storage)) = window().local_storage() else {
        return;
    };
    let name = format!("portolan.{name}");
    // A full or forbidden storage only means that the choice is not kept.
    let _ = match value {
        Some(value) => storage.set_item(&name, value),
        None => storage.remove_item(&name),
    };
}

/// The languages the reader prefers, most preferred first, as tags.
pub fn languages() -> Vec<String> {
    let all = window().navigator().languages();
    all.iter().filter_map(|tag| tag.as_string()).collect()
}

/// Puts `text` on the clipboard; false where the browser does not let us.
pub async fn copy(text: String) -> bool {
    if !window().is_secure_context() {
        return false;
    }
    let promise = window().navigator().clipboard().write_text(&text);
    wasm_bindgen_futures::JsFuture::from(promise).await.is_ok()
}

/// Sets an attribute of the root element, or takes it away.
pub fn set_root_attribute(name: &str, value: Option<&str>) {
    let Some(root) = document().document_element() else {
        return;
    };
    let _ = match value {
        Some(value) => root.set_attribute(name, value),
        None => root.remove_attribute(name),
    };
}

/// Gives a variable of the style a value, for the whole page.
pub fn set_variable(name: &str, value: &str) {
    let Some(root) = document().document_element() else {
        return;
    };
    if let Some(root) = root.dyn_ref::<HtmlElement>() {
        // A browser that knows no variables lays out without them.
        let _ = root.style().set_property(name, value);
    }
}

/// Scrolls what has the focus from under `cover`, if it is there.
pub fn uncover_focused(cover: &Element) {
    let Some(focused) = focused() else { return };
    let (under, over) = (focused.get_bounding_client_rect(), cover.get_bounding_client_rect());
    let beside = under.right() <= over.left() || under.left() >= over.right();
    if !beside && under.bottom() > over.top() && under.top() < over.bottom() && !cover.contains(Some(&focused)) {
        let nearest = ScrollIntoViewOptions::new();
        nearest.set_block(ScrollLogicalPosition::Nearest);
        focused.scroll_into_view_with_scroll_into_view_options(&nearest);
    }
}

/// What has the focus.
pub fn focused() -> Option<HtmlElement> {
    document().active_element()?.dyn_into().ok()
}

/// Gives the first element that matches the focus.
pub fn focus(selector: &str) -> bool {
    match document().query_selector(selector) {
        Ok(Some(element)) => focus_element(&element),
        _ => false,
    }
}

/// Gives an element the focus.
pub fn focus_element(element: &Element) -> bool {
    match element.dyn_ref::<HtmlElement>() {
        Some(element) => element.focus().is_ok(),
        None => false,
    }
}

/// Clicks the first element that matches.
pub fn click(selector: &str) -> bool {
    let Ok(Some(element)) = document().query_selector(selector) else {
        return false;
    };
    match element.dyn_into::<HtmlElement>() {
        Ok(element) => {
            element.click();
            true
        }
        Err(_) => false,
    }
}

/// Whether keys typed now belong to a control.
pub fn typing() -> bool {
    focused().is_some_and(|element| {
        let name = element.tag_name();
        matches!(name.as_str(), "INPUT" | "TEXTAREA" | "SELECT") || element.is_content_editable()
    })
}

/// What can take the focus inside `container`, in order.
pub fn focusable(container: &Element) -> Vec<HtmlElement> {
    const SELECTOR: &str = "a[href], button:not([disabled]), input:not([disabled]), select:not([disabled]), \
                            textarea:not([disabled]), summary, [tabindex='0']";
    let Ok(list) = container.query_selector_all(SELECTOR) else {
        return Vec::new();
    };
    (0..list.length())
        .filter_map(|index| list.get(index)?.dyn_into::<HtmlElement>().ok())
        .filter(|element| element.offset_width() > 0 || element.offset_height() > 0)
        .collect()
}

/// Runs `work` once the page has been updated.
pub fn soon(work: impl FnOnce() + 'static) {
    after(0, work);
}

/// Runs `work` after so many milliseconds.
pub fn after(millis: i32, work: impl FnOnce() + 'static) {
    set_timeout(work, std::time::Duration::from_millis(millis.max(0) as u64));
}

/// A URL component, escaped.
pub fn escape(text: &str) -> String {
    String::from(js_sys::encode_uri_component(text))
}

/// Where the console comes from, such as `https://cloud.example`: requests of one's own go there too.
pub fn origin() -> String {
    window().location().origin().unwrap_or_default()
}

/// Path and query of the page.
pub fn here() -> String {
    let location = window().location();
    format!(
        "{}{}",
        location.pathname().unwrap_or_default(),
        location.search().unwrap_or_default()
    )
}
