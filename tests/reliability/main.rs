//! Nothing brings it down, and nothing gets in: the real binary under every kind of hostility.
//!
//! A program of its own instead of the test harness: cases that measure time must not run beside others, and
//! the end is one table. `main.rs [--long] [CASE…]`

#![allow(clippy::unwrap_used, missing_docs, reason = "a test, though none of the harness")]
#![allow(
    clippy::disallowed_methods,
    reason = "hostility takes its time: minutes of it are what is asked for"
)]

mod callers;
mod commands;
mod dead_mount;
mod hanging;
mod hostile;
mod process;
mod secrets;
mod sidecar;
mod soak;
mod starved;
mod table;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use table::{Row, Tally};

/// The amount that is tried.
#[derive(Debug)]
pub struct Scale {
    is_long: bool,
}

impl Scale {
    /// Returns the figure for the short form, or for the long one.
    pub const fn pick<T: Copy>(&self, short: T, long: T) -> T {
        if self.is_long { long } else { short }
    }
}

type Case = (&'static str, fn(&Scale) -> Tally);

const CASES: &[Case] = &[
    ("commands", commands::run),
    ("targets", targets::run),
    ("hanging-ways", hanging::ways_to_hang),
    ("hanging-helpers", hanging::more_than_there_are_helpers),
    ("callers-flood", callers::flood),
    ("callers-garbage", callers::garbage),
    ("callers-outside", callers::outside),
    ("callers-slow-readers", callers::slow_readers),
    ("callers-forged-kubelet", callers::forged_kubelet),
    ("starved-descriptors", starved::descriptors),
    ("starved-memory", starved::memory),
    ("starved-cpu", starved::cpu),
    ("starved-stopped", starved::stopped),
    ("starved-clock", starved::clock),
    ("starved-outputs", starved::outputs),
    ("starved-empty-root", starved::empty_root),
    ("starved-no-ipv6", starved::no_ipv6),
    ("secrets", secrets::run),
    ("soak", soak::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (options, names): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| argument.starts_with("--"));
    let scale = Scale { is_long: options.iter().any(|option| *option == "--long") };
    let is_wanted =
        |(case, _): &&Case| names.is_empty() || names.iter().any(|name| case.starts_with(name.as_str()));
    let rows: Vec<Row> = CASES.iter().filter(is_wanted).map(|case| measure(*case, &scale)).collect();
    if table::print(&rows) && !rows.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure((case, run): Case, scale: &Scale) -> Row {
    let began = Instant::now();
    let tally = catch_unwind(AssertUnwindSafe(|| run(scale))).unwrap_or_else(|panic| {
        let mut tally = Tally::default();
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        tally.check(false, || text.unwrap_or_else(|| "a panic".to_owned()));
        tally
    });
    let row = Row { case, seconds: began.elapsed().as_secs_f64(), tally };
    println!("{row}");
    row.print_reasons();
    row
}
