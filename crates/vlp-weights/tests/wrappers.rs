//! Wrapped state dicts of training frameworks, as files of `torch.save` and of safetensors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use vlp_weights::{CheckpointLayout, DType, ImportPlan, WeightsFile};
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

/// A Python value in a file of `torch.save`.
enum Value<'a> {
    Int(u8),
    Text(&'a str),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    List(Vec<Value<'a>>),
    /// `argparse.Namespace` with these attributes.
    Namespace(Vec<(Value<'a>, Value<'a>)>),
    /// Calls this function of a module with a text.
    Call(&'a str, &'a str, &'a str),
    /// A tensor of two values of this storage class and element size, whose first one is the number.
    Tensor(&'a str, u8, f32),
}

use Value::{Call, Dict, Int, List, Namespace, Tensor, Text};

/// Writes pickles of protocol 2, and the storages they refer to.
#[derive(Default)]
struct Pickler {
    pickle: Vec<u8>,
    storages: Vec<Vec<u8>>,
}

impl Pickler {
    fn put(&mut self, bytes: &[u8]) {
        self.pickle.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.put(b"X");
        self.put(&(text.len() as u32).to_le_bytes());
        self.put(text.as_bytes());
    }

    fn dict(&mut self, entries: &[(Value<'_>, Value<'_>)]) {
        self.put(b"}(");
        for (key, value) in entries {
            self.value(key);
            self.value(value);
        }
        self.put(b"u");
    }

    fn value(&mut self, value: &Value<'_>) {
        match value {
            Int(number) => self.put(&[b'K', *number]),
            Text(text) => self.text(text),
            Dict(entries) => self.dict(entries),
            List(items) => {
                self.put(b"](");
                items.iter().for_each(|item| self.value(item));
                self.put(b"e");
            }
            Namespace(attributes) => {
                self.put(b"cargparse\nNamespace\n)\x81");
                self.dict(attributes);
                self.put(b"b");
            }
            Call(module, function, argument) => {
                self.put(format!("c{module}\n{function}\n").as_bytes());
                self.text(argument);
                self.put(b"\x85R");
            }
            Tensor(class, size, first) => {
                let key = self.storages.len().to_string();
                let bytes = match *size {
                    2 => ((first.to_bits() >> 16) as u16).to_le_bytes().to_vec(),
                    _ => first.to_le_bytes().to_vec(),
                };
                let mut storage = bytes.clone();
                storage.resize(2 * usize::from(*size), 0);
                self.storages.push(storage);
                self.put(b"ctorch._utils\n_rebuild_tensor_v2\n((");
                self.text("storage");
                self.put(format!("ctorch\n{class}\n").as_bytes());
                self.text(&key);
                self.text("cpu");
                // Number of values; offset, shape, stride, requires_grad, hooks.
                self.put(b"K\x02tQK\x00K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR");
            }
        }
    }
}

/// Writes `value` as `torch.save` does.
fn save(folder: &Path, value: &Value<'_>) -> PathBuf {
    let mut pickler = Pickler::default();
    pickler.put(b"\x80\x02");
    pickler.value(value);
    pickler.put(b".");
    let path = folder.join("checkpoint.pth");
    let mut archive = ZipWriter::new(File::create(&path).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut add = |name: &str, bytes: &[u8]| {
        archive
            .start_file(format!("archive/{name}"), options)
            .unwrap();
        archive.write_all(bytes).unwrap();
    };
    add("data.pkl", &pickler.pickle);
    add("byteorder", b"little");
    for (key, bytes) in pickler.storages.iter().enumerate() {
        add(&format!("data/{key}"), bytes);
    }
    add("version", b"3\n");
    archive.finish().unwrap();
    path
}

/// Names that a ResNet must have, and one of its batch counters.
const RESNET: [&str; 4] = [
    "bn1.num_batches_tracked",
    "bn1.weight",
    "conv1.weight",
    "layer1.0.conv1.weight",
];

fn state_dict<'a>(names: &'a [String]) -> Value<'a> {
    let entry = |(index, name): (usize, &'a String)| {
        (Text(name), Tensor("FloatStorage", 4, index as f32 + 1.0))
    };
    Dict(names.iter().enumerate().map(entry).collect())
}

/// State of Adam for one parameter.
fn optimizer<'a>() -> Value<'a> {
    let moments = vec![
        (Text("step"), Tensor("FloatStorage", 4, 7.0)),
        (Text("exp_avg"), Tensor("FloatStorage", 4, 8.0)),
    ];
    let group = Dict(vec![(Text("params"), List(vec![Int(0)]))]);
    Dict(vec![
        (Text("state"), Dict(vec![(Int(0), Dict(moments))])),
        (Text("param_groups"), List(vec![group])),
    ])
}

#[test]
fn wrapped_state_dicts_are_read_without_what_is_next_to_them() {
    let folder = tempfile::tempdir().unwrap();
    // DETR's, a trainer's, Lightning's, one of two levels, and DeepSpeed's, with the prefixes that each may have.
    for (wrapper, inner) in [
        ("model", None),
        ("state_dict", None),
        ("model_state_dict", None),
        ("model", Some("state_dict")),
        ("module", None),
    ] {
        for prefix in [
            "",
            "module.",
            "_orig_mod.",
            "module._orig_mod.",
            "_orig_mod.module.",
            "model.",
        ] {
            let names = RESNET.map(|name| format!("{prefix}{name}"));
            let mut weights = state_dict(&names);
            if let Some(inner) = inner {
                weights = Dict(vec![(Text(inner), weights)]);
            }
            let arguments = vec![
                (Text("lr"), Int(1)),
                (
                    Text("hook"),
                    Call("os", "system", "touch run-by-a-namespace"),
                ),
            ];
            let checkpoint = Dict(vec![
                (Text("epoch"), Int(3)),
                (Text(wrapper), weights),
                (Text("optimizer_states"), List(vec![optimizer()])),
                (Text("optimizer"), optimizer()),
                (Text("args"), Namespace(arguments)),
            ]);
            let path = save(folder.path(), &checkpoint);
            let case = format!("{wrapper} {inner:?} {prefix}");
            let file = WeightsFile::open(&path).unwrap_or_else(|e| panic!("{case}: {e}"));
            let layout = CheckpointLayout::TorchvisionResNet;
            assert_eq!(file.detect_layout().unwrap(), layout, "{case}");
            assert_eq!(file.names().len(), 4, "{case}");
            let parameters = [("model.backbone.stem.norm.gamma".to_owned(), vec![2])];
            let plan = ImportPlan::new(layout, &file, parameters);
            assert_eq!(file.read_parameter(&plan.copies[0]).unwrap(), [2.0, 0.0]);
        }
    }
    assert!(!Path::new("run-by-a-namespace").exists());
}

#[test]
fn a_state_dict_under_an_unknown_key_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let names = RESNET.map(str::to_owned);
    let checkpoint = Dict(vec![
        (Text("teacher"), state_dict(&names)),
        (Text("student"), state_dict(&names)),
    ]);
    let file = WeightsFile::open(save(folder.path(), &checkpoint)).unwrap();
    let text = file.detect_layout().unwrap_err().to_string();
    assert!(
        text.contains("\"student.bn1.num_batches_tracked\""),
        "{text}"
    );
}

#[test]
fn half_precision_is_read_below_prefixes() {
    let folder = tempfile::tempdir().unwrap();
    // The upper half of an f32 is its bf16; 0x4000 of f16 is 2.
    for (class, dtype, first) in [
        ("BFloat16Storage", DType::BF16, 1.5),
        ("HalfStorage", DType::F16, 2.0),
    ] {
        let entry = |name| (Text(name), Tensor(class, 2, first));
        let names = ["_orig_mod.module.a", "_orig_mod.module.b"];
        let checkpoint = Dict(vec![(Text("model"), Dict(names.map(entry).into()))]);
        let file = WeightsFile::open(save(folder.path(), &checkpoint)).unwrap();
        assert_eq!(file.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(file.info("b").unwrap().dtype, dtype);
        assert_eq!(file.read_f32("b").unwrap(), [first, 0.0]);
    }
}
