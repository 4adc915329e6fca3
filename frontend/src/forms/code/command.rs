//! A command of the `openstack` client.

use super::quote::shell;
use super::{Sample, Tool};

/// A command of the `openstack` client in the making.
pub(super) struct Command {
    lines: Vec<String>,
}

impl Command {
    pub(super) fn new(words: &str) -> Self {
        Self {
            lines: vec![words.to_owned()],
        }
    }

    /// An option, unless its value is empty. One that begins with a dash would be taken for an option.
    pub(super) fn option(&mut self, name: &str, value: &str) {
        if value.starts_with('-') {
            self.lines.push(format!("--{name}={}", shell(value)));
        } else if !value.is_empty() {
            self.lines.push(format!("--{name} {}", shell(value)));
        }
    }

    pub(super) fn flag(&mut self, name: &str) {
        self.lines.push(format!("--{name}"));
    }

    /// The command for a thing of that name.
    pub(super) fn named(mut self, name: &str) -> Sample {
        let end = if name.starts_with('-') { "-- " } else { "" };
        self.lines.push(format!("{end}{}", shell(name)));
        Sample {
            tool: Tool::OpenStack,
            text: self.lines.join(" \\\n  "),
        }
    }
}
