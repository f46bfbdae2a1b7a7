//! METEOR against `pycocoevalcap` (`scripts/metrics/meteor_fixture.py`), and processes that fail.
//!
//! The first test needs Java and the jar: `VLP_METEOR_JAR=meteor-1.5.jar cargo test -p vlp-eval`.

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
        eprintln!("SKIPPED: VLP_METEOR_JAR is not set to the path of meteor-1.5.jar");
        return;
    };
    let mut meteor = Meteor::new(jar).unwrap();
    let cases: Vec<Case> = serde_json::from_str(include_str!("../fixtures/meteor.json")).unwrap();
    for case in cases {
        let pairs: Vec<CaptionPair<'_>> = case
            .pairs
            .iter()
            .map(|p| CaptionPair {
                hypothesis: &p.hypothesis,
                references: &p.references,
            })
            .collect();
        let scores = meteor.score(&tokenize_pairs(&pairs)).unwrap();
        assert_eq!(scores.pairs.len(), case.by_pair.len());
        // Equal except for the parsing of the fixture, which is off by up to one ulp.
        let scores = scores.pairs.iter().chain([&scores.meteor]);
        for (ours, theirs) in scores.zip(case.by_pair.iter().chain([&case.meteor])) {
            assert!(
                (ours - theirs).abs() < 1e-15,
                "{}: {ours} {theirs}",
                case.name
            );
        }
    }
}

/// Protocol and failures, with shell scripts in place of Java.
#[cfg(unix)]
mod process {
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

    /// Scores one pair with a script in place of Java.
    fn run(script: &str, timeout: u64) -> Result<(f64, Vec<f64>), MeteorError> {
        let folder = tempfile::tempdir().unwrap();
        let (jar, java) = (jar(&folder), folder.path().join("java"));
        fs::write(&java, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&java, fs::Permissions::from_mode(0o755)).unwrap();
        let timeout = Duration::from_millis(timeout);
        let mut meteor = loop {
            match Meteor::with_java(jar.clone(), java.clone(), timeout) {
                // The child process of another test may still have the script open for writing.
                Err(e) if e.to_string().contains("Text file busy") => std::thread::yield_now(),
                other => break other?,
            }
        };
        meteor.score(&[pair()]).map(|s| (s.meteor, s.pairs))
    }

    #[test]
    fn requests_and_responses_follow_the_protocol() {
        let script = r#"[ "$1 $2 ${3##*/} $4 $5 $6 $7 $8 $9" = "-jar -Xmx2G meteor-1.5.jar - - -stdio -l en -norm" ] || exit 3
read -r line; [ "$line" = "SCORE ||| a cat ||| the dog ||| a dog" ] || exit 4
echo "2.0 3.0 1.0"
read -r line; [ "$line" = "EVAL ||| 2.0 3.0 1.0" ] || exit 5
echo 0.25; echo 0.5"#;
        assert_eq!(run(script, 20_000).unwrap(), (0.5, vec![0.25]));
    }

    #[test]
    fn failing_or_hanging_process_is_an_error() {
        let start = Instant::now();
        let text = |script, timeout| run(script, timeout).unwrap_err().to_string();
        let exited = text("echo 'no memory' >&2; exit 1", 20_000);
        assert!(
            exited.contains("exited before it responded: no memory"),
            "{exited}"
        );
        // `exec`, so that killing the process kills the sleep.
        let silent = run("echo 'reading' >&2; exec sleep 100", 300).unwrap_err();
        assert!(
            matches!(&silent, MeteorError::Timeout { stderr, .. } if stderr == "reading"),
            "{silent}"
        );
        let response = text("read -r line; echo 'Error: SCORE'; exec sleep 100", 20_000);
        assert!(
            response.contains("responded \"Error: SCORE\": expected numbers"),
            "{response}"
        );
        let script = "read -r line; echo 1 2; read -r line; echo NaN; exec sleep 100";
        assert!(text(script, 20_000).contains("responded \"NaN\": expected a finite score"));
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "no call waits for the sleeps"
        );
    }

    #[test]
    fn errors_name_the_missing_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meteor-1.5.jar");
        let error = Meteor::new(&path).unwrap_err();
        assert!(matches!(error, MeteorError::MissingFile { file } if file == path));
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
    fn empty_input_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut meteor = Meteor::with_java(jar(&folder), "cat", Duration::from_secs(1)).unwrap();
        let error = meteor.score(&[]).unwrap_err();
        assert!(matches!(error, MeteorError::Score(EvalError::Empty { .. })));
    }
}
