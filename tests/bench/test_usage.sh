#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What qvf-bench says to those who use it: help, wrong usage, exit codes; and that its man page holds every option.
set -u
program=${QVF_BUILD:-build}/qvf-bench
page=docs/man/qvf-bench.1.scd
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
failed=0

bench() {
	# shellcheck disable=SC2086
	${EMULATOR:-} "$program" "$@" >"$directory/out" 2>"$directory/error" </dev/null
}

result() { # NAME: reads the status of the command before it
	if [ "$2" -eq 0 ]; then
		echo "ok $1"
	else
		echo "FAIL $1"
		sed 's/^/    /' "$directory/out" "$directory/error"
		failed=1
	fi
}

# NAME EXIT-CODE WORDS-OF-STDERR ARGUMENT…
expect() {
	name=$1 code=$2 words=$3
	shift 3
	bench "$@"
	[ $? -eq "$code" ] && grep -qF -- "$words" "$directory/error"
	result "$name" $?
}

verbs() {
	bench --help
	sed -n 's/^  \([a-z]*\)  .*/\1/p' "$directory/out"
}

expect no_verb 2 'which verb?'
expect unknown_verb 2 "there is no verb 'zzzzzzz'; qvf-bench --help" zzzzzzz
expect near_verb 2 "did you mean 'perplexity'?" perplexty
expect short_verb 2 "did you mean 'generate'?" gen
expect unknown_option 2 'unknown option --zzzzzzz' speed --zzzzzzz
expect near_option 2 'did you mean --threads?' speed --thread_s 2
expect unknown_letter 2 'unknown option -Z' speed -Z
expect missing_argument 2 '--threads needs an argument' speed --threads
expect not_a_number 2 '--threads two: expected a whole number' speed --threads two
expect negative_number 2 '--threads -1: expected a whole number' speed --threads -1
expect out_of_range 2 '--threads 0: expected a whole number from 1 to 1024' speed --threads 0
expect bad_list 2 '--prompt 1,,2: expected whole numbers with commas' speed --prompt 1,,2
expect bad_choice 2 '--kv f8: expected one of f16|f32|q8_0' speed --kv f8
expect bad_fraction 2 '--top-p 1.5: expected a number from 0 to 1' generate --top-p 1.5
expect bad_seed 2 '--seed x: expected a number of 64 bits' generate --seed x
expect too_many_words 2 "'model.gguf' is one word too many" speed model.gguf
expect no_model 2 'give --model FILE' speed
expect no_such_file 1 'no-such-file.gguf' info -m no-such-file.gguf
expect not_a_model 1 "$page" info -m "$page"

bench --version && grep -qx "qvf-bench $(cat VERSION)" "$directory/out"
result version $?

bench --help && [ ! -s "$directory/error" ] && [ "$(verbs | wc -l)" -ge 8 ]
result help $?

for verb in $(verbs); do
	bench "$verb" --help && [ ! -s "$directory/error" ] && grep -q "^Usage: qvf-bench $verb " "$directory/out"
	result "help_of_$verb" $?
	grep -qx "## $verb" "$page"
	result "man_page_has_$verb" $?
	missing=
	# The words before two spaces are the option's; what stands behind may name others.
	for option in $(sed -n 's/^  \(\(-.,\)\? *--[a-z0-9-]*\).*/\1/p' "$directory/out" | tr -d ' ' | tr ',' ' '); do
		grep -qF -- "*$option*" "$page" || missing="$missing $option"
	done
	echo "not in $page:$missing" >"$directory/error"
	[ -z "$missing" ]
	result "man_page_has_options_of_$verb" $?
done

# And the other way round: no option in the page that no verb has.
for verb in $(verbs); do
	bench "$verb" --help
	cat "$directory/out"
done | grep -oE -- '--[a-z0-9-]+' | sort -u >"$directory/known"
printf '%s\n' --help --version >>"$directory/known"
grep -oE -- '^\*-.*' "$page" | grep -oE -- '--[a-z0-9-]+' | sort -u | grep -vxF -f "$directory/known" >"$directory/error"
[ ! -s "$directory/error" ]
result man_page_has_no_other_options $?

if command -v scdoc >/dev/null; then
	scdoc <"$page" >"$directory/out" 2>"$directory/error"
	result man_page_is_well_formed $?
else
	echo "SKIP man_page_is_well_formed: scdoc is not installed"
fi

exit "$failed"
