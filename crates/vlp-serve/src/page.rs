//! The files of the page, inside the program.

/// A file of the page.
pub(crate) struct PageFile {
    /// Its path in URLs.
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// All files of the page; another one needs a line here.
pub(crate) const PAGE: &[PageFile] = &[
    file("/", HTML, include_str!("../page/index.html")),
    file("/answer.js", SCRIPT, include_str!("../page/answer.js")),
    file("/api.js", SCRIPT, include_str!("../page/api.js")),
    file("/app.js", SCRIPT, include_str!("../page/app.js")),
    file("/bars.js", SCRIPT, include_str!("../page/bars.js")),
    file("/base.css", CSS, include_str!("../page/base.css")),
    file("/caption.js", SCRIPT, include_str!("../page/caption.js")),
    file(
        "/code_colors.js",
        SCRIPT,
        include_str!("../page/code_colors.js"),
    ),
    file("/codes.js", SCRIPT, include_str!("../page/codes.js")),
    file("/colors.js", SCRIPT, include_str!("../page/colors.js")),
    file(
        "/connection.js",
        SCRIPT,
        include_str!("../page/connection.js"),
    ),
    file("/dom.js", SCRIPT, include_str!("../page/dom.js")),
    file("/entail.js", SCRIPT, include_str!("../page/entail.js")),
    file("/heat.js", SCRIPT, include_str!("../page/heat.js")),
    file("/icon.svg", SVG, include_str!("../page/icon.svg")),
    file(
        "/image_search.js",
        SCRIPT,
        include_str!("../page/image_search.js"),
    ),
    file(
        "/input_image.js",
        SCRIPT,
        include_str!("../page/input_image.js"),
    ),
    file("/labels.js", SCRIPT, include_str!("../page/labels.js")),
    file("/layout.css", CSS, include_str!("../page/layout.css")),
    file("/main.js", SCRIPT, include_str!("../page/main.js")),
    file("/match.js", SCRIPT, include_str!("../page/match.js")),
    file("/objects.js", SCRIPT, include_str!("../page/objects.js")),
    file("/panel.js", SCRIPT, include_str!("../page/panel.js")),
    file("/picker.js", SCRIPT, include_str!("../page/picker.js")),
    file("/results.css", CSS, include_str!("../page/results.css")),
    file("/runs.js", SCRIPT, include_str!("../page/runs.js")),
    file(
        "/search_hits.js",
        SCRIPT,
        include_str!("../page/search_hits.js"),
    ),
    file("/stage.js", SCRIPT, include_str!("../page/stage.js")),
    file(
        "/statement.js",
        SCRIPT,
        include_str!("../page/statement.js"),
    ),
    file("/task.js", SCRIPT, include_str!("../page/task.js")),
    file(
        "/text_search.js",
        SCRIPT,
        include_str!("../page/text_search.js"),
    ),
    file("/texts.js", SCRIPT, include_str!("../page/texts.js")),
    file("/types.js", SCRIPT, include_str!("../page/types.js")),
    file("/words.js", SCRIPT, include_str!("../page/words.js")),
];

const fn file(path: &'static str, content_type: &'static str, text: &'static str) -> PageFile {
    PageFile {
        path,
        content_type,
        text,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let files = std::fs::read_dir(folder).unwrap();
        for file in files.map(|entry| entry.unwrap().file_name()) {
            let name = file.to_str().unwrap();
            let path = format!("/{}", name.replace("index.html", ""));
            assert!(PAGE.iter().any(|file| file.path == path), "{name}");
        }
    }
}
