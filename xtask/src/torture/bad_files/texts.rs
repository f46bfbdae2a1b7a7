//! Small good files, and what reads them.

/// Folder, file and contents.
pub(super) const TEXTS: [(&str, &str, &str); 14] = [
    ("records", "set.jsonl", RECORDS),
    ("detections", "results.json", DETECTIONS),
    ("detections", "instances.json", INSTANCES),
    ("captions", "results.json", CAPTION_RESULTS),
    ("captions", "captions.json", CAPTIONS),
    ("answers", "results.json", ANSWERS),
    ("answers", "annotations.json", VQA),
    ("nlvr2", "results.csv", NLVR2_RESULTS),
    ("nlvr2", "dev.json", NLVR2),
    ("karpathy", "dataset_flickr30k.json", KARPATHY),
    ("genome", "image_data.json", IMAGE_DATA),
    ("genome", "region_descriptions.json", REGIONS),
    ("words", "vocab.txt", WORDS),
    ("config", "mine.toml", CONFIG),
];

/// Folders for files of the crates' tests.
pub(super) const FIXTURES: [(&str, &str); 5] = [
    ("jpeg", "vlp-data/tests/data/gray.jpg"),
    ("webp", "vlp-data/tests/data/lossless.webp"),
    ("lossy-webp", "vlp-data/tests/data/lossy.webp"),
    ("pth", "vlp-weights/tests/fixtures/files/plain.pth"),
    ("legacy-pth", "vlp-weights/tests/fixtures/files/legacy.pth"),
];

/// Name, folder, file, format and the command that reads it, where `CASE` is a copy of the folder and `BASES` has all folders.
pub(super) const READERS: &str = "
PNG|records|0.png|png|predict BASES/run CASE/0.png --out CASE/out
JPEG|jpeg|gray.jpg||predict BASES/run CASE/gray.jpg --out CASE/out
WebP|webp|lossless.webp||predict BASES/run CASE/lossless.webp --out CASE/out
lossy WebP|lossy-webp|lossy.webp||predict BASES/run CASE/lossy.webp --out CASE/out
safetensors|model|model.safetensors|safetensors|weights inspect CASE/model.safetensors
pth|pth|plain.pth||weights inspect CASE/plain.pth
legacy pth|legacy-pth|legacy.pth||weights inspect CASE/legacy.pth
COCO captions|scenes|annotations/captions_train.json|json|data check coco:CASE@train
COCO instances|scenes|annotations/instances_train.json|json|data check coco:CASE@train
COCO image|scenes|train/000000000001.png|png|data check coco:CASE@train
JSON lines|records|set.jsonl|lines|data check json:CASE/set.jsonl
VQA questions|scenes|vqa/v2_OpenEnded_mscoco_train_questions.json|json|data check vqa:CASE/vqa@train --set data.images=CASE
VQA annotations|scenes|vqa/v2_mscoco_train_annotations.json|json|data check vqa:CASE/vqa@train --set data.images=CASE
NLVR2|scenes|nlvr2/train.json|lines|data check nlvr2:CASE/nlvr2/train.json
SNLI-VE|scenes|snli_ve/snli_ve_train.jsonl|lines|data check snli-ve:CASE/snli_ve/snli_ve_train.jsonl --set data.images=CASE/snli_ve/flickr30k_images
Karpathy|karpathy|dataset_flickr30k.json|json|data check karpathy:CASE/dataset_flickr30k.json --set data.images=CASE
Genome images|genome|image_data.json|json|data check genome:CASE
Genome regions|genome|region_descriptions.json|json|data check genome:CASE
shard|shards|000000.tar|tar|data check shards:CASE
shard's index|shards|000000.idx||data check shards:CASE
shards' index|shards|index.json|json|data check shards:CASE
configuration|config|mine.toml||config show --config CASE/mine.toml
vocabulary of words|words|vocab.txt||pretrain --quick --out CASE/out --set data.tokenizer=CASE/vocab.txt --set train.steps=2 --set data.batch_size=1 --set eval.examples=1 --set eval.images=1
run's configuration|run|config.toml||evaluate CASE
run's vocabulary|run|vocabulary.json|json|evaluate CASE
run's tokenizer|run|tokenizer.json|json|evaluate CASE
run's results|run|results.json|json|pretrain --resume CASE
manifest|run|checkpoints/step-00000002/manifest.json|json|evaluate CASE --checkpoint 2
checkpoint's weights|run|checkpoints/step-00000002/ema.bpk||evaluate CASE --checkpoint 2
optimizer's state|run|checkpoints/step-00000002/optimizer.bpk||pretrain --resume CASE
model's configuration|model|config.json|json|predict CASE BASES/records/0.png --out CASE/out
model's tokenizer|model|tokenizer.json|json|predict CASE BASES/records/0.png --out CASE/out
model's weights|model|model.safetensors|safetensors|predict CASE BASES/records/0.png --out CASE/out
detection results|detections|results.json|json|score detection CASE/results.json CASE/instances.json
detection annotations|detections|instances.json|json|score detection CASE/results.json CASE/instances.json
caption results|captions|results.json|json|score caption CASE/results.json CASE/captions.json
caption annotations|captions|captions.json|json|score caption CASE/results.json CASE/captions.json
VQA results|answers|results.json|json|score vqa CASE/results.json CASE/annotations.json
VQA score annotations|answers|annotations.json|json|score vqa CASE/results.json CASE/annotations.json
NLVR2 results|nlvr2|results.csv||score nlvr2 CASE/results.csv CASE/dev.json
NLVR2 score annotations|nlvr2|dev.json|lines|score nlvr2 CASE/results.csv CASE/dev.json
";

/// A record with every field.
const RECORDS: &str = r#"{"image": "0.png", "captions": ["one", "two"], "boxes": [{"bbox": [4, 8, 15, 16], "label": "dog", "attributes": ["wet"], "area": 9.5, "crowd": false}], "width": 64, "height": 64, "image_id": 5, "coco_id": 6, "id": 7}
{"image": "0.png", "question": "what is it?", "answers": ["dog", "dog"], "consensus": "dog", "question_type": "what", "answer_type": "other", "image_id": 5, "id": 8}
{"image": "1.png", "image2": "0.png", "text": "both show a dog", "label": true}
"#;
const DETECTIONS: &str = r#"[{"image_id": 1, "category_id": 1, "bbox": [1.0, 2.0, 30.0, 20.0], "score": 0.5}, {"image_id": 2, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.25}]"#;
const INSTANCES: &str = r#"{"images": [{"id": 1, "width": 64, "height": 64}, {"id": 2, "width": 64, "height": 64}], "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 20], "area": 600, "iscrowd": 0}], "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]}"#;
const CAPTION_RESULTS: &str = r#"[{"image_id": 1, "caption": "a dog on grass"}]"#;
const CAPTIONS: &str = r#"{"images": [{"id": 1}], "annotations": [{"id": 1, "image_id": 1, "caption": "a dog on grass"}, {"id": 2, "image_id": 1, "caption": "the dog"}]}"#;
const ANSWERS: &str = r#"[{"question_id": 1, "answer": "dog"}]"#;
const VQA: &str = r#"{"annotations": [{"question_id": 1, "image_id": 1, "question_type": "what", "answer_type": "other", "multiple_choice_answer": "dog", "answers": [{"answer": "dog", "answer_confidence": "yes", "answer_id": 1}, {"answer": "cat", "answer_confidence": "yes", "answer_id": 2}]}]}"#;
const NLVR2_RESULTS: &str = "dev-0-0-0,True\ndev-0-0-1,False\n";
const NLVR2: &str = r#"{"identifier": "dev-0-0-0", "label": "True", "sentence": "a dog"}
{"identifier": "dev-0-0-1", "label": "False", "sentence": "a cat"}
"#;
const KARPATHY: &str = r#"{"images": [{"filename": "0.png", "split": "train", "sentids": [0], "imgid": 0, "sentences": [{"raw": "a dog", "tokens": ["a", "dog"], "imgid": 0, "sentid": 0}]}, {"filename": "1.png", "split": "train", "sentences": [{"raw": "a cat"}]}], "dataset": "flickr30k"}"#;
const IMAGE_DATA: &str = r#"[{"image_id": 0, "width": 64, "height": 64, "url": "https://x/VG_100K/0.jpg", "coco_id": null, "flickr_id": null}, {"image_id": 1, "width": 64, "height": 64, "url": "https://x/VG_100K/1.jpg"}]"#;
const REGIONS: &str = r#"[{"id": 0, "regions": [{"region_id": 1, "image_id": 0, "phrase": "a dog", "x": 1, "y": 2, "width": 3, "height": 4}]}, {"id": 1, "regions": [{"region_id": 2, "image_id": 1, "phrase": "a cat", "x": 1, "y": 2, "width": 3, "height": 4}]}]"#;
const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\ndog\n##s\n";
const CONFIG: &str =
    "preset = \"e2e-vlp-tiny\"\nseed = 7\n\n[train]\nsteps = 5\n\n[data.scenes]\nresolution = 64\n";
