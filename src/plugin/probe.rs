//! The probes of a container, from YAML to what the kubelet would do, and back.

use std::time::Duration;

use super::yaml::{Data, Id, Tree};
use crate::grammar::Timing;
use crate::grammar::url::Scheme;
use crate::native::{Handler, Native, Port};
use crate::probe::Probe;
use crate::tracker::Thresholds;

/// The handlers that a probe may have.
const HANDLERS: [&str; 4] = ["httpGet", "tcpSocket", "grpc", "exec"];

/// A fault of a probe: its line and a text.
pub type Wrong = (usize, String);

/// Returns the field of a container that holds a probe.
pub const fn field(probe: Probe) -> &'static str {
    match probe {
        Probe::Liveness => "livenessProbe",
        Probe::Readiness => "readinessProbe",
        Probe::Startup => "startupProbe",
    }
}

/// Reads a probe.
///
/// # Errors
/// The fault for which the API server would refuse it.
pub fn read(tree: &Tree<'_>, probe: Probe, node: Id) -> Result<Native, Wrong> {
    let set: Vec<_> = HANDLERS.iter().filter_map(|name| Some((*name, tree.at(node, &[name])?))).collect();
    let [(name, handler)] = set[..] else {
        let found = if set.is_empty() { "no handler" } else { "more than one handler" };
        let message = format!("{}: {found}; accepted: one of {}", field(probe), HANDLERS.join(", "));
        return Err((tree.line(node), message));
    };
    let reader = Reader { tree, probe };
    let handler = match name {
        "httpGet" => reader.http(handler)?,
        "tcpSocket" => Handler::Tcp { host: reader.text(handler, "host")?, port: reader.port(handler)? },
        "grpc" => reader.grpc(handler)?,
        _ => Handler::Exec(reader.command(handler)?),
    };
    Ok(Native { handler, timing: reader.timing(node)? })
}

struct Reader<'a, 't> {
    tree: &'a Tree<'t>,
    probe: Probe,
}

impl Reader<'_, '_> {
    fn http(&self, node: Id) -> Result<Handler, Wrong> {
        let scheme = match self.text(node, "scheme")?.as_str() {
            "" | "HTTP" => Scheme::Http,
            "HTTPS" => Scheme::Https,
            _ => return Err(self.wrong(node, "scheme", "accepted: HTTP or HTTPS")),
        };
        let headers = self.tree.at(node, &["httpHeaders"]);
        let headers = headers.map_or(&[][..], |headers| self.tree.items(headers));
        let header = |item: &Id| Ok((self.text(*item, "name")?, self.text(*item, "value")?));
        Ok(Handler::Http {
            scheme,
            host: self.text(node, "host")?,
            port: self.port(node)?,
            path: self.text(node, "path")?,
            headers: headers.iter().map(header).collect::<Result<_, Wrong>>()?,
        })
    }

    fn grpc(&self, node: Id) -> Result<Handler, Wrong> {
        match self.port(node)? {
            Port::Number(port) => Ok(Handler::Grpc { port, service: self.text(node, "service")? }),
            Port::Name(_) => Err(self.wrong(node, "port", "accepted: a number")),
        }
    }

    fn command(&self, node: Id) -> Result<Vec<String>, Wrong> {
        let words = self.tree.at(node, &["command"]);
        let words = words.map_or(&[][..], |words| self.tree.items(words));
        let word = |id: &Id| self.tree.text_of(*id).map(str::to_owned);
        let words: Option<Vec<_>> = words.iter().map(word).collect();
        words.ok_or_else(|| self.wrong(node, "command", "accepted: a list of words"))
    }

    fn port(&self, node: Id) -> Result<Port, Wrong> {
        let refused = || self.wrong(node, "port", "accepted: a number from 1 to 65535, or a port's name");
        let id = self.tree.at(node, &["port"]).ok_or_else(refused)?;
        if let Some(number) = self.tree.integer(id) {
            let number = u16::try_from(number).ok().filter(|number| *number != 0);
            return number.map(Port::Number).ok_or_else(refused);
        }
        let name = self.tree.text_of(id).filter(|name| !name.is_empty() && !name.contains("{{"));
        name.map(|name| Port::Name(name.to_owned())).ok_or_else(refused)
    }

    fn timing(&self, node: Id) -> Result<Timing, Wrong> {
        let default = Timing::default();
        let seconds = |name, least, default: Duration| match self.number(node, name)? {
            Some(number) if number >= least => Ok(Duration::from_secs(number.into())),
            _ => Ok(default),
        };
        let count =
            |name, default| Ok(self.number(node, name)?.filter(|number| *number != 0).unwrap_or(default));
        let success = count("successThreshold", default.thresholds.success)?;
        if success != 1 && self.probe != Probe::Readiness {
            return Err(self.wrong(node, "successThreshold", &format!("must be 1 for {}", self.probe)));
        }
        Ok(Timing {
            initial_delay: seconds("initialDelaySeconds", 0, default.initial_delay)?,
            period: seconds("periodSeconds", 1, default.period)?,
            unhealthy_period: None,
            timeout: seconds("timeoutSeconds", 1, default.timeout)?,
            thresholds: Thresholds {
                success,
                failure: count("failureThreshold", default.thresholds.failure)?,
            },
        })
    }

    fn number(&self, node: Id, name: &str) -> Result<Option<u32>, Wrong> {
        let Some(id) = self.tree.at(node, &[name]) else { return Ok(None) };
        let number = self.tree.integer(id).and_then(|number| i32::try_from(number).ok());
        let number = number.and_then(|number| u32::try_from(number).ok());
        number.map(Some).ok_or_else(|| self.wrong(node, name, "accepted: a whole number"))
    }

    fn text(&self, node: Id, name: &str) -> Result<String, Wrong> {
        let Some(id) = self.tree.at(node, &[name]) else { return Ok(String::new()) };
        self.tree.text_of(id).map(str::to_owned).ok_or_else(|| self.wrong(node, name, "accepted: a text"))
    }

    fn wrong(&self, node: Id, name: &str, accepted: &str) -> Wrong {
        let found = self.tree.at(node, &[name]);
        let line = self.tree.line(found.unwrap_or(node));
        let found = found.map_or_else(|| " is missing".to_owned(), |id| format!("={}", self.tree.source(id)));
        (line, format!("{}: {name}{found}: {accepted}", field(self.probe)))
    }
}

/// Returns a probe as it would be written, without what is default.
pub fn write(native: &Native) -> Data {
    let text = |name: &str, value: &str| (!value.is_empty()).then(|| (name.to_owned(), Data::text(value)));
    let port = |port: &Port| {
        let value = match port {
            Port::Number(number) => Data::number(*number),
            Port::Name(name) => Data::text(name),
        };
        Some(("port".to_owned(), value))
    };
    let (name, handler): (_, Vec<_>) = match &native.handler {
        Handler::Http { scheme, host, port: at, path, headers } => {
            let header = |(name, value): &(String, String)| {
                Data::map([("name", Data::text(name)), ("value", Data::text(value))])
            };
            let headers = (!headers.is_empty())
                .then(|| ("httpHeaders".to_owned(), Data::List(headers.iter().map(header).collect())));
            let scheme = if *scheme == Scheme::Https { "HTTPS" } else { "" };
            (
                "httpGet",
                vec![text("path", path), port(at), text("host", host), text("scheme", scheme), headers],
            )
        }
        Handler::Tcp { host, port: at } => ("tcpSocket", vec![text("host", host), port(at)]),
        Handler::Grpc { port: at, service } => {
            ("grpc", vec![port(&Port::Number(*at)), text("service", service)])
        }
        Handler::Exec(words) => {
            let words = words.iter().map(Data::text).collect();
            ("exec", vec![Some(("command".to_owned(), Data::List(words)))])
        }
    };
    let mut entries = vec![(name.to_owned(), Data::Map(handler.into_iter().flatten().collect()))];
    entries.extend(write_timing(&native.timing));
    Data::Map(entries)
}

fn write_timing(timing: &Timing) -> impl Iterator<Item = (String, Data)> + use<> {
    let default = Timing::default();
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let numbers = [
        ("initialDelaySeconds", seconds(timing.initial_delay), seconds(default.initial_delay)),
        ("periodSeconds", seconds(timing.period), seconds(default.period)),
        ("timeoutSeconds", seconds(timing.timeout), seconds(default.timeout)),
        ("successThreshold", timing.thresholds.success.into(), default.thresholds.success.into()),
        ("failureThreshold", timing.thresholds.failure.into(), default.thresholds.failure.into()),
    ];
    let differing = numbers.into_iter().filter(|(_, number, default)| number != default);
    differing.map(|(name, number, _)| (name.to_owned(), Data::number(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Native, Wrong> {
        let tree = Tree::read(text).unwrap();
        read(&tree, Probe::Readiness, tree.documents()[0].root.unwrap())
    }

    #[test]
    fn what_is_read_is_written() {
        for text in [
            "{httpGet: {path: /x, port: http, host: a, scheme: HTTPS, httpHeaders: [{name: A, value: b}]}}",
            "{tcpSocket: {port: 80}, initialDelaySeconds: 1, periodSeconds: 2, timeoutSeconds: 3}",
            "{grpc: {port: 9, service: a.B}, successThreshold: 4, failureThreshold: 5}",
            "{exec: {command: [ls, /x]}}",
        ] {
            let tree = Tree::read(text).unwrap();
            let data = Data::of(&tree, tree.documents()[0].root.unwrap());
            assert_eq!(write(&parse(text).unwrap()), data);
        }
    }

    #[test]
    fn zeros_are_defaults_as_for_the_api_server() {
        let zeros = "tcpSocket: {port: 1}\nperiodSeconds: 0\ntimeoutSeconds: 0\nfailureThreshold: 0\n";
        assert_eq!(parse(zeros).unwrap().timing, Timing::default());
    }

    #[test]
    fn what_the_api_server_would_refuse_is_named() {
        for (text, expected) in [
            ("{}", "readinessProbe: no handler; accepted: one of httpGet, tcpSocket, grpc, exec"),
            (
                "{httpGet: {port: 1}, exec: {}}",
                "readinessProbe: more than one handler; accepted: one of httpGet, tcpSocket, grpc, exec",
            ),
            (
                "{httpGet: {}}",
                "readinessProbe: port is missing: accepted: a number from 1 to 65535, or a port's name",
            ),
            (
                "{httpGet: {port: 65536}}",
                "readinessProbe: port=65536: accepted: a number from 1 to 65535, or a port's name",
            ),
            ("{httpGet: {port: 1, scheme: http}}", "readinessProbe: scheme=http: accepted: HTTP or HTTPS"),
            ("{grpc: {port: http}}", "readinessProbe: port=http: accepted: a number"),
            (
                "{tcpSocket: {port: 1}, periodSeconds: 5s}",
                "readinessProbe: periodSeconds=5s: accepted: a whole number",
            ),
            (
                "{tcpSocket: {port: 1}, timeoutSeconds: -1}",
                "readinessProbe: timeoutSeconds=-1: accepted: a whole number",
            ),
        ] {
            assert_eq!(parse(text), Err((1, expected.to_owned())), "{text}");
        }
        let tree = Tree::read("{tcpSocket: {port: 1}, successThreshold: 2}").unwrap();
        let read = read(&tree, Probe::Liveness, tree.documents()[0].root.unwrap());
        assert_eq!(read.unwrap_err().1, "livenessProbe: successThreshold=2: must be 1 for liveness");
    }
}
