//! Names of incomplete files and folders: `.NAME.PROCESS-NUMBER.partial`, next to the final path.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::sync::parent;

const END: &str = ".partial";

/// Whether `name` is one under which a process writes, or wrote, the file or folder called `final_name`.
pub fn is_partial_of(name: &str, final_name: &str) -> bool {
    let inner = name
        .strip_prefix('.')
        .and_then(|rest| rest.strip_prefix(final_name)?.strip_prefix('.'))
        .and_then(|rest| rest.strip_suffix(END));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    inner
        .and_then(|inner| inner.split_once('-'))
        .is_some_and(|(process, number)| is_number(process) && is_number(number))
}

/// Calls `create` with an unused temporary name for `path`, and locks the file that it returns for as long as it is open.
/// Removes the incomplete files that dead processes have left for `path`.
pub(crate) fn create<T>(
    path: &Path,
    create: impl Fn(&Path) -> io::Result<T>,
    lock: impl Fn(&T) -> Option<&File>,
) -> io::Result<(T, PathBuf)> {
    remove_dead(path);
    let mut number = 0_u64;
    loop {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}-{number}{END}", std::process::id()));
        let partial = path.with_file_name(name);
        number += 1;
        match create(&partial) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(created) => {
                // File systems without locks remove nothing either.
                let is_taken = lock(&created)
                    .is_some_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
                // Another process may have mistaken it for that of a dead process and removed it before it was locked.
                if !is_taken && partial.exists() {
                    return Ok((created, partial));
                }
            }
        }
    }
}

/// Removes the incomplete files that dead processes have left for `path`. Errors are ignored: they only waste disk space.
fn remove_dead(path: &Path) {
    let Some(final_name) = path.file_name().and_then(|name| name.to_str()) else {
        return;
    };
    let entries = fs::read_dir(parent(path)).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        if !name
            .to_str()
            .is_some_and(|name| is_partial_of(name, final_name))
        {
            continue;
        }
        let partial = entry.path();
        let Ok(file) = File::open(&partial) else {
            continue;
        };
        if file.try_lock().is_ok() {
            let _ = match partial.is_dir() {
                true => fs::remove_dir_all(&partial),
                false => fs::remove_file(&partial),
            };
        }
    }
}
