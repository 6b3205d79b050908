#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""adapters.py QVF-BENCH FOLDER: adapters between this project and PEFT, on small models with random weights.

For a Llama (whose q and k rows stand in another order in GGUF) and a BitNet, and for plain, mixed and rank-stabilised
adapters: PEFT writes a folder, and the engine's logits with it, as a folder and turned into GGUF, are those of
transformers and PEFT. Then the GGUF adapter is turned into a folder again, and PEFT's own loader reads it: every key
is taken, every product B·A is the same, and so are the logits. Prints one line for each test.
"""
import os
import struct
import subprocess
import sys

import numpy
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import BitNetConfig, BitNetForCausalLM, LlamaConfig, LlamaForCausalLM

PROGRAM, FOLDER = sys.argv[1], sys.argv[2]
SHAPE = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, vocab_size=80, max_position_embeddings=128, rms_norm_eps=1e-5,
             tie_word_embeddings=False, bos_token_id=0, eos_token_id=1, pad_token_id=2,
             rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, attn_implementation="eager")
MODULES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
           "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
           "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
           "self_attn.attn_sub_norm": "attn_sub_norm", "mlp.ffn_sub_norm": "ffn_sub_norm"}
IDS = [int(i) for i in numpy.random.default_rng(1).integers(0, SHAPE["vocab_size"], 40)]


def gguf_name(name):
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    if name == "lm_head.weight":
        return "output.weight"
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{MODULES[rest.removesuffix('.weight')]}.weight"


def string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def key(name, value):
    if isinstance(value, str):
        return string(name) + struct.pack("<I", 8) + string(value)
    if isinstance(value, float):
        return string(name) + struct.pack("<If", 6, value)
    if isinstance(value, list):
        kind = 8 if isinstance(value[0], str) else 5
        return string(name) + struct.pack("<IIQ", 9, kind, len(value)) + b"".join(
            string(v) if kind == 8 else struct.pack("<i", v) for v in value)
    return string(name) + struct.pack("<II", 4, value)


def write_base(model, architecture, path):
    """The model as an F32 GGUF file."""
    heads = {"attn_q": SHAPE["num_attention_heads"], "attn_k": SHAPE["num_key_value_heads"]}
    tensors, entries, data = [], b"", b""
    for name, value in model.state_dict().items():
        value, name = value.numpy().astype("<f4"), gguf_name(name)
        part = name.split(".")[-2]
        if architecture == "llama" and part in heads:
            value = value.reshape(heads[part], 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
        tensors.append((name, value))
    for name, value in tensors:
        entries += string(name) + struct.pack(f"<I{value.ndim}QIQ", value.ndim, *value.shape[::-1], 0, len(data))
        data += value.tobytes() + bytes(-value.nbytes % 32)
    letters = [chr(33 + i) for i in range(SHAPE["vocab_size"])]
    keys = {"general.architecture": architecture, "context_length": 128, "embedding_length": 64, "block_count": 3,
            "feed_forward_length": 96, "attention.head_count": 4, "attention.head_count_kv": 2,
            "rope.dimension_count": 16, "rope.freq_base": 10000.0, "attention.layer_norm_rms_epsilon": 1e-5,
            "vocab_size": SHAPE["vocab_size"], "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
            "tokenizer.ggml.tokens": letters, "tokenizer.ggml.token_type": [1] * len(letters),
            "tokenizer.ggml.merges": ["A B"], "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 1}
    keys = {k if "." in k and k.split(".")[0] in ("general", "tokenizer") else f"{architecture}.{k}": v
            for k, v in keys.items()}
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(key(k, v) for k, v in keys.items()) + entries
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % 32) + data)


def run(*words):
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}")


def engine_logits(base, adapter):
    out = os.path.join(FOLDER, "logits.f32")
    run("logits", "-m", base, "--adapter", adapter, "--ids", ",".join(map(str, IDS)), "--kv", "f32", "-t", "1", "-o", out)
    return numpy.fromfile(out, "<f4").reshape(len(IDS), -1).astype("f8")


def torch_logits(model):
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0].numpy().astype("f8")


def distance(a, b):
    return float(numpy.linalg.norm(a - b) / numpy.linalg.norm(b))


def products(model):
    """scale · B·A of every adapted module."""
    return {name: (module.scaling["default"] * module.lora_B["default"].weight @ module.lora_A["default"].weight)
            .detach().numpy().astype("f8")
            for name, module in model.named_modules() if getattr(module, "lora_A", None)}


def make_adapter(model, config, folder):
    adapted = get_peft_model(model, config)
    generator = torch.Generator().manual_seed(3)
    for name, value in adapted.named_parameters():
        if "lora_" in name:
            value.data = torch.randn(value.shape, generator=generator) * 0.2
    adapted.save_pretrained(folder)
    adapted.eval()
    return adapted


def check(name, kind, model_class, config_class, config, extra):
    torch.manual_seed(2)
    model = model_class(config_class(**SHAPE, **extra)).eval()
    for value in model.parameters():
        value.data = torch.randn_like(value) * (0.02 if value.ndim > 1 else 0.1) + (0 if value.ndim > 1 else 1)
    base, gguf = (os.path.join(FOLDER, f"{name}.{part}.gguf") for part in ("base", "adapter"))
    theirs, ours = (os.path.join(FOLDER, f"{name}.{part}") for part in ("theirs", "ours"))
    write_base(model, kind, base)
    plain = torch_logits(model)
    adapted = make_adapter(model, LoraConfig(task_type="CAUSAL_LM", **config), theirs)
    wanted, wanted_products = torch_logits(adapted), products(adapted)
    moved = distance(plain, wanted)
    assert moved > 0.02, f"the adapter moves the logits by {moved} only"
    run("adapter", "--do", "convert", "-a", theirs, "-m", base, "-o", gguf)
    run("adapter", "--do", "convert", "-a", gguf, "-m", base, "--to", "peft", "-o", ours)
    figures = {"folder": distance(engine_logits(base, theirs), wanted), "gguf": distance(engine_logits(base, gguf), wanted)}
    adapted.unload()
    loaded = PeftModel.from_pretrained(model_class(config_class(**SHAPE, **extra)), ours)
    result = loaded.load_adapter(ours, "default")
    assert not result.unexpected_keys, result.unexpected_keys
    assert not [k for k in result.missing_keys if "lora_" in k], result.missing_keys
    found = products(loaded)
    assert found.keys() == wanted_products.keys(), found.keys() ^ wanted_products.keys()
    figures["product"] = max(distance(found[k], wanted_products[k]) for k in found)
    fresh = model_class(config_class(**SHAPE, **extra)).eval()
    fresh.load_state_dict({k.replace(".base_layer", "").removeprefix("base_model.model."): v
                           for k, v in adapted.state_dict().items() if "lora_" not in k}, strict=True)
    figures["export"] = distance(torch_logits(PeftModel.from_pretrained(fresh, ours).eval()), engine_logits(base, gguf))
    text = ", ".join(f"{k} {v:.2g}" for k, v in figures.items())
    assert max(figures.values()) < 1e-4 and figures["product"] < 1e-6, text
    print(f"ok peft_{name} ({text}; the adapter moves the logits by {moved:.2g})")


ALL = [name.split(".")[-1] for name in MODULES if name.endswith("_proj")]
CONFIGS = {
    "plain": dict(r=4, lora_alpha=8, target_modules=ALL),
    "attention": dict(r=8, lora_alpha=3, target_modules=["q_proj", "k_proj"]),
    "mixed": dict(r=4, lora_alpha=8, target_modules=ALL, rank_pattern={"layers.1.mlp.up_proj": 2, "q_proj": 6},
                  alpha_pattern={"k_proj": 5, "layers.2.self_attn.o_proj": 1}),
    "stabilised": dict(r=4, lora_alpha=8, use_rslora=True, target_modules=ALL, rank_pattern={"down_proj": 16}),
    "one_layer": dict(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], layers_to_transform=[1]),
}
MODELS = {"llama": (LlamaForCausalLM, LlamaConfig, {}),
          "bitnet-b1.58": (BitNetForCausalLM, BitNetConfig, {"hidden_act": "relu2"})}
failed = 0
for kind, (model_class, config_class, extra) in MODELS.items():
    for label, config in CONFIGS.items():
        name = f"{kind.split('-', maxsplit=1)[0]}_{label}"
        try:
            check(name, kind, model_class, config_class, config, extra)
        except Exception as problem:  # one line for each, whatever happens
            print(f"FAIL peft_{name}: {type(problem).__name__}: {' '.join(str(problem).split())[:800]}")
            failed += 1
sys.exit(failed > 0)
