//! What is written appears whole, and what dead processes have left is removed.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs;
use std::io::Write;
use std::path::Path;

use vlp_files::{PartialFile, PartialFolder, create_folder, is_partial_of, sync_tree, write_whole};

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_when_it_is_finished_and_stays_when_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    write_whole(&path, b"old").unwrap();
    let mut file = PartialFile::create(&path).unwrap();
    file.write_all(b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    drop(file);
    assert_eq!(
        (fs::read(&path).unwrap(), names(folder.path())),
        (b"old".to_vec(), vec!["a".into()])
    );
    let mut file = PartialFile::create(&path).unwrap();
    file.write_all(b"new").unwrap();
    file.finish().unwrap();
    assert_eq!(
        (fs::read(&path).unwrap(), names(folder.path())),
        (b"new".to_vec(), vec!["a".into()])
    );
}

#[test]
fn a_new_file_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    for (contents, is_new) in [("first", true), ("second", false)] {
        let mut file = PartialFile::create(&path).unwrap();
        file.write_all(contents.as_bytes()).unwrap();
        let finished = file.finish_new().map_err(|error| error.kind());
        let expected = match is_new {
            true => Ok(()),
            false => Err(std::io::ErrorKind::AlreadyExists),
        };
        assert_eq!(finished, expected);
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"first".to_vec(), vec!["a".into()])
        );
    }
}

#[test]
fn a_folder_appears_when_it_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b/set");
    let partial = PartialFolder::create(&path).unwrap();
    write_whole(&partial.path().join("x"), b"1").unwrap();
    drop(partial);
    assert!(names(&folder.path().join("b")).is_empty());
    fs::create_dir(&path).unwrap();
    let partial = PartialFolder::create(&path).unwrap();
    write_whole(&partial.path().join("x"), b"1").unwrap();
    partial.finish().unwrap();
    assert_eq!(names(&path), ["x"]);
    assert_eq!(names(&folder.path().join("b")), ["set"]);
}

#[test]
fn a_folder_that_is_not_empty_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set");
    let partial = PartialFolder::create(&path).unwrap();
    create_folder(&path).unwrap();
    fs::write(path.join("mine"), "").unwrap();
    partial.finish().unwrap_err();
    assert_eq!(
        (names(&path), names(folder.path())),
        (vec!["mine".into()], vec!["set".into()])
    );
}

#[cfg(unix)]
#[test]
fn a_link_to_a_folder_stays_and_what_cannot_be_replaced_is_an_error_at_once() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let [target, link, file, lost] = ["a", "b", "c", "d"].map(|name| folder.path().join(name));
    fs::create_dir(&target).unwrap();
    symlink("a", &link).unwrap();
    let partial = PartialFolder::create(&link).unwrap();
    write_whole(&partial.path().join("x"), b"1").unwrap();
    partial.finish().unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(
        (names(&target), names(folder.path())),
        (vec!["x".into()], vec!["a".into(), "b".into()])
    );
    fs::write(&file, "").unwrap();
    symlink("nothing", &lost).unwrap();
    for (path, reason) in [
        (file.as_path(), "not a folder"),
        (&lost, "not a folder"),
        (Path::new("."), "the current folder"),
    ] {
        let error = PartialFolder::create(path).unwrap_err().to_string();
        assert!(error.contains(reason), "{}: {error}", path.display());
    }
}

#[test]
fn what_dead_processes_left_is_removed_and_what_living_ones_write_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        ".a.1-0.partial",
        ".ab.1-0.partial",
        ".a.1.partial",
        "a.1-0.partial",
    ] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    fs::create_dir(folder.path().join(".a.2-0.partial")).unwrap();
    let path = folder.path().join("a");
    let living = PartialFile::create(&path).unwrap();
    write_whole(&path, b"1").unwrap();
    let left = names(folder.path());
    let of_living = format!(".a.{}-0.partial", std::process::id());
    let mut expected = vec![
        ".a.1.partial".to_owned(),
        ".ab.1-0.partial".into(),
        of_living,
    ];
    expected.extend(["a".into(), "a.1-0.partial".into()]);
    expected.sort();
    assert_eq!(left, expected);
    living.finish().unwrap();
}

#[test]
fn names_of_partial_files_are_told_from_others() {
    assert!(is_partial_of(".config.toml.17-0.partial", "config.toml"));
    for name in [
        "config.toml",
        ".config.toml.partial",
        ".config.toml.a-0.partial",
        ".other.17-0.partial",
    ] {
        assert!(!is_partial_of(name, "config.toml"), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn links_pipes_and_devices_stay_what_they_are() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    use std::process::Command;
    let folder = tempfile::tempdir().unwrap();
    let [target, link, pipe] = ["target", "link", "pipe"].map(|name| folder.path().join(name));
    fs::write(&target, "old").unwrap();
    symlink("target", &link).unwrap();
    write_whole(&link, b"new").unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(fs::read(&target).unwrap(), b"new");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    write_whole(&pipe, b"through").unwrap();
    assert_eq!(reader.join().unwrap(), b"through");
    assert!(pipe.metadata().unwrap().file_type().is_fifo());
    assert_eq!(names(folder.path()), ["link", "pipe", "target"]);
}

/// Memory that looks like a device by its path.
#[cfg(target_os = "linux")]
#[test]
fn files_in_shared_memory_are_replaced() {
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else {
        println!("SKIPPED: no /dev/shm here");
        return;
    };
    let path = folder.path().join("file");
    write_whole(&path, b"long contents").unwrap();
    write_whole(&path, b"short").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"short");
    assert_eq!(names(folder.path()), ["file"]);
}

#[test]
fn a_tree_of_more_files_than_threads_is_synced_and_what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("a/b");
    create_folder(&inner).unwrap();
    for number in 0..2000 {
        fs::write(inner.join(number.to_string()), "x").unwrap();
    }
    sync_tree(folder.path()).unwrap();
    assert_eq!(names(&inner).len(), 2000);
    let missing = folder.path().join("none");
    let error = sync_tree(&missing).unwrap_err();
    assert_eq!(error.path, missing);
    let line = error.to_string();
    assert!(
        line.starts_with(&format!("{}: ", missing.display())),
        "{line}"
    );
}
