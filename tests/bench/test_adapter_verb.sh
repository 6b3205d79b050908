#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# qvf-bench adapter: there and back, several into one, into a base, and what it says to wrong usage.
set -u
program=${QVF_BUILD:-build}/qvf-bench
source=${QVF_SOURCE:-.}
model=$source/models/tiny-silu.TQ2_0.gguf
adapter=$source/tests/data/golden/tiny-silu.adapter-init.gguf
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failed=0

verb() {
	# shellcheck disable=SC2086
	${EMULATOR:-} "$program" adapter "$@" >"$folder/out" 2>"$folder/error" </dev/null
}

result() { # NAME STATUS
	if [ "$2" -eq 0 ]; then
		echo "ok $1"
	else
		echo "FAIL $1"
		sed 's/^/    /' "$folder/out" "$folder/error"
		failed=1
	fi
}

# NAME EXIT-CODE WORDS-OF-STDERR ARGUMENT…
expect() {
	name=$1 code=$2 words=$3
	shift 3
	verb "$@"
	[ $? -eq "$code" ] && grep -qF -- "$words" "$folder/error"
	result "$name" $?
}

verb -a "$adapter" --json && grep -q '"architecture": "bitnet"' "$folder/out" && grep -q '"attn_q": {' "$folder/out"
result info $?
verb -a "$adapter" -m "$model" && grep -q '^ffn_down *2 layers, rank' "$folder/out"
result info_with_model $?

verb --do convert -a "$adapter" -o "$folder/one.gguf" && verb --do convert -a "$folder/one.gguf" --to peft -o "$folder/peft" &&
	verb --do convert -a "$folder/peft" -o "$folder/two.gguf" && cmp "$folder/one.gguf" "$folder/two.gguf"
result there_and_back $?
verb --do merge -a "$folder/one.gguf" -a "$folder/peft:0.5" -r 2 --json -o "$folder/merged.gguf" &&
	grep -q '"discarded": 0\.' "$folder/out" && verb -a "$folder/merged.gguf" -m "$model" &&
	grep -q 'rank 2 to 2' "$folder/out"
result merge $?
verb --do into-base -a "$adapter" -m "$model" --type q8_0 -o "$folder/dense.gguf" &&
	"$program" info -m "$folder/dense.gguf" | grep -q 'Q8_0'
result into_base $?
verb --do into-base -a "$adapter" -a "$adapter:-1" -m "$model" -o "$folder/dense.gguf" && [ -s "$folder/dense.gguf" ]
result several_into_base $?

expect no_adapter 2 'which adapter? give --adapter PATH' --do info
expect no_output 2 'write to where? give --output PATH' --do convert -a "$adapter"
expect two_to_convert 2 'several are for --do merge' --do convert -a "$adapter" -a "$adapter" -o "$folder/x"
expect weight_to_convert 2 'a weight is for --do merge' --do convert -a "$adapter:2" -o "$folder/x"
expect no_base 2 'into which base?' --do into-base -a "$adapter" -o "$folder/x"
expect ternary_base 1 'TQ2_0 has only -s, 0 and +s' --do into-base --type tq2_0 -a "$adapter" -m "$model" -o "$folder/x"
expect wrong_type 2 'adapters are as-is, f32 or f16' --do convert --type q8_0 -a "$adapter" -o "$folder/x"
expect model_is_no_adapter 1 "'general.type' is absent" -a "$model"
expect no_such_folder 1 'adapter_model.safetensors: No such file' -a "$folder"
[ ! -e "$folder/x" ] && [ -z "$(find "$folder" -name '*.tmp')" ]
result nothing_left_behind $?
exit "$failed"
