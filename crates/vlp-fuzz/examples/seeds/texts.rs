//! Seeds that are texts. Lines `---` separate the files of an input.

/// Target, name and text.
pub(super) const TEXTS: &[(&str, &str, &str)] = &[
    (
        "json_readers",
        "coco",
        r#"0{"info": {}, "images": [{"id": 1, "file_name": "COCO_val2014_000000000001.png", "width": 18, "height": 13}, {"id": 2, "file_name": "COCO_val2014_000000000002.jpg"}], "annotations": [{"id": 1, "image_id": 1, "caption": "a dog"}, {"id": 2, "image_id": 2, "caption": "a cat on a mat"}]}
---
{"categories": [{"id": 3, "name": "dog"}, {"id": 5, "name": "cat"}], "images": [{"id": 1, "width": 18, "height": 13}], "annotations": [{"id": 9, "image_id": 1, "category_id": 3, "bbox": [1.5, 2, 8, 6], "area": 40.5, "iscrowd": 0}, {"id": 10, "image_id": 1, "category_id": 5, "bbox": [-3, NaN, 99, 99], "area": Infinity, "iscrowd": 1}]}"#,
    ),
    (
        "json_readers",
        "captions",
        r#"1{"images": [{"id": 1, "file_name": "COCO_val2014_000000000001.png"}], "annotations": [{"image_id": 1, "caption": "a dog"}, {"image_id": 7, "caption": " "}]}"#,
    ),
    (
        "json_readers",
        "vqa",
        r#"2{"questions": [{"question_id": 1000, "image_id": 1, "question": "What is it?"}, {"question_id": 2000, "image_id": 2, "question": "How many?"}]}
---
{"annotations": [{"question_id": 1000, "image_id": 1, "question_type": "what is", "answer_type": "other", "multiple_choice_answer": "dog", "answers": [{"answer": "dog", "answer_id": 1}, {"answer": "cat"}]}, {"question_id": 2000, "image_id": 2, "answer_type": "number", "answers": [{"answer": "2"}]}]}"#,
    ),
    (
        "json_readers",
        "vqa_test",
        r#"3{"questions": [{"question_id": 1000, "image_id": 1, "question": "What is it?"}]}"#,
    ),
    (
        "json_readers",
        "karpathy",
        r#"4{"images": [{"filename": "COCO_val2014_000000000001.png", "filepath": "val2014", "cocoid": 1, "split": "train", "sentences": [{"raw": "a dog"}]}, {"filename": "1.jpg", "split": "restval", "sentences": [{"raw": "a cat"}]}, {"filename": "2.jpg", "split": "test"}], "dataset": "coco"}"#,
    ),
    (
        "json_readers",
        "genome",
        r#"5[{"image_id": 1, "url": "https://x/VG_100K/1.jpg", "width": 18, "height": 13, "coco_id": 7}, {"image_id": 2, "width": 18, "height": 13, "coco_id": null}]
---
[{"id": 1, "regions": [{"region_id": 1, "phrase": "a red dog"}]}, {"id": 2, "regions": [{"region_id": 2, "phrase": "a mat"}]}]
---
[{"image_id": 1, "objects": [{"object_id": 5, "x": 1, "y": 2, "w": 8, "h": 6, "names": ["dog"]}, {"object_id": 6, "x": 0, "y": 0, "width": 3, "height": 3, "names": ["sky"]}]}]
---
[{"image_id": 1, "attributes": [{"object_id": 5, "attributes": ["red", "big"]}, {"attribute": {"object_id": 6, "attributes": ["blue"]}}]}]
---
dog,puppy
sky
---
red
blue
"#,
    ),
    (
        "json_readers",
        "generic",
        r#"6[{"image": "1.jpg", "image_id": 1, "coco_id": 1, "width": 18, "height": 13, "captions": ["a dog", "one dog"], "boxes": [{"bbox": [1, 2, 8, 6], "label": "dog", "attributes": ["red"], "area": 12, "crowd": false}]}, {"image": "2.jpg", "caption": "caf\u00e9", "key": "x"}]"#,
    ),
    (
        "json_readers",
        "answers",
        r#"7{"ans2label": {"no": 1, "yes": 0}, "label2ans": ["yes", "no"]}"#,
    ),
    (
        "json_lines",
        "generic",
        r#"0{"image": "1.jpg", "caption": "a dog", "boxes": []}
{"image": "2.jpg", "question": "is it?", "answer": "yes", "answer_type": "yes/no", "id": "q1", "question_type": "is it"}

{"image": "dev-0-0-img0.png", "image2": "dev-0-0-img1.png", "text": "both", "label": "True", "id": 3}
{"image": "./1.jpg", "caption": ["a", "b"], "label": "entailment"}
"#,
    ),
    (
        "json_lines",
        "nlvr2",
        r#"1{"identifier": "dev-0-0-0", "sentence": "There are two dogs.", "label": "True", "directory": 3}
{"identifier": "dev-0-0-1", "sentence": "One is red.", "label": "False", "directory": "a"}
{"identifier": "dev-0-0-2", "sentence": "None."}
"#,
    ),
    (
        "json_lines",
        "snli_ve",
        r#"2{"Flickr30K_ID": "1", "sentence1": "A dog.", "sentence2": "An animal.", "gold_label": "entailment", "pairID": "1#0r1e"}
{"Flikr30kID": "2.jpg", "sentence2": "A cat.", "gold_label": "neutral", "pairID": "2#0r1n"}
{"Flickr30kID": "2", "sentence2": "A cat.", "gold_label": "-", "pairID": "3"}
"#,
    ),
    (
        "json_lines",
        "snli_ve_premise",
        r#"3{"Flickr30K_ID": "1", "sentence1": "A dog.", "sentence2": "An animal.", "gold_label": "contradiction", "pairID": "1#0r1e"}"#,
    ),
    (
        "result_files",
        "vqa",
        r#"0[{"question_id": 1, "answer": "dog"}, {"question_id": 2, "answer": "2 dogs"}]
---
{"annotations": [{"question_id": 1, "question_type": "what", "answer_type": "other", "answers": [{"answer": "dog"}, {"answer": "a dog"}, {"answer": "don't"}]}, {"question_id": 2, "question_type": "how many", "answer_type": "number", "answers": ["2", "two"]}]}"#,
    ),
    (
        "result_files",
        "captions",
        r#"1[{"image_id": 1, "caption": "a dog's ball"}, {"image_id": 2, "caption": "a cat"}]
---
{"images": [{"id": 1}, {"id": 2}], "annotations": [{"image_id": 1, "caption": "The dog has a ball."}, {"image_id": 2, "caption": "cat"}, {"image_id": 3, "caption": "x"}]}"#,
    ),
    (
        "result_files",
        "detections",
        r#"2[{"image_id": 1, "category_id": 3, "bbox": [10.5, 20, 50, 40], "score": 0.9}, {"image_id": 2, "category_id": 3, "bbox": [-1e-5, 2, 3, 4], "score": NaN}]
---
{"images": [{"id": 1, "width": 640, "height": 480}, {"id": 2}], "categories": [{"id": 3}], "annotations": [{"image_id": 1, "category_id": 3, "bbox": [10, 20, 50, 40], "area": 2000.5, "iscrowd": 0}, {"image_id": 2, "category_id": 4, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": true}]}"#,
    ),
    (
        "result_files",
        "detections_in_results",
        r#"6[{"image_id": 1, "category_id": 3, "bbox": [10.5, 20, 50, 40], "score": 1}]
---
{"images": [{"id": 1}], "categories": null, "annotations": [{"image_id": 1, "category_id": 3, "bbox": [10, 20, 50, 40]}]}"#,
    ),
    (
        "result_files",
        "nlvr2",
        "3dev-0-0-0,True\ndev-0-0-1,false\r\n\n---\n{\"identifier\": \"dev-0-0-0\", \"label\": \"True\"}\n{\"identifier\": \"dev-0-0-1\", \"label\": \"False\", \"x\": 1}\n",
    ),
    (
        "result_files",
        "vqa_ids",
        r#"8[{"question_id": 2, "answer": "yes"}, {"question_id": 1, "answer": "no"}]
---
{"annotations": [{"question_id": 1, "question_type": "is", "answer_type": "yes/no", "answers": ["yes", "no"]}, {"question_id": 2, "question_type": "is", "answer_type": "yes/no", "answers": ["yes", "yes"]}], "questions": [{"question_id": 4}]}"#,
    ),
    (
        "caption_tokenizer",
        "words",
        "The dog's ball (red) -- can't roll.\n---\nHe's gonna pay $1.50, or 1 1/2 \u{a3} at 10:30 p.m. e.g. U.S.A.!\n---\n<b>mr.</b> o'clock \u{201c}quote\u{201d} (555) 123-4567 a@b.com http://x.org/y?z ... :-) &amp; #tag",
    ),
    (
        "caption_tokenizer",
        "letters",
        "\u{dc}n\u{ef}c\u{f6}d\u{e9} \u{4e2d}\u{6587} \u{1f600} \u{130}\u{3a3} 3\u{bd} a\u{ad}b\u{200b}\u{2009}c\n---\nI 'd've y'all rock'n'roll 'tis d'ye cannot lemme\n---\nA.B. Ph.D. vs. Nos. 5-10 90s '90s 1,000.5% -3 +4 a/b and/or C++ .NET",
    ),
    (
        "word_pieces",
        "bert",
        "0Caf\u{e9} d\u{e9}j\u{e0}-vu: unbelievably 42 [MASK] \u{4e2d}\u{6587} e\u{301} \u{fb01} \u{1f600}",
    ),
    (
        "word_pieces",
        "scenes",
        "1a large red circle [SEP] is left of the blue square",
    ),
    (
        "word_pieces",
        "vocabulary",
        "2[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nred\n##d\nr\n##e\ncircle\n\n---\nred circle redd",
    ),
    (
        "word_pieces",
        "vocabulary_windows",
        "2\u{feff}[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\nred\r\n##\r\n\u{e9}\n---\nr\u{e9}d",
    ),
    (
        "configs",
        "values",
        "0preset = \"soho-tiny\"\nseed = 7\n[train]\nsteps = 3\n[train.optimizer]\nlearning_rate = 1e-3\n[data]\nsource = \"coco:x\"\nresize = { kind = \"square\", side = 64 }\n[extra]\na = [1, 2.5, 1979-05-27]\n",
    ),
    (
        "configs",
        "quick",
        "1[quick]\n\"train.steps\" = 2\n[objectives.caption]\nmax_new_tokens = 4\n[checkpoint]\nbest_by = \"mlm/accuracy\"\n",
    ),
    (
        "configs",
        "set",
        "2train.steps=7\nobjectives.mlm=off\ndata.images=2014\nmodel.backbone.norm=\"frozen\"\n",
    ),
    ("configs", "unknown", "2trian=7\n"),
    (
        "safetensors",
        "header",
        "1{\"__metadata__\": {\"format\": \"pt\"}, \"module.a\": {\"dtype\": \"F32\", \"shape\": [2, 1], \"data_offsets\": [0, 8]}, \"module.b\": {\"dtype\": \"BF16\", \"shape\": [], \"data_offsets\": [8, 10]}}\n---\n0123456789",
    ),
    (
        "safetensors",
        "types",
        "1{\"a\": {\"dtype\": \"I64\", \"shape\": [1], \"data_offsets\": [0, 8]}, \"b\": {\"dtype\": \"BOOL\", \"shape\": [0, 3], \"data_offsets\": [8, 8]}, \"c\": {\"dtype\": \"F8_E4M3\", \"shape\": [2], \"data_offsets\": [8, 10]}}\n---\n0123456789",
    ),
];
