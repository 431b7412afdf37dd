//! Targets that are a command: words quoted as in a shell, or a JSON list of them.

use std::fmt;

use super::references::Resolver;

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name, not empty.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl Command {
    /// The beginning of a command as a target.
    pub(super) const PREFIX: &str = "exec:";

    /// Returns the command with what its words refer to.
    pub(super) fn resolved(self, resolver: &mut Resolver) -> Result<Self, String> {
        let words: Result<Vec<_>, _> = self.words().map(|word| resolver.resolve(word)).collect();
        Self::of(words?)
    }

    /// Reads words quoted as in a shell, or a JSON list.
    pub(super) fn read(rest: &str) -> Result<Self, String> {
        let words: Vec<String> = if rest.trim_start().starts_with('[') {
            serde_json::from_str(rest).map_err(|error| format!("not a JSON list of strings: {error}"))?
        } else {
            let words = shell_words::split(rest);
            let words = words.map_err(|error| format!("{error}; accepted: words quoted as in a shell"))?;
            if let Some(word) = words.iter().find(|word| is_for_a_shell(word)) {
                return Err(format!(
                    "{word} is for a shell, and no shell runs; accepted: exec:sh -c '…', or exec:[\"COMMAND\",\"ARG\"] \
                     where it is meant as it stands"
                ));
            }
            words
        };
        Self::of(words)
    }

    /// Makes a command of its words.
    ///
    /// # Errors
    /// There is none, or a word that no command can hold.
    pub fn of(words: Vec<String>) -> Result<Self, String> {
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        let program =
            program.ok_or("no command; accepted: exec:COMMAND ARG… or exec:[\"COMMAND\",\"ARG\"]")?;
        let command = Self { program, arguments: words.collect() };
        if command.words().any(|word| word.contains('\0')) {
            return Err("a command cannot hold a NUL character".to_owned());
        }
        Ok(command)
    }

    /// Returns the program and its arguments.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.program).chain(&self.arguments).map(String::as_str)
    }
}

impl fmt::Display for Command {
    /// Writes the command as it could be typed: in the quotes of a shell where that reads the same, else as a JSON
    /// list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed = shell_words::join(self.words());
        if Self::read(&typed).as_ref() == Ok(self) {
            return f.write_str(&typed);
        }
        let words: Vec<_> = self.words().collect();
        f.write_str(&serde_json::to_string(&words).map_err(|_| fmt::Error)?)
    }
}

/// Returns whether a word means something to a shell and hardly anything to a command.
fn is_for_a_shell(word: &str) -> bool {
    let is_variable =
        |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '{');
    ["|", "||", "&&", "&", ";", ">", ">>", "<", "2>&1"].contains(&word)
        || [">/", ">>/", "2>/", "2>>/"].iter().any(|redirection| word.starts_with(redirection))
        || word.strip_prefix('$').is_some_and(is_variable)
}

#[cfg(test)]
mod tests {
    use super::Command;

    fn words(rest: &str) -> Vec<String> {
        Command::read(rest).unwrap().words().map(str::to_owned).collect()
    }

    #[test]
    fn words_are_quoted_as_in_a_shell_or_listed_in_json() {
        assert_eq!(words("ls /var/ready"), ["ls", "/var/ready"]);
        assert_eq!(words("sh -c 'exit 1' \"a b\" c\\ d"), ["sh", "-c", "exit 1", "a b", "c d"]);
        assert_eq!(words("[\"grep\", \"#x\", \"\"]"), ["grep", "#x", ""]);
        assert_eq!(words("echo '#x' # as in a shell, a comment"), ["echo", "#x"]);
        assert_eq!(words("psql -c 'select 1; | $HOME'"), ["psql", "-c", "select 1; | $HOME"]);
        assert_eq!(words("[\"echo\", \"|\", \"$HOME\"]"), ["echo", "|", "$HOME"]);
        for wrong in
            ["ls | wc", "a && b", "a; b ;", "a > /x", "a 2>/dev/null", "echo $HOME", "echo ${A}", "a &"]
        {
            let error = Command::read(wrong).unwrap_err();
            assert!(error.contains("no shell runs"), "{wrong}: {error}");
        }
        for wrong in ["", " ", "'", "\"\"", "[]", "[1]", "[\"a\"", "[\"a\\u0000\"]"] {
            assert!(Command::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn it_is_written_as_it_could_be_typed() {
        assert_eq!(Command::read("[\"ls\", \"a b\"]").unwrap().to_string(), "ls 'a b'");
    }
}
