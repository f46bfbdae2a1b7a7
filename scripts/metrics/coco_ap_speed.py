#!/usr/bin/env python3
"""Times crate and pycocotools on 5,000 images x 100 detections x 80 classes, and compares results.

Usage: python coco_ap_speed.py [IMAGES]
"""
import json
import random
import sys
import tempfile
import time

import numpy as np

from captions_val2017 import example
from coco_ap_fixture import official


def random_set(images, rng):
    truths, detections = [], []
    for i in range(1, images + 1):
        objects = [
            {"image_id": i, "category_id": rng.randrange(80), "area": 0.0, "iscrowd": int(rng.random() < 0.02),
             "bbox": [rng.random() * 500, rng.random() * 400, rng.random() * 140 + 2, rng.random() * 140 + 2]}
            for _ in range(rng.randrange(15))
        ]
        for g in objects:
            g["area"] = g["bbox"][2] * g["bbox"][3] * 0.7
        truths += objects
        for _ in range(100):
            if objects and rng.random() < 0.3:
                g = rng.choice(objects)
                box, c = [max(0.0, v + rng.gauss(0, 6)) for v in g["bbox"]], g["category_id"]
            else:
                box, c = [rng.random() * 500, rng.random() * 400, rng.random() * 140, rng.random() * 140], rng.randrange(80)
            detections.append({"image_id": i, "category_id": c, "bbox": box, "score": round(rng.random(), 4)})
    return list(range(1, images + 1)), truths, detections


def main():
    images, truths, detections = random_set(int(sys.argv[1]) if len(sys.argv) > 1 else 5000, random.Random(0))
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"images": images, "annotations": truths, "detections": detections}, file)
        file.flush()
        ours = example("coco_ap", file.name)
    times = {}
    stats, _ = official(images, truths, detections, times)
    took = times["score"]
    difference = np.abs(np.array(stats) - np.array(ours["stats"])).max()
    print(len(images), "images,", len(truths), "objects,", len(detections), "detections; AP", stats[0])
    print("largest difference of the 12 metrics:", difference)
    print(f"official {took:.2f} s (evaluate, accumulate, summarize), ours {ours['seconds']:.3f} s, x{took / ours['seconds']:.0f}")


if __name__ == "__main__":
    main()
