"""Writes tests/data with Pillow: images of many formats with their decoded RGB, and resized images.

Run in the crate's folder: python3 scripts/make_fixtures.py [extension] (needs Pillow; the committed files are from Pillow 13.0.0).
"""

import pathlib
import random
import sys

from PIL import Image, ImageDraw, ImageOps

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data"


def source_image(width, height):
    """A smooth gradient with sharp edges and noise."""
    random.seed(3)
    image = Image.new("RGB", (width, height))
    for y in range(height):
        for x in range(width):
            image.putpixel((x, y), (255 * x // width, 255 * y // height, random.randrange(256) if x > y else 90))
    draw = ImageDraw.Draw(image)
    draw.ellipse((3, 2, width // 2, height // 2), fill=(250, 20, 30))
    draw.line((0, height - 1, width - 1, 0), fill=(255, 255, 255))
    return image


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    source = source_image(37, 26)
    source.save(OUT / "source.png")
    for width, height in [(74, 52), (18, 13), (5, 61), (37, 9), (1, 1), (100, 30)]:
        source.resize((width, height), Image.Resampling.BILINEAR).save(OUT / f"resized_{width}x{height}.png")

    smooth = source.resize((24, 16), Image.Resampling.BILINEAR)
    kinds = {
        "rgb.jpg": (smooth, {}),
        "progressive.jpg": (smooth, {"progressive": True}),
        "gray.jpg": (smooth.convert("L"), {}),
        "cmyk.jpg": (smooth.convert("CMYK"), {}),
        "rgb.png": (smooth, {}),
        "gray.png": (smooth.convert("L"), {}),
        "palette.png": (smooth.quantize(16), {}),
        "bit.png": (smooth.convert("1"), {}),
    }
    deep = Image.new("I;16", smooth.size)
    deep.putdata([value * 257 for value in smooth.convert("L").getdata()])
    kinds["deep.png"] = (deep, {})
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        kinds[f"exif{orientation}.jpg"] = (smooth, {"exif": exif})
        kinds[f"exif{orientation}.png"] = (smooth, {"exif": exif})
    clear = smooth.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(smooth.size))
    kinds["alpha.png"] = (clear, {})
    kinds["lossy.webp"] = (smooth, {"quality": 90})
    kinds["lossless.webp"] = (smooth, {"lossless": True})
    kinds["alpha.webp"] = (clear, {"lossless": True})
    kinds["alpha_lossy.webp"] = (clear, {"quality": 90})
    for orientation in (3, 6):
        exif = Image.Exif()
        exif[0x0112] = orientation
        kinds[f"exif{orientation}.webp"] = (smooth, {"lossless": True, "exif": exif})
    smooth.save(OUT / "animated.webp", lossless=True, save_all=True, append_images=[smooth.rotate(180)])
    if len(sys.argv) > 1:
        kinds = {name: kind for name, kind in kinds.items() if name.endswith(sys.argv[1])}
    for name, (image, options) in kinds.items():
        if name.endswith("jpg"):
            options = options | {"quality": 95, "subsampling": 0}
        image.save(OUT / name, **options)
        with Image.open(OUT / name) as read:
            upright = ImageOps.exif_transpose(read)
            if upright.mode == "RGBA":
                white = Image.new("RGBA", upright.size, "white")
                upright = Image.alpha_composite(white, upright)
            if name == "deep.png":
                upright = smooth.convert("L")
            stem = name.replace(".", "_")
            upright.convert("RGB").save(OUT / f"{stem}.expected.png")


if __name__ == "__main__":
    main()
