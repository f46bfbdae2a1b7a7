"""Images a second of CPU time: vlp-data's example decode_speed, Pillow and torchvision, taking turns on the same files.

Run by run.sh: speed.py EXAMPLE WORK [FOLDER].
"""

import pathlib
import statistics
import subprocess
import sys
import time

import numpy
import PIL
import torch
import torchvision
from PIL import Image, ImageFilter
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import functional

ROUNDS = 5
SECONDS = 2.0


def make(folder, count, width, height):
    """Smooth colors, soft shapes and grain: about the bytes a pixel of photographs at these qualities."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"{number:03}.jpg"
        if path.exists():
            continue
        draw = numpy.random.default_rng(number)
        coarse = draw.integers(0, 256, (height // 40, width // 40, 3), dtype=numpy.uint8)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        fine = draw.integers(0, 256, (height // 3, width // 3, 3), dtype=numpy.uint8)
        fine = Image.fromarray(fine).resize((width, height), Image.Resampling.BICUBIC)
        mixed = Image.blend(smooth, fine, 0.15).filter(ImageFilter.GaussianBlur(0.6))
        grain = draw.normal(0, 3, (height, width, 1))
        pixels = numpy.clip(numpy.asarray(mixed) + grain, 0, 255).astype(numpy.uint8)
        Image.fromarray(pixels).save(path, quality=75 + number % 16)


def detr(width, height, short, longest):
    """DETR's get_size_with_aspect_ratio, as (width, height)."""
    low, high = float(min(width, height)), float(max(width, height))
    if high / low * short > longest:
        short = int(round(longest * low / high))
    if width < height:
        return short, int(short * height / width)
    return int(short * width / height), short


def soho(width, height):
    scale = min(600 / min(width, height), 1000 / max(width, height))
    return int(width * scale + 0.5), int(height * scale + 0.5)


TARGETS = {
    "decode": None,
    "detr": lambda w, h: detr(w, h, 800, 1333),
    "soho": soho,
    "shrink": lambda w, h: detr(w, h, 384, 1333),
}


def pillow(files, target):
    for path in files:
        with Image.open(path) as image:
            image = image.convert("RGB")
        if target:
            image.resize(target(*image.size), Image.Resampling.BILINEAR)


def tensors(files, target):
    for path in files:
        data = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
        image = decode_jpeg(data, ImageReadMode.RGB)
        if target:
            width, height = target(image.shape[2], image.shape[1])
            functional.resize(image, [height, width], antialias=True)


def rate(work, files, target):
    """Images a second of this process's CPU time, all files again and again."""
    began, done = time.process_time(), 0
    while (took := time.process_time() - began) < SECONDS:
        work(files, target)
        done += len(files)
    return done / took


def main():
    example, work, *folders = sys.argv[1:]
    torch.set_num_threads(1)
    work = pathlib.Path(work)
    small = pathlib.Path(folders[0]) if folders else work / "640x480"
    if not folders:
        make(small, 16, 640, 480)
    make(work / "1920x1280", 4, 1920, 1280)
    print(f"Pillow {PIL.__version__}, torchvision {torchvision.__version__}; images a second of CPU time, one thread,")
    print(f"median of {ROUNDS} turns of {SECONDS:.0f} s each; least and greatest in brackets\n")
    for name, target in TARGETS.items():
        folder = work / "1920x1280" if name == "shrink" else small
        files = sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".jpeg"))
        rates = {"vlp-data": [], "Pillow": [], "torchvision": []}
        for _ in range(ROUNDS):
            ours = subprocess.run([example, name, folder, str(SECONDS)], check=True, capture_output=True, text=True)
            rates["vlp-data"].append(float(ours.stdout))
            rates["Pillow"].append(rate(pillow, files, target))
            rates["torchvision"].append(rate(tensors, files, target))
        median = {side: statistics.median(each) for side, each in rates.items()}
        parts = [f"{side} {median[side]:6.1f} ({min(each):.1f} to {max(each):.1f})" for side, each in rates.items()]
        ratios = [f"{median['vlp-data'] / median[side]:.2f} of {side}" for side in ("Pillow", "torchvision")]
        print(f"{name:7} {'; '.join(parts)}; {', '.join(ratios)}", flush=True)


if __name__ == "__main__":
    main()
