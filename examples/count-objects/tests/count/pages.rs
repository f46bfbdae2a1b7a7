//! The documentation quotes the code.

/// Text of the fenced blocks that begin with `fence`.
fn blocks(page: &str, fence: &str) -> Vec<String> {
    let mut blocks = vec![];
    let mut lines = page.lines();
    while lines.by_ref().any(|line| line == fence) {
        let block = lines.by_ref().take_while(|line| *line != "```");
        blocks.push(block.map(|line| format!("{line}\n")).collect());
    }
    blocks
}

#[test]
fn code_blocks_of_the_page_are_the_file() {
    let page = include_str!("../../../../docs/adding-a-task.md");
    let blocks = blocks(page, "```rust,ignore");
    assert!(blocks.len() > 3);
    // There is an empty line between two blocks.
    let joined = blocks.join("\n");
    let file = include_str!("../../src/count.rs");
    for (number, (quoted, line)) in joined.lines().zip(file.lines()).enumerate() {
        assert_eq!(
            quoted,
            line,
            "line {} of src/count.rs differs in docs/adding-a-task.md",
            number + 1
        );
    }
    assert_eq!(joined, file);
}
