//! The API tried by its own description: Schemathesis makes requests of what `/portolan/v1/openapi.json` says, right
//! ones and wrong ones, and holds every answer against it. Against a real server, as a member and as an administrator.

mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries::Profile;
use crate::process::{Failed, program, typed};
use crate::python::SCHEMATHESIS;
use crate::tally::{Tally, junit};
use world::World;

/// What every answer must hold: no failure of the server's, nothing that the document does not say, no wrong request
/// that is taken for a right one, no way in without credentials.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection,unsupported_method,allow_header_conformance,\
                      missing_required_header,ignored_auth,use_after_free";

/// What is not called: a stream has no end to wait for.
const ENDLESS: &str = "streamEvents";

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// About a minute, the same each time.
    Short,
    /// An hour, something else each time.
    Long,
}

impl Effort {
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Short => &["--max-examples", "8", "--generation-deterministic"],
            Self::Long => &[
                "--max-examples",
                "400",
                "--max-time",
                "1700",
                "--generation-database",
                "none",
            ],
        }
    }

    fn programs(self) -> PathBuf {
        match self {
            Self::Short => Profile::Dev.folder(),
            Self::Long => Profile::Release.folder(),
        }
    }
}

/// Tries the API; each operation counts as a test for each of the two.
pub fn schemathesis(effort: Effort) -> Result<Tally, Failed> {
    let skipped = |reason: &str| Tally {
        skipped: vec![("the API by its description".into(), reason.into())],
        ..Tally::default()
    };
    let tool = match SCHEMATHESIS.ensure() {
        Ok(tool) => tool,
        Err(reason) => return Ok(skipped(&reason)),
    };
    let mut world = World::start(&effort.programs().join("portolan"))?;
    let mut sum = Tally::default();
    for who in ["member", "admin"] {
        sum.add(tried(&tool, &world, who, effort)?);
    }
    world.end()?;
    Ok(sum)
}

/// One run, by somebody with a token.
fn tried(tool: &Path, world: &World, who: &str, effort: Effort) -> Result<Tally, Failed> {
    let (config, report) = (
        world.folder().join(format!("{who}.toml")),
        world.folder().join(format!("{who}.xml")),
    );
    fs::write(&config, world.config(who)?).map_err(|error| Failed::Other(error.to_string()))?;
    let base = format!("{}/portolan/v1", world.base());
    let mut command = program(tool);
    // It leaves files where it is started.
    command.current_dir(world.folder());
    command.arg("--config-file").arg(&config);
    command.args(["run", &format!("{base}/openapi.json"), "--url", &base, "--no-color"]);
    command.args([
        "--checks",
        CHECKS,
        "--exclude-operation-id",
        ENDLESS,
        "--warnings",
        "off",
    ]);
    command.args(["--report", "junit", "--report-junit-path"]);
    command.arg(&report).args(effort.words());
    let succeeded = succeeds_or_says(&mut command)?;
    let text = fs::read_to_string(&report).map_err(|error| Failed::Other(format!("no report: {error}")))?;
    let mut tally = junit(&text);
    // It may fail for what is no operation's.
    tally.failed += u64::from(!succeeded && tally.failed == 0);
    Ok(tally)
}

/// Runs it; what it says is shown if it fails.
fn succeeds_or_says(command: &mut Command) -> Result<bool, Failed> {
    let what = typed(command);
    eprintln!("==> {what}");
    let output = command.output().map_err(|error| Failed::Start(what, error))?;
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stdout));
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.status.success())
}
