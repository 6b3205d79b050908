#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Adapters as other programs read them. These are not needed to build or test the project, so each part is skipped
# where its program is not named:
#   QVF_PEER_PYTHON  a python that has torch, transformers and peft
#   QVF_PEER_LOGITS  a program on llama.cpp that is called with -m MODEL -i IDS -o OUT [--lora ADAPTER] and writes rows
#                    of float32 logits
set -u
program=${QVF_BUILD:-build}/qvf-bench
source=${QVF_SOURCE:-.}
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failed=0

if [ ! -x "$program" ]; then
	echo "SKIP peer_adapters: qvf-bench is not built"
	exit 0
fi

if [ -z "${QVF_PEER_PYTHON:-}" ]; then
	echo "SKIP peft: QVF_PEER_PYTHON names no python with torch, transformers and peft"
elif ! "$QVF_PEER_PYTHON" -c 'import torch, transformers, peft' 2>"$folder/error"; then
	echo "SKIP peft: $(tail -n 1 "$folder/error")"
else
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 "$QVF_PEER_PYTHON" "$source/tests/peers/adapters.py" "$program" "$folder" \
		2>"$folder/error" || { failed=1; tail -n 5 "$folder/error" | sed 's/^/    /'; }
fi

# What was written as a GGUF adapter, straight or by way of PEFT, gives llama.cpp the same logits to the last bit; and a
# dense base the same as the engine's, but for the rounding of sums.
llama_cpp() {
	model=$source/models/tiny-silu.TQ2_0.gguf
	adapter=$source/tests/data/golden/tiny-silu.adapter-init.gguf
	ids="$folder/ids"
	seq 5 7 400 >"$ids"
	"$program" adapter --do convert -a "$adapter" -o "$folder/again.gguf" >/dev/null &&
		"$program" adapter --do convert -a "$adapter" --to peft -o "$folder/peft" >/dev/null &&
		"$program" adapter --do convert -a "$folder/peft" -o "$folder/back.gguf" >/dev/null || return 1
	for name in again back; do
		"$QVF_PEER_LOGITS" -m "$model" -i "$ids" -o "$folder/$name.f32" --lora "$folder/$name.gguf" || return 1
	done
	"$QVF_PEER_LOGITS" -m "$model" -i "$ids" -o "$folder/original.f32" --lora "$adapter" || return 1
	cmp "$folder/original.f32" "$folder/again.f32" && cmp "$folder/original.f32" "$folder/back.f32" || return 1
	"$program" adapter --do into-base -a "$adapter:16" -m "$model" --type f16 -o "$folder/dense.gguf" >/dev/null &&
		"$QVF_PEER_LOGITS" -m "$folder/dense.gguf" -i "$ids" -o "$folder/dense.f32" &&
		"$program" logits -m "$folder/dense.gguf" --ids-file "$ids" --kv f32 --compare "$folder/dense.f32" --json \
			>"$folder/compare.json" || return 1
	sed -n 's/.*"relative_l2": *\([0-9.e-]*\).*/\1/p' "$folder/compare.json" | awk '
		{ seen = 1; if ($1 > 2e-3) { print "dense base: distance " $1; exit 1 } } END { exit !seen }'
}

if [ -z "${QVF_PEER_LOGITS:-}" ]; then
	echo "SKIP llama_cpp: QVF_PEER_LOGITS names no program"
elif llama_cpp >"$folder/error" 2>&1; then
	echo "ok llama_cpp"
else
	echo "FAIL llama_cpp"
	tail -n 5 "$folder/error" | sed 's/^/    /'
	failed=1
fi
exit "$failed"
