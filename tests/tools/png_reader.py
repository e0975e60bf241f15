"""Reads the non-interlaced PNG files that mfs_infer writes, strictly. Standard library only."""

import struct
import zlib

SAMPLES = {0: 1, 2: 3, 6: 4}


def paeth(left, up, corner):
    by_left, by_up, by_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if by_left <= by_up and by_left <= by_corner:
        return left
    return up if by_up <= by_corner else corner


def unfilter(kind, row, above, step):
    row = bytearray(row)
    for i in range(len(row)):
        left, corner = (row[i - step], above[i - step]) if i >= step else (0, 0)
        row[i] = (row[i] + (0, left, above[i], (left + above[i]) // 2, paeth(left, above[i], corner))[kind]) & 255
    return bytes(row)


def read_png(content):
    """Returns (width, height, channels, bits, rows as bytes); ValueError for anything else than a whole file."""
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("no PNG signature")
    at, data, header, last = 8, b"", None, None
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        (crc,) = struct.unpack(">I", content[at + 8 + length : at + 12 + length])
        if zlib.crc32(kind + body) != crc:
            raise ValueError("checksum")
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
        data += body if kind == b"IDAT" else b""
        at, last = at + 12 + length, kind
    if header is None or last != b"IEND":
        raise ValueError("incomplete")
    width, height, bits, colour_type = header[:4]
    step = SAMPLES[colour_type] * bits // 8
    size = width * step
    raw = zlib.decompress(data)
    if len(raw) != (size + 1) * height:
        raise ValueError("amount of data")
    rows, above = [], bytes(size)
    for y in range(height):
        start = y * (size + 1)
        above = unfilter(raw[start], raw[start + 1 : start + 1 + size], above, step)
        rows.append(above)
    return width, height, SAMPLES[colour_type], bits, rows
