//! The one stylesheet, out of the files of `style/`.
//!
//! The tests here also hold the tokens to their word: both dark themes are the same, and every pair of
//! colours that stands on one another has the contrast that WCAG 2.2 asks for.

use std::fs;
use std::path::Path;

use super::{ConsoleError, at};

/// The one stylesheet: `style/index.css` names the layers and files, in order.
///
/// A line `@import "name.css" layer(layer);` becomes that file's rules inside that layer; every
/// other line stays. A file that nobody imports is an error: it would be forgotten in silence.
pub(super) fn stylesheet(folder: &Path) -> Result<String, ConsoleError> {
    let entry_path = folder.join("index.css");
    let entry = fs::read_to_string(&entry_path).map_err(at(&entry_path))?;
    let mut css = String::new();
    let mut imported = vec!["index.css".to_owned()];
    for line in entry.lines() {
        let Some((name, layer)) = import(line) else {
            css.push_str(line);
            css.push('\n');
            continue;
        };
        let path = folder.join(name);
        let rules = fs::read_to_string(&path).map_err(at(&path))?;
        css.push_str(&format!("@layer {layer}{{{rules}}}\n"));
        imported.push(name.to_owned());
    }
    let entries = fs::read_dir(folder).map_err(at(folder))?;
    for entry in entries {
        let name = entry.map_err(at(folder))?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".css") && !imported.contains(&name) {
            return Err(ConsoleError::Style(format!("index.css does not import {name}")));
        }
    }
    Ok(squeeze(&css))
}

/// The file and the layer of an import line.
fn import(line: &str) -> Option<(&str, &str)> {
    let rest = line.trim().strip_prefix("@import \"")?;
    let (name, rest) = rest.split_once("\" layer(")?;
    Some((name, rest.strip_suffix(");")?))
}

/// Takes comments and indentation out of CSS. Knows no strings: the styles hold no comment marks in them.
fn squeeze(css: &str) -> String {
    let mut out = String::with_capacity(css.len());
    let mut rest = css;
    while let Some((before, after)) = rest.split_once("/*") {
        out.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    let lines: Vec<&str> = out.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_import_line_names_file_and_layer() {
        assert_eq!(
            import("@import \"table.css\" layer(components);"),
            Some(("table.css", "components"))
        );
        assert_eq!(import("@layer tokens, base;"), None);
        assert_eq!(import("@import \"table.css\";"), None);
    }

    #[test]
    fn comments_and_indentation_go() {
        assert_eq!(
            squeeze("/* a */\n  a {\n    color: red; /* b\n c */\n  }\n\n"),
            "a {\ncolor: red;\n}"
        );
        assert_eq!(squeeze("a{} /* open"), "a{}");
    }

    /// The raw values of one block of `tokens.css`, by name.
    fn block(css: &str, selector: &str) -> BTreeMap<String, String> {
        let start = css
            .find(selector)
            .map(|at| at + selector.len())
            .expect("the block is there");
        let body = css[start..]
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'))
            .expect("it has braces")
            .0;
        body.split(';')
            .filter_map(|line| line.trim().strip_prefix("--")?.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect()
    }

    fn tokens() -> (
        BTreeMap<String, String>,
        BTreeMap<String, String>,
        BTreeMap<String, String>,
    ) {
        let css = include_str!("../../../style/tokens.css");
        (
            block(css, ":root "),
            block(css, ":root:not([data-theme=\"light\"]) "),
            block(css, ":root[data-theme=\"dark\"] "),
        )
    }

    #[test]
    fn dark_is_the_same_whether_chosen_or_the_systems() {
        let (_, system, chosen) = tokens();
        assert_eq!(system, chosen);
        assert!(system.len() > 20);
    }

    /// Relative luminance of `#rrggbb` (WCAG 2.2).
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("hex digits")) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    #[test]
    fn colours_hold_their_contrast_in_both_themes() {
        const TEXT: [&str; 11] = [
            "ink",
            "ink-muted",
            "primary",
            "attention",
            "warning",
            "status-active",
            "status-building",
            "status-down",
            "status-disabled",
            "status-error",
            "primary-strong",
        ];
        let (light, dark, _) = tokens();
        for (theme, tokens) in [("light", light), ("dark", dark)] {
            let contrast = |a: &str, b: &str| {
                let (a, b) = (luminance(&tokens[a]), luminance(&tokens[b]));
                (a.max(b) + 0.05) / (a.min(b) + 0.05)
            };
            for ground in ["paper", "raised", "sunken"] {
                for text in TEXT {
                    assert!(
                        contrast(text, ground) >= 4.5,
                        "{text} on {ground}, {theme}: {:.2}",
                        contrast(text, ground)
                    );
                }
                assert!(contrast("line-control", ground) >= 3.0, "controls on {ground}, {theme}");
            }
            for (text, ground) in [
                ("on-primary", "primary"),
                ("on-primary", "primary-strong"),
                ("on-attention", "attention"),
                ("ink", "attention-soft"),
                ("ink-muted", "attention-soft"),
                ("ink", "warning-soft"),
                ("ink", "flash"),
                ("primary", "primary-soft"),
                ("ink-muted", "rhumb"),
                ("paper", "ink"),
            ] {
                assert!(
                    contrast(text, ground) >= 4.5,
                    "{text} on {ground}, {theme}: {:.2}",
                    contrast(text, ground)
                );
            }
        }
    }
}
