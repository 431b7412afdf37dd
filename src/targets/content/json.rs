//! Conditions on a JSON document, such as `/status = UP`: a JSON Pointer (RFC 6901), an operator and a value.
//!
//! The document is read past and never built: what is nested deeply or is long costs no more than its bytes.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The operators; of those that begin alike, the longer one first.
const OPERATORS: [(&str, Operator); 6] = [
    ("!=", Operator::Not),
    ("<=", Operator::Order(&[Ordering::Less, Ordering::Equal])),
    (">=", Operator::Order(&[Ordering::Greater, Ordering::Equal])),
    ("=", Operator::Equal),
    ("<", Operator::Order(&[Ordering::Less])),
    (">", Operator::Order(&[Ordering::Greater])),
];

/// The part of a value that is shown, in characters.
const MAX_SHOWN_CHARS: usize = 80;

/// One line of `_BODY_JSON`.
#[derive(Debug)]
pub(super) struct Condition {
    /// As it was written.
    text: Box<str>,
    /// The pointer as it was written.
    pointer: Box<str>,
    /// Its parts, unescaped.
    path: Box<[String]>,
    operator: Operator,
    wanted: Value,
}

#[derive(Clone, Copy, Debug)]
enum Operator {
    Equal,
    Not,
    /// Of numbers, one of these.
    Order(&'static [Ordering]),
}

/// Reads conditions, one a line.
pub(super) fn conditions(value: &str) -> Result<Arc<[Condition]>, String> {
    let lines = value.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let conditions: Result<Vec<_>, String> = lines
        .map(|(index, line)| condition(line.trim()).map_err(|wrong| format!("line {}: {wrong}", index + 1)))
        .collect();
    let accepted = || Err("accepted: conditions, one a line, such as /status = UP".to_owned());
    conditions.and_then(|found| if found.is_empty() { accepted() } else { Ok(found.into()) })
}

fn condition(line: &str) -> Result<Condition, String> {
    let accepted = "accepted: a JSON Pointer, one of = != < <= > >=, and a value, such as /status = UP";
    let (pointer, operator, value) = split(line).ok_or(accepted)?;
    let is_pointer = pointer.is_empty() || pointer.starts_with('/');
    let path = is_pointer.then(|| path(pointer)).flatten().ok_or(accepted)?;
    let wanted = wanted(value)?;
    if matches!(operator, Operator::Order(_)) && !wanted.is_number() {
        return Err(format!("only numbers are less or greater, and {value:?} is none"));
    }
    Ok(Condition { text: line.into(), pointer: pointer.into(), path, operator, wanted })
}

/// Returns the parts of a line, at the first operator between spaces.
fn split(line: &str) -> Option<(&str, Operator, &str)> {
    let ends_a_word = |at: usize| line[at..].chars().next().is_none_or(char::is_whitespace);
    let begins_a_word = |at: usize| line[..at].chars().next_back().is_none_or(char::is_whitespace);
    let places = line.char_indices().map(|(at, _)| at).filter(|&at| begins_a_word(at));
    places.into_iter().find_map(|at| {
        let operator = OPERATORS.iter().find(|(sign, _)| line[at..].starts_with(sign))?;
        let end = at + operator.0.len();
        ends_a_word(end).then(|| (line[..at].trim_end(), operator.1, line[end..].trim()))
    })
}

/// Returns the parts of a pointer; nothing where an escape is broken.
fn path(pointer: &str) -> Option<Box<[String]>> {
    let unescaped = |part: &str| {
        let is_broken = part.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1']));
        (!is_broken).then(|| part.replace("~1", "/").replace("~0", "~"))
    };
    pointer.split('/').skip(1).map(unescaped).collect()
}

/// Reads a JSON value, or a bare word.
fn wanted(value: &str) -> Result<Value, String> {
    match serde_json::from_str(value) {
        Ok(value) => Ok(value),
        Err(error) if value.is_empty() || value.starts_with(['"', '{', '[']) => {
            Err(format!("{value:?} is no JSON value: {error}"))
        }
        Err(_) => Ok(Value::String(value.to_owned())),
    }
}

/// Judges a document.
pub(super) fn judge(conditions: &[Condition], document: &[u8]) -> Result<(), String> {
    conditions.iter().try_for_each(|condition| condition.judge(document))
}

impl Condition {
    fn judge(&self, document: &[u8]) -> Result<(), String> {
        let Self { text, pointer, .. } = self;
        let mut reader = serde_json::Deserializer::from_slice(document);
        let found = At { path: &self.path, is_whole: self.wanted.is_object() || self.wanted.is_array() };
        let found = found.deserialize(&mut reader).and_then(|found| reader.end().map(|()| found));
        let found = found.map_err(|error| format!("it is not JSON: {error}"))?;
        let found = found.ok_or_else(|| format!("{pointer} leads nowhere"))?;
        if self.holds(&found) {
            return Ok(());
        }
        Err(format!("{text} does not hold, {pointer} is {}", shown(&found)))
    }

    fn holds(&self, found: &Value) -> bool {
        match (self.operator, found, &self.wanted) {
            (Operator::Equal, Value::Number(a), Value::Number(b)) => compare(a, b) == Some(Ordering::Equal),
            (Operator::Not, Value::Number(a), Value::Number(b)) => compare(a, b) != Some(Ordering::Equal),
            (Operator::Equal, a, b) => a == b,
            (Operator::Not, a, b) => a != b,
            (Operator::Order(allowed), Value::Number(a), Value::Number(b)) => {
                compare(a, b).is_some_and(|order| allowed.contains(&order))
            }
            (Operator::Order(_), ..) => false,
        }
    }
}

/// Compares whole numbers exactly, and others as well as they can be.
fn compare(a: &Number, b: &Number) -> Option<Ordering> {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn shown(value: &Value) -> Cow<'static, str> {
    match value {
        Value::Object(_) => Cow::Borrowed("an object"),
        Value::Array(_) => Cow::Borrowed("an array"),
        scalar => {
            let text = scalar.to_string();
            match text.char_indices().nth(MAX_SHOWN_CHARS) {
                Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
                None => Cow::Owned(text),
            }
        }
    }
}

/// A visitor that looks for the value at a path; of an object or an array, only its kind is told unless it `is_whole`.
#[derive(Clone, Copy)]
struct At<'a> {
    path: &'a [String],
    is_whole: bool,
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        if self.path.is_empty() && self.is_whole {
            return Value::deserialize(reader).map(Some);
        }
        reader.deserialize_any(self)
    }
}

impl At<'_> {
    /// Returns a value that has no parts, if the path ends there.
    fn end(self, value: impl Into<Value>) -> Option<Value> {
        self.path.is_empty().then(|| value.into())
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(self.end(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(self.end(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(self.end(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(self.end(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(self.end(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(self.end(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((name, path)) = self.path.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Some(Value::Object(Map::new())));
        };
        let mut found = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if *key == **name {
                found = map.next_value_seed(At { path, ..self })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let Some((name, path)) = self.path.split_first() else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Some(Value::Array(Vec::new())));
        };
        let is_index = name == "0" || (name.bytes().all(|b| b.is_ascii_digit()) && !name.starts_with('0'));
        let index: Option<usize> = name.parse().ok().filter(|_| is_index);
        let (mut found, mut at) = (None, 0);
        loop {
            if index == Some(at) {
                match items.next_element_seed(At { path, ..self })? {
                    Some(value) => found = value,
                    None => return Ok(found),
                }
            } else if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEALTH: &str = r#"{
        "status": "UP", "lag": 29.5, "count": 9007199254740993, "ok": true, "none": null, "text": "30",
        "components": {"db": {"status": "DOWN", "a/b": 1, "m~n": 2, "": 3, "a = b": 4}, "list": [1, {"x": "y"}]}
    }"#;

    fn judged(condition: &str, document: &str) -> Result<(), String> {
        judge(&conditions(condition).unwrap(), document.as_bytes())
    }

    #[test]
    fn conditions_that_hold() {
        for condition in [
            "/status = UP",
            "/status = \"UP\"",
            "  /status   =   UP  ",
            "/status != DOWN",
            "/lag < 30",
            "/lag <= 29.5",
            "/lag = 29.50",
            "/count = 9007199254740993",
            "/count > 9007199254740992",
            "/ok = true",
            "/none = null",
            "/text = \"30\"",
            "/text != 30",
            "/components/db/status = DOWN",
            "/components/db/a~1b = 1",
            "/components/db/m~0n = 2",
            "/components/db/ = 3",
            "/components/list/1/x = y",
            "/components/list = [1, {\"x\": \"y\"}]",
            "/components != []",
            "/status = UP\n\n/lag < 30\n",
        ] {
            assert_eq!(judged(condition, HEALTH), Ok(()), "{condition}");
        }
        assert_eq!(judged(" = \"word\"", "\"word\""), Ok(()));
        assert_eq!(judged("/a = 2", r#"{"a": 1, "a": 2}"#), Ok(()), "the last one counts");
    }

    #[test]
    fn conditions_that_do_not_hold_say_what_is_there() {
        for (condition, expected) in [
            ("/status = DOWN", "/status = DOWN does not hold, /status is \"UP\""),
            ("/status = 3", "/status = 3 does not hold, /status is \"UP\""),
            ("/lag = word", "/lag = word does not hold, /lag is 29.5"),
            ("/text < 31", "/text < 31 does not hold, /text is \"30\""),
            (
                "/count = 9007199254740992",
                "/count = 9007199254740992 does not hold, /count is 9007199254740993",
            ),
            ("/components = UP", "/components = UP does not hold, /components is an object"),
            ("/components/list = 1", "/components/list = 1 does not hold, /components/list is an array"),
            ("/statu = UP", "/statu leads nowhere"),
            ("/status/x = UP", "/status/x leads nowhere"),
            ("/statu != UP", "/statu leads nowhere"),
            ("/components/list/2 = 1", "/components/list/2 leads nowhere"),
            ("/components/list/01/x = y", "/components/list/01/x leads nowhere"),
            ("/components/db/a = b = 4", "/components/db/a leads nowhere"),
            ("/components/list/- = 1", "/components/list/- leads nowhere"),
        ] {
            assert_eq!(judged(condition, HEALTH), Err(expected.to_owned()), "{condition}");
        }
        let long = format!("{{\"a\": \"{}\"}}", "ä".repeat(200));
        assert!(judged("/a = b", &long).unwrap_err().ends_with('…'));
        let wrong = judged("/a = 1", "<html>").unwrap_err();
        assert!(wrong.starts_with("it is not JSON: expected value at line 1"), "{wrong}");
        assert!(judged("/a = 1", "{\"a\": 1} x").unwrap_err().starts_with("it is not JSON: trailing"));
    }

    #[test]
    fn a_document_may_be_nested_deeply() {
        let brackets = "[".repeat(10_000) + &"]".repeat(10_000);
        assert_eq!(judged("/a = 1", &format!("{{\"b\": {brackets}, \"a\": 1}}")), Ok(()));
        assert!(
            judged("/a = [1]", &format!("{{\"a\": {brackets}}}")).unwrap_err().contains("recursion limit")
        );
        assert!(judged(" = 1", &"[".repeat(10_000)).unwrap_err().starts_with("it is not JSON: EOF"));
    }

    #[test]
    fn what_is_accepted() {
        for (wrong, expected) in [
            ("", "accepted: conditions, one a line, such as /status = UP"),
            ("/a", "line 1: accepted: a JSON Pointer, one of"),
            ("/a = 1\nstatus = UP", "line 2: accepted: a JSON Pointer"),
            ("/a~2 = 1", "line 1: accepted: a JSON Pointer"),
            ("/a=1", "line 1: accepted: a JSON Pointer"),
            ("/a < UP", "line 1: only numbers are less or greater, and \"UP\" is none"),
            ("/a = \"UP", "line 1: \"\\\"UP\" is no JSON value: EOF"),
            ("/a =", "line 1: \"\" is no JSON value"),
        ] {
            let reason = conditions(wrong).unwrap_err();
            assert!(reason.starts_with(expected), "{wrong}: {reason}");
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_serde_json_finds(document in document(), path in "(/[ab01]){0,4}") {
            let value: Value = serde_json::from_str(&document).unwrap();
            let condition = &conditions(&format!("{path} != unlikely")).unwrap()[0];
            let judged = condition.judge(document.as_bytes());
            prop_assert_eq!(judged.is_ok(), value.pointer(&path).is_some(), "{} in {}", path, document);
        }

        #[test]
        fn no_bytes_panic(condition: String, document: Vec<u8>) {
            if let Ok(conditions) = conditions(&condition) {
                let _ = judge(&conditions, &document);
            }
        }
    }

    fn document() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![Just("1".to_owned()), Just("\"x\"".to_owned()), Just("null".to_owned())];
        leaf.prop_recursive(4, 32, 3, |inner| {
            let list =
                prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(",")));
            let object = prop::collection::btree_map("[ab01]", inner, 0..3).prop_map(|map| {
                let entries: Vec<_> = map.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", entries.join(","))
            });
            prop_oneof![list, object]
        })
    }
}
