#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: check_png.py FILE: chunks, check sums and sizes of a PNG file are right, and something is drawn in it."""
import struct
import sys
import zlib

data = open(sys.argv[1], "rb").read()
assert data[:8] == b"\x89PNG\r\n\x1a\n"
at, kinds, packed = 8, [], b""
while at < len(data):
    length, kind = struct.unpack(">I4s", data[at:at + 8])
    body = data[at + 8:at + 8 + length]
    assert struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == zlib.crc32(kind + body)
    kinds.append(kind)
    if kind == b"IHDR":
        width, height, bits, colour = struct.unpack(">IIBB", body[:10])
    if kind == b"IDAT":
        packed += body
    at += 12 + length
assert kinds[0] == b"IHDR" and kinds[-1] == b"IEND" and (width, height, bits, colour) == (800, 480, 8, 2)
rows = zlib.decompress(packed)
assert len(rows) == height * (1 + 3 * width)
assert len({rows[i:i + 3] for i in range(1, len(rows) - 3, 997)}) > 1
