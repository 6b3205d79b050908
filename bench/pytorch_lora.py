#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""LoRA training steps in PyTorch, to measure beside `qvf-bench train`: rank 8 on all seven modules of a BitNet-shaped model
whose frozen weights were dequantised to bf16. Prints one line for each shape, batch and mode: tokens/s and peak memory.

    pytorch_lora.py SHAPE… [--batch 1x128 --batch 8x512] [--modes eager,compiled] [--steps 20]
"""
import argparse
import time

import torch
from torch import nn
from torch.nn import functional as F

SHAPES = {  # layers, width, feed forward, heads, key heads, vocabulary
    "125m": (11, 768, 3072, 12, 12, 32002),
    "1b": (24, 2048, 3584, 32, 32, 32002),
    "2b4t": (30, 2560, 6912, 20, 5, 128256),
}


class Linear(nn.Module):
    """y = W q(x) + scale B A x, with the straight-through gradient of the quantiser."""

    def __init__(self, inputs, outputs, rank=8, alpha=16):
        super().__init__()
        weight = torch.randint(-1, 2, (outputs, inputs), device="cuda").to(torch.bfloat16) * inputs**-0.5
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.a = nn.Parameter(torch.randn(rank, inputs, device="cuda") * inputs**-0.5)
        self.b = nn.Parameter(torch.zeros(outputs, rank, device="cuda"))
        self.scale = alpha / rank

    def forward(self, x):
        scale = x.abs().amax(-1, keepdim=True).clamp(min=1e-5) / 127
        quantised = x + ((x / scale).round().clamp(-128, 127) * scale - x).detach()
        y = F.linear(quantised.to(torch.bfloat16), self.weight)
        return y + self.scale * F.linear(F.linear(x, self.a.to(x.dtype)), self.b.to(x.dtype))


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width, device="cuda", dtype=torch.bfloat16), requires_grad=False)

    def forward(self, x):
        return F.rms_norm(x, x.shape[-1:], self.weight, 1e-5)


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Layer(nn.Module):
    def __init__(self, width, inner, heads, key_heads):
        super().__init__()
        self.heads, self.key_heads, self.size = heads, key_heads, width // heads
        self.n1, self.n2, self.n3, self.n4 = Norm(width), Norm(width), Norm(width), Norm(inner)
        keys = key_heads * self.size
        self.q, self.k, self.v, self.o = (Linear(width, n) for n in (width, keys, keys, width))
        self.gate, self.up, self.down = Linear(width, inner), Linear(width, inner), Linear(inner, width)

    def forward(self, x, cos, sin):
        rows, length, _ = x.shape
        n = self.n1(x)
        q, k, v = (
            m(n).view(rows, length, h, self.size).transpose(1, 2)
            for m, h in ((self.q, self.heads), (self.k, self.key_heads), (self.v, self.key_heads))
        )
        y = F.scaled_dot_product_attention(
            rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True, enable_gqa=self.heads != self.key_heads
        )
        x = x + self.o(self.n2(y.transpose(1, 2).reshape(rows, length, -1)))
        n = self.n3(x)
        return x + self.down(self.n4(F.silu(self.gate(n)) * self.up(n)))


class Model(nn.Module):
    def __init__(self, shape):
        super().__init__()
        layers, width, inner, heads, key_heads, vocabulary = SHAPES[shape]
        table = torch.randn(vocabulary, width, device="cuda", dtype=torch.bfloat16) * 0.02
        self.table = nn.Parameter(table, requires_grad=False)
        self.layers = nn.ModuleList(Layer(width, inner, heads, key_heads) for _ in range(layers))
        self.norm, self.size = Norm(width), width // heads

    def forward(self, ids, targets):
        angle = torch.arange(ids.shape[1], device="cuda")[:, None] * 10000.0 ** (
            -torch.arange(0, self.size, 2, device="cuda") / self.size
        )
        cos, sin = angle.cos().to(torch.bfloat16), angle.sin().to(torch.bfloat16)
        x = F.embedding(ids, self.table)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return F.cross_entropy(F.linear(self.norm(x), self.table).float().flatten(0, 1), targets.flatten())


def measure(shape, rows, length, mode, steps):
    torch.manual_seed(1)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    model = Model(shape)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    run = torch.compile(model) if mode == "compiled" else model
    ids = torch.randint(0, model.table.shape[0], (rows, length), device="cuda")

    def step():
        run(ids, ids).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(4):
        step()
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(steps):
        step()
    torch.cuda.synchronize()
    took = (time.perf_counter() - begin) / steps
    print(
        f"pytorch {shape} {rows}x{length} {mode}: {rows * length / took:.0f} tokens/s, {took * 1e3:.2f} ms a step, "
        f"peak {torch.cuda.max_memory_reserved() >> 20} MiB",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="+", choices=SHAPES, metavar="SHAPE")
    parser.add_argument("--batch", action="append")
    parser.add_argument("--modes", default="eager,compiled")
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    for shape in options.shapes:
        for batch in options.batch or ["1x128", "8x512"]:
            for mode in options.modes.split(","):
                measure(shape, *map(int, batch.split("x")), mode, options.steps)


main()
