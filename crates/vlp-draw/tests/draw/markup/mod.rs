//! Checks of the markup, for the tests of all pages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// The tags of the page in order, with the names of their attributes.
pub(crate) fn tags(page: &str) -> Vec<String> {
    let (mut tags, mut rest) = (Vec::new(), page);
    while let Some(start) = rest.find('<') {
        rest = &rest[start..];
        let end = rest.find('>').expect("an opened tag ends");
        tags.push(rest[..end].split([' ', '\n']).next().unwrap().to_owned());
        // Attribute names: the text before each =" outside of quotes.
        tags.extend(
            rest[..end]
                .split('"')
                .step_by(2)
                .map(|name| name.trim().to_owned()),
        );
        rest = &rest[end..];
    }
    tags
}

/// Text that would add markup if it were not escaped.
pub(crate) const HOSTILE: &str = "</title></style></pre><script>alert(1)</script><img src=x onerror=alert(1)>\" onload=\"x' & ]]> {}";

/// Panics if the page of a hostile text has other tags than that of a word, or if that is not self-contained.
pub(crate) fn assert_texts_are_escaped(page_with: impl Fn(&str) -> String) {
    let (plain, hostile) = (page_with("word"), page_with(HOSTILE));
    assert_eq!(tags(&plain), tags(&hostile));
    assert!(!hostile.contains("<script") && hostile.contains("&lt;script&gt;"));
    assert_self_contained(&plain);
}

/// Panics if the page refers to anything outside of it or lacks a part that all pages have.
pub(crate) fn assert_self_contained(page: &str) {
    // Base64 may contain two slashes.
    let mut parts = page.split("data:image/png;base64,");
    let mut bare = parts.next().unwrap().to_owned();
    for part in parts {
        bare.push_str("pixels");
        bare.push_str(&part[part.find('"').expect("the address ends")..]);
    }
    for address in [
        "http:", "https:", "//", "url(", "@import", "<script", "<link", "<iframe",
    ] {
        assert!(!bare.contains(address), "{address}");
    }
    for attribute in ["src=\"", "href=\""] {
        for value in bare.split(attribute).skip(1) {
            assert!(
                value.starts_with('#') || value.starts_with("pixels"),
                "{}",
                &value[..40]
            );
        }
    }
    assert!(bare.contains("\"pixels\"") && bare.contains("default-src 'none'"));
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("width=device-width"));
}
