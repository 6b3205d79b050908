#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes yarn.inc: the inverse frequencies of YaRN by the transformers library (4.57.1), whose function is run with
numpy in torch's place. Needs numpy and the unpacked wheel of transformers: make_yarn.py PATH/transformers"""
import ast, math, os, sys, types
import numpy as np

class Array(np.ndarray):
    def to(self, device=None, dtype=None):
        return self.astype(np.float32).view(Array)

torch = types.SimpleNamespace(float=np.float32, float32=np.float32, clamp=np.clip,
    arange=lambda *a, dtype=None: np.arange(*a).astype(np.float32).view(Array))
source = open(os.path.join(sys.argv[1], "modeling_rope_utils.py")).read()
function = next(n for n in ast.parse(source).body if getattr(n, "name", "") == "_compute_yarn_parameters")
scope = {"math": math, "torch": torch, "Optional": object, "PretrainedConfig": object}
for a in function.args.args: a.annotation = None
function.returns = None
exec(compile(ast.Module([function], []), "yarn", "exec"), scope)
config = types.SimpleNamespace(rope_theta=10000.0, hidden_size=64, num_attention_heads=2, head_dim=32,
    max_position_embeddings=2048, rope_scaling={"factor": 4.0, "original_max_position_embeddings": 512})
inverse, magnitude = scope["_compute_yarn_parameters"](config, None)
lines = "".join(f"{float(v):.8e}f,\n" for v in inverse)
open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "yarn.inc"), "w").write(
    "/* SPDX-License-Identifier: Apache-2.0 */\n" + lines)
print("magnitude", magnitude)
