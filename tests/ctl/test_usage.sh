#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What qvfctl says without any service: help, wrong usage, near words; and that its man page, its completions and the
# exported symbols of the library agree with what is there.
. tests/build/lib.sh
: "${QVF_BUILD:=build}"
qvfctl=$QVF_BUILD/qvfctl
page=docs/man/qvfctl.1.scd
if [ ! -x "$qvfctl" ]; then
	skip ctl/usage 'qvfctl is not built'
	exit 0
fi
QVF_ADDRESS=unix:path=$scratch/nobody
export QVF_ADDRESS

# CODE WORDS-OF-STDERR ARGUMENT…
expect() {
	code=$1 words=$2
	shift 2
	got=0
	# shellcheck disable=SC2086
	${EMULATOR:-} "$qvfctl" "$@" >"$scratch/out" 2>"$scratch/errors" </dev/null || got=$?
	cat "$scratch/out" "$scratch/errors"
	[ "$got" -eq "$code" ]
	[ -z "$words" ] || grep -qF -- "$words" "$scratch/errors"
}

verbs() {
	# shellcheck disable=SC2086
	${EMULATOR:-} "$qvfctl" --help | sed -nE 's/^  ([a-z]+( [a-z]+)?)  .*/\1/p'
}

wrong_usage() {
	expect 2 "there is no verb 'zzzzzzz'; qvfctl --help" zzzzzzz
	expect 2 "did you mean 'status'?" statsu
	expect 2 "did you mean 'models'?" model
	expect 2 "did you mean 'job show'?" job shwo 1
	expect 2 "did you mean 'models add'?" models ad
	expect 2 'job what?' job
	expect 2 'train needs FILE' train
	expect 2 'unknown option --zzzzzzz' status --zzzzzzz
	expect 2 'did you mean --temperature?' infer --temprature 1 hi
	expect 2 'one word too many' status now
	expect 2 '--rank 0: expected a whole number from 1 to 512' train x --rank 0
	expect 2 '--memory much: expected bytes' train README.md --memory much
	expect 2 'only one of' status --user --private
	expect 2 'priority from -100 to 100' job priority 1 101
	expect 4 'no-such-file' train no-such-file
	expect 8 'is not running'
	expect 8 'is not running' --json devices
	expect 1 'is no D-Bus address' --address nonsense
}
try 'wrong usage' wrong_usage

version() {
	expect 0 '' --version
	grep -qx "qvfctl $(cat VERSION)" "$scratch/out"
	expect 0 '' version
	grep -qx 'qvfd is not running' "$scratch/out"
}
try version version

every_verb() {
	verbs >"$scratch/verbs"
	[ "$(wc -l <"$scratch/verbs")" -ge 35 ]
	while read -r verb; do
		# shellcheck disable=SC2086
		expect 0 '' $verb --help
		grep -q "^Usage: qvfctl $verb " "$scratch/out"
		grep -qx "## $verb" "$page"
		sed -n 's/^  \(\(-.,\)\? *--[a-z0-9-]*\).*/\1/p' "$scratch/out" | tr -d ' ' | tr ',' '\n' >"$scratch/options"
		while read -r option; do
			grep -qF -- "*$option*" "$page" || { echo "not in $page: $option of $verb"; return 1; }
		done <"$scratch/options"
	done <"$scratch/verbs"
}
try 'every verb has help, and stands in the man page with its options' every_verb

nothing_else() {
	verbs >"$scratch/verbs"
	while read -r verb; do
		# shellcheck disable=SC2086
		${EMULATOR:-} "$qvfctl" $verb --help </dev/null
	done <"$scratch/verbs" | grep -oE -- '--[a-z0-9-]+' | sort -u >"$scratch/known"
	printf '%s\n' --help --version >>"$scratch/known"
	grep -oE -- '^\*-.*' "$page" | grep -oE -- '--[a-z0-9-]+' | sort -u | fails grep -vxF -f "$scratch/known"
	sed -n 's/^## //p' "$page" | sort >"$scratch/page-verbs"
	sort "$scratch/verbs" | diff - "$scratch/page-verbs"
}
try 'the man page has no other verbs and options' nothing_else

commands() {
	# The commands of chat: those of its source and those of the page.
	sed -n 's,^        { "\(/[a-z]*\)".*,\1,p' ctl/chat.c | sort >"$scratch/commands"
	[ -s "$scratch/commands" ]
	sed -n 's,^\*\(/[a-z]*\)\*.*,\1,p' "$page" | sort | diff "$scratch/commands" -
}
try 'the man page has the commands of chat' commands

well_formed() {
	scdoc <"$page" >/dev/null
}
if command -v scdoc >/dev/null; then
	try 'the man page is well-formed' well_formed
else
	skip 'the man page is well-formed' 'scdoc is not installed'
fi

schemas() {
	# Each property of the interface files stands in the schema of its object.
	for pair in Device:devices Model:model Adapter:adapter Job:job Manager:status; do
		sed -n 's/^<property name="\([A-Za-z]*\)".*/\1/p' "config/org.qvf.Fabric1.${pair%:*}.xml" |
			sed 's/\([A-Z]\)/_\L\1/g; s/^_//' >"$scratch/properties"
		[ -s "$scratch/properties" ]
		while read -r property; do
			grep -q "\"$property\"" "docs/schemas/${pair#*:}.json" || { echo "${pair#*:}.json: $property"; return 1; }
		done <"$scratch/properties"
	done
}
try 'the schemas have every property of the interfaces' schemas

exported() {
	sed -n 's/^QVF_API .*[ *]\(qvf_[a-z_]*\)(.*/\1/p; s/^                \(qvf_[a-z_]*\)(.*/\1/p' include/qvf/qvf.h |
		sort -u >"$scratch/declared"
	sed -n 's/^	\(qvf_[a-z_]*\);$/\1/p' client/libqvf.map | sort >"$scratch/mapped"
	diff "$scratch/declared" "$scratch/mapped"
	nm -D --defined-only "$QVF_BUILD/libqvf.so.0" | sed -n 's/.* T \(.*\)@@LIBQVF_0.1$/\1/p' | sort | diff "$scratch/mapped" -
}
if command -v nm >/dev/null; then
	try 'libqvf exports what its header declares, with versions' exported
fi

header_alone() {
	echo '#include <qvf/qvf.h>' | gcc -std=c99 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only -x c -
	echo '#include <qvf/qvf.h>' | gcc -std=c17 -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c -
}
if command -v gcc >/dev/null; then
	try 'the header compiles by itself' header_alone
fi
# Completions ask the program itself; here a made-up one answers, so that no service is needed.
completes_bash() {
	mkdir -p "$scratch/bin"
	ln -sf "$(realpath "$qvfctl")" "$scratch/bin/qvfctl"
	bash -c '
		PATH=$1:$PATH
		. ctl/completions/qvfctl.bash
		try() {
			COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2)) COMPREPLY=()
			_qvfctl
			printf " %s " "${COMPREPLY[@]}" | grep -qF -- " $1 " || { echo "no $1 in: ${COMPREPLY[*]}"; exit 1; }
		}
		try status qvfctl st
		try show qvfctl job s
		try explain qvfctl policy ""
		try --temperature qvfctl infer --te
		try cosine qvfctl train --schedule c
		try --follow qvfctl job show --f' bash "$scratch/bin"
}
if command -v bash >/dev/null && [ -z "${EMULATOR:-}" ]; then
	try 'completion for bash' completes_bash
else
	skip 'completion for bash' 'bash is not installed'
fi

completes_fish() {
	mkdir -p "$scratch/bin"
	ln -sf "$(realpath "$qvfctl")" "$scratch/bin/qvfctl"
	HOME=$scratch PATH=$scratch/bin:$PATH fish -c '
		source ctl/completions/qvfctl.fish
		complete -C "qvfctl st" | grep -q "^status"; or exit 1
		complete -C "qvfctl job s" | grep -q "^show"; or exit 2
		complete -C "qvfctl infer --te" | grep -q "^--temperature"; or exit 3'
}
if command -v fish >/dev/null && [ -z "${EMULATOR:-}" ]; then
	try 'completion for fish' completes_fish
else
	skip 'completion for fish' 'fish is not installed'
fi

completes_zsh() {
	zsh -n ctl/completions/_qvfctl
	mkdir -p "$scratch/bin"
	ln -sf "$(realpath "$qvfctl")" "$scratch/bin/qvfctl"
	# The function that lists the words is called by itself: the rest is zsh's own.
	PATH=$scratch/bin:$PATH zsh -fc '
		_describe() { print -l -- "${(@P)2}" }
		compadd() { shift $(( $# > 0 ? 0 : 0 )); print -l -- "$@" }
		functions[_qvfctl]="$(<ctl/completions/_qvfctl)"
		words=(qvfctl st) CURRENT=2; _qvfctl | grep -q "^status" || exit 1
		words=(qvfctl job s) CURRENT=3; _qvfctl | grep -q "^show" || exit 2
		words=(qvfctl infer --te) CURRENT=3; _qvfctl | grep -q "^--temperature" || exit 3'
}
if command -v zsh >/dev/null && [ -z "${EMULATOR:-}" ]; then
	try 'completion for zsh' completes_zsh
else
	skip 'completion for zsh' 'zsh is not installed'
fi

finish
