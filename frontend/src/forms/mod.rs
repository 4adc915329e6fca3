//! What forms know, apart from how they look: text as typed in, checked values and messages out. Pure.

pub mod cluster;
pub mod code;
pub mod join;
pub mod network;
pub mod plan;
pub mod port;
pub mod quota;
pub mod range;
pub mod request;
pub mod subnet;

/// The first of `{prefix}-1`, `{prefix}-2`, … that is not taken.
pub fn next_name(prefix: &str, taken: &[String]) -> String {
    (1..)
        .map(|number| format!("{prefix}-{number}"))
        .find(|name| !taken.contains(name))
        .unwrap_or_default()
}

/// Words of a text, apart by blanks, commas or lines.
pub fn words(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || c == ',' || c == ';')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Pairs `a - b`, one a line; a line without the dash pairs with nothing, for the check to refuse.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (a, b) = line
                .split_once('-')
                .or_else(|| line.split_once(char::is_whitespace))
                .unwrap_or((line, ""));
            (a.trim().to_owned(), b.trim().to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_on() {
        let taken = ["subnet-1".to_owned(), "subnet-3".to_owned()];
        assert_eq!(next_name("subnet", &taken), "subnet-2");
    }

    #[test]
    fn lists_are_read_as_people_paste_them() {
        assert_eq!(
            words(" 10.0.0.2, 10.0.0.3;\n10.0.0.4 "),
            ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
        );
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            pairs("10.0.0.2 - 10.0.0.9\n\n10.0.0.20-10.0.0.29\n10.1.0.0/16 10.0.0.3\nx"),
            [
                pair("10.0.0.2", "10.0.0.9"),
                pair("10.0.0.20", "10.0.0.29"),
                pair("10.1.0.0/16", "10.0.0.3"),
                pair("x", "")
            ]
        );
    }
}
