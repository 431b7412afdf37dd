//! One target and its runs, without a sidecar around it; and the places where tests keep their files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use health_proxy::grammar::options::ALL;
use health_proxy::grammar::{OptionReader, Secrets, TargetSpec};
use health_proxy::outcome::Outcome;
use health_proxy::targets::{Attempt, Stage, Target};

/// Reads a target with its options; nothing may be left over.
pub fn target(value: &str, options: &[(&str, &str)]) -> Target {
    let (target, problems) = parse(value, options);
    assert!(problems.is_empty(), "{problems:?}");
    target.unwrap_or_else(|error| panic!("{value}: {error}"))
}

/// Returns what is wrong with a target's options.
pub fn problems(value: &str, options: &[(&str, &str)]) -> Vec<String> {
    parse(value, options).1
}

fn parse(value: &str, options: &[(&str, &str)]) -> (Result<Target, String>, Vec<String>) {
    let named = options.iter().map(|&(suffix, value)| {
        let name = ALL.iter().find(|name| name.suffix == suffix);
        (*name.unwrap_or_else(|| panic!("no option {suffix}")), value)
    });
    let mut reader = OptionReader::new("LIVENESS_T", named.collect());
    let target = TargetSpec::read(value).and_then(|spec| Target::new(&spec, &mut reader));
    let problems = reader.finish(TargetSpec::form_of(value).map(|form| form.title));
    (target, problems.iter().map(ToString::to_string).collect())
}

/// Runs once, with time enough for anything but a hang.
pub async fn run(target: &Target) -> Outcome {
    run_within(target, Duration::from_secs(20)).await
}

/// Runs once as a check does, with its timeout.
pub async fn run_within(target: &Target, limit: Duration) -> Outcome {
    let secrets = Secrets::default();
    let stage = Stage::new(&secrets);
    match tokio::time::timeout(limit, target.attempt(&stage)).await {
        Ok(outcome) => outcome,
        Err(_) => target.timed_out(&stage, limit),
    }
}

/// Runs once and fails; the reason.
pub async fn failure(target: &Target) -> String {
    match run(target).await {
        Outcome::Failure(reason) => reason.to_string(),
        other => panic!("not a failure: {other:?}"),
    }
}

/// A directory of its own for a test, which goes with this value.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("health-proxy-it-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of `name` in it, as text.
    pub fn at(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.0.join(name), content).unwrap();
        self.at(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
