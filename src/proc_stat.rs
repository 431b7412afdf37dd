//! `/proc/PID/stat`, by the numbers of its fields (`proc_pid_stat(5)`).

use std::str::FromStr;

/// One process, as the kernel tells of it.
#[derive(Clone, Copy, Debug)]
pub struct ProcStat<'a> {
    /// The second field, which the kernel cuts, without its parentheses.
    pub name: &'a str,
    /// From the third field on.
    rest: &'a str,
}

impl<'a> ProcStat<'a> {
    /// Reads the line; `None` where `text` has no name.
    pub fn parse(text: &'a str) -> Option<Self> {
        // A name may hold anything, so its end is the last parenthesis.
        let (name, rest) = text.split_once('(')?.1.rsplit_once(')')?;
        Some(Self { name, rest })
    }

    /// Returns a field after the name: 3 is the state. `None` if it is missing or of a different kind.
    pub fn field<T: FromStr>(&self, number: usize) -> Option<T> {
        self.rest.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_the_rest() {
        let stat = ProcStat::parse("7 (a) S 1 (b) ) Z 4 7 7\n").unwrap();
        assert_eq!(stat.name, "a) S 1 (b) ");
        assert_eq!((stat.field(3), stat.field(4)), (Some('Z'), Some(4)));
    }

    #[test]
    fn what_is_missing_or_of_another_kind_is_nothing() {
        for broken in ["", "7", "7 (a", "7 a) S"] {
            assert!(ProcStat::parse(broken).is_none(), "{broken}");
        }
        let stat = ProcStat::parse("7 (a) S x").unwrap();
        for number in [0, 2, 4, 5] {
            assert_eq!(stat.field::<u64>(number), None, "{number}");
        }
    }
}
