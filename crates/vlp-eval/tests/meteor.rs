//! METEOR against `pycocoevalcap` (`scripts/metrics/meteor_fixture.py`), and processes that fail.
//!
//! The first test needs Java and the jar: `VLP_METEOR_JAR=meteor-1.5.jar cargo test -p vlp-eval`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde::Deserialize;
use vlp_eval::caption::meteor::Meteor;
use vlp_eval::caption::{CaptionPair, tokenize_pairs};

#[derive(Deserialize)]
struct Case {
    name: String,
    pairs: Vec<Record>,
    meteor: f64,
    by_pair: Vec<f64>,
}

#[derive(Deserialize)]
struct Record {
    hypothesis: String,
    references: Vec<String>,
}

#[test]
fn equals_the_official_tool() {
    let Some(jar) = std::env::var_os("VLP_METEOR_JAR") else {
        eprintln!("skipped: VLP_METEOR_JAR does not name meteor-1.5.jar");
        return;
    };
    let mut meteor = Meteor::new(jar).unwrap();
    let cases: Vec<Case> = serde_json::from_str(include_str!("fixtures/meteor.json")).unwrap();
    for case in cases {
        let pairs: Vec<CaptionPair<'_>> = case
            .pairs
            .iter()
            .map(|p| CaptionPair {
                hypothesis: &p.hypothesis,
                references: &p.references,
            })
            .collect();
        let found = meteor.score(&tokenize_pairs(&pairs)).unwrap();
        assert_eq!(found.pairs.len(), case.by_pair.len());
        // The same program prints the same digits; the fixture's are read to the last bit but one.
        let found = found.pairs.iter().chain([&found.meteor]);
        for (ours, theirs) in found.zip(case.by_pair.iter().chain([&case.meteor])) {
            assert!(
                (ours - theirs).abs() < 1e-15,
                "{}: {ours} {theirs}",
                case.name
            );
        }
    }
}

/// Shell scripts stand in for Java: what is tested is what becomes of a process that fails.
#[cfg(unix)]
mod failing {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use tempfile::TempDir;
    use vlp_eval::EvalError;
    use vlp_eval::caption::TokenizedPair;
    use vlp_eval::caption::meteor::{Meteor, MeteorError};

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn pair() -> TokenizedPair {
        TokenizedPair {
            hypothesis: words("a dog"),
            references: vec![words("a cat"), words("the dog")],
        }
    }

    fn jar(folder: &TempDir) -> PathBuf {
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(folder.path().join("data/paraphrase-en.gz"), "").unwrap();
        let jar = folder.path().join("meteor-1.5.jar");
        fs::write(&jar, "").unwrap();
        jar
    }

    /// Runs a script in place of Java on one pair.
    fn run(script: &str, patience: u64) -> Result<(f64, Vec<f64>), MeteorError> {
        let folder = tempfile::tempdir().unwrap();
        let (jar, java) = (jar(&folder), folder.path().join("java"));
        fs::write(&java, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&java, fs::Permissions::from_mode(0o755)).unwrap();
        let patience = Duration::from_millis(patience);
        let mut meteor = loop {
            match Meteor::with_java(jar.clone(), java.clone(), patience) {
                // A process that another test starts just now still holds the script open.
                Err(e) if e.to_string().contains("Text file busy") => std::thread::yield_now(),
                other => break other?,
            }
        };
        meteor.score(&[pair()]).map(|s| (s.meteor, s.pairs))
    }

    #[test]
    fn lines_go_and_come_as_the_protocol_says() {
        let script = r#"[ "$1 $2 ${3##*/} $4 $5 $6 $7 $8 $9" = "-jar -Xmx2G meteor-1.5.jar - - -stdio -l en -norm" ] || exit 3
read -r line; [ "$line" = "SCORE ||| a cat ||| the dog ||| a dog" ] || exit 4
echo "2.0 3.0 1.0"
read -r line; [ "$line" = "EVAL ||| 2.0 3.0 1.0" ] || exit 5
echo 0.25; echo 0.5"#;
        assert_eq!(run(script, 20_000).unwrap(), (0.5, vec![0.25]));
    }

    #[test]
    fn a_process_that_fails_is_an_error_and_no_hang() {
        let start = Instant::now();
        let text = |script, patience| run(script, patience).unwrap_err().to_string();
        let ended = text("echo 'no memory' >&2; exit 1", 20_000);
        assert!(
            ended.contains("ended before it answered: no memory"),
            "{ended}"
        );
        // `exec`, so that ending the process ends the sleep.
        let silent = run("echo 'reading' >&2; exec sleep 100", 300).unwrap_err();
        assert!(
            matches!(&silent, MeteorError::NoAnswer { stderr, .. } if stderr == "reading"),
            "{silent}"
        );
        let answer = text("read -r line; echo 'Error: SCORE'; exec sleep 100", 20_000);
        assert!(
            answer.contains("answered \"Error: SCORE\": expected numbers"),
            "{answer}"
        );
        let script = "read -r line; echo 1 2; read -r line; echo NaN; exec sleep 100";
        assert!(text(script, 20_000).contains("answered \"NaN\": expected a finite score"));
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "nothing waits for the sleeps"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meteor-1.5.jar");
        let error = Meteor::new(&path).unwrap_err();
        assert!(matches!(error, MeteorError::NoFile { file } if file == path));
        let path = jar(&folder);
        let error = Meteor::with_java(&path, "/nowhere/java", Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/java: "), "{error}");
        fs::remove_file(folder.path().join("data/paraphrase-en.gz")).unwrap();
        let error = Meteor::new(&path).unwrap_err().to_string();
        assert!(
            error.contains("data/paraphrase-en.gz: no such file"),
            "{error}"
        );
    }

    #[test]
    fn nothing_to_score_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut meteor = Meteor::with_java(jar(&folder), "cat", Duration::from_secs(1)).unwrap();
        let error = meteor.score(&[]).unwrap_err();
        assert!(matches!(error, MeteorError::Score(EvalError::Empty { .. })));
    }
}
