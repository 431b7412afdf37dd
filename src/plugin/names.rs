//! The names of checks: as the container, unless that name means something else already.

use crate::grammar::{RESERVED, options};

/// The end of a name that is taken without it.
const MORE: &str = "-app";

/// Returns the name of the checks of `container`, one of the containers called `all`.
///
/// A name that `/readyz` uses for reasons of its own, or that reads as an option (`LIVENESS_WEB_STATUS`,
/// `LIVENESS_PERIOD_SECONDS`), is made longer.
pub fn check_name(container: &str, all: &[&str]) -> String {
    let mut name = container.to_owned();
    while is_taken(&name) || (name != container && all.contains(&name.as_str())) {
        name.push_str(MORE);
    }
    name
}

fn is_taken(name: &str) -> bool {
    let variable = name.to_ascii_uppercase().replace('-', "_");
    let is_option = |option: &options::OptionName| {
        let rest = variable.strip_suffix(option.suffix);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
    };
    RESERVED.contains(&name) || options::ALL.iter().any(is_option)
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn a_check_is_called_as_its_container_unless_that_is_taken() {
        for (container, all, expected) in [
            ("web", &["web"][..], "web"),
            ("startup", &["startup"], "startup-app"),
            ("startup", &["startup", "startup-app"], "startup-app-app"),
            ("web-status", &["web", "web-status"], "web-status-app"),
            ("period-seconds", &["period-seconds"], "period-seconds-app"),
            ("status", &["status"], "status-app"),
            ("webstatus", &["webstatus"], "webstatus"),
            ("0", &["0"], "0"),
        ] {
            assert_eq!(check_name(container, all), expected);
        }
    }
}
