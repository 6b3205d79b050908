#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every verb of qvf-bench on the small models that ship.
set -u
program=${QVF_BUILD:-build}/qvf-bench
helper=models/helper-29m.TQ2_0.gguf
tiny=models/tiny-relu2.TQ2_0.gguf
ids='508 208 229 58 100 244 440 136 381 218 431 56'
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
failed=0

bench() {
	# shellcheck disable=SC2086
	${EMULATOR:-} "$program" "$@" >"$directory/out" 2>"$directory/error"
}

result() { # NAME STATUS
	if [ "$2" -eq 0 ]; then
		echo "ok $1"
	else
		echo "FAIL $1"
		sed 's/^/    /' "$directory/out" "$directory/error" | head -n 30
		failed=1
	fi
}

has() { # WORDS…: each stands in the output
	for words in "$@"; do
		grep -qF -- "$words" "$directory/out" || return 1
	done
}

is() { # the output is this line and nothing else
	printf '%s\n' "$1" | cmp -s - "$directory/out"
}

# NAME EXIT-CODE WORDS-OF-STDERR ARGUMENT…
expect() {
	name=$1 code=$2 words=$3
	shift 3
	bench "$@" </dev/null
	[ $? -eq "$code" ] && grep -qF -- "$words" "$directory/error"
	result "$name" $?
}

# info
bench info -m "$tiny" --json --tensors && has '"architecture": "bitnet-b1.58"' '"activation": "squared ReLU"' \
	'"vocabulary": 512' '"name": "blk.0.attn_q.weight"'
result info_json $?
bench info -m "$helper" --keys && has 'tokenizer.ggml.model = gpt2' 'bitnet.block_count = 8'
result info_keys $?

# logits
bench logits -m "$tiny" --ids "$ids" -o "$directory/tq2" && [ "$(wc -c <"$directory/tq2")" -eq $((12 * 512 * 4)) ]
result logits_has_a_row_for_each_token $?
bench logits -m models/tiny-relu2.TQ1_0.gguf --ids "$ids" && cmp -s "$directory/out" "$directory/tq2"
result logits_of_tq1_0_and_tq2_0_are_equal $?
bench logits -m "$tiny" --ids "$ids" --last && tail -c 2048 "$directory/tq2" | cmp -s - "$directory/out"
result logits_last_row $?
printf '[%s]' "$(echo "$ids" | tr ' ' ',')" >"$directory/ids.json"
bench logits -m "$tiny" --ids-file "$directory/ids.json" --compare "$directory/tq2" &&
	has 'bitwise equal rows  12' 'same top token      100.00 %' 'relative L2         0'
result logits_compare $?
head -c 3000 "$directory/tq2" >"$directory/short"
expect logits_compare_short_file 1 'ends at row 1' logits -m "$tiny" --ids "$ids" --compare "$directory/short"
expect logits_id_too_large 1 'token 2 is 512: the model has 0 to 511' logits -m "$tiny" --ids 1,512 -o /dev/null
expect logits_not_an_id 1 "id 2 is 'x': expected a token id" logits -m "$tiny" --ids '1 x' -o /dev/null
expect logits_no_source 2 'give one of --ids' logits -m "$tiny" -o /dev/null
expect logits_two_sources 2 'give one of --ids' logits -m "$tiny" -o /dev/null --ids 1 --text a
expect logits_context_too_small 2 '12 positions are needed' logits -m "$tiny" --ids "$ids" -c 4 -o /dev/null
expect adapter_is_no_adapter 1 "$tiny" logits -m "$tiny" --ids 1 -o /dev/null --adapter "$tiny:0.5"

# generate
bench generate -m "$helper" --user 'What is grep?' --stats && is 'grep: Find patterns in files using regexes.' &&
	grep -q 'prompt: 15 tokens.*generated: 10 tokens.*ended by: end' "$directory/error"
result generate_answers $?
bench generate -m "$helper" --user 'What is grep?' --ids && is '3421 25 6614 4713 281 547 665 5005 284 13'
result generate_ids $?
bench generate -m "$helper" --user 'What is grep?' --stop 'files us' --stop nothing && is 'grep: Find patterns in '
result generate_stops $?
bench generate -m "$helper" --user 'What is grep?' --json --best 2 -n 3 &&
	has '"text": "grep: Find"' '"finish": "length"' '"log_probability"'
result generate_json $?
echo 'The quick' | bench generate -m "$helper" --temperature 1 --seed 7 -n 20 && cp "$directory/out" "$directory/first"
echo 'The quick' | bench generate -m "$helper" --temperature 1 --seed 7 -n 20 && cmp -s "$directory/out" "$directory/first"
result generate_same_seed_same_text $?
echo 'The quick' | bench generate -m "$helper" --temperature 1 --seed 8 -n 20 && ! cmp -s "$directory/out" "$directory/first"
result generate_other_seed_other_text $?
bench generate -m "$helper" -p a --ids --ignore-end -n 80 -c 64 && [ "$(wc -w <"$directory/out")" -eq 80 ]
result generate_past_the_context $?
bench generate -m "$helper" --user 'What is grep?' --bias 3421:-inf -n 1 --ids && ! has 3421
result generate_bias $?
expect generate_two_prompts 2 'give one of --prompt' generate -m "$helper" -p a --user b
expect generate_system_alone 2 '--system needs --user' generate -m "$helper" -p a --system b
expect generate_bad_bias 2 'expected ID:BIAS' generate -m "$helper" -p a --bias 1=2
expect generate_bias_out_of_range 2 'bias[0].id is 8192' generate -m "$helper" -p a --bias 8192:1
expect generate_empty_stop 1 'stop string 1 is empty' generate -m "$helper" -p a --stop ''

# Ctrl-C: ends the text, says so, and is no failure.
# shellcheck disable=SC2086
${EMULATOR:-} "$program" generate -m "$helper" -p a --ignore-end -n 1000000 -c 256 --stats \
	>"$directory/out" 2>"$directory/error" </dev/null &
child=$!
tries=0
while [ ! -s "$directory/out" ] && [ "$tries" -lt 100 ]; do
	sleep 0.2
	tries=$((tries + 1))
done
kill -INT "$child"
wait "$child" && grep -q 'ended by: cancelled' "$directory/error"
result generate_interrupted $?

# perplexity
printf '%s\n' '{"text": "grep: Find patterns in files using regexes."}' '' '{"text": "ls: List directory contents."}' \
	>"$directory/text.jsonl"
bench perplexity -m "$helper" --jsonl-file "$directory/text.jsonl" --save-logits "$directory/saved" --json &&
	has '"documents": 2' '"perplexity":'
result perplexity_json $?
bench perplexity -m "$helper" --jsonl-file "$directory/text.jsonl" --kl "$directory/saved" --batch 4 &&
	has 'KL divergence' 'same top token      100.00 %'
result perplexity_kl $?
bench perplexity -m "$helper" --text 'grep: Find patterns in files using regexes.' -n 3 && has 'scored tokens       3 in 1'
result perplexity_most $?
echo 'no json' >"$directory/text.jsonl"
expect perplexity_bad_line 1 'line 1: expected a JSON object with "text"' perplexity -m "$helper" \
	--jsonl-file "$directory/text.jsonl"
expect perplexity_too_short 1 'the text is too short' perplexity -m "$helper" --ids 5

# speed, memory, selftest, roofline
bench speed -m "$tiny" -p 16,32 -n 4 -r 2 --json && has '"test": "prompt"' '"tokens": 32' '"test": "generation"' '"median"'
result speed_json $?
bench speed -m "$tiny" -p 0 -n 2 -r 1 --kv q8_0 -t 1 && has '1 threads, q8_0' generation && ! has 'prompt  '
result speed_text $?
bench memory -m "$tiny" -p 16 -n 4 --json && has '"planned"' '"kv"' '"peak"' '"peak_to_planned"'
result memory_json $?
bench selftest --quick --op FILL --json -a && has '"failed": 0' '"op": "FILL"'
result selftest_json $?
bench selftest --quick --op QUANTIZE && has 'cases passed, digest'
result selftest_text $?
expect selftest_no_such_op 1 "'NONSENSE'" selftest --op NONSENSE
expect no_such_device 1 "has no device 'toaster'; it has cpu" selftest --device toaster
expect no_such_backend 1 'toaster' selftest -b toaster
bench roofline -t 1 -m "$tiny" --json && has '"memory_read"' '"int8"' '"share_of_limit"'
result roofline_json $?
: >"$directory/out"
${EMULATOR:-} "$program" info -m "$helper" >/dev/full 2>"$directory/error"
[ $? -eq 1 ] && grep -q "can't write" "$directory/error"
result full_disk $?

exit "$failed"
