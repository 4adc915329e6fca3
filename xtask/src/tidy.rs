//! The house rules that a machine can hold people to, as tests over what is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

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

/// What is in no module is not compiled, and its tests are not run: nobody says so.
#[test]
fn every_source_is_part_of_a_program() {
    let sources: Vec<_> = sources()
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|kind| kind == "rs"))
        .collect();
    let roots = ["lib.rs", "main.rs", "build.rs"];
    let own = ["tests", "examples", "benches", "bin"];
    // Each of these is compiled by a test that expects the compiler to refuse it.
    let refused = Path::new("server/core/tests/forgotten");
    let named = |path: &Path, name: &str| {
        let folder = if name == "mod" {
            path.parent().and_then(Path::parent)
        } else {
            path.parent()
        };
        let name = match name {
            "mod" => path.parent().and_then(Path::file_name).and_then(|name| name.to_str()),
            name => Some(name),
        };
        let (Some(folder), Some(name)) = (folder, name) else {
            return false;
        };
        let line = format!("mod {name};");
        let block = folder
            .file_name()
            .and_then(|name| name.to_str())
            .map(|name| format!("mod {name} {{"));
        let says = |text: &str, line: &str| text.lines().any(|said| said.trim_end().ends_with(line));
        // The module is its folder's, that of the file that is called as the folder is, or in a file beside the folder
        // that has the folder's module in it.
        sources
            .iter()
            .filter(|(other, text)| {
                let beside =
                    other.parent() == folder.parent() && block.as_deref().is_some_and(|block| says(text, block));
                other.parent() == Some(folder) || other.with_extension("") == folder || beside
            })
            .any(|(_, text)| says(text, &line))
    };
    let stray: Vec<_> = sources
        .iter()
        .map(|(path, _)| path)
        .filter(|path| !path.starts_with(refused))
        .filter(|path| {
            let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
            !roots.contains(&file) && !folder.is_some_and(|folder| own.contains(&folder) && file != "mod.rs")
        })
        .filter(|path| {
            !named(
                path,
                path.file_stem().and_then(|name| name.to_str()).unwrap_or_default(),
            )
        })
        .collect();
    assert!(stray.is_empty(), "{stray:#?}");
}

#[test]
fn no_test_is_held_to_a_duration() {
    let found = breaches(&["rs"], |line| line.contains("assert") && line.contains("elapsed()"));
    assert!(found.is_empty(), "a busy machine breaks it: {found:#?}");
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
fn documents_that_are_named_are_there() {
    let documents: Vec<String> = sources()
        .iter()
        .filter_map(|(path, _)| path.file_name()?.to_str()?.strip_suffix(".md").map(str::to_owned))
        .collect();
    let named = |line: &str| -> Vec<String> {
        let words = line.split(|c: char| !(c.is_alphanumeric() || "-_./:".contains(c)));
        // What is on the web can be read there.
        let local = words.filter(|word| !word.contains("://"));
        let names = local.filter_map(|word| word.trim_end_matches(['.', ':']).strip_suffix(".md"));
        names
            .filter_map(|name| name.rsplit('/').next())
            .map(str::to_owned)
            .collect()
    };
    let found = breaches(&["rs", "ts", "css", "sh", "toml", "md", "proto"], |line| {
        named(line)
            .iter()
            .any(|name| !name.is_empty() && !documents.contains(name))
    });
    assert!(found.is_empty(), "nobody can read what these name: {found:#?}");
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

/// Whether Rust code reaches into a crate: by a path that begins with its name, or by a `use` of the name alone.
fn reaches_into(code: &str, name: &str) -> bool {
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut lines = lines.flat_map(|line| line.match_indices(name).map(move |(at, _)| line.split_at(at)));
    lines.any(|(before, from)| {
        let after = &from[name.len()..];
        let begins = !before.ends_with(|c: char| c.is_alphanumeric() || "_:.".contains(c));
        let alone = before.trim_start().ends_with("use ") && after.starts_with([';', ' ']);
        begins && (after.starts_with("::") || alone)
    })
}

#[test]
fn every_dependency_is_used() {
    let asked = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&asked.stdout).unwrap();
    let sources = sources();
    let mut idle = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        let folder = folder.strip_prefix(root()).unwrap();
        // Where a dependency of each kind may be used; examples and tests have those of both of the other kinds.
        let of = |folders: &[&str]| -> String {
            let inside = |path: &Path| folders.iter().any(|inner| path.starts_with(folder.join(inner)));
            let code = sources.iter().filter(|(path, _)| inside(path));
            code.map(|(_, text)| text.as_str()).collect()
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            let code = match dependency["kind"].as_str() {
                None => of(&["src"]),
                Some("build") => of(&["build.rs"]),
                Some(_) => of(&["src", "tests", "examples", "benches"]),
            };
            if !reaches_into(&code, &name.replace('-', "_")) {
                idle.push(format!("{}: {name}", folder.display()));
            }
        }
    }
    assert!(idle.is_empty(), "named in a manifest, and no code uses it: {idle:#?}");
}

#[test]
fn the_picture_of_the_crates_is_true() {
    let asked = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&asked.stdout).unwrap();
    let short = |name: &str| name.strip_prefix("portolan-").unwrap_or(name).to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: Vec<&str> = packages
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    let truth: BTreeMap<String, BTreeSet<String>> = packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let known = dependencies.filter(|dependency| dependency["kind"].is_null());
            let known = known.filter_map(|dependency| dependency["name"].as_str());
            let known = known.filter(|name| ours.contains(name)).map(short).collect();
            (short(package["name"].as_str().unwrap()), known)
        })
        .collect();
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, picture) = text.split_once("```crates\n").unwrap();
    let (picture, _) = picture.split_once("```").unwrap();
    let drawn: BTreeMap<String, BTreeSet<String>> = picture
        .lines()
        .filter_map(|line| line.split_once(" knows "))
        .map(|(name, known)| {
            let known = known.split(", ").filter(|name| *name != "nobody");
            (name.trim().to_owned(), known.map(str::to_owned).collect())
        })
        .collect();
    assert_eq!(drawn, truth, "the picture in ARCHITECTURE.md and the manifests differ");
}

#[test]
fn every_shared_dependency_is_somebodys() {
    let manifest = |path: &Path| path.file_name().is_some_and(|name| name == "Cargo.toml");
    let (whole, members): (Vec<_>, Vec<_>) = sources()
        .into_iter()
        .filter(|(path, _)| manifest(path))
        .partition(|(path, _)| path == Path::new("Cargo.toml"));
    let lines = whole.iter().flat_map(|(_, text)| text.lines());
    let listed = lines
        .skip_while(|line| *line != "[workspace.dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    let names: Vec<&str> = listed.filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    let takes = |line: &str, name: &str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(".workspace") || rest.starts_with(" = { workspace"))
    };
    let idle = names.iter().filter(|name| {
        !members
            .iter()
            .flat_map(|(_, text)| text.lines())
            .any(|line| takes(line, name))
    });
    let idle: Vec<_> = idle.collect();
    assert!(!names.is_empty() && idle.is_empty(), "{idle:#?}");
}
