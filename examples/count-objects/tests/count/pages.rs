//! The pages say what the code is.

/// Text of the fenced blocks that open with `fence`.
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
fn the_blocks_of_the_page_are_the_file() {
    let page = include_str!("../../../../docs/adding-a-task.md");
    let blocks = blocks(page, "```rust,ignore");
    assert!(blocks.len() > 3);
    // Blocks of items are parted by an empty line.
    let joined = blocks.join("\n");
    let file = include_str!("../../src/count.rs");
    for (number, (found, want)) in joined.lines().zip(file.lines()).enumerate() {
        assert_eq!(
            found,
            want,
            "line {} of src/count.rs differs in docs/adding-a-task.md",
            number + 1
        );
    }
    assert_eq!(joined, file);
}
