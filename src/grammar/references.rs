//! `$(NAME)` in a target or an option: the value of another variable, put in where it cannot be mistaken for anything
//! else, and never printed. `$$(NAME)` stands for `$(NAME)` itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::remote::percent_encoded;
use super::secrets::Secrets;

/// The beginning of a reference, and the character that takes that meaning from it.
const BEGIN: &str = "$(";
const LITERAL: &str = "$$(";

/// The variables that may be referred to.
#[derive(Clone, Default)]
pub struct Variables(Arc<BTreeMap<String, String>>);

impl Variables {
    /// Takes all variables of an environment.
    pub(super) fn new(all: BTreeMap<String, String>) -> Self {
        Self(Arc::new(all))
    }

    /// Begins to put values in, and to note which.
    pub fn resolver(&self) -> Resolver {
        Resolver { variables: self.clone(), secrets: Secrets::default() }
    }
}

impl fmt::Debug for Variables {
    /// Hides the value, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A resolver that puts values in the place of references.
#[derive(Debug, Default)]
pub struct Resolver {
    variables: Variables,
    secrets: Secrets,
}

impl Resolver {
    /// Returns a text with all values in their places.
    ///
    /// # Errors
    /// A variable that does not exist.
    pub fn resolve(&mut self, text: &str) -> Result<String, String> {
        self.resolve_as(text, |literal| Ok(literal.to_owned()), str::to_owned)
    }

    /// Returns bytes: what `read` makes of the text between references, and their values as they are.
    ///
    /// # Errors
    /// A variable that does not exist, and what `read` refuses.
    pub fn resolve_bytes(
        &mut self,
        text: &str,
        read: impl Fn(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Vec<u8>, String> {
        let pieces: Result<Vec<_>, _> = self.pieces(text, read, |value| value.as_bytes().to_vec());
        Ok(pieces?.concat())
    }

    /// Returns what follows `scheme://`: values are %-encoded before the last `@` of the authority, and where
    /// `is_socket` says that a path stands for the host.
    ///
    /// # Errors
    /// A variable that does not exist.
    pub(super) fn resolve_url(&mut self, rest: &str, is_socket: bool) -> Result<String, String> {
        let plain = masked(rest);
        let authority_end = plain.find(['/', '?', '#']).unwrap_or(rest.len());
        let user_end = plain[..authority_end].rfind('@').unwrap_or(0);
        let encoded_end = if is_socket { authority_end } else { user_end };
        let literal = |literal: &str| Ok(literal.to_owned());
        let encoded = self.resolve_as(&rest[..encoded_end], literal, percent_encoded)?;
        Ok(encoded + &self.resolve(&rest[encoded_end..])?)
    }

    /// Returns a message without what was put in.
    pub(super) fn hidden(&self, message: String) -> String {
        self.secrets.hide(&message).unwrap_or(message)
    }

    /// Notes that a value is sent in confidence.
    pub fn confide(&mut self, value: &[u8]) {
        self.secrets.confide(value);
    }

    /// Returns what was put in so far, and what was confided.
    pub fn into_secrets(self) -> Secrets {
        self.secrets
    }

    fn resolve_as(
        &mut self,
        text: &str,
        literal: impl Fn(&str) -> Result<String, String>,
        value: impl Fn(&str) -> String,
    ) -> Result<String, String> {
        Ok(self.pieces(text, literal, value)?.concat())
    }

    fn pieces<T>(
        &mut self,
        text: &str,
        literal: impl Fn(&str) -> Result<T, String>,
        value: impl Fn(&str) -> T,
    ) -> Result<Vec<T>, String> {
        let mut found = Vec::new();
        for piece in pieces(text) {
            found.push(match piece {
                Piece::Literal(text) => literal(text)?,
                Piece::Reference(name) => {
                    let known = self.variables.0.get(name);
                    let known = known.ok_or_else(|| {
                        format!("there is no variable {name} for $({name}); $$({name}) stands for itself")
                    })?;
                    self.secrets.note(name, known);
                    value(known)
                }
            });
        }
        Ok(found)
    }
}

/// Returns a text in which nothing is a reference.
pub fn escaped(text: &str) -> String {
    text.replace(BEGIN, LITERAL)
}

/// Returns a text without references as it is meant.
#[cfg(feature = "plugin")]
pub fn unescaped(text: &str) -> String {
    text.replace(LITERAL, BEGIN)
}

/// Returns whether a text refers to a variable.
pub fn is_in(text: &str) -> bool {
    pieces(text).any(|piece| matches!(piece, Piece::Reference(_)))
}

/// A part of a text.
enum Piece<'t> {
    Literal(&'t str),
    Reference(&'t str),
}

/// Takes a text apart; of `$$(` the first sign is left out.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(name) =
            rest.strip_prefix(BEGIN).and_then(|rest| rest.split_once(')')).map(|(name, _)| name)
        {
            rest = &rest[BEGIN.len() + name.len() + 1..];
            return Some(Piece::Reference(name));
        }
        if rest.starts_with(LITERAL) {
            rest = &rest[1..];
            let (literal, after) = rest.split_at(BEGIN.len());
            rest = after;
            return Some(Piece::Literal(literal));
        }
        let end = rest.char_indices().skip(1).find(|(_, sign)| *sign == '$').map_or(rest.len(), |(at, _)| at);
        let (literal, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Literal(literal))
    })
}

/// Returns a text of the same length in which no reference holds a sign that means something.
fn masked(text: &str) -> String {
    let mut masked = text.to_owned();
    let mut from = 0;
    while let Some(begin) = masked[from..].find(BEGIN).map(|at| from + at)
        && let Some(end) = masked[begin..].find(')').map(|at| begin + at + 1)
    {
        masked.replace_range(begin..end, &"x".repeat(end - begin));
        from = end;
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver() -> Resolver {
        let all = [("PASS", "p@ss:w/rd"), ("IP", "fd00::1"), ("N", "80"), ("CYCLE", "$(CYCLE)")];
        let all = all.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Variables::new(all.into()).resolver()
    }

    #[test]
    fn values_are_put_in_once_and_what_is_escaped_stands_for_itself() {
        for (text, expected) in [
            ("a$(N)b$(N)", "a80b80"),
            ("$$(N)", "$(N)"),
            ("$$$(N)", "$$(N)"),
            ("a$$b$c$", "a$$b$c$"),
            ("$(N", "$(N"),
            ("$(CYCLE)", "$(CYCLE)"),
            ("é$(N)é", "é80é"),
            ("", ""),
        ] {
            assert_eq!(resolver().resolve(text).as_deref(), Ok(expected), "{text}");
        }
        let unknown = "there is no variable GONE for $(GONE); $$(GONE) stands for itself";
        assert_eq!(resolver().resolve("x$(GONE)"), Err(unknown.to_owned()));
        for text in ["$(a)", "$$(a)", "$$$(a)", "a$b", "$"] {
            assert_eq!(resolver().resolve(&escaped(text)).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_user_is_encoded_and_the_rest_of_a_url_is_not() {
        for (rest, expected) in [
            ("u:$(PASS)@$(IP):$(N)/$(PASS)", "u:p%40ss%3Aw%2Frd@fd00::1:80/p@ss:w/rd"),
            (":$(N)/x@y", ":80/x@y"),
            ("$(IP):1", "fd00::1:1"),
        ] {
            assert_eq!(resolver().resolve_url(rest, false).as_deref(), Ok(expected));
        }
        assert_eq!(resolver().resolve_url("$(PASS)/x", true).as_deref(), Ok("p%40ss%3Aw%2Frd/x"));
    }

    #[test]
    fn a_value_is_not_read_as_the_text_around_it_is() {
        let loud = |text: &str| Ok(text.to_uppercase().into_bytes());
        let bytes = resolver().resolve_bytes("auth $(PASS)\\n", loud);
        assert_eq!(bytes, Ok(b"AUTH p@ss:w/rd\\N".to_vec()));
    }

    #[test]
    fn what_was_put_in_is_hidden_in_every_text() {
        let mut resolver = resolver();
        resolver.resolve("$(PASS) $(N)").unwrap();
        let secrets = resolver.into_secrets();
        assert_eq!(secrets.hide("auth p@ss:w/rd failed at 80").as_deref(), Some("auth $(PASS) failed at 80"));
        assert_eq!(secrets.hide("nothing"), None);
        assert_eq!(format!("{secrets:?}"), "***");
    }
}
