//! Fingerprints of generated scenes and tasks: a seed must always give the same samples, so that runs can be repeated and
//! compared.
// The sine of a rotation may round differently in another system's library.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use vlp_data::{Image, Label, Sample, Source};
use vlp_scenes::{Color, Scenes, ScenesConfig, ScenesTask, Shape, Split, Task};

/// 64-bit FNV-1a hash.
struct Fingerprint(u64);

impl Fingerprint {
    fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes.iter().chain(&(bytes.len() as u64).to_le_bytes()) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn image(&mut self, image: &Image) {
        self.bytes(&(image.width as u64).to_le_bytes());
        self.bytes(&image.rgb);
    }

    fn sample(&mut self, sample: &Sample) {
        self.bytes(&sample.key.to_le_bytes());
        self.bytes(sample.name.as_bytes());
        self.image(&sample.image);
        if let Some(second) = &sample.second_image {
            self.image(second);
        }
        for caption in &sample.captions {
            self.bytes(caption.as_bytes());
        }
        match &sample.label {
            Some(Label::Answers(answers)) => {
                for answer in answers {
                    self.bytes(answer.as_bytes());
                }
            }
            Some(Label::Truth(truth)) => self.bytes(&[u8::from(*truth)]),
            Some(Label::Entailment(word)) => self.bytes(word.name().as_bytes()),
            None => {}
        }
        if let Some(record) = &sample.record {
            self.bytes(record.id.as_bytes());
            self.bytes(record.question_type.as_deref().unwrap_or("").as_bytes());
        }
        for object in sample.objects.iter().flatten() {
            self.bytes(&[object.class as u8]);
            for number in object.bbox.iter().chain([&object.area]) {
                self.bytes(&number.to_bits().to_le_bytes());
            }
            for &attribute in &object.attributes {
                self.bytes(&[attribute as u8]);
            }
        }
    }
}

/// The hash of `count` samples spread over a source.
fn fingerprint(source: &dyn Source, count: usize) -> u64 {
    let mut fingerprint = Fingerprint(0xcbf2_9ce4_8422_2325);
    let step = (source.len() / count).max(1);
    for index in (0..source.len()).step_by(step).take(count) {
        let sample = source.load(index).unwrap();
        assert_eq!(source.label(index).unwrap(), sample.label);
        assert_eq!(source.captions(index).unwrap(), sample.captions);
        fingerprint.sample(&sample);
    }
    fingerprint.0
}

fn default_config(count: usize) -> ScenesConfig {
    ScenesConfig::default()
        .with_count(count)
        .with_resolution(32)
}

/// Every shape and color, up to six objects, the test split, another seed.
fn varied_config(count: usize) -> ScenesConfig {
    default_config(count)
        .with_shapes(Shape::ALL.to_vec())
        .with_colors(Color::ALL.to_vec())
        .with_max_objects(6)
        .with_min_extent(0.15)
        .with_max_extent(0.4)
        .with_split(Split::Test)
        .with_seed(77)
}

#[test]
fn a_seed_always_gives_the_same_samples() {
    let task = |config, task| fingerprint(&ScenesTask::new(config, task).unwrap(), 300);
    let fingerprints = [
        task(default_config(1000), Task::Nlvr2),
        task(varied_config(1000), Task::Nlvr2),
        // More scenes than are cached.
        task(varied_config(1_000_000_000), Task::Nlvr2),
        // So few that statements need many attempts.
        task(default_config(4), Task::Nlvr2),
        task(default_config(1000), Task::Vqa),
        task(varied_config(1000), Task::Vqa),
        task(default_config(1000), Task::SnliVe),
        task(varied_config(1000), Task::SnliVe),
        fingerprint(&Scenes::new(default_config(1000)).unwrap(), 300),
        fingerprint(&Scenes::new(varied_config(1000)).unwrap(), 300),
    ];
    let recorded: [u64; 10] = [
        0x47de_0c2d_a690_bc81,
        0xc24b_7f91_9924_72ab,
        0x444a_fcc2_114a_bde4,
        0x832a_b7ca_b07a_8c3b,
        0xdb48_3fc9_283f_eae7,
        0xfed3_49aa_5eea_ccc1,
        0x20de_a3ec_01bb_4467,
        0x80f5_d0c3_e7f2_d229,
        0x54d7_1cf1_4c73_26ad,
        0x834e_4917_3929_72f0,
    ];
    assert_eq!(fingerprints, recorded, "{fingerprints:#x?}");
}
