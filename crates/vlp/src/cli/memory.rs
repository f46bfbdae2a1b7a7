//! Freed pages are kept.

/// What glibc's allocator reads when a program starts: a training step allocates and frees hundreds of large tensors, and by
/// default their pages go back to the kernel and are zeroed again, up to half of a step.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SETTINGS: [(&str, &str); 4] = [
    ("MALLOC_TRIM_THRESHOLD_", "8589934592"),
    ("MALLOC_MMAP_THRESHOLD_", "33554432"),
    ("MALLOC_MMAP_MAX_", "0"),
    ("MALLOC_TOP_PAD_", "67108864"),
];

/// Starts the program once more with these settings, unless one of them is given already.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn keep_pages() {
    use std::os::unix::process::CommandExt;

    let mut arguments = std::env::args_os();
    let given = SETTINGS
        .iter()
        .any(|(name, _)| std::env::var_os(name).is_some());
    let (Ok(program), Some(name), false) = (std::env::current_exe(), arguments.next(), given)
    else {
        return;
    };
    let mut again = std::process::Command::new(program);
    // It returns only where it failed: then the program goes on as it is, and slower.
    let _ = again.arg0(name).args(arguments).envs(SETTINGS).exec();
}

/// Other systems' allocators keep them by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn keep_pages() {}
