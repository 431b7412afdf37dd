//! `inject`, `uninject` and `explain`: plain filters over manifests.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use super::PluginError;
use super::arguments::{Arguments, Word, switch};
use super::inject::inject;
use super::input::{Fault, Input};
use super::plan::Options;
use super::pod::Pod;
use super::report::{self, View};
use super::set::Set;
use super::sidecar::{LISTEN, Source};
use super::uninject::uninject;

/// The meaning of a filter's words.
#[derive(Debug, Default)]
struct Asked {
    files: Vec<String>,
    options: Options,
}

/// Runs `kubectl health-proxy inject`.
///
/// # Errors
/// Everything that is wrong; nothing is written then.
pub fn run_inject(words: &[String]) -> Result<ExitCode, PluginError> {
    let (asked, source) = (Asked::read(words, true)?, source()?);
    let set = Set::new(&asked.options.set);
    let (mut texts, mut lines, mut containers) = (Vec::new(), Vec::new(), BTreeSet::new());
    for input in asked.inputs()? {
        let injected = inject(&input, &asked.options, &set, &source)?;
        for (done, before, after) in &injected.pods {
            containers.extend(before.containers.iter().map(|container| container.name.clone()));
            lines.extend(report::injected(&input.name, done, before, after));
        }
        texts.push(injected.text);
    }
    let unused = set.unused();
    if !unused.is_empty() {
        let message = format!("--set {}: no pod has such a check", unused.join(", "));
        return Err(PluginError::Usage(message));
    }
    asked.are_there(&containers)?;
    finish(&texts, &lines)
}

/// Runs `kubectl health-proxy uninject`.
///
/// # Errors
/// Everything that is wrong; nothing is written then.
pub fn run_uninject(words: &[String]) -> Result<ExitCode, PluginError> {
    let (asked, source) = (Asked::read(words, false)?, source()?);
    let (mut texts, mut lines) = (Vec::new(), Vec::new());
    for input in asked.inputs()? {
        let uninjected = uninject(&input, &source)?;
        for (title, said) in uninjected.pods {
            lines.push(format!("{}: {title}", input.name));
            lines.extend(said.iter().map(|line| format!("  {line}")));
        }
        texts.push(uninjected.text);
    }
    finish(&texts, &lines)
}

/// Runs `kubectl health-proxy explain`: exit status 1 where something is dangerous.
///
/// # Errors
/// Everything that is wrong.
pub fn run_explain(words: &[String]) -> Result<ExitCode, PluginError> {
    let (asked, source) = (Asked::read(words, false)?, source()?);
    let (mut lines, mut is_dangerous) = (Vec::new(), false);
    for input in asked.inputs()? {
        let tree = input.parse().map_err(|fault| vec![fault])?;
        for view in Pod::all(&input, &tree)?.iter().map(|pod| View::of(pod, &source)) {
            is_dangerous |= view.findings.iter().any(|finding| finding.is_danger);
            lines.extend(view.lines(&input.name));
        }
    }
    if lines.is_empty() {
        lines.push("no pods".to_owned());
    }
    lines.push(String::new());
    print(&lines.join("\n"))?;
    Ok(if is_dangerous { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn source() -> Result<Source, PluginError> {
    Source::read().ok_or_else(|| PluginError::Usage("the sidecar's own manifest is broken".to_owned()))
}

impl Asked {
    fn read(words: &[String], may_inject: bool) -> Result<Self, PluginError> {
        let (mut asked, mut words) = (Self::default(), Arguments::new(words));
        while let Some(word) = words.take() {
            match word {
                Word::Plain(file) => asked.files.push(file),
                Word::Option(name, value) if name == "-f" || name == "--filename" => {
                    asked.files.push(words.value(&name, value)?);
                }
                Word::Option(name, value) if may_inject => asked.option(&mut words, &name, value)?,
                Word::Option(name, _) => return Err(unknown(&name)),
            }
        }
        Ok(asked)
    }

    fn option(
        &mut self,
        words: &mut Arguments,
        name: &str,
        value: Option<String>,
    ) -> Result<(), PluginError> {
        match name {
            "--image" => self.options.image = Some(words.value(name, value)?),
            "--port" => {
                let port = words.parsed::<std::num::NonZero<u16>>(name, value, "a number from 1 to 65535")?;
                self.options.port = Some(port.get());
            }
            "--container" => self.options.containers.push(words.value(name, value)?),
            "--exec-in-process" => self.options.exec_in_process = switch(name, value.as_deref())?,
            "--set" => {
                let set = words.value(name, value)?;
                let pair = set.split_once('=').ok_or_else(|| format!("--set {set}: accepted: NAME=VALUE"))?;
                if pair.0 == LISTEN {
                    return Err(format!("--set {set}: use --port, which the probes follow too").into());
                }
                self.options.set.push((pair.0.to_owned(), pair.1.to_owned()));
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    /// Sees that every container that was asked for is in one of the pods.
    fn are_there(&self, containers: &BTreeSet<String>) -> Result<(), String> {
        let missing = self.options.containers.iter().filter(|name| !containers.contains(*name));
        let missing: Vec<_> = missing.map(String::as_str).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let there: Vec<_> = containers.iter().map(String::as_str).collect();
        let there =
            if there.is_empty() { String::new() } else { format!("; there are {}", there.join(", ")) };
        Err(format!("--container {}: no pod has such a container{there}", missing.join(", ")))
    }

    /// Reads all files, or standard input where none is named.
    fn inputs(&self) -> Result<Vec<Input>, PluginError> {
        if !self.files.is_empty() {
            let inputs: Result<Vec<_>, Fault> = self.files.iter().map(|file| Input::read(file)).collect();
            return inputs.map_err(|fault| vec![fault].into());
        }
        if std::io::stdin().is_terminal() {
            return Err(PluginError::Usage("name a file with -f, or pipe a manifest in".to_owned()));
        }
        Ok(vec![Input::read("-").map_err(|fault| vec![fault])?])
    }
}

fn unknown(name: &str) -> PluginError {
    PluginError::Usage(format!("no such option: {name}; see --help"))
}

/// Writes the manifests to standard output and what is said of them to standard error.
fn finish(texts: &[String], lines: &[String]) -> Result<ExitCode, PluginError> {
    print(&joined(texts))?;
    let mut errors = std::io::stderr().lock();
    for line in lines {
        writeln!(errors, "{line}").map_err(PluginError::Io)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Joins several files to one stream; a single one stays to the byte.
fn joined(texts: &[String]) -> String {
    let mut stream = String::new();
    for text in texts {
        if !stream.is_empty() {
            if !stream.ends_with('\n') {
                stream.push('\n');
            }
            if !text.starts_with("---") {
                stream.push_str("---\n");
            }
        }
        stream.push_str(text);
    }
    stream
}

pub(super) fn print(text: &str) -> Result<(), PluginError> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // A reader that has seen enough, such as head, is no failure.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(PluginError::Io(error)),
        _ => Ok(()),
    }
}
