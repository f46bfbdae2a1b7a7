//! Downstream tasks over generated scenes, and packing them into shards.

use std::{collections::HashMap, sync::Arc};

use vlp_data::{
    Label, Source,
    shards::{Folder, PackOptions, ShardOptions, open, pack},
};
use vlp_scenes::{Scenes, ScenesConfig, ScenesTask, Split, Task};

fn config(count: usize) -> ScenesConfig {
    ScenesConfig::default()
        .with_count(count)
        .with_resolution(32)
        .with_split(Split::Val)
}

#[test]
fn samples_are_generated_on_demand() {
    let statements = ScenesTask::new(config(1_000_000_000), Task::Nlvr2).unwrap();
    assert_eq!(statements.len(), 500_000_000);
    assert!(statements.load(499_999_999).unwrap().second_image.is_some());
    let error = ScenesTask::new(config(1), Task::Nlvr2).unwrap_err();
    assert!(error.to_string().contains("scenes.count"), "{error}");
    let questions = ScenesTask::new(config(300), Task::Vqa).unwrap();
    let mut type_counts = HashMap::new();
    for index in 0..questions.len() {
        let record = questions.load(index).unwrap().record.unwrap();
        *type_counts
            .entry(record.question_type.unwrap())
            .or_insert(0) += 1;
        let Some(Label::Answers(answers)) = questions.label(index).unwrap() else {
            panic!("no answers");
        };
        assert!(answers.contains(&questions.consensus(index).unwrap()));
    }
    // Six types; if every question were always possible, a hundred of each.
    assert!(
        type_counts.len() == 6 && type_counts.values().all(|&count| count > 40),
        "{type_counts:?}"
    );
}

#[test]
fn shards_of_scenes_and_tasks_are_read_back_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let mut sources: Vec<Box<dyn Source>> = vec![Box::new(Scenes::new(config(15)).unwrap())];
    for task in [Task::Vqa, Task::Nlvr2, Task::SnliVe] {
        sources.push(Box::new(ScenesTask::new(config(9), task).unwrap()));
    }
    for (number, source) in sources.iter().enumerate() {
        let set = dir.path().join(number.to_string());
        let options = PackOptions::default().with_shard_samples(7);
        let report = pack(source.as_ref(), &set, &options).unwrap();
        assert_eq!(report.samples, source.len() as u64);
        let folder = Arc::new(Folder::open(&set).unwrap());
        let shards = open(folder, ShardOptions::default()).unwrap().source;
        assert_eq!(
            (shards.len(), shards.labels()),
            (source.len(), source.labels())
        );
        for index in 0..source.len() {
            let (mut read, written) = (shards.load(index).unwrap(), source.load(index).unwrap());
            // Samples of one image share the name of the first.
            read.name.clone_from(&written.name);
            assert_eq!(read, written);
            assert_eq!(shards.key(index), source.key(index));
            assert_eq!(shards.size(index), source.size(index));
        }
    }
}
