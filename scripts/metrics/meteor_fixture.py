#!/usr/bin/env python3
"""Writes crates/vlp-eval/tests/fixtures/meteor.json with pycocoevalcap's METEOR (needs Java).

Usage: pip install -r requirements.txt && python meteor_fixture.py
"""
import json
import pathlib

from caption_fixture import caption_set
from official_captions import tokenize
from pycocoevalcap.meteor.meteor import Meteor

PATH = pathlib.Path(__file__).parents[2] / "crates/vlp-eval/tests/fixtures/meteor.json"


def case(meteor, name, pairs):
    gts = dict(enumerate(tokenize([p["references"] for p in pairs])))
    res = dict(enumerate(tokenize([[p["hypothesis"]] for p in pairs])))
    whole, by_pair = meteor.compute_score(gts, res)
    return {"name": name, "pairs": pairs, "meteor": float(whole), "by_pair": [float(s) for s in by_pair]}


def main():
    meteor = Meteor()
    hard = caption_set(20, 6, 3)
    hard[0]["hypothesis"] = "word"
    hard[1]["hypothesis"] = "the the the the the the the"
    hard[2]["hypothesis"] = hard[2]["references"][0]
    hard[3]["hypothesis"] = "automobiles ||| were parked  beside the   homes"
    hard[3]["references"] = ["cars are parking next to houses", "a car parks by the house"]
    sets = {"random": caption_set(21, 12, 5), "one pair": caption_set(22, 1, 3), "hard": hard}
    cases = [case(meteor, name, pairs) for name, pairs in sets.items()]
    PATH.write_text(json.dumps(cases, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(PATH, PATH.stat().st_size, "bytes", [c["meteor"] for c in cases])


if __name__ == "__main__":
    main()
