//! `status`: one table over the pods of a cluster, what each sidecar says, failing first.

mod asked;
mod shown;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use super::PluginError;
use super::arguments::{Arguments, Word, switch};
use super::cluster::{self, Cluster};
use super::manifests::print;
use super::sidecar::Source;

use asked::PodStatus;

/// The time between two questions to a cluster that is watched.
const EVERY: Duration = Duration::from_secs(2);

/// The escape sequence that clears a terminal.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// The meaning of the words on the command line.
#[derive(Debug, Default)]
struct Wanted {
    name: Option<String>,
    selector: Option<String>,
    namespace: Option<String>,
    is_everywhere: bool,
    is_watching: bool,
    is_json: bool,
    cluster: Cluster,
}

/// Runs `kubectl health-proxy status`: exit status 1 where a pod is not ready.
///
/// # Errors
/// The command is wrong, or the cluster cannot be asked.
pub fn run_status(words: &[String]) -> Result<ExitCode, PluginError> {
    let mut wanted = Wanted::read(words)?;
    if wanted.namespace.is_none() && !wanted.is_everywhere {
        wanted.namespace = Some(wanted.cluster.namespace()?);
    }
    let port = Source::read().map(|source| source.port()).unwrap_or_default();
    if wanted.is_watching {
        return Err(wanted.watch(port));
    }
    let pods = wanted.pods(port)?;
    print(&if wanted.is_json { shown::json(&pods) } else { shown::table(&pods, wanted.is_everywhere) })?;
    let is_ready = pods.iter().all(PodStatus::is_ready);
    Ok(if is_ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Wanted {
    fn read(words: &[String]) -> Result<Self, PluginError> {
        let (mut wanted, mut words) = (Self::default(), Arguments::new(words));
        while let Some(word) = words.take() {
            match word {
                Word::Plain(name) if wanted.name.is_none() => wanted.name = Some(name),
                Word::Plain(name) => return Err(format!("{name}: one name, or a selector with -l").into()),
                Word::Option(name, value) => wanted.option(&mut words, &name, value)?,
            }
        }
        match (&wanted.name, &wanted.selector, wanted.is_everywhere) {
            (Some(_), Some(_), _) => Err("a name or a selector (-l), not both".to_owned().into()),
            (Some(_), _, true) => Err("a name is one of a namespace: -n, not -A".to_owned().into()),
            _ => Ok(wanted),
        }
    }

    fn option(
        &mut self,
        words: &mut Arguments,
        name: &str,
        value: Option<String>,
    ) -> Result<(), PluginError> {
        match name {
            "-l" | "--selector" => self.selector = Some(words.value(name, value)?),
            "-n" | "--namespace" => self.namespace = Some(words.value(name, value)?),
            "-A" | "--all-namespaces" => self.is_everywhere = switch(name, value.as_deref())?,
            "-w" | "--watch" => self.is_watching = switch(name, value.as_deref())?,
            "-o" | "--output" => match words.value(name, value)?.as_str() {
                "json" => self.is_json = true,
                other => return Err(format!("-o {other}: accepted: json").into()),
            },
            _ if Cluster::knows(name) => self.cluster.hand_on(name, &words.value(name, value)?),
            _ => return Err(format!("no such option: {name}; see --help").into()),
        }
        Ok(())
    }

    /// Asks for the pods, and then each of their sidecars.
    fn pods(&self, port: u16) -> Result<Vec<PodStatus>, PluginError> {
        let path = match (&self.name, &self.namespace) {
            (Some(name), Some(namespace)) => cluster::pod(namespace, name),
            _ => cluster::pods(
                self.namespace.as_deref().filter(|_| !self.is_everywhere),
                self.selector.as_deref(),
            ),
        };
        let listed = asked::listed(&self.cluster.get(&path)?, port)?;
        let mut pods = asked::ask_all(&self.cluster, listed);
        pods.sort_by_cached_key(PodStatus::order);
        Ok(pods)
    }

    /// Shows the table whenever it says something else, until it cannot; on a terminal in place of the last one.
    fn watch(&self, port: u16) -> PluginError {
        let is_terminal = std::io::stdout().is_terminal();
        let mut last = None;
        loop {
            let shown = match self.pods(port) {
                Ok(pods) if self.is_json => (shown::json(&pods), shown::json(&pods)),
                Ok(pods) => (shown::table(&pods, self.is_everywhere), shown::states(&pods)),
                Err(error) if last.is_none() => return error,
                // A cluster that does not answer for a while is what somebody who watches wants to see.
                Err(error) => (format!("{error}\n"), error.to_string()),
            };
            let (text, states) = shown;
            let is_new = last.as_ref() != Some(&states);
            let written = match (is_terminal, is_new) {
                (true, _) => print(&format!("{CLEAR}{text}")),
                (false, true) => print(&text),
                (false, false) => Ok(()),
            };
            if let Err(error) = written {
                return error;
            }
            last = Some(states);
            std::thread::park_timeout(EVERY);
        }
    }
}
