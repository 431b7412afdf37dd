//! Values that stand in a variable, or in a file: `_SEND` and `_SEND_FILE`.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use super::small_file;
use crate::blocking::Place;
use crate::grammar::options::OptionName;
use crate::grammar::{OptionReader, values};

/// The longest file that is read for a value, in bytes.
const MAX_VALUE_BYTES: usize = 256 * 1024;

/// A value, or where it stands.
pub enum Source<T> {
    /// In the variable.
    Value(T),
    /// In a file, which is read for each run: a token that is rotated is used at once.
    File(ValueFile<T>),
}

/// A file and how it is read.
pub struct ValueFile<T> {
    path: PathBuf,
    read: fn(&[u8]) -> Result<T, String>,
}

impl<T> fmt::Debug for Source<T> {
    /// Hides the value, which may be a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => formatter.write_str("***"),
            Self::File(file) => write!(formatter, "{}", file.path.display()),
        }
    }
}

impl<T: Clone + Send + 'static> Source<T> {
    /// Takes the option `file`, which names a file for the value that may be `given` as well, but not both.
    pub fn take(
        value: Option<T>,
        file: OptionName,
        read: fn(&[u8]) -> Result<T, String>,
        reader: &mut OptionReader,
    ) -> Option<Self> {
        let path = reader.take(file, values::path);
        if let (Some(_), Some(path)) = (&value, &path) {
            let other = file.suffix.trim_end_matches("_FILE");
            reader.reject(
                file,
                &path.to_string_lossy(),
                format!("there is _{other} too; one of them is enough"),
            );
        }
        let file = path.map(|path| Self::File(ValueFile { path, read }));
        file.or_else(|| value.map(Self::Value))
    }

    /// Returns the value as it is now.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub async fn get(&self, place: &Place) -> Result<Cow<'_, T>, String> {
        match self {
            Self::Value(value) => Ok(Cow::Borrowed(value)),
            Self::File(file) => file.get(place).await.map(Cow::Owned),
        }
    }
}

impl<T: Send + 'static> ValueFile<T> {
    async fn get(&self, place: &Place) -> Result<T, String> {
        let (path, read) = (self.path.clone(), self.read);
        let silence = format!("the file system did not answer for {}", path.display());
        let look = move || {
            let content = small_file::read(&path, MAX_VALUE_BYTES)?;
            read(&content).map_err(|wrong| format!("{}: {wrong}", path.display()))
        };
        place.run(silence, look).await?
    }
}
