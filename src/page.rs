//! The status page `/`: one document with its style and script inside, and the policy that lets only these run.

/// The whole page.
pub const DOCUMENT: &str = concat!(
    include_str!("page/head.html"),
    "<style>",
    include_str!("page/style.css"),
    "</style>\n",
    include_str!("page/body.html"),
    "<script>",
    include_str!("page/words.js"),
    include_str!("page/show.js"),
    "</script>\n"
);

/// Its Content-Security-Policy: this style, this script, requests to the sidecar, and nothing else.
///
/// The hashes are those of the style and the script; a test tells the new ones when these have changed.
pub const POLICY: &str = "default-src 'none'; \
    style-src 'sha256-sp5tMhHSyhQndjmLP3x2B7+TiYOCO1ZaGvFypsPWPr0='; \
    script-src 'sha256-Znmzs5MqrGJcgVO2vPfdnncyaS0c/7Bvb/aq6wPlzzE='; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use ring::digest::{SHA256, digest};

    use super::*;

    /// Returns what stands between the only `<tag>` of the page and its end.
    fn content(tag: &str) -> &'static str {
        let (_, rest) = DOCUMENT.split_once(&format!("<{tag}>")).unwrap();
        let (content, rest) = rest.split_once(&format!("</{tag}>")).unwrap();
        assert!(!rest.contains(&format!("<{tag}")), "one {tag} alone has a hash");
        content
    }

    #[test]
    fn the_policy_fits_the_style_and_the_script() {
        for tag in ["style", "script"] {
            let hash = BASE64_STANDARD.encode(digest(&SHA256, content(tag).as_bytes()));
            let expected = format!("{tag}-src 'sha256-{hash}'; ");
            assert!(POLICY.contains(&expected), "the {tag} has changed; write into POLICY: {expected}");
        }
    }

    #[test]
    fn it_is_small_and_needs_nothing_else() {
        assert!(DOCUMENT.len() < 40_000, "{} bytes", DOCUMENT.len());
        for needle in
            ["http:", "https:", "@import", "url(", " style=", " src=", "javascript:", "innerHTML", "eval("]
        {
            let found = DOCUMENT.replace("http://www.w3.org/2000/svg", "").contains(needle);
            assert!(!found, "{needle}");
        }
    }
}
