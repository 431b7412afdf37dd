//! Options that are regular expressions.

use regex_lite::Regex;

/// Compiles a regular expression.
pub fn read(value: &str) -> Result<Regex, String> {
    Regex::new(value).map_err(|error| format!("not a regular expression: {error}"))
}
