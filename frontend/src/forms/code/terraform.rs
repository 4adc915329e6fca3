//! A resource of Terraform's, laid out as `terraform fmt` would.

use super::quote::{hcl, identifier};
use super::{Sample, Tool};

/// One in the making.
pub(super) struct Block {
    kind: &'static str,
    label: String,
    entries: Vec<Entry>,
}

/// What stands in it: a line of its own, or a block of lines.
enum Entry {
    /// Name and value.
    Line(String, String),
    /// How it begins, and what is in it.
    Lines(String, Vec<(String, String)>),
}

impl Block {
    /// Called after what it makes.
    pub(super) fn new(kind: &'static str, name: &str) -> Self {
        let fallback = kind.trim_start_matches("openstack_networking_").trim_end_matches("_v2");
        Self {
            kind,
            label: identifier(name, fallback),
            entries: Vec::new(),
        }
    }

    /// What others call it by.
    pub(super) fn label(&self) -> String {
        self.label.clone()
    }

    /// A value that is no text.
    pub(super) fn word(&mut self, name: &str, value: &str) {
        self.entries.push(Entry::Line(name.to_owned(), value.to_owned()));
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.word(name, &hcl(value));
    }

    /// A text, unless it is empty.
    pub(super) fn some_text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.text(name, value);
        }
    }

    /// A block of texts.
    pub(super) fn block(&mut self, name: &str, values: &[(&str, String)]) {
        self.lines(format!("{name} {{"), values);
    }

    /// A map of texts.
    pub(super) fn map(&mut self, name: &str, values: &[(&str, String)]) {
        self.lines(format!("{name} = {{"), values);
    }

    fn lines(&mut self, head: String, values: &[(&str, String)]) {
        let line = |(name, value): &(&str, String)| ((*name).to_owned(), hcl(value));
        self.entries.push(Entry::Lines(head, values.iter().map(line).collect()));
    }

    /// The whole of it.
    pub(super) fn end(self) -> Sample {
        let mut text = format!("resource \"{}\" \"{}\" {{\n", self.kind, self.label);
        let mut run = Vec::new();
        for entry in self.entries {
            match entry {
                Entry::Line(name, value) => run.push((name, value)),
                Entry::Lines(head, inner) => {
                    aligned(&mut text, "  ", std::mem::take(&mut run));
                    text.push_str(&format!("  {head}\n"));
                    aligned(&mut text, "    ", inner);
                    text.push_str("  }\n");
                }
            }
        }
        aligned(&mut text, "  ", run);
        text.push_str("}\n");
        Sample {
            tool: Tool::Terraform,
            text,
        }
    }
}

/// Lines one after the other, their equals signs below one another.
fn aligned(text: &mut String, indent: &str, lines: Vec<(String, String)>) {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in lines {
        text.push_str(&format!("{indent}{name:width$} = {value}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::quote::tests::{NASTY, unquoted};
    use super::*;

    #[test]
    fn whatever_the_words_are_a_line_holds_each() {
        for nasty in NASTY {
            let mut block = Block::new("openstack_networking_network_v2", nasty);
            block.text("name", nasty);
            block.map("value_specs", &[("x", nasty.to_owned())]);
            let text = block.end().text;
            let lines: Vec<&str> = text.lines().collect();
            let [head, name, "  value_specs = {", x, "  }", "}"] = lines[..] else {
                panic!("{text}");
            };
            let label = head.strip_prefix("resource \"openstack_networking_network_v2\" \"");
            let label = label.and_then(|rest| rest.strip_suffix("\" {")).unwrap();
            assert!(label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{head}");
            assert_eq!(unquoted(name.strip_prefix("  name = ").unwrap()), nasty);
            assert_eq!(unquoted(x.strip_prefix("    x = ").unwrap()), nasty);
        }
    }

    #[test]
    fn equals_signs_of_neighbours_stand_below_one_another() {
        let mut block = Block::new("openstack_networking_port_v2", "Web 1");
        block.text("name", "${x}");
        block.word("admin_state_up", "true");
        block.some_text("description", "");
        block.block(
            "fixed_ip",
            &[("subnet_id", "s".into()), ("ip_address", "fd00::9".into())],
        );
        block.word("after", "1");
        block.map("value_specs", &[("internet_access", "true".into())]);
        let expected = r#"resource "openstack_networking_port_v2" "web_1" {
  name           = "\u0024{x}"
  admin_state_up = true
  fixed_ip {
    subnet_id  = "s"
    ip_address = "fd00::9"
  }
  after = 1
  value_specs = {
    internet_access = "true"
  }
}
"#;
        assert_eq!(block.end().text, expected);
    }
}
