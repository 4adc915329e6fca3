//! Brings the texts of a language that is not linked.

use std::cell::RefCell;

use leptos::prelude::document;
use portolan_texts::file;

use super::{Lang, Texts};
use crate::api::client;

thread_local! {
    /// What was brought once stays: going back and forth asks nobody.
    static BROUGHT: RefCell<Vec<(Lang, Texts)>> = const { RefCell::new(Vec::new()) };
}

/// Where the page says a language's file is.
fn address(lang: Lang) -> Option<String> {
    let selector = format!("meta[name='portolan:texts:{}']", lang.tag());
    document().query_selector(&selector).ok()??.get_attribute("content")
}

/// The texts of a language; `None` when they could not be had, or are not for this page.
pub(super) async fn texts(lang: Lang) -> Option<Texts> {
    let brought = BROUGHT.with_borrow(|all| all.iter().find(|(of, _)| *of == lang).map(|(_, texts)| *texts));
    if brought.is_some() {
        return brought;
    }
    let file = client::get(&address(lang)?, None).await.ok()?;
    // Kept as long as the page is: at most once a language.
    let texts: Texts = file::read(file.leak(), lang)?.leak();
    BROUGHT.with_borrow_mut(|all| all.push((lang, texts)));
    Some(texts)
}
