//! What the program's memory comes from; freed pages are kept.
//!
//! A training step allocates and frees hundreds of large tensors on the CPU, and by default glibc gives their pages back to
//! the kernel and has them zeroed again, up to half of a step: it is asked not to. A GPU is driven by three threads
//! that free what another has allocated, which is slow with glibc: builds for GPUs take another allocator, which keeps pages
//! too, and takes more memory on the CPU.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Starts the program once more where glibc's allocator is to be told; it reads this when a program starts.
pub(crate) fn keep_pages() {
    #[cfg(all(
        target_os = "linux",
        target_env = "gnu",
        not(any(feature = "wgpu", feature = "cuda"))
    ))]
    glibc::start_again();
}

#[cfg(all(
    target_os = "linux",
    target_env = "gnu",
    not(any(feature = "wgpu", feature = "cuda"))
))]
mod glibc {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    const SETTINGS: [(&str, &str); 4] = [
        ("MALLOC_TRIM_THRESHOLD_", "8589934592"),
        ("MALLOC_MMAP_THRESHOLD_", "33554432"),
        ("MALLOC_MMAP_MAX_", "0"),
        ("MALLOC_TOP_PAD_", "67108864"),
    ];

    /// Unless one of the settings is given already.
    pub(super) fn start_again() {
        let mut arguments = std::env::args_os();
        let given = SETTINGS
            .iter()
            .any(|(name, _)| std::env::var_os(name).is_some());
        let (Ok(program), Some(name), false) = (std::env::current_exe(), arguments.next(), given)
        else {
            return;
        };
        let mut again = Command::new(program);
        // It returns only where it failed: then the program goes on as it is, and slower.
        let _ = again.arg0(name).args(arguments).envs(SETTINGS).exec();
    }
}
