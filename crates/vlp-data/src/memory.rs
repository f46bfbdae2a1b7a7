use std::sync::Once;

/// glibc's upper bound of the dynamic mmap threshold (`DEFAULT_MMAP_THRESHOLD_MAX`), less the block header.
const MAX_MMAP_THRESHOLD: usize = (32 << 20) - (64 << 10);

/// Makes glibc's allocator reuse freed image buffers.
///
/// By default glibc returns large blocks to the system when they are freed, so the pages of every image are faulted in and
/// zeroed again: half of the time of decoding and resizing. Its mmap threshold is the size of the largest mapped block
/// freed so far, so this frees one; the block is never written to and costs nothing. Other allocators are unaffected.
pub(crate) fn reuse_freed_blocks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut block = Vec::<u8>::new();
        // A failed reservation only costs speed.
        let _ = block.try_reserve_exact(MAX_MMAP_THRESHOLD);
        drop(std::hint::black_box(block));
    });
}
