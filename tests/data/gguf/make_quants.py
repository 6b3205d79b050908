#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes quants.bin, what the tests of engine/files/dtype compare with: the numpy code of the PyPI package `gguf`
(0.19.0; an implementation that shares nothing with ours) run over random blocks and random floats.

Records: name (8 bytes, NUL-padded), u32 kind (0: bytes give floats, 1: floats give bytes), u32 number of floats,
u32 number of bytes, the floats (f32), the bytes. Little-endian.
"""
import os, struct
import numpy as np
from gguf import GGMLQuantizationType as T, GGML_QUANT_SIZES
from gguf.quants import dequantize, quantize

rng = np.random.default_rng(20)
BLOCKS = 6
# where the f16 numbers of a block stand: random bytes there would be NaN too often
HALVES = {T.Q4_0: [0], T.Q8_0: [0], T.Q4_K: [0, 2], T.Q6_K: [208], T.TQ1_0: [52], T.TQ2_0: [64], T.BF16: [], T.F16: [0]}

def record(name, kind, floats, data):
    floats = np.asarray(floats, "<f4").tobytes()
    return struct.pack("<8sIII", name.encode(), kind, len(floats) // 4, len(data)) + floats + data

out = b""
for t, halves in HALVES.items():
    length, size = GGML_QUANT_SIZES[t]
    n = BLOCKS if length > 1 else 512
    blocks = rng.integers(0, 256, (n, size), dtype=np.uint8)
    for at in halves:
        h = (rng.standard_normal(n) * 0.05).astype(np.float16)
        h[0] = np.float16(6e-8) * 17  # subnormal
        blocks[:, at:at + 2] = h.view(np.uint8).reshape(n, 2)
    if t == T.BF16:
        blocks = (rng.standard_normal(n).astype(np.float32).view(np.uint32) >> 16).astype("<u2").view(np.uint8).reshape(n, 2)
    with np.errstate(all="ignore"):
        floats = dequantize(blocks.reshape(1, -1), t) if t != T.F16 else blocks.view(np.float16).astype(np.float32)
    out += record(t.name, 0, floats.reshape(-1), blocks.tobytes())
for t in (T.F16, T.BF16, T.Q8_0, T.Q4_0, T.TQ1_0, T.TQ2_0):
    length, size = GGML_QUANT_SIZES[t]
    n = 8 * 256
    floats = (rng.standard_normal(n) * 0.1).astype(np.float32)
    floats[256:512] = (rng.integers(0, 3, 256) - 1) * np.float32(0.0421)
    floats[512:768] = 0
    floats[768:1024] *= 1e-4
    floats[1024:1280] *= 1e-6 if t == T.F16 else 1
    data = floats.astype(np.float16).view(np.uint8) if t == T.F16 else quantize(floats, t)
    out += record(t.name, 1, floats, np.ascontiguousarray(data).tobytes())
open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "quants.bin"), "wb").write(out)
