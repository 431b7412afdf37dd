//! Lines of Prometheus' text format 0.0.4.

use std::time::Duration;

/// A number as we have them: whole, or a time with microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Whole(i64),
    Seconds(Duration),
}

impl From<bool> for Value {
    fn from(is_set: bool) -> Self {
        Self::Whole(is_set.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Whole(count.try_into().unwrap_or(i64::MAX))
    }
}

impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Seconds(time)
    }
}

/// The series of one metric, appended to a text.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl<'a> Family<'a> {
    /// Begins a metric; `kind` is `gauge`, `counter` or `histogram`.
    pub(super) fn new(text: &'a mut String, name: &'static str, kind: &str, help: &str) -> Self {
        for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"] {
            text.push_str(part);
        }
        Self { text, name }
    }

    /// One line: `suffix` follows the name, `labels` stand as they are between the braces, and need no escapes.
    pub(super) fn line(&mut self, suffix: &str, labels: &[&str], value: impl Into<Value>) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        if !labels.is_empty() {
            self.text.push('{');
            self.text.extend(labels.iter().copied());
            self.text.push('}');
        }
        self.text.push(' ');
        self.number(value.into());
        self.text.push('\n');
    }

    /// Without the formatting machinery, which would be most of the work of a scrape.
    fn number(&mut self, value: Value) {
        let mut digits = itoa::Buffer::new();
        match value {
            Value::Whole(number) => self.text.push_str(digits.format(number)),
            Value::Seconds(time) => {
                self.text.push_str(digits.format(time.as_secs()));
                if time.subsec_micros() > 0 {
                    // A leading one keeps the zeros of the fraction.
                    self.text.push('.');
                    self.text.push_str(&digits.format(1_000_000 + time.subsec_micros())[1..]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_prometheus_reads_them() {
        let mut text = String::new();
        let mut family = Family::new(&mut text, "a_seconds", "histogram", "What it is.");
        family.line("_bucket", &["check=\"web\"", ",le=\"", "0.5", "\""], 3_u64);
        family.line("_sum", &[], Duration::from_micros(2_000_050));
        family.line("", &[], Duration::from_secs(7));
        family.line("", &[], true);
        let expected = "# HELP a_seconds What it is.\n# TYPE a_seconds histogram\n\
                        a_seconds_bucket{check=\"web\",le=\"0.5\"} 3\na_seconds_sum 2.000050\na_seconds 7\na_seconds 1\n";
        assert_eq!(text, expected);
    }
}
