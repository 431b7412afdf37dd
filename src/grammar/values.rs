//! The values of options: how each is read, and what is accepted in place of a wrong one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The longest time that can be configured: a year.
const MAX_SECONDS: f64 = 365.0 * 24.0 * 3600.0;

/// Seconds with an optional fraction, of at least `least`.
pub fn seconds(least: f64) -> impl Fn(&str) -> Result<Duration, String> {
    move |value| {
        let plain = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let number = value.parse().ok().filter(|n| plain && (least..=MAX_SECONDS).contains(n));
        number
            .map(Duration::from_secs_f64)
            .ok_or_else(|| format!("accepted: seconds from {least} to {MAX_SECONDS}, such as 10 or 0.5"))
    }
}

/// Writes a time as [`seconds`] reads it.
pub fn written_seconds(time: Duration) -> String {
    let fraction = format!("{:09}", time.subsec_nanos());
    match fraction.trim_end_matches('0') {
        "" => time.as_secs().to_string(),
        fraction => format!("{}.{fraction}", time.as_secs()),
    }
}

/// Reads a threshold: a whole number of at least 1.
pub fn threshold(value: &str) -> Result<u32, String> {
    let number = count(value).ok().filter(|&number| number >= 1);
    number.ok_or_else(|| "accepted: a whole number of at least 1".to_owned())
}

/// Reads a whole number, 0 included.
pub fn count(value: &str) -> Result<u32, String> {
    let number = value.parse().ok().filter(|_| value.bytes().all(|b| b.is_ascii_digit()));
    number.ok_or_else(|| "accepted: a whole number".to_owned())
}

/// Reads `true` or `false`.
pub fn boolean(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| "accepted: true or false".to_owned())
}

/// Reads an absolute path.
pub fn path(value: &str) -> Result<PathBuf, String> {
    let path = Some(value).filter(|value| value.starts_with('/') && !value.contains('\0')).map(PathBuf::from);
    path.ok_or_else(|| "accepted: an absolute path, such as /etc/tls/ca.crt".to_owned())
}

/// Reads the name of a container: a DNS label, as Kubernetes has it (RFC 1123).
pub fn container(value: &str) -> Result<Arc<str>, String> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = (1..=63).contains(&value.len())
        && value.bytes().all(is_inner)
        && !value.starts_with('-')
        && !value.ends_with('-');
    is_label.then(|| value.into()).ok_or_else(|| {
        "accepted: a container's name: up to 63 small letters, digits and -, such as web".to_owned()
    })
}

/// Reads the name of a group: as a check's name is shown.
pub fn group(value: &str) -> Result<Arc<str>, String> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_free = !super::RESERVED.contains(&value);
    let is_name = !value.is_empty() && value.bytes().all(is_inner) && is_free;
    is_name.then(|| value.into()).ok_or_else(|| {
        format!(
            "accepted: a group's name: small letters, digits and -, and none of {}",
            super::RESERVED.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_bounds_and_no_unit() {
        for (right, expected) in [
            ("0.01", Duration::from_millis(10)),
            ("0.5", Duration::from_millis(500)),
            (".5", Duration::from_millis(500)),
            ("10", Duration::from_secs(10)),
            ("31536000", Duration::from_secs(365 * 24 * 3600)),
        ] {
            assert_eq!(seconds(0.01)(right), Ok(expected), "{right}");
        }
        for wrong in ["", "0.001", "-1", "10s", "1e3", "NaN", "inf", "31536000.1", ".", "+1"] {
            assert!(seconds(0.01)(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn thresholds_are_whole_and_positive() {
        for (right, expected) in [("1", 1), ("3", 3), ("4294967295", u32::MAX)] {
            assert_eq!(threshold(right), Ok(expected), "{right}");
        }
        for wrong in ["", "0", "-1", "1.5", "+1", "4294967296"] {
            assert!(threshold(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_group_is_named_as_a_check_is_shown() {
        for (value, is_accepted) in
            [("db", true), ("any-db-2", true), ("", false), ("Db", false), ("a b", false), ("startup", false)]
        {
            assert_eq!(group(value).is_ok(), is_accepted, "{value}");
        }
    }

    #[test]
    fn counts_are_whole() {
        assert_eq!((count("0"), count("128")), (Ok(0), Ok(128)));
        for wrong in ["", "-1", "1.5", "+1", "4294967296"] {
            assert!(count(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_container_is_named_by_a_dns_label() {
        for right in ["web", "a", "0", "log-shipper-2", &"a".repeat(63)] {
            assert_eq!(container(right).as_deref(), Ok(right));
        }
        for wrong in ["", "Web", "a.b", "-a", "a-", "a_b", "ä", &"a".repeat(64)] {
            assert!(container(wrong).is_err(), "{wrong}");
        }
    }
}
