#!/usr/bin/env python3
"""Makes data/: small images of every kind that mfs_infer reads or refuses, by encoders other than its own.

    make_images.py data/

All show the same 5x3 pattern (see `colour` and `grey`), except the JPEGs: 48x32, red left half, blue right half.
"""

import struct
import sys
import zlib
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 5, 3
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def colour(x, y):
    return 10 + 40 * x, 20 + 70 * y, 200 - 30 * x


def grey(x, y):
    return 10 + 15 * (y * WIDTH + x)


def colour_image():
    image = Image.new("RGB", (WIDTH, HEIGHT))
    image.putdata([colour(x, y) for y in range(HEIGHT) for x in range(WIDTH)])
    return image


def grey_image():
    image = Image.new("L", (WIDTH, HEIGHT))
    image.putdata([grey(x, y) for y in range(HEIGHT) for x in range(WIDTH)])
    return image


def palette_image():
    """One palette entry per pixel."""
    image = Image.new("P", (WIDTH, HEIGHT))
    image.putpalette([v for y in range(HEIGHT) for x in range(WIDTH) for v in colour(x, y)])
    image.putdata(list(range(WIDTH * HEIGHT)))
    return image


def bit_image():
    """White where x + y is even."""
    image = Image.new("1", (WIDTH, HEIGHT))
    image.putdata([255 * ((x + y) % 2 == 0) for y in range(HEIGHT) for x in range(WIDTH)])
    return image


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(bits, colour_type, rows, interlaced=False):
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, colour_type, 0, 0, interlaced)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def deep_png():
    """16 bits: the 8-bit pattern times 257, plus 128 (rounds down) or 129 (rounds up) by turns."""
    rows = []
    for y in range(HEIGHT):
        values = [257 * v + 128 + (x + y) % 2 for x in range(WIDTH) for v in colour(x, y)]
        rows.append(struct.pack(f">{len(values)}H", *values))
    return png(16, 2, rows)


def interlaced_png():
    rows = []
    for x0, y0, dx, dy in ADAM7:
        for y in range(y0, HEIGHT, dy):
            if x0 < WIDTH:
                rows.append(bytes(v for x in range(x0, WIDTH, dx) for v in colour(x, y)))
    return png(8, 2, rows, interlaced=True)


def two_halves(mode):
    image = Image.new("RGB", (48, 32), (255, 0, 0))
    image.paste((0, 0, 255), (24, 0, 48, 32))
    return image.convert(mode)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    alpha = grey_image().point(lambda v: 255 - v)
    transparent = colour_image()
    transparent.putalpha(alpha)
    grey_alpha = grey_image()
    grey_alpha.putalpha(alpha)

    colour_image().save(folder / "colour.png")
    transparent.save(folder / "alpha.png")
    grey_image().save(folder / "grey.png")
    grey_alpha.save(folder / "grey_alpha.png")
    palette_image().save(folder / "palette.png")
    bit_image().save(folder / "bits.png")
    (folder / "deep.png").write_bytes(deep_png())
    (folder / "interlaced.png").write_bytes(interlaced_png())
    colour_image().save(folder / "colour.bmp")
    palette_image().save(folder / "palette.bmp")
    bit_image().save(folder / "bits.bmp")
    colour_image().save(folder / "colour.tga")
    colour_image().save(folder / "runs.tga", compression="tga_rle")
    palette_image().save(folder / "palette.tga")
    colour_image().save(folder / "colour.ppm")
    grey_image().save(folder / "grey.pgm")
    bit_image().save(folder / "bits.pbm")

    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0112] = 6
    exif[0x0132] = "2020:01:02 03:04:05"
    two_halves("RGB").save(folder / "rotated.jpg", exif=exif)
    two_halves("RGB").save(folder / "progressive.jpg", progressive=True)
    two_halves("L").save(folder / "grey.jpg")
    two_halves("CMYK").save(folder / "cmyk.jpg")
    colour_image().save(folder / "colour.gif")
    colour_image().save(folder / "colour.webp", lossless=True)
    colour_image().save(folder / "colour.tif")


if __name__ == "__main__":
    main()
