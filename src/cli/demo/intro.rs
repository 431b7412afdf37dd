//! The introduction: who plays, the sidecar's variables, and what to try.

/// Returns the sidecar's whole environment.
pub(super) fn variables(kubia: u16, sidecar: u16) -> Vec<(&'static str, String)> {
    vec![
        ("STARTUP_KUBIA", format!("http://:{kubia}/")),
        ("STARTUP_PERIOD_SECONDS", "0.5".to_owned()),
        ("STARTUP_FAILURE_THRESHOLD", "20".to_owned()),
        ("LIVENESS_KUBIA", format!("http://:{kubia}/")),
        ("LIVENESS_PERIOD_SECONDS", "1".to_owned()),
        ("LIVENESS_FAILURE_THRESHOLD", "3".to_owned()),
        ("READINESS_KUBIA", format!("tcp://:{kubia}")),
        ("READINESS_PERIOD_SECONDS", "0.5".to_owned()),
        ("READINESS_FAILURE_THRESHOLD", "1".to_owned()),
        ("HEALTH_PROXY_LISTEN", format!("127.0.0.1:{sidecar}")),
    ]
}

/// Returns what a variable is for, where its name does not say it.
fn remark(variable: &str) -> &'static str {
    match variable {
        "STARTUP_KUBIA" => "until it passes, the others wait",
        "STARTUP_PERIOD_SECONDS" => "20 x 0.5 s to start in",
        "LIVENESS_KUBIA" => "is it to be restarted?",
        "LIVENESS_FAILURE_THRESHOLD" => "three failures in a row, not one or two",
        "READINESS_KUBIA" => "is it to get traffic?",
        _ => "",
    }
}

/// Returns the explanation, in 80 columns.
pub(super) fn text(kubia: u16, sidecar: u16, variables: &[(&'static str, String)]) -> String {
    let variables: String = variables.iter().map(|(name, value)| variable(name, value)).collect();
    format!(
        "\
`health-proxy demo`: an app falls ill, its sidecar notices, a kubelet restarts it

  `kubia`    http://localhost:{kubia}/   an app: of every ten requests it answers
                                    the 7th to the 10th with 400
  `sidecar`  http://localhost:{sidecar}/   health-proxy: runs its checks against kubia,
                                    and answers the kubelet from memory
  `kubelet`  played by this program   asks the sidecar every second, and restarts
                                    kubia when /livez fails four times

The sidecar is this program, started again with these variables and no others:

{variables}
Open `http://localhost:{sidecar}/` in a browser, or try in another terminal:

  curl 'localhost:{sidecar}/readyz?verbose'
  curl localhost:{sidecar}/livez/kubia
  curl localhost:{sidecar}/metrics
  curl localhost:{kubia}/                   # your requests count too

Ctrl-C ends it.
"
    )
}

fn variable(name: &str, value: &str) -> String {
    match remark(name) {
        "" => format!("  {name}={value}\n"),
        remark => format!("  {:32} # {remark}\n", format!("{name}={value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_variables_are_a_configuration_that_feeds_all_three_probes() {
        let variables = variables(8080, 9809).into_iter().map(|(name, value)| (name.into(), value.into()));
        let config = Config::read(variables).unwrap();
        let probes: Vec<_> = config.checks.iter().map(|(check, _)| check.probe.as_str()).collect();
        assert_eq!(probes, ["liveness", "readiness", "startup"]);
    }

    #[test]
    fn the_explanation_fits_80_columns_and_names_every_variable() {
        let variables = variables(8080, 9809);
        let text = text(8080, 9809, &variables);
        assert!(text.lines().all(|line| line.replace('`', "").chars().count() <= 80), "{text}");
        assert!(variables.iter().all(|(name, value)| text.contains(&format!("{name}={value}"))), "{text}");
    }
}
