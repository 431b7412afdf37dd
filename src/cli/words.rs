//! The words of a command line, and what is meant by them. Options stand in any order.

use std::time::Duration;

use super::help;

/// The task of the program, as somebody typed it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Command<'a> {
    /// Run the sidecar.
    Sidecar,
    Check,
    Get(Question<'a>),
    Drain,
    Demo,
    /// Print a text, and nothing else.
    Print(&'static str),
}

/// The question of `get` to the running sidecar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Question<'a> {
    pub(super) what: What,
    pub(super) verbose: bool,
    pub(super) json: bool,
    pub(super) container: Option<&'a str>,
    /// The time to ask again and again; zero: once.
    pub(super) wait: Duration,
}

/// The answer of the sidecar that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Livez,
    Readyz,
    Startupz,
    Status,
    Metrics,
    Healthy,
}

impl What {
    const ALL: [(&'static str, Self); 6] = [
        ("livez", Self::Livez),
        ("readyz", Self::Readyz),
        ("startupz", Self::Startupz),
        ("status", Self::Status),
        ("metrics", Self::Metrics),
        ("healthy", Self::Healthy),
    ];

    /// Returns whether its answer can be about one container.
    const fn has_containers(self) -> bool {
        !matches!(self, Self::Metrics | Self::Healthy)
    }
}

/// Words that cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WordsError {
    #[error("unknown command {0:?}; see health-proxy --help")]
    Command(String),
    #[error("get lacks what to ask for: livez, readyz, startupz, status, metrics or healthy")]
    NoQuestion,
    #[error("get: unknown question {0:?}; accepted: livez, readyz, startupz, status, metrics, healthy")]
    Question(String),
    #[error("{0}: unknown option {1:?}; see health-proxy {0} --help")]
    Option(&'static str, String),
    #[error("{0}: {1:?} is one word too many; see health-proxy {0} --help")]
    Word(&'static str, String),
    #[error("get: {0} lacks its {1}")]
    NoValue(&'static str, &'static str),
    #[error("get: {0} takes no value; found {1:?}")]
    Value(&'static str, String),
    #[error("get: --wait={0:?}: accepted: seconds, such as 10 or 0.5")]
    Wait(String),
    #[error("get: {0} is not for this question; accepted: {1}")]
    Misplaced(&'static str, &'static str),
}

/// Returns what `words` (without the program's name) mean.
pub(super) fn parse<'a>(words: &[&'a str]) -> Result<Command<'a>, WordsError> {
    let Some((&command, rest)) = words.split_first() else { return Ok(Command::Sidecar) };
    let is_help_wanted = rest.iter().any(|word| matches!(*word, "--help" | "-h"));
    let text = |text| Ok(Command::Print(text));
    match command {
        "check" if is_help_wanted => text(help::CHECK),
        "get" if is_help_wanted => text(help::GET),
        "drain" if is_help_wanted => text(help::DRAIN),
        "demo" if is_help_wanted => text(help::DEMO),
        "check" => alone("check", rest, Command::Check),
        "get" => question(rest).map(Command::Get),
        "drain" => alone("drain", rest, Command::Drain),
        "demo" => alone("demo", rest, Command::Demo),
        "--help" | "-h" | "help" => text(help::ALL),
        "--version" | "-V" => text(help::VERSION),
        _ => Err(WordsError::Command(words.join(" "))),
    }
}

/// Returns `command`, which takes nothing.
fn alone<'a>(name: &'static str, rest: &[&str], command: Command<'a>) -> Result<Command<'a>, WordsError> {
    rest.first().map_or(Ok(command), |&word| Err(stray(name, word)))
}

fn stray(command: &'static str, word: &str) -> WordsError {
    let kind = if word.starts_with('-') { WordsError::Option } else { WordsError::Word };
    kind(command, word.to_owned())
}

fn question<'a>(words: &[&'a str]) -> Result<Question<'a>, WordsError> {
    let mut what = None;
    let (mut verbose, mut json, mut container, mut wait) = (false, false, None, Duration::ZERO);
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let (option, given) = split(word);
        let mut value = |option, lacks| {
            let value = given.or_else(|| words.next().filter(|next| !next.starts_with("--")));
            value.filter(|value| !value.is_empty()).ok_or(WordsError::NoValue(option, lacks))
        };
        match option {
            "--verbose" => verbose = flag("--verbose", given)?,
            "--json" => json = flag("--json", given)?,
            "--container" => container = Some(value("--container", "NAME")?),
            "--wait" => wait = seconds(value("--wait", "SECONDS")?)?,
            other if what.is_some() || other.starts_with('-') => return Err(stray("get", word)),
            other => what = Some(named(other)?),
        }
    }
    let what = what.ok_or(WordsError::NoQuestion)?;
    if json && what != What::Status {
        return Err(WordsError::Misplaced("--json", "get status --json"));
    }
    if container.is_some() && !what.has_containers() {
        return Err(WordsError::Misplaced("--container", "get livez, readyz, startupz or status"));
    }
    Ok(Question { what, verbose, json, container, wait })
}

/// Takes `--option=value` apart.
fn split(word: &str) -> (&str, Option<&str>) {
    match word.split_once('=') {
        Some((option, value)) if option.starts_with("--") => (option, Some(value)),
        _ => (word, None),
    }
}

fn flag(option: &'static str, given: Option<&str>) -> Result<bool, WordsError> {
    given.map_or(Ok(true), |value| Err(WordsError::Value(option, value.to_owned())))
}

fn seconds(value: &str) -> Result<Duration, WordsError> {
    let seconds = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| WordsError::Wait(value.to_owned()))
}

fn named(word: &str) -> Result<What, WordsError> {
    let found = What::ALL.iter().find(|(name, _)| *name == word);
    found.map(|(_, what)| *what).ok_or_else(|| WordsError::Question(word.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVEZ: Question =
        Question { what: What::Livez, verbose: false, json: false, container: None, wait: Duration::ZERO };

    fn parsed(line: &str) -> Result<Command<'_>, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        parse(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn options_stand_in_any_order() {
        let wait = Duration::from_secs_f64(2.5);
        let all = Question { verbose: true, container: Some("app"), wait, ..LIVEZ };
        for line in [
            "get livez --verbose --container app --wait 2.5",
            "get --wait=2.5 --container=app --verbose livez",
            "get --verbose --container app livez --wait 1 --wait 2.5",
        ] {
            assert_eq!(parsed(line), Ok(Command::Get(all)), "{line}");
        }
        let status = Question { what: What::Status, json: true, ..LIVEZ };
        assert_eq!(parsed("get --json status"), Ok(Command::Get(status)));
    }

    #[test]
    fn every_question_has_its_name() {
        for (name, what) in What::ALL {
            assert_eq!(parsed(&format!("get {name}")), Ok(Command::Get(Question { what, ..LIVEZ })));
        }
    }

    #[test]
    fn every_command_answers_to_help() {
        let help = [
            ("check --help", help::CHECK),
            ("get --help", help::GET),
            ("get livez -h", help::GET),
            ("get --nonsense --help", help::GET),
            ("drain --help", help::DRAIN),
            ("demo -h", help::DEMO),
            ("--help", help::ALL),
            ("help", help::ALL),
            ("-V", help::VERSION),
        ];
        for (line, text) in help {
            assert_eq!(parsed(line), Ok(Command::Print(text)), "{line}");
        }
        for (line, command) in [
            ("", Command::Sidecar),
            ("check", Command::Check),
            ("drain", Command::Drain),
            ("demo", Command::Demo),
        ] {
            assert_eq!(parsed(line), Ok(command), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_right() {
        let wrong = [
            ("dance --now", "unknown command \"dance --now\"; see health-proxy --help"),
            ("get", "get lacks what to ask for: livez, readyz, startupz, status, metrics or healthy"),
            (
                "get --verbose",
                "get lacks what to ask for: livez, readyz, startupz, status, metrics or healthy",
            ),
            (
                "get all",
                "get: unknown question \"all\"; accepted: livez, readyz, startupz, status, metrics, healthy",
            ),
            ("get livez --quiet", "get: unknown option \"--quiet\"; see health-proxy get --help"),
            ("get livez readyz", "get: \"readyz\" is one word too many; see health-proxy get --help"),
            ("get livez --wait", "get: --wait lacks its SECONDS"),
            ("get livez --wait=", "get: --wait lacks its SECONDS"),
            ("get livez --container --verbose", "get: --container lacks its NAME"),
            ("get livez --verbose=yes", "get: --verbose takes no value; found \"yes\""),
            ("get livez --wait soon", "get: --wait=\"soon\": accepted: seconds, such as 10 or 0.5"),
            ("get livez --wait -1", "get: --wait=\"-1\": accepted: seconds, such as 10 or 0.5"),
            ("get livez --wait inf", "get: --wait=\"inf\": accepted: seconds, such as 10 or 0.5"),
            ("get livez --json", "get: --json is not for this question; accepted: get status --json"),
            (
                "get metrics --container app",
                "get: --container is not for this question; accepted: get livez, readyz, startupz or status",
            ),
            ("drain now", "drain: \"now\" is one word too many; see health-proxy drain --help"),
            ("check --json", "check: unknown option \"--json\"; see health-proxy check --help"),
        ];
        for (line, error) in wrong {
            assert_eq!(parsed(line), Err(error.to_owned()), "{line}");
        }
    }
}
