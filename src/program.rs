//! The file of this program, which it starts again as another process.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

static OWN: OnceLock<PathBuf> = OnceLock::new();

/// Returns this program, also where there is no `/proc`.
pub fn own() -> &'static Path {
    let named = || std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    OWN.get_or_init(|| std::env::current_exe().unwrap_or_else(|_| named()))
}
