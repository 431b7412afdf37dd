//! `health-proxy check`: every check once, as a table.

use std::process::ExitCode;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::{CliError, print};
use crate::check::Check;
use crate::config::Config;
use crate::outcome::one_line;
use crate::runner::attempt;
use crate::status::Run;
use crate::table;

/// The words for a check that is not tried.
const NOT_ASKED: &str = "not asked: the app says by itself how it is";

/// A check with its run; without one where only a running sidecar hears the app.
type Tried = (Arc<Check>, Option<Run>);

pub(super) fn run(config: Config) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let results = runtime.block_on(run_all(config));
    let header = ["PROBE", "CHECK", "RESULT", "SECONDS", "TARGET", "REASON"].map(str::to_owned);
    print(&table::text(std::iter::once(header).chain(results.iter().map(row))));
    let fails =
        |(check, run): &Tried| check.required && run.as_ref().is_some_and(|run| !run.outcome.passed());
    Ok(if results.iter().any(fails) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn run_all(config: Config) -> Vec<Tried> {
    let mut runs = JoinSet::new();
    for (check, target) in config.checks {
        runs.spawn(async move {
            if !check.is_asked {
                return (check, None);
            }
            let run = attempt(&check, &target).await;
            (check, Some(run))
        });
    }
    let mut results = runs.join_all().await;
    results.sort_by(|(a, _), (b, _)| (a.probe, &a.name).cmp(&(b.probe, &b.name)));
    results
}

fn row((check, run): &Tried) -> [String; 6] {
    let optional = if check.required { "" } else { " (not required)" };
    let (result, seconds, reason) = run.as_ref().map_or_else(
        || ("-", "-".to_owned(), NOT_ASKED.to_owned()),
        |run| {
            let reason = run.outcome.text().map(|text| one_line(text)).unwrap_or_default();
            (run.outcome.kind().as_str(), format!("{:.3}", run.duration.as_secs_f64()), reason)
        },
    );
    [
        check.probe.to_string(),
        check.name.clone(),
        format!("{result}{optional}"),
        seconds,
        check.target.clone(),
        reason,
    ]
}
