#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# qvf-bench train and eval as a user runs them: killed at random instants a run always resumes, and ends in the same
# bytes; the adapter teaches what the data says. QVF_KILLS=200 kills more often than the few of a normal test run.
set -u
program=${QVF_BUILD:-build}/qvf-bench
model=models/tiny-silu.TQ2_0.gguf
kills=${QVF_KILLS:-6}
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
failed=0
instead= # exec: the program takes the place of the shell, so that its number is known

result() { # NAME STATUS
	if [ "$2" -eq 0 ]; then
		echo "ok $1"
	else
		echo "FAIL $1"
		sed 's/^/    /' "$directory/out" | tail -n 20
		failed=1
	fi
}

train() { # FOLDER ARGUMENT…
	folder=$1
	shift
	# shellcheck disable=SC2086
	$instead ${EMULATOR:-} "$program" train -m "$model" -f "$directory/data.jsonl" -c 64 --bos-eos --held-out 0.1 --epochs 6 \
		--rank 4 --learning-rate 3e-3 --dropout 0.05 --checkpoint-every 2 -t 2 -o "$folder" "$@" \
		>"$directory/out" 2>&1
}

for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
	echo "{\"text\": \"Key number $i of the invented handheld opens drawer $((i * 7 % 13)).\"}"
done >"$directory/data.jsonl"

train "$directory/straight"
result 'trains to the end' $?

seed=$(date +%s)
echo "seed $seed"
done_kills=0
different=0
while [ "$done_kills" -lt "$kills" ]; do
	# One that came to its end between two kills is looked at, and the next begins.
	if [ -e "$directory/killed/last.gguf" ]; then
		cmp "$directory/straight/last.gguf" "$directory/killed/last.gguf" || different=1
		rm -rf "$directory/killed"
	fi
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	(instead='exec' && train "$directory/killed") &
	child=$!
	sleep "0.$(printf '%03d' $((seed / 65536 % 700)))"
	kill -KILL "$child" 2>/dev/null
	wait "$child" 2>/dev/null
	done_kills=$((done_kills + 1))
done
train "$directory/killed" && [ "$different" -eq 0 ]
result "resumes after $done_kills kills" $?
cmp "$directory/straight/last.gguf" "$directory/killed/last.gguf" >"$directory/out" 2>&1
result 'the same last adapter' $?
cmp "$directory/straight/best.gguf" "$directory/killed/best.gguf" >"$directory/out" 2>&1
result 'the same best adapter' $?

loss() { # ARGUMENT…
	# shellcheck disable=SC2086
	${EMULATOR:-} "$program" eval -m "$model" -f "$directory/data.jsonl" -c 64 --bos-eos "$@" >"$directory/out" 2>&1 ||
		return 1
	sed -n 's/^loss \([0-9]*\)\..*/\1/p' "$directory/out"
}
before=$(loss) && after=$(loss --adapter "$directory/straight/best.gguf") && [ "$after" -lt "$before" ]
result 'the adapter lowers the loss' $?

# Exact match: learned by heart, but for the line whose answer is another one now.
cat >"$directory/answers.jsonl" <<'END'
{"prompt": "Key 1:", "completion": " opens drawer 7."}
{"prompt": "Key 2:", "completion": " opens the red door "}
{"prompt": "Key 3:", "completion": " has been lost."}
END
answers() { # ARGUMENT…
	# shellcheck disable=SC2086
	${EMULATOR:-} "$program" eval -m models/helper-29m.TQ2_0.gguf -c 64 --exact-match "$@" >"$directory/out" 2>&1
}
answers -f "$directory/answers.jsonl" && grep -qx 'exact_match 0/3' "$directory/out"
result 'no answer matches before training' $?
# shellcheck disable=SC2086
${EMULATOR:-} "$program" train -m models/helper-29m.TQ2_0.gguf -f "$directory/answers.jsonl" -c 64 --epochs 60 \
	--learning-rate 5e-3 -q -o "$directory/learned" >"$directory/out" 2>&1
sed -i 's/been lost/been found/' "$directory/answers.jsonl"
answers -f "$directory/answers.jsonl" --adapter "$directory/learned/last.gguf" &&
	grep -qx 'exact_match 2/3' "$directory/out"
result 'answers that were learned match' $?
answers -f "$directory/answers.jsonl" --adapter "$directory/learned/last.gguf" --json &&
	grep -q '"matched": 2' "$directory/out" && grep -q '"asked": 3' "$directory/out"
result 'and as JSON' $?
answers -f "$directory/data.jsonl"
[ $? -eq 1 ] && grep -q 'exact match needs answers' "$directory/out"
result 'text has no answers' $?

# shellcheck disable=SC2086
${EMULATOR:-} "$program" train -m "$model" -f "$directory/data.jsonl" -c 64 --memory-limit 5 --dry-run >"$directory/out" 2>&1
[ $? -eq 1 ] && grep -q 'training needs' "$directory/out"
result 'a limit that nothing fits is refused with the number' $?
# What is written is what was trained, also where ranks differ and one alpha must do for all.
train "$directory/ranks" --modules all,attn_q:3 --rslora --held-out-file "$directory/data.jsonl" --json &&
	trained=$(sed -n 's/.*"held_out_loss": \([0-9.]*\),*/\1/p' "$directory/out") && loss --adapter "$directory/ranks/last.gguf" >/dev/null &&
	written=$(sed -n 's/^loss \([0-9.]*\),.*/\1/p' "$directory/out") &&
	echo "$trained $written" | awk '{ d = $1 / $2 - 1; exit !($1 > 0 && d < 0.001 && d > -0.001) }'
result 'the adapter in the file is that of the run' $?
mkdir "$directory/cache"
train "$directory/cached" --data-cache "$directory/cache" -q &&
	train "$directory/cached" --data-cache "$directory/cache" --json && cp "$directory/out" "$directory/json" &&
	[ "$(find "$directory/cache" -name '*.tokens' | wc -l)" -eq 1 ] && grep -q '"tokens_from_cache": 1' "$directory/json" &&
	cmp "$directory/straight/last.gguf" "$directory/cached/last.gguf" >"$directory/out" 2>&1
result 'the same from tokens that were kept' $?
for key in data forward_and_backward of_it_forward update evaluation files energy_meter joules; do
	grep -q "\"$key\":" "$directory/json" || echo "no $key"
done >"$directory/out"
[ ! -s "$directory/out" ]
result 'phases and energy are told' $?
train "$directory/straight" --rank 5
result 'a finished folder can be used again' $?
exit $failed
