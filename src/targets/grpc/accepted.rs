//! `_STATUS`: which answers and refusals pass.

/// `HealthCheckResponse.ServingStatus`, by number.
pub(super) const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING: u64 = 1;

/// The codes of gRPC, by number, as Go writes them.
pub(super) const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// The answers that are taken for a success.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) statuses: Vec<u64>,
    pub(super) codes: Vec<u16>,
}

impl Default for Accepted {
    fn default() -> Self {
        Self { statuses: vec![SERVING], codes: vec![0] }
    }
}

impl Accepted {
    /// Reads a list of serving statuses and codes. `UNKNOWN` is the status; `SERVICE_UNKNOWN` is for watchers only, and
    /// Check never answers so (`grpc/health/v1/health.proto`).
    pub(super) fn read(list: &str) -> Result<Self, String> {
        let mut accepted = Self { statuses: Vec::new(), codes: Vec::new() };
        for name in list.split(',').map(str::trim) {
            let code = CODES.iter().position(|code| upper(code) == name);
            match (STATUSES[..3].iter().position(|status| *status == name), code) {
                (Some(status), _) => accepted.statuses.push(status as u64),
                (None, Some(code)) => accepted.codes.push(u16::try_from(code).unwrap_or_default()),
                (None, None) => {
                    let statuses = STATUSES[..3].join(", ");
                    return Err(format!(
                        "accepted: a list of {statuses} and of gRPC's codes, such as SERVING,UNIMPLEMENTED"
                    ));
                }
            }
        }
        Ok(accepted)
    }
}

/// Returns a code as the specification writes it: `NotFound` is `NOT_FOUND`, and `Canceled` is `CANCELLED`.
fn upper(code: &str) -> String {
    let mut name = String::new();
    for c in code.chars() {
        if c.is_ascii_uppercase() && !name.is_empty() && code != "OK" {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    if name == "CANCELED" { "CANCELLED".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_are_statuses_and_codes_by_name() {
        let accepted =
            |statuses: &[u64], codes: &[u16]| Ok(Accepted { statuses: statuses.into(), codes: codes.into() });
        assert_eq!(Accepted::read("SERVING, NOT_SERVING"), accepted(&[1, 2], &[]));
        assert_eq!(Accepted::read("SERVING,UNIMPLEMENTED,CANCELLED,OK"), accepted(&[1], &[12, 1, 0]));
        assert_eq!(Accepted::read("UNKNOWN,NOT_FOUND,UNAUTHENTICATED"), accepted(&[0], &[5, 16]));
        for wrong in ["", "serving", "SERVING,", "1", "SERVICE_UNKNOWN", "NotFound"] {
            assert!(Accepted::read(wrong).is_err(), "{wrong}");
        }
    }
}
