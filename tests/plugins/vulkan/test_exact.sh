#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The Vulkan backend gives the bits of docs/arithmetic.md: operation by operation, and whole models the CPU's logits but for the head's
# own rounding. With the plugin whose multiply-add rounds once on any driver; on a GPU that has one the usual plugin does the same.
set -u
build=${QVF_BUILD:-build}
program=$build/qvf-bench
plugins=$build/tests/vulkan-exact
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
failed=0
small=49152 # bytes of a binding

result() { # NAME STATUS
	if [ "$2" -eq 0 ]; then
		echo "ok $1"
	else
		echo "FAIL $1"
		sed 's/^/    /' "$directory/out" | tail -n 30
		failed=1
	fi
}

if [ ! -e "$plugins/vulkan.so" ]; then
	echo "SKIP vulkan: the plugin was not built"
	exit 0
fi
case $build in
*asan* | *coverage*)
	# The drivers leak, and are not what is looked for there.
	export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
	;;
esac
if ! "$program" selftest -b vulkan --op FILL --quick --plugins "$plugins" >"$directory/out" 2>&1 &&
	grep -q 'finds no device' "$directory/out"; then
	echo "SKIP vulkan: no driver is here"
	exit 0
fi
if ! "$program" selftest -b cpu --quick --bits --op RMSNORM >"$directory/out" 2>&1; then
	echo "SKIP vulkan: this CPU has no fused multiply-add"
	exit 0
fi

for operation in RMSNORM GATE ROPE ATTENTION QUANTIZE ADD MATMUL_TERNARY KV_STORE KV_ROTATE; do
	"$program" selftest -b vulkan --quick --bits --op "$operation" --seed "${QVF_TEST_SEED:-$(date +%s)}" --plugins "$plugins" \
		>"$directory/out" 2>&1
	result "the bits of $operation" $?
done
for operation in ATTENTION KV_STORE KV_ROTATE; do # of caches that no binding holds
	QVF_VK_RANGE=$small "$program" selftest -b vulkan --quick --bits --op "$operation" --seed "${QVF_TEST_SEED:-$(date +%s)}" \
		--plugins "$plugins" >"$directory/out" 2>&1
	result "the bits of $operation, cut" $?
done


# Logits of the head are off by their own rounding, 1e-6 of their size; a tie that falls the other way moves them by 1e-2.
same_logits() { # MODEL CACHE TOKENS BATCH
	awk -v n="$3" 'BEGIN { for (i = 1; i <= n; i++) print i * 7919 % 509 }' >"$directory/ids"
	"$program" logits -m "models/$1.gguf" --kv "$2" --ids-file "$directory/ids" -o "$directory/cpu" >"$directory/out" 2>&1 &&
		"$program" logits -b vulkan --plugins "$plugins" -m "models/$1.gguf" --kv "$2" --batch "$4" --ids-file "$directory/ids" \
			--compare "$directory/cpu" >"$directory/out" 2>&1 &&
		awk '$1 " " $2 == "relative L2" { found = $3 < 5e-6 } END { exit !found }' "$directory/out"
	result "the CPU's logits: $1, cache of $2, $4 rows a batch${QVF_VK_RANGE:+, cut}" $?
}
same_logits tiny-silu.TQ2_0 f16 576 96 # past a span of attention
same_logits tiny-silu.TQ2_0 q8_0 96 96
export QVF_VK_RANGE="$small"
same_logits tiny-silu.TQ2_0 f16 576 96
same_logits tiny-silu.TQ2_0 q8_0 576 7
unset QVF_VK_RANGE
same_logits tiny-silu.TQ2_0 f16 40 1
same_logits tiny-relu2.TQ1_0 f32 576 96
[ -n "${QVF_TEST_QUICK:-}" ] || same_logits helper-29m.TQ2_0 f16 64 64
exit "$failed"
