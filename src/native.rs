//! The kubelet's own probes as data, and as the checks that mean the same (`kubelet.md`, section 2).

use std::time::Duration;

use crate::grammar::command::Command;
use crate::grammar::remote::{At, Remote};
use crate::grammar::url::{Authority, Scheme};
use crate::grammar::{Kind, Spec, TargetSpec, Timing, options, references};
use crate::probe::Probe;

/// Headers that Go sends as it sees fit, whatever is configured (`net/http/request.go`, `reqWriteExcludeHeader`).
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

/// A probe as it stands in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    /// The question that is asked.
    pub handler: Handler,
    /// When, in whole seconds, and how often.
    pub timing: Timing,
}

/// The question of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handler {
    /// `httpGet`
    Http {
        /// Plain or TLS.
        scheme: Scheme,
        /// Empty for the pod's address.
        host: String,
        /// Where.
        port: Port,
        /// With its query; empty for `/`.
        path: String,
        /// Names and values; a name may repeat.
        headers: Vec<(String, String)>,
    },
    /// `tcpSocket`
    Tcp {
        /// Empty for the pod's address.
        host: String,
        /// Where.
        port: Port,
    },
    /// `grpc`
    Grpc {
        /// Where.
        port: u16,
        /// Empty for the server as a whole.
        service: String,
    },
    /// `exec`
    Exec(Vec<String>),
}

/// A port by its number, or by the name that the container gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// From 1 to 65535.
    Number(u16),
    /// One of the container's `ports`.
    Name(String),
}

/// The reason for which a probe has no check of the same meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untranslatable {
    /// It runs in the app's container.
    #[error("a command runs in the container of the app")]
    Exec,
    /// Its port has no number.
    #[error("the container has no port called {0}")]
    UnknownPort(String),
    /// A check cannot be written like that.
    #[error("{0}")]
    Wrong(String),
}

impl Native {
    /// Returns the check that means the same; `ports` knows the numbers of the container's ports.
    ///
    /// # Errors
    /// Why there is none.
    pub fn check(
        &self,
        probe: Probe,
        name: &str,
        ports: impl Fn(&str) -> Option<u16>,
    ) -> Result<Spec, Untranslatable> {
        let number = |port: &Port| match port {
            Port::Number(number) => Ok(*number),
            Port::Name(name) => ports(name).ok_or_else(|| Untranslatable::UnknownPort(name.clone())),
        };
        let target = match &self.handler {
            Handler::Http { scheme, host, port, path, .. } => {
                let slash = if path.starts_with('/') { "" } else { "/" };
                format!("{}://{}:{}{slash}{path}", scheme.as_str(), bracketed(host), number(port)?)
            }
            Handler::Tcp { host, port } => format!("tcp://{}:{}", bracketed(host), number(port)?),
            Handler::Grpc { port, service } => {
                let slash = if service.is_empty() { "" } else { "/" };
                format!("grpc://:{port}{slash}{service}")
            }
            Handler::Exec(_) => return Err(Untranslatable::Exec),
        };
        // A native probe refers to nothing.
        let target = TargetSpec::read(&references::escaped(&target)).map_err(Untranslatable::Wrong)?;
        let mut spec = Spec { timing: self.timing, ..Spec::new(probe, name, target) };
        if let Handler::Http { headers, .. } = &self.handler {
            let is_sent = |name: &str| !FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing));
            let sent = headers.iter().filter(|(name, _)| is_sent(name));
            let lines: Vec<_> = sent.map(|(name, value)| format!("{name}: {value}")).collect();
            if !lines.is_empty() {
                spec.options.set(options::HTTP_HEADERS, references::escaped(&lines.join("\n")));
            }
        }
        Ok(spec)
    }

    /// Returns the command of an exec probe as a check that runs it in the container of `process`; `expanded` makes of a
    /// word what the kubelet would run.
    ///
    /// # Errors
    /// It has none, or one that no command can be.
    pub fn check_in_process(
        &self,
        probe: Probe,
        name: &str,
        process: &str,
        expanded: impl Fn(&str) -> String,
    ) -> Result<Spec, Untranslatable> {
        let Handler::Exec(words) = &self.handler else { return Err(Untranslatable::Exec) };
        let words = words.iter().map(|word| expanded(word)).collect();
        let command = Command::of(words).map_err(Untranslatable::Wrong)?;
        let target = references::escaped(&format!("exec:{command}"));
        let target = TargetSpec::read(&target).map_err(Untranslatable::Wrong)?;
        let mut spec = Spec { timing: self.timing, ..Spec::new(probe, name, target) };
        spec.options.set(options::IN_PROCESS, process);
        Ok(spec)
    }

    /// Returns the probe that means the same as a check, its command as it is run; `None` where the kubelet has no such probe.
    pub fn of(spec: &Spec) -> Option<Self> {
        let in_process = spec.options.get(options::IN_PROCESS).is_some();
        let handler = match &spec.target.kind {
            Kind::Http(Remote { scheme, user: None, at: At::Host(authority), path }) => Handler::Http {
                scheme: *scheme,
                host: authority.host.clone(),
                port: Port::Number(authority.port),
                path: path.clone(),
                headers: headers(spec.options.get(options::HTTP_HEADERS).unwrap_or_default()),
            },
            Kind::Tcp(Remote { at: At::Host(Authority { host, port, .. }), .. }) => {
                Handler::Tcp { host: host.clone(), port: Port::Number(*port) }
            }
            Kind::Grpc(remote @ Remote { scheme: Scheme::Http, at: At::Host(authority), .. })
                if authority.host.is_empty() =>
            {
                Handler::Grpc { port: authority.port, service: remote.service().to_owned() }
            }
            Kind::Exec(command) if in_process => {
                Handler::Exec(command.words().map(references::unescaped).collect())
            }
            _ => return None,
        };
        let known = [options::HTTP_HEADERS, options::IN_PROCESS];
        let refers = spec.target.refers() || spec.options.iter().any(|(_, value)| references::is_in(value));
        let is_known = spec.options.iter().all(|(name, _)| known.contains(&name));
        (is_known && !refers && spec.required && is_whole(&spec.timing))
            .then_some(Self { handler, timing: spec.timing })
    }
}

/// Returns whether the kubelet knows such times.
fn is_whole(timing: &Timing) -> bool {
    let is_whole = |time: Duration| time.subsec_nanos() == 0;
    timing.unhealthy_period.is_none()
        && [timing.initial_delay, timing.period, timing.timeout].into_iter().all(is_whole)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn headers(lines: &str) -> Vec<(String, String)> {
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    references::unescaped(lines).lines().filter_map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::write;

    fn native(handler: Handler) -> Native {
        Native { handler, timing: Timing::default() }
    }

    fn http(scheme: Scheme, host: &str, port: Port, path: &str, headers: &[(&str, &str)]) -> Native {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let (host, path) = (host.to_owned(), path.to_owned());
        native(Handler::Http { scheme, host, port, path, headers: headers.iter().map(owned).collect() })
    }

    /// Returns the variables of a liveness check called web; the port `http` is 8080.
    fn variables(native: &Native) -> Result<Vec<String>, Untranslatable> {
        let spec = native.check(Probe::Liveness, "web", |name| (name == "http").then_some(8080))?;
        Ok(write(&spec).into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    #[test]
    fn every_handler_but_exec_is_a_check() {
        let (named, numbered) = (|| Port::Name("http".to_owned()), || Port::Number(1));
        let tcp = |host: &str, port| native(Handler::Tcp { host: host.to_owned(), port });
        for (native, expected) in [
            (http(Scheme::Http, "", named(), "/healthz?a=b", &[]), "LIVENESS_WEB=http://:8080/healthz?a=b"),
            (http(Scheme::Https, "fd00::1", numbered(), "", &[]), "LIVENESS_WEB=https://[fd00::1]:1/"),
            (http(Scheme::Http, "a.example", numbered(), "x", &[]), "LIVENESS_WEB=http://a.example:1/x"),
            (tcp("", named()), "LIVENESS_WEB=tcp://:8080"),
            (tcp("::1", numbered()), "LIVENESS_WEB=tcp://[::1]:1"),
            (
                native(Handler::Grpc { port: 9, service: "my.Service".to_owned() }),
                "LIVENESS_WEB=grpc://:9/my.Service",
            ),
            (native(Handler::Grpc { port: 9, service: String::new() }), "LIVENESS_WEB=grpc://:9"),
        ] {
            assert_eq!(variables(&native).unwrap(), [expected]);
        }
        assert_eq!(variables(&native(Handler::Exec(vec!["ls".to_owned()]))), Err(Untranslatable::Exec));
        let unknown = http(Scheme::Http, "", Port::Name("metrics".to_owned()), "/", &[]);
        assert_eq!(variables(&unknown), Err(Untranslatable::UnknownPort("metrics".to_owned())));
    }

    #[test]
    fn headers_and_timing_are_options() {
        let mut native = http(
            Scheme::Http,
            "",
            Port::Number(80),
            "/",
            &[("Host", "a.example"), ("X-A", "1"), ("X-A", "")],
        );
        native.timing.period = Duration::from_secs(3);
        native.timing.thresholds.failure = 30;
        assert_eq!(
            variables(&native).unwrap(),
            [
                "LIVENESS_WEB=http://:80/",
                "LIVENESS_WEB_PERIOD_SECONDS=3",
                "LIVENESS_WEB_FAILURE_THRESHOLD=30",
                "LIVENESS_WEB_HTTP_HEADERS=Host: a.example\nX-A: 1\nX-A: ",
            ]
        );
    }

    #[test]
    fn a_check_is_the_probe_that_it_was() {
        let numbered = || Port::Number(1);
        for native in [
            http(Scheme::Https, "fd00::1", numbered(), "/x?y", &[("Host", "a"), ("X-A", "1")]),
            native(Handler::Tcp { host: String::new(), port: numbered() }),
            native(Handler::Grpc { port: 1, service: "a.B".to_owned() }),
        ] {
            let spec = native.check(Probe::Readiness, "web", |_| None).unwrap();
            assert_eq!(Native::of(&spec), Some(native));
        }
        let words = ["sh".to_owned(), "-c".to_owned(), "test -f $(ls /x) | cat".to_owned()];
        let exec = native(Handler::Exec(words.to_vec()));
        let spec = exec.check_in_process(Probe::Readiness, "web", "nginx", str::to_owned).unwrap();
        assert_eq!(Native::of(&spec), Some(exec));
    }

    #[test]
    fn what_the_kubelet_cannot_ask_is_no_probe() {
        let spec = |target: &str| Spec::new(Probe::Liveness, "a", TargetSpec::read(target).unwrap());
        for target in ["http://u:p@:80/", "http+unix://%2Fa/", "unix:/a", "grpcs://:1", "exec:ls", "file:/a"]
        {
            assert_eq!(Native::of(&spec(target)), None, "{target}");
        }
        let mut odd = [spec("tcp://:1"), spec("tcp://:1"), spec("tcp://:1"), spec("tcp://:1")];
        odd[0].required = false;
        odd[1].timing.period = Duration::from_millis(500);
        odd[2].timing.unhealthy_period = Some(Duration::from_secs(1));
        odd[3].options.set(options::EXPECT, "x");
        assert!(odd.iter().all(|spec| Native::of(spec).is_none()));
    }
}
