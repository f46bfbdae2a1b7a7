#!/usr/bin/env python3
"""Worker: reads a request a line on standard input, answers each with a line of JSON. See README.md.

`peer.py --self-test` runs every case on random weights at small sizes.
"""
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

THREADS = 2
HERE = Path(__file__).parent


def peak(who=resource.RUSAGE_SELF):
    return resource.getrusage(who).ru_maxrss * 1024


def versions():
    from importlib.metadata import version
    names = ["torch", "torchvision", "transformers", "scipy", "safetensors", "pillow", "numpy"]
    return {"python": sys.version.split()[0]} | {name: version(name) for name in names}


class Loaded:
    """The case of the last request, ready to run again."""

    def __init__(self, request):
        import torch
        torch.set_num_threads(THREADS)
        self.device, precision = request.get("device", "cpu"), request.get("precision", "tf32")
        is_bf16 = precision == "bf16"
        if self.device == "cpu" and is_bf16:
            # What lets PyTorch take bf16 for products and convolutions of f32.
            torch.set_float32_matmul_precision("medium")
            for part in (torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv):
                part.fp32_precision = "bf16"
        elif self.device != "cpu":
            # Products and convolutions alike in TF32, as burn's are where the GPU has it, or neither of them.
            full = precision == "f32"
            torch.set_float32_matmul_precision("highest" if full else "high")
            torch.backends.cudnn.allow_tf32 = not full
        from cases import CASES, losses_of
        if request["case"] not in CASES:
            raise ValueError(f"no case is called {request['case']!r}; there are {', '.join([*CASES, 'start'])}")
        with torch.device(self.device):
            run = CASES[request["case"]](request)

        def autocast():
            with torch.autocast(self.device, torch.bfloat16, enabled=self.device != "cpu" and is_bf16):
                return run()

        self.run = autocast
        # The first run is of the weights as they are; a compiled graph may be compiled again at the second.
        self.losses = losses_of(self.run())
        if request.get("compiled"):
            for _ in range(2):
                self.run()

    def timed(self):
        import torch
        start = time.perf_counter()
        outputs = self.run()
        if self.device != "cpu":
            # A GPU has only been told what to do.
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        del outputs
        return seconds


def once(request):
    """A fresh process from its start to the first losses of `e2e-384`."""
    start = time.perf_counter()
    child = subprocess.run([sys.executable, str(HERE / "peer.py")], input=json.dumps(request | {"case": "e2e-384", "repeats": 0}),
                           capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - start
    answer = json.loads(child.stdout)
    if "error" in answer:
        raise ValueError(answer["error"])
    return seconds, answer["losses"]


def answer(request, state):
    if request.get("versions"):
        return {"versions": versions()}
    case = {"case": request["case"], "threads": THREADS}
    if request["case"] == "start":
        runs = [once(request) for _ in range(request["repeats"])]
        return case | {"seconds": [s for s, _ in runs], "losses": runs[0][1], "peak_rss": peak(resource.RUSAGE_CHILDREN)}
    key = [request.get(k) for k in ("case", "weights", "inputs", "device", "precision", "compiled")]
    if state.get("key") != key:
        state.clear()
        state["loaded"], state["key"] = Loaded(request), key
    loaded, seconds = state["loaded"], []
    for _ in range(request["repeats"]):
        seconds.append(loaded.timed())
    return case | {"seconds": seconds, "losses": loaded.losses, "peak_rss": peak()}


def main():
    state = {}
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            reply = answer(json.loads(line), state)
        except Exception as error:  # a worker tells what went wrong and goes on
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        from selftest import main
    main()
