#!/usr/bin/env python3
"""Compares crate and pycocoevalcap on COCO's captions_val2017.json: tokens, scores and time.

Usage: python captions_val2017.py captions_val2017.json
The first caption of each image is scored against the others. Needs Java and cargo.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import official_captions as official
from pycocoevalcap.cider.cider import Cider

ROUNDS = 5  # best of, on both sides: other work disturbs single runs
ROOT = pathlib.Path(__file__).parents[2]


def pairs_of(path):
    images = {}
    for a in json.loads(pathlib.Path(path).read_text(encoding="utf-8"))["annotations"]:
        images.setdefault(a["image_id"], []).append(a["caption"])
    return [{"hypothesis": c[0], "references": c[1:]} for c in images.values()]


def example(name, *arguments):
    command = ["cargo", "run", "-q", "--release", "-p", "vlp-eval", "--example", name, "--", *arguments]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def main():
    pairs = pairs_of(sys.argv[1])
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(pairs, file)
        file.flush()
        ours = example("score_captions", file.name)
    references = official.tokenize([p["references"] for p in pairs])
    hypotheses = official.tokenize([[p["hypothesis"]] for p in pairs])
    differ = sum(a != b for a, b in zip(ours["references"], references))
    differ += sum([a] != b for a, b in zip(ours["hypotheses"], hypotheses))
    print(len(pairs), "images; differing in tokens:", differ)
    theirs = official.scores(pairs)
    for name in theirs:
        print(name, theirs[name], ours["scores"][name])
    references, hypotheses = dict(enumerate(references)), dict(enumerate(hypotheses))
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        Cider().compute_score(references, hypotheses)
        times.append(time.perf_counter() - start)
    took = min(times)
    print(f"CIDEr, best of {ROUNDS}: official {took:.3f} s, ours {ours['cider_seconds']:.4f} s, x{took / ours['cider_seconds']:.0f}")


if __name__ == "__main__":
    main()
