//! Words of people in shells and files: each quoted for where it stands.

/// A word for a POSIX shell: as it is where nothing in it means anything there, else in single quotes.
pub fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    // A tilde or an equals sign means something at the beginning of a word, to some shells.
    let begins = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if word.chars().all(plain) && word.starts_with(begins) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A text of HCL, in double quotes. A dollar or percent sign that might begin a template is written by its number.
pub(super) fn hcl(text: &str) -> String {
    let mut out = String::from("\"");
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let harmless = rest.peek().is_none_or(|next| next.is_alphanumeric() || *next == ' ');
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' | '%' if !harmless => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// What Terraform may call a thing of that name: letters, digits and underscores, not beginning with a digit.
pub(super) fn identifier(name: &str, fallback: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(plain).collect();
    let name = name.trim_matches('_');
    match name.chars().next() {
        None => fallback.to_owned(),
        Some(first) if first.is_ascii_digit() => format!("{fallback}_{name}"),
        Some(_) => name.to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::process::Command;

    use super::*;

    /// What every shell and every file must take as it is.
    pub(crate) const NASTY: [&str; 12] = [
        "$(id)",
        "`id`",
        "it's \"quoted\"",
        "two\nlines",
        r"back\slash \n \",
        "naïve сеть 网络",
        "${var.secret} %{ if true } $${x} $",
        "-rf --help",
        "~root =ls !! * ; & | < >",
        "\"%{for x in y}\" \\${z} ends in \\",
        "--",
        "100 %{ of $",
    ];

    /// What a real shell makes of a command's words.
    pub(crate) fn words(command: &str) -> Vec<String> {
        let script = format!("set -- {command}\nfor word do printf '%s\\0' \"$word\"; done");
        let said = Command::new("sh")
            .args(["-c", &script])
            .env("OS_TOKEN", "the token")
            .output()
            .unwrap();
        assert!(said.status.success(), "{command}");
        let text = String::from_utf8(said.stdout).unwrap();
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    /// What HCL makes of a quoted text: escapes undone; anything that begins a template is refused.
    pub(crate) fn unquoted(text: &str) -> String {
        let inside = text.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
        assert!(!inside.contains("${") && !inside.contains("%{"), "a template in {text}");
        let mut out = String::new();
        let mut rest = inside.chars();
        while let Some(c) = rest.next() {
            match c {
                '"' | '\n' => panic!("it ends early: {text}"),
                '\\' => match rest.next().unwrap() {
                    'n' => out.push('\n'),
                    'r' => out.push('\r'),
                    't' => out.push('\t'),
                    'u' => {
                        let number: String = rest.by_ref().take(4).collect();
                        out.push(char::from_u32(u32::from_str_radix(&number, 16).unwrap()).unwrap());
                    }
                    c @ ('"' | '\\') => out.push(c),
                    c => panic!("no escape of HCL: {c}"),
                },
                c => out.push(c),
            }
        }
        out
    }

    #[test]
    fn a_shell_gives_back_every_word() {
        for nasty in NASTY {
            assert_eq!(words(&shell(nasty)), [nasty], "{nasty}");
        }
        assert_eq!(words(&shell("")), [""]);
        assert_eq!(shell("10.0.0.0/24"), "10.0.0.0/24", "what needs no quotes has none");
    }

    #[test]
    fn hcl_gives_back_every_text_and_begins_no_template() {
        for nasty in NASTY {
            assert_eq!(unquoted(&hcl(nasty)), nasty);
        }
        assert_eq!(hcl("100 % of $5"), r#""100 % of $5""#, "what needs no escape has none");
    }
}
