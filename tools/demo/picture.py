#!/usr/bin/env python3
"""Makes the README's picture, readme.jpg, from what tools/demo.sh left in build/demo/. Needs python3-pil."""

from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
OUTPUTS = HERE.parents[1] / "build" / "demo"
ROWS = ("cat", "coffee", "rocket", "astronaut", "shuttle")
COLUMNS = ("overlay.jpg", "mask.png", "blur.jpg")
CELL, GAP = (320, 216), 6  # pixels


def cell(path):
    """The picture cut to the cell's aspect around its middle."""
    image = Image.open(path).convert("RGB")
    scale = max(CELL[0] / image.width, CELL[1] / image.height)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.LANCZOS)
    left, top = (image.width - CELL[0]) // 2, (image.height - CELL[1]) // 4
    return image.crop((left, top, left + CELL[0], top + CELL[1]))


def main():
    width, height = CELL[0] + GAP, CELL[1] + GAP
    sheet = Image.new("RGB", (width * len(COLUMNS) - GAP, height * len(ROWS) - GAP), "white")
    for y, name in enumerate(ROWS):
        for x, kind in enumerate(COLUMNS):
            sheet.paste(cell(OUTPUTS / f"{name}.{kind}"), (x * width, y * height))
    sheet.save(HERE / "readme.jpg", quality=88)


if __name__ == "__main__":
    main()
