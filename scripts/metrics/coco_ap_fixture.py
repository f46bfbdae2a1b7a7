#!/usr/bin/env python3
"""Writes crates/vlp-eval/tests/fixtures/coco_ap.json: random detection sets, scored by pycocotools.

Usage: pip install -r requirements.txt && python coco_ap_fixture.py
"""
import contextlib
import io
import json
import pathlib
import random
import time

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

FIXTURES = pathlib.Path(__file__).parents[2] / "crates/vlp-eval/tests/fixtures"


def official(images, truths, detections, times=None):
    """The twelve metrics, and [category, AP, AP50, AP75] of every category with a ground truth."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in images],
            "annotations": [{**g, "id": n + 1} for n, g in enumerate(truths)],
            "categories": [{"id": c} for c in sorted({r["category_id"] for r in truths + detections})],
        }
        coco.createIndex()
        results = COCO()
        if detections:
            results = coco.loadRes([dict(d) for d in detections])
        else:  # loadRes needs at least one record
            results.dataset = {**coco.dataset, "annotations": []}
            results.createIndex()
        start = time.perf_counter()
        run = COCOeval(coco, results, "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
        if times is not None:
            times["score"] = time.perf_counter() - start
    precision = run.eval["precision"][:, :, :, 0, 2]
    mean = lambda p: float(p[p > -1].mean()) if (p > -1).any() else -1.0
    with_truth = {g["category_id"] for g in truths}
    categories = [
        [int(c), mean(precision[:, :, k]), mean(precision[0, :, k]), mean(precision[5, :, k])]
        for k, c in enumerate(run.params.catIds)
        if c in with_truth
    ]
    return [float(s) for s in run.stats], categories


def random_case(seed, images, per_image, detections_per_image, classes, steps, crowd=0.1):
    """Boxes on a coarse grid and few distinct scores give many ties in IoU, score and area."""
    rng = random.Random(seed)
    sides = [0, 8, 16, 32, 32, 48, 96, 96, 128, 200]

    def box():
        w, h = rng.choice(sides), rng.choice(sides)
        return [rng.randrange(0, 320, 16), rng.randrange(0, 320, 16), w, h]

    ids = rng.sample(range(1, 10 * images + 1), images)
    truths, detections = [], []
    for i in ids:
        if rng.random() < 0.8:
            for _ in range(rng.randrange(per_image + 1)):
                b = box()
                area = b[2] * b[3] * rng.choice([1, 1, 0.5, 0.75])
                truths.append({"image_id": i, "category_id": rng.randrange(classes), "bbox": b,
                               "area": area, "iscrowd": int(rng.random() < crowd)})
        objects = [g for g in truths if g["image_id"] == i]
        for _ in range(rng.randrange(detections_per_image + 1)):
            if objects and rng.random() < 0.7:
                g = rng.choice(objects)
                b = [max(0, v + rng.choice([-8, -4, -2, 0, 0, 0, 1, 2, 4])) for v in g["bbox"]]
                c = g["category_id"] if rng.random() < 0.9 else rng.randrange(classes + 1)
            else:
                b, c = box(), rng.randrange(classes + 1)
            detections.append({"image_id": i, "category_id": c, "bbox": b, "score": rng.randrange(steps) / steps})
    rng.shuffle(detections)
    rng.shuffle(truths)
    return ids, truths, detections


def pack(name, images, truths, detections):
    stats, categories = official(images, truths, detections)
    return {
        "name": name,
        "images": images,
        "truths": [[g["image_id"], g["category_id"], *g["bbox"], g["area"], g["iscrowd"]] for g in truths],
        "detections": [[d["image_id"], d["category_id"], *d["bbox"], d["score"]] for d in detections],
        "stats": stats,
        "categories": categories,
    }


def main():
    cases = [pack(f"random {s}", *random_case(s, 12, 8, 20, 3, [5, 20, 1000][s % 3])) for s in range(9)]
    cases.append(pack("over 100 of a class", *random_case(100, 3, 12, 260, 1, 10)))
    cases.append(pack("all crowd", *random_case(101, 6, 4, 10, 2, 10, crowd=1.0)))
    ids, truths, detections = random_case(102, 6, 4, 10, 2, 10)
    cases.append(pack("no detections", ids, truths, []))
    cases.append(pack("no ground truth", ids, [], detections))
    small = [g for g in truths if g["area"] < 500]
    cases.append(pack("small objects only", ids, small, detections))
    path = FIXTURES / "coco_ap.json"
    path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes")
    for case in cases:
        print(case["name"], np.round(case["stats"], 3))


if __name__ == "__main__":
    main()
