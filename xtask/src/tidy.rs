//! The house rules that a machine can hold people to, as tests over what is committed.

use std::fs;
use std::path::PathBuf;

use crate::process::{cargo, program, root};

/// Source files of the checkout: path and text.
fn sources() -> Vec<(PathBuf, String)> {
    let listed = program("git")
        .args(["ls-files", "-z"])
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    let paths = String::from_utf8(listed).unwrap_or_default();
    let kinds = ["rs", "ts", "css", "sh", "toml", "json", "md", "proto"];
    let wanted = paths.split('\0').map(PathBuf::from).filter(|path| {
        path.extension()
            .and_then(|kind| kind.to_str())
            .is_some_and(|kind| kinds.contains(&kind))
    });
    wanted
        .filter_map(|path| Some((path.clone(), fs::read_to_string(root().join(path)).ok()?)))
        .collect()
}

/// `path:line: text` of every line that breaks a rule.
fn breaches(of: &[&str], breaks: impl Fn(&str) -> bool) -> Vec<String> {
    let here = PathBuf::from("xtask/src/tidy.rs");
    let mut found = Vec::new();
    for (path, text) in sources() {
        let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        if path == here || !of.contains(&kind) {
            continue;
        }
        let lines = text.lines().enumerate().filter(|(_, line)| breaks(line));
        found.extend(lines.map(|(number, line)| format!("{}:{}: {}", path.display(), number + 1, line.trim())));
    }
    found
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [
        "todo!(",
        "unimplemented!(",
        "TODO",
        "FIXME",
        "XXX",
        "#[ignore",
        "test.only(",
        "test.fixme(",
    ];
    let found = breaches(&["rs", "ts", "css", "sh"], |line| {
        marks.iter().any(|mark| line.contains(mark))
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nobody_sleeps_in_a_browser_test() {
    let found = breaches(&["ts"], |line| line.contains("waitForTimeout"));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn locks_name_no_hosts() {
    let found = breaches(&["json"], |line| line.contains("\"resolved\""));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_console_carries_no_schemas() {
    let tree = cargo()
        .args([
            "tree",
            "--package",
            "portolan-console",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--locked",
        ])
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    assert!(tree.contains("portolan-shared"), "{tree}");
    assert!(
        !tree.contains("schemars"),
        "the feature `schema` of portolan-shared is the server's"
    );
}

#[test]
fn no_file_is_two_rooms() {
    let most = 700;
    let long = sources().into_iter().filter_map(|(path, text)| {
        let kind = path.extension()?.to_str()?;
        let lines = text.lines().count();
        (["rs", "ts", "css"].contains(&kind) && lines > most).then(|| format!("{}: {lines} lines", path.display()))
    });
    let long: Vec<_> = long.collect();
    assert!(long.is_empty(), "over {most} lines: {long:#?}");
}
