//! The words of the command line, by hand: few options, and errors that say what is right.

/// The words after a command.
#[derive(Debug)]
pub struct Arguments {
    words: std::vec::IntoIter<String>,
}

/// One of the words, understood as far as possible without knowing the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// An option with the value that was written into the same word.
    Option(String, Option<String>),
    /// Anything else.
    Plain(String),
}

impl Arguments {
    /// Takes the words after a command.
    pub fn new(words: &[String]) -> Self {
        Self { words: Vec::from(words).into_iter() }
    }

    /// Takes the next word; `-` alone is a name, the one of standard input.
    pub fn take(&mut self) -> Option<Word> {
        let word = self.words.next()?;
        if !word.starts_with('-') || word == "-" {
            return Some(Word::Plain(word));
        }
        Some(match word.split_once('=') {
            Some((name, value)) => Word::Option(name.to_owned(), Some(value.to_owned())),
            None => Word::Option(word, None),
        })
    }

    /// Returns the value of an option: from its own word, or the next one.
    ///
    /// # Errors
    /// There is none.
    pub fn value(&mut self, name: &str, written: Option<String>) -> Result<String, String> {
        written.or_else(|| self.words.next()).ok_or_else(|| format!("{name} needs a value"))
    }

    /// Returns the value of an option as what it has to be.
    ///
    /// # Errors
    /// There is none, or it is something else than `accepted`.
    pub fn parsed<T: std::str::FromStr>(
        &mut self,
        name: &str,
        written: Option<String>,
        accepted: &str,
    ) -> Result<T, String> {
        let value = self.value(name, written)?;
        value.parse().map_err(|_| format!("{name} {value}: accepted: {accepted}"))
    }
}

/// Returns whether a switch is on: alone it is, and `=true` or `=false` may stand in its own word, as for kubectl.
///
/// # Errors
/// Something else stands there.
pub fn switch(name: &str, written: Option<&str>) -> Result<bool, String> {
    match written {
        None | Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => Err(format!("{name}={other}: accepted: {name}, {name}=true or {name}=false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_the_same_word_or_the_next() {
        let words = ["-f", "a.yaml", "--port=81", "-", "--set"].map(str::to_owned);
        let mut arguments = Arguments::new(&words);
        assert_eq!(arguments.take(), Some(Word::Option("-f".to_owned(), None)));
        assert_eq!(arguments.value("-f", None).as_deref(), Ok("a.yaml"));
        assert_eq!(arguments.take(), Some(Word::Option("--port".to_owned(), Some("81".to_owned()))));
        assert_eq!(arguments.parsed("--port", Some("81".to_owned()), "a port"), Ok(81_u16));
        let wrong: Result<u16, _> = arguments.parsed("--port", Some("x".to_owned()), "a port");
        assert_eq!(wrong, Err("--port x: accepted: a port".to_owned()));
        assert_eq!(arguments.take(), Some(Word::Plain("-".to_owned())));
        arguments.take();
        assert_eq!(arguments.value("--set", None), Err("--set needs a value".to_owned()));
        assert_eq!(arguments.take(), None);
    }

    #[test]
    fn a_switch_is_on_unless_it_says_false() {
        for (written, is_on) in [(None, true), (Some("true"), true), (Some("false"), false)] {
            assert_eq!(switch("--watch", written), Ok(is_on));
        }
        let accepted = "accepted: --watch, --watch=true or --watch=false";
        for wrong in ["", "no", "False"] {
            assert_eq!(switch("--watch", Some(wrong)), Err(format!("--watch={wrong}: {accepted}")));
        }
    }
}
