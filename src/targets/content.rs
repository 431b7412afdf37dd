//! `_BODY_MATCHES`, `_BODY_MATCHES_NOT` and `_BODY_JSON`: what a body or a file has to hold.

mod json;

use std::sync::Arc;

use bytes::Bytes;

use super::Stage;
use super::pattern::Pattern;
use super::stage::quoted;
use crate::blocking::Place;
use crate::grammar::{OptionReader, options};

use json::Condition;

/// The part that is looked at, in bytes.
pub const MAX_CONTENT_BYTES: usize = 256 * 1024;

/// The product of a content's length and its conditions up to which JSON is read at once.
const MAX_INLINE_WORK: usize = 16 * 1024;

/// The conditions for content.
#[derive(Debug)]
pub struct Content {
    matches: Option<Pattern>,
    matches_not: Option<Pattern>,
    json: Option<Arc<[Condition]>>,
}

/// A condition that is not met.
enum Wrong {
    /// A pattern says nothing of what is there instead.
    Pattern(String),
    /// The reason says it all.
    Other(String),
}

impl From<String> for Wrong {
    fn from(reason: String) -> Self {
        Self::Other(reason)
    }
}

impl Content {
    /// Takes the three options; nothing where there is none.
    pub fn take(reader: &mut OptionReader) -> Option<Box<Self>> {
        let content = Self {
            matches: reader.take(options::BODY_MATCHES, Pattern::read),
            matches_not: reader.take(options::BODY_MATCHES_NOT, Pattern::read),
            json: reader.take(options::BODY_JSON, json::conditions),
        };
        let is_asked = content.matches.is_some() || content.matches_not.is_some() || content.json.is_some();
        is_asked.then(|| Box::new(content))
    }

    /// Judges `content`, which is called `name`, such as `the body`.
    ///
    /// # Errors
    /// The condition that is not met.
    pub async fn judge(
        &self,
        name: &str,
        content: &Bytes,
        place: &Place,
        stage: &Stage<'_>,
    ) -> Result<(), String> {
        let Err(wrong) = self.hold(name, content, place).await else { return Ok(()) };
        if let Some(coding) = coding(content) {
            return Err(format!(
                "{name} is compressed ({coding}); ask for Accept-Encoding: identity (_HTTP_HEADERS)"
            ));
        }
        let said = stage.hear(content);
        Err(match wrong {
            Wrong::Pattern(reason) if said.is_empty() => format!("{reason}: it is empty"),
            Wrong::Pattern(reason) => format!("{reason}: it begins {}", quoted(&said)),
            Wrong::Other(reason) => reason,
        })
    }

    async fn hold(&self, name: &str, content: &Bytes, place: &Place) -> Result<(), Wrong> {
        let is_cut = content.len() >= MAX_CONTENT_BYTES;
        let looked_at =
            if is_cut { format!("the first {MAX_CONTENT_BYTES} bytes of {name}") } else { name.to_owned() };
        let verb = if is_cut { "do" } else { "does" };
        if let Some(wanted) = &self.matches
            && !wanted.is_match(content, place).await?
        {
            return Err(Wrong::Pattern(format!("{looked_at} {verb} not match {wanted}")));
        }
        if let Some(unwanted) = &self.matches_not
            && unwanted.is_match(content, place).await?
        {
            return Err(Wrong::Pattern(format!("{name} matches {unwanted}")));
        }
        match &self.json {
            None => Ok(()),
            Some(_) if is_cut => Err(Wrong::Other(format!(
                "{name} is longer than {MAX_CONTENT_BYTES} bytes, too long for JSON"
            ))),
            Some(conditions) => Ok(judge_json(conditions, name, content, place).await?),
        }
    }
}

/// Returns how content is compressed, which nobody asked for: by its first bytes (RFC 1952, RFC 8878).
fn coding(content: &[u8]) -> Option<&'static str> {
    match content {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        _ => None,
    }
}

async fn judge_json(
    conditions: &Arc<[Condition]>,
    name: &str,
    content: &Bytes,
    place: &Place,
) -> Result<(), String> {
    let judged = if content.len().saturating_mul(conditions.len()) <= MAX_INLINE_WORK {
        json::judge(conditions, content)
    } else {
        let (conditions, content) = (Arc::clone(conditions), content.clone());
        place
            .run(format!("reading {name} as JSON did not end"), move || json::judge(&conditions, &content))
            .await?
    };
    judged.map_err(|wrong| format!("{name}: {wrong}"))
}
