//! `_STATUS`: which status codes pass.

use std::ops::RangeInclusive;

/// A list such as `200,204,300-399`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StatusRanges(Box<[RangeInclusive<u16>]>);

impl StatusRanges {
    /// Reads a list of codes and ranges from 100 to 599.
    pub(super) fn parse(list: &str) -> Result<Self, String> {
        let ranges: Option<Box<[_]>> = list.split(',').map(|item| range(item.trim())).collect();
        ranges.map(Self).ok_or_else(|| {
            "accepted: status codes and ranges from 100 to 599, such as 200,300-399".to_owned()
        })
    }

    /// Returns whether a status passes.
    pub(super) fn accepts(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }

    /// Returns whether a status stands in the list by itself: then it is what is wanted, and no step on the way.
    pub(super) fn names(&self, status: u16) -> bool {
        self.0.contains(&(status..=status))
    }
}

impl Default for StatusRanges {
    /// Returns what the kubelet accepts.
    fn default() -> Self {
        Self(Box::new([200..=399]))
    }
}

fn range(item: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = item.split_once('-').unwrap_or((item, item));
    let code = |text: &str| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|code| digits && (100..=599).contains(code))
    };
    let (first, last) = (code(first)?, code(last)?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges() {
        let ranges = StatusRanges::parse("200, 204,300-399").unwrap();
        let accepted = |code| ranges.accepts(code);
        assert!(accepted(200) && accepted(204) && accepted(300) && accepted(399));
        assert!(!accepted(201) && !accepted(400) && !accepted(299));
        assert!(ranges.names(204) && !ranges.names(302) && !ranges.names(201));
        for wrong in ["", "200,", "99", "600", "300-200", "2xx", "200-", "+200"] {
            assert!(StatusRanges::parse(wrong).is_err(), "{wrong}");
        }
    }
}
