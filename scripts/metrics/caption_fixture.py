#!/usr/bin/env python3
"""Writes the caption fixtures of crates/vlp-eval/tests/fixtures with pycocoevalcap (needs Java).

Usage: pip install -r requirements.txt && python caption_fixture.py
ptb_tokens.json holds hard texts and their tokens; caption_scores.json sets of captions, their
tokens and scores.
"""
import json
import pathlib
import random

import official_captions as official

FIXTURES = pathlib.Path(__file__).parents[2] / "crates/vlp-eval/tests/fixtures"
TEXTS = pathlib.Path(__file__).parent / "hard_texts.txt"

SUBJECTS = "a man|two women|the old dog's owner|an elephant|3 kids|someone|a red-and-white bus|A cat".split("|")
VERBS = "rides|isn't riding|is standing next to|looks at|can't reach|holding|sits on".split("|")
OBJECTS = "a bike|the surfboard (blue)|1 1/2 pizzas|a 'STOP' sign|the kitchen, near U.S. flags|grass".split("|")
ENDS = [".", "", "!", " -- outside.", "; at 5 p.m.", " ..."]


def sentence(rng):
    return f"{rng.choice(SUBJECTS)} {rng.choice(VERBS)} {rng.choice(OBJECTS)}{rng.choice(ENDS)}"


def caption_set(seed, pairs, references):
    rng = random.Random(seed)
    return [
        {"hypothesis": sentence(rng), "references": [sentence(rng) for _ in range(rng.randrange(1, references + 1))]}
        for _ in range(pairs)
    ]


def main():
    lines = TEXTS.read_text(encoding="utf-8").splitlines()
    tokens = [t for (t,) in official.tokenize([[line] for line in lines])]
    # Each line alone, too: what follows a caption may change its last token.
    write("ptb_tokens.json", [[line, t] for line, t in zip(lines, tokens)])

    sets = {f"random {seed}": caption_set(seed, 12, 5) for seed in range(4)}
    sets["one pair"] = caption_set(9, 1, 3)
    hard = caption_set(10, 6, 3)
    hard[0]["hypothesis"] = ""
    hard[1]["references"] = ["", "..."]
    hard[2] = {"hypothesis": "!", "references": ["?"]}
    hard[3]["hypothesis"] = "word"
    hard[4]["hypothesis"] = "the the the the the the the"
    sets["empty and short"] = hard
    write("caption_scores.json", [{"name": n, "pairs": s, "scores": official.scores(s)} for n, s in sets.items()])


def write(name, value):
    path = FIXTURES / name
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
