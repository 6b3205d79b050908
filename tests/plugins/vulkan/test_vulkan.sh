#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The Vulkan backend on the driver that is here (lavapipe, where there is no GPU): every operation against the plain
# kernels, whole models against the independent reference, under the limits of other devices, under the validation
# layer, and with a device that is lost in the middle of training.
set -u
build=${QVF_BUILD:-build}
program=$build/qvf-bench
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
failed=0
layers=$build/tests/plugins/vulkan

result() { # NAME STATUS
	if [ "$2" -eq 0 ]; then
		echo "ok $1"
	else
		echo "FAIL $1"
		grep -v '^ok ' "$directory/out" | sed 's/^/    /' | tail -n 30
		failed=1
	fi
}

if [ ! -e "$build/plugins/vulkan.so" ]; then
	echo "SKIP vulkan: the plugin was not built"
	exit 0
fi
case $build in
*asan* | *coverage*)
	# The drivers leak, and are not what is looked for there.
	export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
	;;
esac
if ! "$program" selftest -b vulkan --op FILL --quick >"$directory/out" 2>&1 &&
	grep -q 'finds no device' "$directory/out"; then
	echo "SKIP vulkan: no driver is here"
	exit 0
fi

conforms() { # WORDS
	"$program" selftest -b vulkan --quick --seed "${QVF_TEST_SEED:-$(date +%s)}" >"$directory/out" 2>&1
	result "conformance$1" $?
}
is_golden() { # WORDS
	QVF_TEST_BACKEND=vulkan "$build/tests/engine/inference/test_golden_logits" >"$directory/out" 2>&1
	result "golden logits$1" $?
	QVF_TEST_BACKEND=vulkan "$build/tests/engine/training/test_golden_training" >"$directory/out" 2>&1
	result "golden training$1" $?
}

for limits in '' adreno mali v3d; do
	[ -n "$limits" ] && [ -n "${QVF_TEST_QUICK:-}" ] && continue
	export QVF_VK_LIMITS="$limits"
	conforms "${limits:+ within the limits of $limits}"
	is_golden "${limits:+ within the limits of $limits}"
done
export QVF_VK_LIMITS=

# Bindings of 48 KiB: caches, weights, activations and runs of parameters are larger and have to be cut. Also where pieces have to
# begin at multiples of 256 bytes, as v3d's.
export QVF_VK_RANGE=49152
conforms ' with everything cut'
is_golden ' with everything cut'
[ -n "${QVF_TEST_QUICK:-}" ] || QVF_VK_LIMITS=v3d QVF_VK_RANGE=131072 conforms ' with everything cut, within the limits of v3d'
refused=0
QVF_VK_RANGE=4096 "$program" logits -b vulkan -m models/tiny-silu.TQ2_0.gguf --ids 3,4 >"$directory/out" 2>&1 || refused=1
[ "$refused" -eq 1 ] && grep -q 'KiB are wanted side by side' "$directory/out"
result 'what can not be cut is refused with words' $?
unset QVF_VK_RANGE

# A single workgroup can always walk; of many, a driver in software runs a few at a time, and the trial must find that out.
QVF_VK_WALK=1 QVF_TEST_BACKEND=vulkan "$build/tests/engine/inference/test_golden_logits" >"$directory/out" 2>&1
result "golden logits, walking" $?
ids=$(seq -s , 3 99)
one_by_one() { # WORKGROUPS FILE ARGUMENT…
	walking=$1
	shift
	QVF_VK_WALK=$walking "$program" logits -b vulkan -m models/tiny-silu.TQ2_0.gguf --ids "$ids" --batch 1 "$@"
}
one_by_one 0 -o "$directory/standing" >"$directory/out" 2>&1 &&
	one_by_one 64 -o "$directory/trial" >>"$directory/out" 2>&1 && cmp "$directory/standing" "$directory/trial" >>"$directory/out"
result "where workgroups do not go on side by side, nothing walks" $?
if "$program" selftest -b vulkan --op FILL --quick 2>&1 | grep -q llvmpipe; then
	# Its workgroups go one after another: the trial tells, also of many, and if it is left out they wait for each other in vain.
	export LP_NUM_THREADS=1
	one_by_one 512 -o "$directory/trial" >"$directory/out" 2>&1 && cmp "$directory/standing" "$directory/trial" >>"$directory/out" &&
		! grep -q 'in vain' "$directory/out"
	result "a trial that fails ends soon" $?
	for groups in 2 64; do
		QVF_VK_WALK_UNTRIED=1 one_by_one "$groups" -o "$directory/anew" >"$directory/out" 2>&1 &&
			cmp "$directory/standing" "$directory/anew" >>"$directory/out" &&
			[ "$(grep -c 'waited for each other in vain: from now on' "$directory/out")" -eq 1 ]
		result "$groups workgroups that wait in vain: the run begins anew, in dispatches" $?
	done
	unset LP_NUM_THREADS
fi

# No way that a device may be tuned to changes a bit, of prompts, of single tokens and of any operation. The n-th of each number's
# ways at once, or its last: what they turn is not the same.
ways() { # N
	sed -n 's/^.*{ "\([a-z_]*\)", [0-9]*, { \([0-9, ]*\) } },$/\1 \2/p' plugins/vulkan/tuning.c | tr -d , |
		awk -v n="$1" '{ printf "%s=%s ", $1, $(n + 1 < NF ? n + 1 : NF) }'
}
logits() { # FILE BATCH
	"$program" logits -b vulkan -m models/tiny-silu.TQ2_0.gguf --ids "$ids" --batch "$2" -o "$1" >>"$directory/out" 2>&1
}
digest() {
	"$program" selftest -b vulkan --quick --seed "$seed" >"$directory/out" 2>&1 && sed -n 's/.* digest //p' "$directory/out"
}
seed=${QVF_TEST_SEED:-$(date +%s)}
: >"$directory/out"
right=$(digest)
[ "$(ways 1 | wc -w)" -eq "$(grep -c '^        VK_TUNE_' plugins/vulkan/tuning.h)" ] && [ -n "$right" ] && status=0 || status=1
for batch in 97 12 1; do
	logits "$directory/rules-$batch" "$batch" || status=1
done
result "the ways of the tuning are found" "$status"
for way in 2 3 4 5; do
	[ "$way" -gt 2 ] && [ -n "${QVF_TEST_QUICK:-}" ] && continue
	status=0
	QVF_VK_TUNING=$(ways "$way")
	export QVF_VK_TUNING
	[ "$(digest)" = "$right" ] || status=1
	for batch in 97 12 1; do
		logits "$directory/tuned" "$batch" && cmp "$directory/rules-$batch" "$directory/tuned" >>"$directory/out" || status=1
	done
	grep -q 'heeded' "$directory/out" && status=1
	result "way $way of all that is tuned changes no bit" "$status"
	unset QVF_VK_TUNING
done
shaders() { # of attention, in a prompt of 97 tokens with what QVF_VK_TUNING says
	QVF_VK_PROFILE=1 QVF_VK_TUNING=$1 "$program" logits -b vulkan -m models/tiny-silu.TQ2_0.gguf --ids "${ids%,*}" --batch 48 \
		-o "$directory/tuned" 2>&1 | sed -n 's/.* \(attention[a-z_]*\)$/\1/p' | sort -u | tr '\n' ' '
}
[ "$(shaders prompt_rows=16)" = 'attention_prompt ' ] && [ "$(shaders prompt_rows=64)" = 'attention ' ]
result 'a forced way is the one that is taken' $?

tune() { # ARGUMENT…
	"$program" selftest -b vulkan --op FILL --quick --shader-cache "$directory/cache" "$@" >"$directory/out" 2>&1
}
mkdir "$directory/cache"
tune --tune --budget 1500 && grep -q 'chosen' "$directory/out" && grep -q 'kept in' "$directory/out" &&
	ls "$directory"/cache/*.tuning >>"$directory/out"
result 'what is fastest is measured and kept' $?
kept=$(echo "$directory"/cache/*.tuning)
keep() { # LINE: instead of all that was chosen, with sums that are right
	tail -c +33 "$kept" | head -n 4 >"$directory/text"
	echo "$1" >>"$directory/text"
	echo "sum $(sha256sum <"$directory/text" | cut -c 1-16)" >>"$directory/text"
	for byte in $(sha256sum <"$directory/text" | cut -d ' ' -f 1 | sed 's/../& /g'); do
		printf "\\$(printf %o "0x$byte")"
	done >"$kept"
	cat "$directory/text" >>"$kept"
}
keep 'head_numbers 2'
tune && grep -q 'tuned for this device: head_numbers 2$' "$directory/out"
result 'and read again' $?
keep 'head_numbers 3'
tune && grep -q "is not used: 'head_numbers 3' is nothing that can be chosen; the rules hold" "$directory/out"
result 'a record of what there is not is refused with words' $?
printf 'x' | dd of="$kept" bs=1 seek=50 conv=notrunc 2>>"$directory/out"
tune && grep -q 'is damaged and is not used' "$directory/out"
result 'a damaged record is refused with words' $?
if ls /usr/share/vulkan/explicit_layer.d/*validation*.json >/dev/null 2>&1; then
	status=0
	VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation "$program" selftest -b vulkan --quick --tune --budget 10000 \
		>"$directory/out" 2>&1 || status=1
	! grep -qi 'validation error\|VUID' "$directory/out" && [ "$status" -eq 0 ]
	result 'the validation layer finds nothing' $?
else
	echo "SKIP validation: the layer is not installed"
fi

train() { # FOLDER ARGUMENT…
	folder=$1
	shift
	"$program" train -m models/tiny-silu.TQ2_0.gguf -f "$directory/data.jsonl" -c 64 --bos-eos --steps 12 --epochs 12 --rank 4 \
		--checkpoint-every 2 -o "$folder" "$@" >"$directory/out" 2>&1
}
for i in 1 2 3 4 5 6 7 8; do
	echo "{\"text\": \"Key number $i of the invented handheld opens drawer $((i * 7 % 13)).\"}"
done >"$directory/data.jsonl"
train "$directory/straight" -b vulkan
result 'trains' $?
lost=1
VK_LAYER_PATH=$layers VK_INSTANCE_LAYERS=VK_LAYER_QVF_lost QVF_TEST_LOST_AT=60 train "$directory/lost" -b vulkan || lost=0
[ "$lost" -eq 0 ] && grep -q 'device was lost' "$directory/out" &&
	grep -q 'the driver says of the loss: lost by the test' "$directory/out" && ls "$directory/lost"/checkpoint* >/dev/null
result 'a lost device ends the run with its name' $?
crashed=0
for at in 2 11 20 31; do # while the device is opened, weights are brought and buffers made
	rm -rf "$directory/early"
	VK_LAYER_PATH=$layers VK_INSTANCE_LAYERS=VK_LAYER_QVF_lost QVF_TEST_LOST_AT=$at train "$directory/early" -b vulkan
	if [ $? -ne 1 ] || ! grep -q 'lost by the test' "$directory/out"; then
		crashed=1
		break
	fi
done
result 'a device lost at any moment is an error with words' "$crashed"
cp -r "$directory/lost" "$directory/elsewhere"
train "$directory/lost" -b vulkan && cmp "$directory/straight/last.gguf" "$directory/lost/last.gguf" >>"$directory/out"
result 'and the run goes on to the same bytes' $?
train "$directory/elsewhere" -b cpu
result 'also on the CPU' $?
exit "$failed"
