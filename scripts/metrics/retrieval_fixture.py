#!/usr/bin/env python3
"""Writes crates/vlp-eval/tests/fixtures/retrieval.json: ranks by sorting every row and column.

Usage: pip install -r requirements.txt && python retrieval_fixture.py
There is no official tool; this is the usual procedure (best rank among an image's texts; the rank
of a text's image) with numpy. The similarities have no ties.
"""
import json
import pathlib

import numpy as np

FIXTURES = pathlib.Path(__file__).parents[2] / "crates/vlp-eval/tests/fixtures"
IMAGES = 24


def metrics(similarity, image_index):
    image_to_text = [min(np.where(np.argsort(-row) == t)[0][0] for t in np.where(image_index == i)[0]) + 1 for i, row in enumerate(similarity)]
    text_to_image = [np.where(np.argsort(-similarity[:, t]) == i)[0][0] + 1 for t, i in enumerate(image_index)]
    return [
        [*(float(np.mean(np.array(r) <= k)) for k in (1, 5, 10)), float(np.mean(r)), float(np.median(r))]
        for r in (image_to_text, text_to_image)
    ]


def main():
    rng = np.random.default_rng(0)
    image_index = np.sort(np.concatenate([np.arange(IMAGES), rng.integers(0, IMAGES, 40)]))
    ranks = rng.permutation(IMAGES * len(image_index)).reshape(IMAGES, len(image_index))
    similarity = ranks + 700 * (np.arange(IMAGES)[:, None] == image_index)
    similarity = np.argsort(np.argsort(similarity, axis=None)).reshape(similarity.shape)
    folds = []
    for f in range(3):
        rows = np.arange(f * 8, f * 8 + 8)
        columns = np.isin(image_index, rows)
        folds.append(metrics(similarity[rows][:, columns], image_index[columns] - f * 8))
    fixture = {
        "images": IMAGES,
        "image_index": image_index.tolist(),
        "similarity": similarity.flatten().tolist(),
        "all": metrics(similarity, image_index),
        "folds": np.mean(folds, axis=0).tolist(),
    }
    path = FIXTURES / "retrieval.json"
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes", fixture["all"], fixture["folds"])


if __name__ == "__main__":
    main()
