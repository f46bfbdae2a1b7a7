#!/usr/bin/env python3
"""Writes crates/vlp-eval/tests/fixtures/nlvr2.json with the official NLVR2 script.

Usage: python nlvr2_fixture.py nlvr/nlvr2/eval/metrics.py
The file is that of github.com/lil-lab/nlvr.
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

FIXTURES = pathlib.Path(__file__).parents[2] / "crates/vlp-eval/tests/fixtures"


def main():
    rng = random.Random(0)
    records = []
    for s in range(40):
        for pair in range(rng.randrange(1, 5)):
            for sentence in range(rng.randrange(1, 3)):
                label = rng.random() < 0.5
                records.append([f"dev-{s}-{pair}-{sentence}", label, label if rng.random() < 0.8 else not label])
    with tempfile.TemporaryDirectory() as folder:
        predictions, labels = pathlib.Path(folder, "p.csv"), pathlib.Path(folder, "l.json")
        predictions.write_text("".join(f"{i},{p}\n" for i, _, p in records))
        labels.write_text("".join(json.dumps({"identifier": i, "label": str(l)}) + "\n" for i, l, _ in records))
        out = subprocess.run([sys.executable, sys.argv[1], predictions, labels], check=True, capture_output=True, text=True).stdout
    scores = dict(line.split("=") for line in out.split())
    fixture = {"records": records, "accuracy": float(scores["precision"]), "consistency": float(scores["consistency"])}
    path = FIXTURES / "nlvr2.json"
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes", scores)


if __name__ == "__main__":
    main()
