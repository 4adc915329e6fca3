//! The console's files, embedded: the page for every path, and what it loads.
//!
//! Files below `assets/` carry their hash in their name and are kept for ever; the page itself is
//! asked for again each time. Where a `.br` is beside a file, browsers that can get that.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use crate::api::error::Failure;

#[derive(RustEmbed)]
#[folder = "$PORTOLAN_CONSOLE"]
#[allow_missing = true]
struct Dist;

/// A file of the console.
struct File {
    data: Cow<'static, [u8]>,
    hash: [u8; 32],
}

fn embedded(path: &str) -> Option<File> {
    Dist::get(path).map(|file| File {
        data: file.data,
        hash: file.metadata.sha256_hash(),
    })
}

/// Answers a browser's `GET`.
pub fn serve(path: &str, headers: &HeaderMap) -> Response {
    answer(&embedded, path, headers)
}

const NOT_BUILT: &str = "<!doctype html>\n<html lang=\"en\">\n<title>Portolan</title>\n\
    <h1>Portolan</h1>\n<p>The console was not built into this server. Build it with <code>cargo xtask console</code>, \
    then build the server again. The APIs work without it: <code>/v3</code>, <code>/v2.0</code> and \
    <code>/portolan/v1</code>.</p>\n</html>\n";

fn answer(files: &impl Fn(&str) -> Option<File>, path: &str, headers: &HeaderMap) -> Response {
    let name = path.trim_start_matches('/');
    let asset = name.starts_with("assets/");
    let (name, found) = match files(name).filter(|_| !name.is_empty()) {
        Some(file) => (name, Some(file)),
        // What a page once loaded and is gone is not the page.
        None if asset => return Failure::NoRoute.into_response(),
        None => ("index.html", files("index.html")),
    };
    let Some(plain) = found else {
        let mut response = Response::new(Body::from(NOT_BUILT));
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
        return response;
    };
    let brotli = takes_brotli(headers).then(|| files(&format!("{name}.br"))).flatten();
    let encoded = brotli.is_some();
    let file = brotli.unwrap_or(plain);
    let tag: String = file.hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = if known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(match file.data {
            Cow::Borrowed(data) => Body::from(data),
            Cow::Owned(data) => Body::from(data),
        })
    };
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let cache = if asset {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if encoded {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    if let Ok(value) = HeaderValue::from_str(&tag) {
        out.insert(header::ETAG, value);
    }
    response
}

fn takes_brotli(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accepted.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        parts.next() == Some("br") && parts.all(|part| part.replace(' ', "") != "q=0")
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Option<File> {
        let data: &'static [u8] = match path {
            "index.html" => b"page",
            "assets/app-1.js" => b"script",
            "assets/app-1.js.br" => b"small",
            "favicon.svg" => b"<svg/>",
            _ => return None,
        };
        Some(File {
            data: Cow::Borrowed(data),
            hash: [u8::try_from(path.len()).unwrap_or(0); 32],
        })
    }

    /// Else a console that is built after the server, as a newcomer may, is never found.
    #[test]
    fn the_folder_has_no_steps_back() {
        let folder = std::path::Path::new(env!("PORTOLAN_CONSOLE")).parent().unwrap();
        assert_eq!(folder.canonicalize().unwrap(), folder);
    }

    fn ask(path: &str, headers: &[(&'static str, &str)]) -> Response {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        answer(&file, path, &map)
    }

    fn header_of(response: &Response, name: &str) -> String {
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    }

    #[test]
    fn every_path_is_the_page_but_files_and_assets() {
        for path in ["/", "/networks/1", "/index.html", "/nonsense"] {
            let response = ask(path, &[]);
            assert_eq!(
                header_of(&response, "content-type"),
                "text/html; charset=utf-8",
                "{path}"
            );
            assert_eq!(header_of(&response, "cache-control"), "no-cache");
        }
        assert_eq!(header_of(&ask("/favicon.svg", &[]), "content-type"), "image/svg+xml");
        assert_eq!(ask("/assets/gone.js", &[]).status(), StatusCode::NOT_FOUND);
        let asset = ask("/assets/app-1.js", &[]);
        assert!(header_of(&asset, "cache-control").contains("immutable"));
    }

    #[test]
    fn browsers_that_can_get_the_small_one() {
        let encoding = |accepts| {
            header_of(
                &ask("/assets/app-1.js", &[("accept-encoding", accepts)]),
                "content-encoding",
            )
        };
        assert_eq!(encoding("gzip, br"), "br");
        assert_eq!(encoding("gzip, br;q=0"), "");
        assert_eq!(encoding("gzip"), "");
        assert_eq!(
            header_of(&ask("/", &[("accept-encoding", "br")]), "content-encoding"),
            ""
        );
    }

    #[test]
    fn what_a_browser_has_is_not_sent_again() {
        let tag = header_of(&ask("/", &[]), "etag");
        assert_eq!(ask("/", &[("if-none-match", &tag)]).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(ask("/", &[("if-none-match", "\"other\"")]).status(), StatusCode::OK);
    }

    #[test]
    fn a_server_without_console_says_so() {
        let response = answer(&|_: &str| None, "/", &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::OK);
    }
}
