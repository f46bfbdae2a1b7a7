use std::sync::Once;

/// Greatest block that glibc's allocator takes for a measure, less its header (`DEFAULT_MMAP_THRESHOLD_MAX`).
const MOST: usize = (32 << 20) - (64 << 10);

/// Lets the allocator keep the memory of pictures for the next ones.
///
/// glibc's gives large blocks back to the system as they are freed, so that every picture's pages are fetched and cleared
/// anew: half of the time of decoding and resizing. It keeps what is smaller than the largest block freed so far; one
/// that is never written to costs nothing. Other allocators are not harmed.
pub(crate) fn keep() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        let mut block = Vec::<u8>::new();
        // Where there is no room for it, pictures are slower.
        let _ = block.try_reserve_exact(MOST);
        drop(std::hint::black_box(block));
    });
}
