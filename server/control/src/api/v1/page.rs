//! The OpenAPI document as a page to read: one page, no scripts, the console's colours.
//!
//! Pure: a document in, HTML out. It knows what our documents hold, not all that OpenAPI allows.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::document::SERVER;
use super::sample::sample;

/// The page's style: the console's tokens, and what is this page's own.
pub const STYLE: &str = concat!(
    include_str!("../../../../../style/tokens.css"),
    include_str!("page.css")
);

/// The page.
pub fn page(document: &Value) -> String {
    let page = Page { document };
    let mut out = String::with_capacity(1 << 18);
    let info = &document["info"];
    let head = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Portolan API {version}</title>\n\
         <link rel=\"stylesheet\" href=\"{SERVER}/docs.css\">\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#content\">To the content</a>\n\
         <header><p class=\"title\"><a href=\"/\">Portolan</a> <span>API {SERVER}, version {version}</span></p>\
         <p class=\"links\"><a href=\"{SERVER}/openapi.json\">openapi.json</a></p></header>\n",
        version = escape(text(&info["version"])),
    );
    out.push_str(&head);
    page.contents(&mut out);
    out.push_str("<main id=\"content\">\n<h1>Portolan API</h1>\n");
    prose(&mut out, text(&info["description"]));
    for tag in array(&document["tags"]) {
        page.chapter(&mut out, tag);
    }
    page.types(&mut out);
    page.errors(&mut out);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// An operation, found in the document.
struct Found<'a> {
    method: String,
    path: &'a str,
    operation: &'a Value,
}

struct Page<'a> {
    document: &'a Value,
}

impl<'a> Page<'a> {
    /// Operations of a chapter: by path, reading first.
    fn operations(&self, tag: &str) -> Vec<Found<'a>> {
        let mut found = Vec::new();
        for (path, methods) in object(&self.document["paths"]) {
            for (method, operation) in object(methods) {
                if array(&operation["tags"]).iter().any(|one| one == tag) {
                    let method = method.to_uppercase();
                    found.push(Found {
                        method,
                        path,
                        operation,
                    });
                }
            }
        }
        found.sort_by_key(|one| {
            (
                one.path,
                ["GET", "POST", "PUT"]
                    .iter()
                    .position(|m| *m == one.method)
                    .unwrap_or(9),
            )
        });
        found
    }

    /// What a reference names, or the value itself.
    fn resolve(&self, value: &'a Value) -> &'a Value {
        let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        pointer
            .and_then(|pointer| self.document.pointer(pointer))
            .unwrap_or(value)
    }

    fn contents(&self, out: &mut String) {
        out.push_str("<nav aria-label=\"Contents\">\n");
        for tag in array(&self.document["tags"]) {
            let name = text(&tag["name"]);
            put(
                out,
                format_args!("<p><a href=\"#tag-{0}\">{0}</a></p>\n<ul>\n", escape(name)),
            );
            for found in self.operations(name) {
                let (id, summary) = (text(&found.operation["operationId"]), text(&found.operation["summary"]));
                put(
                    out,
                    format_args!("<li><a href=\"#{id}\">{}</a></li>\n", escape(summary)),
                );
            }
            out.push_str("</ul>\n");
        }
        out.push_str("<p><a href=\"#types\">Types</a></p>\n<p><a href=\"#errors\">Refusals</a></p>\n</nav>\n");
    }

    fn chapter(&self, out: &mut String, tag: &Value) {
        let name = text(&tag["name"]);
        put(
            out,
            format_args!("<section>\n<h2 id=\"tag-{0}\">{0}</h2>\n", escape(name)),
        );
        prose(out, text(&tag["description"]));
        for found in self.operations(name) {
            self.operation(out, &found);
        }
        out.push_str("</section>\n");
    }

    fn operation(&self, out: &mut String, found: &Found<'a>) {
        let operation = found.operation;
        let id = escape(text(&operation["operationId"]));
        put(
            out,
            format_args!(
                "<article>\n<h3 id=\"{id}\"><a href=\"#{id}\">{}</a></h3>\n\
                 <p class=\"route\"><b class=\"{}\">{}</b> <code>{SERVER}{}</code></p>\n",
                escape(text(&operation["summary"])),
                found.method.to_lowercase(),
                found.method,
                breakable(found.path),
            ),
        );
        prose(out, text(&operation["description"]));
        let parameters = array(&operation["parameters"]);
        if !parameters.is_empty() {
            out.push_str("<h4>Parameters</h4>\n<dl>\n");
            for parameter in parameters {
                let parameter = self.resolve(parameter);
                let place = format!("in the {}", text(&parameter["in"]));
                let required = parameter["required"] == true;
                self.entry(
                    out,
                    text(&parameter["name"]),
                    &parameter["schema"],
                    Some(&place),
                    required,
                    text(&parameter["description"]),
                );
            }
            out.push_str("</dl>\n");
        }
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        if !body.is_null() {
            put(out, format_args!("<h4>Body</h4>\n<p>{}</p>\n", self.kind(body)));
            self.fields(out, self.resolve(body));
        }
        self.answers(out, operation);
        out.push_str("<h4>Example</h4>\n");
        put(
            out,
            format_args!(
                "<pre tabindex=\"0\"><code>{}</code></pre>\n</article>\n",
                escape(&self.curl(found))
            ),
        );
    }

    fn answers(&self, out: &mut String, operation: &'a Value) {
        let responses = object(&operation["responses"]);
        out.push_str("<h4>Answers</h4>\n<dl>\n");
        for (status, response) in responses.clone().filter(|(_, response)| response.get("$ref").is_none()) {
            put(out, format_args!("<dt><b>{status}</b></dt>\n<dd>"));
            let content = response["content"]
                .as_object()
                .and_then(|content| content.iter().next());
            match content {
                Some((kind, body)) if kind == "application/json" => out.push_str(&self.kind(&body["schema"])),
                Some((kind, body)) => {
                    put(
                        out,
                        format_args!(
                            "<code>{}</code>. {}",
                            escape(kind),
                            code(text(&response["description"]))
                        ),
                    );
                    for (event, schema) in body["x-events"].as_object().into_iter().flatten() {
                        put(
                            out,
                            format_args!("<br>Event <code>{}</code>: {}", escape(event), self.kind(schema)),
                        );
                    }
                }
                None => out.push_str(&code(text(&response["description"]))),
            }
            out.push_str("</dd>\n");
        }
        for (status, response) in responses.filter(|(_, response)| response.get("$ref").is_some()) {
            let codes = text(&response["description"]).split(", ");
            let links: Vec<String> = codes
                .map(|code| format!("<a href=\"#error-{0}\"><code>{0}</code></a>", escape(code)))
                .collect();
            put(
                out,
                format_args!(
                    "<dt class=\"refused\"><b>{status}</b></dt>\n<dd>{}</dd>\n",
                    links.join(", ")
                ),
            );
        }
        out.push_str("</dl>\n");
    }

    /// A call as one types it.
    fn curl(&self, found: &Found<'a>) -> String {
        let operation = found.operation;
        let mut path = found.path.to_owned();
        let mut query = Vec::new();
        for parameter in array(&operation["parameters"]).iter().map(|one| self.resolve(one)) {
            let name = text(&parameter["name"]);
            let variable = format!("${}", name.to_uppercase());
            match text(&parameter["in"]) {
                "path" => path = path.replace(&format!("{{{name}}}"), &variable),
                "query" if parameter["required"] == true => query.push(format!("{name}={variable}")),
                _ => {}
            }
        }
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{}", query.join("&"))
        };
        let mut lines = vec![match found.method.as_str() {
            "GET" => "curl".to_owned(),
            method => format!("curl -X {method}"),
        }];
        let security = array(&operation["security"]);
        if security.iter().any(|one| one.get("token").is_some()) {
            lines.push("-H \"X-Auth-Token: $TOKEN\"".to_owned());
        } else if let Some(session) = security.first() {
            lines.push("-b \"portolan_session=$SESSION\"".to_owned());
            if session.get("csrf").is_some() {
                lines.push("-H \"X-CSRF-Token: $CSRF\"".to_owned());
            }
        }
        let body = &operation["requestBody"];
        if body["required"] == true {
            let example = sample(self.document, &body["content"]["application/json"]["schema"]);
            lines.push(format!("-d '{example}'"));
        }
        lines.push(format!("\"$PORTOLAN{SERVER}{path}{query}\""));
        lines.join(" \\\n  ")
    }

    fn types(&self, out: &mut String) {
        out.push_str("<section>\n<h2 id=\"types\">Types</h2>\n");
        for (name, schema) in object(&self.document["components"]["schemas"]) {
            put(
                out,
                format_args!(
                    "<article>\n<h3 id=\"type-{0}\"><a href=\"#type-{0}\">{0}</a></h3>\n",
                    escape(name)
                ),
            );
            prose(out, text(&schema["description"]));
            if !schema["properties"].is_object() {
                put(out, format_args!("<p>{}</p>\n", self.kind(schema)));
            }
            self.fields(out, schema);
            out.push_str("</article>\n");
        }
        out.push_str("</section>\n");
    }

    /// The fields of an object; the words of a closed list.
    fn fields(&self, out: &mut String, schema: &'a Value) {
        if let Some(properties) = schema["properties"].as_object() {
            out.push_str("<dl>\n");
            let required = array(&schema["required"]);
            let needed = |name: &str| required.iter().any(|one| one == name);
            let (first, then): (Vec<_>, Vec<_>) = properties.iter().partition(|(name, _)| needed(name));
            for (name, property) in first.into_iter().chain(then) {
                self.entry(out, name, property, None, needed(name), text(&property["description"]));
            }
            out.push_str("</dl>\n");
        }
        for one in array(&schema["oneOf"]) {
            self.fields(out, one);
        }
        if let Some(words) = schema["x-enumDescriptions"].as_object() {
            out.push_str("<dl>\n");
            for (word, about) in words {
                put(
                    out,
                    format_args!(
                        "<dt><code>{}</code></dt>\n<dd>{}</dd>\n",
                        escape(word),
                        code(text(about))
                    ),
                );
            }
            out.push_str("</dl>\n");
        }
    }

    fn entry(&self, out: &mut String, name: &str, schema: &'a Value, place: Option<&str>, required: bool, about: &str) {
        let place = place.map(|place| format!("{place}, ")).unwrap_or_default();
        let required = if required { ", <b>required</b>" } else { "" };
        put(
            out,
            format_args!(
                "<dt><code>{}</code> <span>{place}{}{required}</span></dt>\n<dd>{}</dd>\n",
                escape(name),
                self.kind(schema),
                code(about),
            ),
        );
    }

    /// What something is, in a few words, with links to types.
    fn kind(&self, schema: &Value) -> String {
        if let Some(name) = schema["$ref"]
            .as_str()
            .and_then(|reference| reference.rsplit('/').next())
        {
            return format!("<a href=\"#type-{0}\">{0}</a>", escape(name));
        }
        if let Some(value) = schema.get("const") {
            return format!("<code>{}</code>", escape(&value.to_string()));
        }
        let several = schema["anyOf"]
            .as_array()
            .filter(|some| some.iter().any(|one| one.get("$ref").is_some()));
        if let Some(some) = several {
            return some.iter().map(|one| self.kind(one)).collect::<Vec<_>>().join(" or ");
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(some) => some.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let mut words: Vec<String> = types
            .iter()
            .map(|word| match *word {
                "array" if schema["items"].is_object() => format!("list of {}", self.kind(&schema["items"])),
                "array" => {
                    let items = array(&schema["prefixItems"]).iter().map(|one| self.kind(one));
                    format!("[{}]", items.collect::<Vec<_>>().join(", "))
                }
                "string" if schema["anyOf"][0]["format"] == "ipv4" => "IP address".to_owned(),
                word => word.to_owned(),
            })
            .collect();
        if words.is_empty() && schema["oneOf"].is_array() {
            words.push("one of these objects".to_owned());
        }
        let mut kind = words.join(" or ");
        limits(&mut kind, schema);
        kind
    }

    fn errors(&self, out: &mut String) {
        out.push_str(
            "<section>\n<h2 id=\"errors\">Refusals</h2>\n<p>By code. Words in braces are parameters.</p>\n<dl>\n",
        );
        for (name, error) in object(&self.document["x-errors"]) {
            put(
                out,
                format_args!(
                    "<dt id=\"error-{0}\"><code>{0}</code> <span>{1}</span></dt>\n<dd>{2}</dd>\n",
                    escape(name),
                    error["status"],
                    escape(text(&error["sentence"])),
                ),
            );
        }
        out.push_str("</dl>\n</section>\n");
    }
}

/// What a schema limits, in words.
fn limits(kind: &mut String, schema: &Value) {
    let number = |name: &str| schema[name].as_u64().filter(|number| *number > 0);
    let range = match (number("minLength"), number("maxLength")) {
        (Some(min), Some(max)) => format!(", {min} to {max} characters"),
        (None, Some(max)) => format!(", at most {max} characters"),
        (Some(min), None) => format!(", at least {min} characters"),
        _ => String::new(),
    };
    kind.push_str(&range);
    if let Some(max) = number("maximum").filter(|max| *max < u64::from(u32::MAX)) {
        put(
            kind,
            format_args!(", {} to {max}", schema["minimum"].as_u64().unwrap_or(0)),
        );
    }
    if let Some(default) = schema.get("default").filter(|default| !default.is_array()) {
        put(
            kind,
            format_args!(", default <code>{}</code>", escape(&default.to_string())),
        );
    }
    let words = schema["enum"]
        .as_array()
        .filter(|words| words.len() <= 12 && schema["x-enumDescriptions"].is_null());
    if let Some(words) = words {
        let words: Vec<String> = words
            .iter()
            .map(|word| format!("<code>{}</code>", escape(&word.to_string())))
            .collect();
        put(kind, format_args!(": {}", words.join(", ")));
    }
}

/// Paragraphs, with `code` and **strong** words.
fn prose(out: &mut String, text: &str) {
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        put(out, format_args!("<p>{}</p>\n", strong(&code(paragraph))));
    }
}

/// Escaped, with what is between backticks as code.
fn code(text: &str) -> String {
    between(&escape(text), "`", "<code>", "</code>")
}

fn strong(html: &str) -> String {
    between(html, "**", "<strong>", "</strong>")
}

fn between(text: &str, mark: &str, open: &str, close: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, piece) in text.split(mark).enumerate() {
        if n % 2 == 1 {
            put(&mut out, format_args!("{open}{piece}{close}"));
        } else {
            out.push_str(piece);
        }
    }
    out
}

/// A path that may break after its slashes.
fn breakable(path: &str) -> String {
    escape(path).replace('/', "/<wbr>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> + Clone {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::super::document::document;
    use super::super::routes::operations;
    use super::*;

    fn made() -> String {
        page(&document(&operations()))
    }

    #[test]
    fn every_link_within_the_page_leads_somewhere() {
        let page = made();
        let ids: std::collections::HashSet<&str> = page
            .split(" id=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        let links = page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next());
        let dead: Vec<&str> = links.filter(|link| !ids.contains(link)).collect();
        assert!(dead.is_empty(), "{dead:?}");
        for operation in operations() {
            assert!(ids.contains(operation.id), "{}", operation.id);
        }
    }

    #[test]
    fn nothing_runs_and_nothing_is_styled_in_it() {
        let page = made();
        for forbidden in ["<script", "style=", "javascript:", "onclick", "http://", "https://"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(code("a `<b>` & c"), "a <code>&lt;b&gt;</code> &amp; c");
        assert_eq!(strong("**x** y"), "<strong>x</strong> y");
    }
}
