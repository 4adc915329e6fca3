//! `cargo xtask notices`: writes THIRD-PARTY.md, which says what others wrote of the programs and the console, and under
//! which licences.
//!
//! Cargo says which packages these are and where they lie; the texts are those that the packages carry. The same lock
//! file gives the same bytes, and a test holds the committed file to that. Start at [`text`].

mod choice;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::binaries::{PLUGIN, PROGRAMS};
use crate::process::{Failed, cargo, root};
use texts::{Text, texts};

/// What is written, in the checkout.
const FILE: &str = "THIRD-PARTY.md";

/// Which machine the programs are looked at for: named, so that every machine writes the same file.
const MACHINE: &str = "x86_64-unknown-linux-gnu";
/// What the console runs on.
const BROWSER: &str = "wasm32-unknown-unknown";

/// What the console is linked with by tools of these packages: they write JavaScript that a page loads.
const SCRIPTS: [&str; 2] = ["wasm-bindgen-cli-support", "wasm_split_cli_support"];

/// What stands above the table.
const HEAD: &str = "\
# Third-party notices

<!-- Made by `cargo xtask notices`. Do not edit. -->

Portolan is under the Apache License 2.0 ([LICENSE](LICENSE)). Its programs and its console contain, or are made with,
what others wrote; this says what, and under which licences. Where a package offers a choice, *used under* is what
Portolan takes. The text of the Apache License is in LICENSE; the texts of all other licences are below.

## Beside the packages

- The Rust standard library, in every program and in the console: MIT OR Apache-2.0, used under Apache-2.0.
- SQLite, in `portolan`, by way of the package `libsqlite3-sys`: its authors gave it to the public domain.
- The GNU C Library, in a `portolan-cni` that `cargo xtask build` made, because that one is linked statically:
  LGPL-2.1-or-later. It must stay possible to link it anew with another C library; Portolan's sources and
  `cargo xtask build` are all that this needs.
- `server/control/tests/api/openapi-3.1.json`, in the tests alone: the OpenAPI Initiative's schema of OpenAPI 3.1,
  Apache-2.0.

## Packages
";

/// A package of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    /// The SPDX expression that its manifest has.
    licence: String,
    /// As its manifest names them.
    authors: Vec<String>,
    /// Where its files are.
    folder: PathBuf,
}

/// Packages by name and version, and what each is in.
type Packages = BTreeMap<(String, String), (Package, BTreeSet<&'static str>)>;

/// Writes the file.
pub fn notices() -> Result<(), Failed> {
    let text = text(&packages()?)?;
    let file = root().join(FILE);
    fs::write(&file, text).map_err(|error| Failed::Other(format!("{}: {error}", file.display())))
}

/// Everything that ships.
fn packages() -> Result<Packages, Failed> {
    let known = known()?;
    let programs = PROGRAMS.iter().chain([&PLUGIN]).copied().collect::<Vec<_>>();
    let scripts = known
        .keys()
        .filter(|(name, _)| SCRIPTS.contains(&name.as_str()))
        .cloned();
    let shipped = [
        ("programs", tree(MACHINE, &programs)?),
        ("console", tree(BROWSER, &["portolan-console"])?),
        ("console", scripts.collect()),
    ];
    let mut found = Packages::new();
    for (part, ids) in shipped {
        for id in ids {
            // What is not known is our own.
            let Some(package) = known.get(&id) else { continue };
            let entry = found.entry(id).or_insert_with(|| (package.clone(), BTreeSet::new()));
            entry.1.insert(part);
        }
    }
    Ok(found)
}

/// All packages of others that the lock file names for the two targets.
fn known() -> Result<BTreeMap<(String, String), Package>, Failed> {
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--locked"]);
    command.args(["--filter-platform", MACHINE, "--filter-platform", BROWSER]);
    let metadata: Value = serde_json::from_str(&said(&mut command)?)
        .map_err(|error| Failed::Other(format!("what cargo metadata says is no JSON: {error}")))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let others = packages.filter(|package| !package["source"].is_null());
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(others
        .map(|package| {
            let (name, version) = (word(&package["name"]), word(&package["version"]));
            let manifest = word(&package["manifest_path"]);
            let authors = package["authors"].as_array().into_iter().flatten();
            let package = Package {
                name: name.clone(),
                version: version.clone(),
                licence: word(&package["license"]),
                authors: authors.map(word).collect(),
                folder: Path::new(&manifest).parent().map(Path::to_path_buf).unwrap_or_default(),
            };
            ((name, version), package)
        })
        .collect())
}

/// Name and version of all that these packages are made of and built with; not what only their tests need.
fn tree(target: &str, packages: &[&str]) -> Result<BTreeSet<(String, String)>, Failed> {
    let mut command = cargo();
    command.args(["tree", "--locked", "--edges", "normal,build", "--target", target]);
    command.args(["--prefix", "none", "--no-dedupe", "--format", "{p}"]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    let id = |line: &str| {
        let (name, rest) = line.split_once(" v")?;
        Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
    };
    Ok(said(&mut command)?.lines().filter_map(id).collect())
}

/// What it says if it succeeds.
fn said(command: &mut std::process::Command) -> Result<String, Failed> {
    let what = crate::process::typed(command);
    match command.output() {
        Err(error) => Err(Failed::Start(what, error)),
        Ok(output) if !output.status.success() => {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            Err(Failed::Ended(what, output.status.code()))
        }
        Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
    }
}

/// The whole file.
fn text(packages: &Packages) -> Result<String, Failed> {
    let mut out = HEAD.to_owned();
    out.push_str("\n| package | version | licence | used under | in |\n|---|---|---|---|---|\n");
    let mut by_text: BTreeMap<Text, Vec<String>> = BTreeMap::new();
    for (package, parts) in packages.values() {
        let chosen = choice::chosen(&package.licence).ok_or_else(|| {
            let Package { name, licence, .. } = package;
            Failed::Other(format!("{name}: this licence cannot be read: {licence:?}"))
        })?;
        let under = chosen.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let parts = parts.iter().copied().collect::<Vec<_>>().join(", ");
        let Package {
            name, version, licence, ..
        } = package;
        let _ = writeln!(out, "| {name} | {version} | {licence} | {under} | {parts} |");
        for (text, whose) in texts(package, &chosen, packages)? {
            by_text
                .entry(text)
                .or_default()
                .push(format!("{name} {version}{whose}"));
        }
    }
    out.push_str("\n## Licence texts\n");
    for (text, applies) in by_text {
        let _ = write!(out, "\n### {}\n\nOf {}.\n", text.title, applies.join(", "));
        // A fence longer than any that a text has within.
        let _ = write!(out, "\n````text\n{}\n````\n", text.body);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_notices_are_those_of_the_lock_file() {
        let committed = fs::read_to_string(root().join(FILE)).unwrap_or_default();
        let packages = packages().unwrap();
        let listed: BTreeSet<(String, String)> = committed
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| ")?.split(" | ");
                Some((cells.next()?.to_owned(), cells.next()?.to_owned()))
            })
            .filter(|(name, _)| name != "package")
            .collect();
        let today: BTreeSet<_> = packages.keys().cloned().collect();
        let missing: Vec<_> = today.difference(&listed).collect();
        let surplus: Vec<_> = listed.difference(&today).collect();
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "{FILE} lacks {missing:?} and lists {surplus:?}, which does not ship: run `cargo xtask notices`"
        );
        assert!(
            committed == text(&packages).unwrap(),
            "{FILE} lists the right packages and is not what would be written: run `cargo xtask notices`"
        );
    }
}
