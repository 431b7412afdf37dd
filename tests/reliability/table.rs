//! What a case tried, and what became of it: the lines of the table that the suite ends with.

use std::fmt;

/// The number of reasons of one case that are printed.
const SHOWN_REASONS: usize = 12;

/// The figures of one case.
#[derive(Debug, Default)]
pub struct Tally {
    tried: u64,
    lost: u64,
    reasons: Vec<String>,
    figures: Vec<String>,
}

impl Tally {
    /// Counts one thing that was tried, and whether it `survived`.
    pub fn check(&mut self, survived: bool, reason: impl FnOnce() -> String) {
        self.many(1, u64::from(!survived), reason);
    }

    /// Counts many things that were tried at once, `lost` of which did not survive.
    pub fn many(&mut self, tried: u64, lost: u64, reason: impl FnOnce() -> String) {
        self.tried += tried;
        self.lost += lost;
        if lost > 0 {
            self.reasons.push(reason());
        }
    }

    /// Notes a measured figure for the last column.
    pub fn figure(&mut self, text: impl Into<String>) {
        self.figures.push(text.into());
    }

    /// Returns whether something was tried and nothing was lost.
    pub const fn passed(&self) -> bool {
        self.tried > 0 && self.lost == 0
    }
}

/// One line of the table.
#[derive(Debug)]
pub struct Row {
    pub case: &'static str,
    pub seconds: f64,
    pub tally: Tally,
}

impl Row {
    /// Prints why it did not pass, a line a reason.
    pub fn print_reasons(&self) {
        for reason in self.tally.reasons.iter().take(SHOWN_REASONS) {
            println!("  LOST {}: {reason}", self.case);
        }
        let more = self.tally.reasons.len().saturating_sub(SHOWN_REASONS);
        if more > 0 {
            println!("  LOST {}: and {more} more reasons", self.case);
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { tried, lost, figures, .. } = &self.tally;
        let survived = tried - lost;
        let (case, seconds, figures) = (self.case, self.seconds, figures.join("; "));
        write!(f, "{case:<28} {tried:>8} {survived:>8} {lost:>6} {seconds:>7.1}  {figures}")
    }
}

/// Prints the table, and says whether every case passed.
pub fn print(rows: &[Row]) -> bool {
    println!("\n{:<28} {:>8} {:>8} {:>6} {:>7}  figures", "case", "tried", "survived", "lost", "seconds");
    for row in rows {
        println!("{row}");
    }
    let failed = rows.iter().filter(|row| !row.tally.passed()).count();
    println!("\n{} passed, {failed} failed", rows.len() - failed);
    failed == 0
}

/// Returns the value that the given share of `values` does not exceed.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let index = ((values.len() as f64 * share).ceil() as usize).saturating_sub(1).min(last);
    values.get(index).copied().unwrap_or(f64::NAN)
}
