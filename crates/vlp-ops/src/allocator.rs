//! Settings of the C library's allocator.

/// Configures glibc's allocator to keep freed pages instead of returning them to the kernel. Call it once at the start
/// of `main`.
///
/// A training step allocates and frees hundreds of large tensors. By default glibc serves them by `mmap` or trims the heap
/// when they are freed, and the kernel has to zero the same pages again at the next allocation: a third of a SOHO step on
/// the CPU. With these settings heaps are never trimmed, no allocation gets its own mapping, and a heap grows by 64 MiB at a
/// time.
///
/// Does nothing if the environment already configures the allocator (`MALLOC_*_` variables or `GLIBC_TUNABLES`), or on
/// other systems or C libraries. Another global allocator is not affected.
pub fn tune_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::keep_pages();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    /// A trim threshold of -1 switches trimming off.
    const SETTINGS: [(&str, libc::c_int, libc::c_int); 4] = [
        ("MALLOC_TRIM_THRESHOLD_", libc::M_TRIM_THRESHOLD, -1),
        ("MALLOC_MMAP_THRESHOLD_", libc::M_MMAP_THRESHOLD, 32 << 20),
        ("MALLOC_MMAP_MAX_", libc::M_MMAP_MAX, 0),
        ("MALLOC_TOP_PAD_", libc::M_TOP_PAD, 64 << 20),
    ];

    pub(super) fn keep_pages() {
        let configured = SETTINGS
            .iter()
            .map(|(variable, ..)| *variable)
            .chain(["GLIBC_TUNABLES"])
            .any(|variable| std::env::var_os(variable).is_some());
        if configured {
            return;
        }
        for (_, parameter, value) in SETTINGS {
            // SAFETY: `mallopt` takes two integers, locks the allocator itself and has no other preconditions. A value that
            // it rejects leaves the setting as it was.
            #[allow(unsafe_code, reason = "a call of the C library")]
            unsafe {
                libc::mallopt(parameter, value);
            }
        }
    }
}
