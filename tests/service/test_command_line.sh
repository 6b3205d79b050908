#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What qvfd does with a configuration and with a trace, without serving anybody.
set -u
: "${QVF_BUILD:=build}"
qvfd=$QVF_BUILD/qvfd
if [ ! -x "$qvfd" ]; then
	echo "SKIP command line: $qvfd is not built"
	exit 0
fi
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
bad=0

# check NAME STATUS WORDS COMMAND…: the command ends so, and says that.
check() {
	name=$1 status=$2 words=$3
	shift 3
	timeout -s KILL 60 "$@" >"$directory/out" 2>&1 </dev/null
	found=$?
	if [ "$found" -eq "$status" ] && grep -qF -- "$words" "$directory/out"; then
		echo "ok $name"
	else
		echo "FAIL $name: status $found, not $status, or \"$words\" not in:"
		cat "$directory/out"
		bad=1
	fi
}

printf 'training:\n  idle_for: 7min\n' >"$directory/good.yaml"
printf 'training:\n  idle_fro: 7min\n' >"$directory/bad.yaml"
mkdir -p "$directory/etc/qvfd.d" "$directory/state"
printf 'training: {idle_for: 1min}\n' >"$directory/etc/qvfd.yaml"
printf 'training: {idle_for: 2min}\n' >"$directory/etc/qvfd.d/10-later.yaml"

check 'a good file is printed as it is in force' 0 '  idle_for: 7min' "$qvfd" --check-config "$directory/good.yaml"
cp "$directory/out" "$directory/printed.yaml"
check 'what is printed is a good file' 0 '  idle_for: 7min' "$qvfd" --check-config "$directory/printed.yaml"
check 'a bad file is told by place, key and nearest key' 1 \
	'bad.yaml:2:3: training: unknown key "idle_fro", did you mean "idle_for"?' \
	"$qvfd" --check-config --config "$directory/bad.yaml"
check 'the files of a folder are merged' 0 '  idle_for: 2min' "$qvfd" --check-config --config "$directory/etc"
check 'a file that is not there' 1 'no such file' "$qvfd" --check-config "$directory/none.yaml"
check 'the shipped file' 0 '  idle_for: 5min' "$qvfd" --check-config config/qvfd.yaml
check 'qvfd does not start with a bad file' 1 'unknown key "idle_fro"' \
	"$qvfd" --config "$directory/bad.yaml" --address "unix:path=$directory/socket" --state "$directory/state"

# The example of docs/policy.md: what it shows is what comes out.
sed -n '/^{"time": "2026/p' docs/policy.md >"$directory/trace.jsonl"
sed -n '/^2026-01-05/,/^  waited .*settle_for/p' docs/policy.md >"$directory/expected"
printf 'training: {energy_per_day: 20Wh}\n' >"$directory/budget.yaml"
check 'a trace is simulated' 0 'training ran 1 h 20 min of 2 h in 3 starts' \
	"$qvfd" --simulate "$directory/trace.jsonl" --config "$directory/budget.yaml"
if head -n "$(wc -l <"$directory/expected")" "$directory/out" | cmp -s - "$directory/expected" &&
	[ -s "$directory/expected" ]; then
	echo 'ok the manual shows what comes out'
else
	echo 'FAIL the manual shows what comes out'
	diff "$directory/out" "$directory/expected"
	bad=1
fi
check 'decisions as JSON' 0 '"activity":"training","allowed":true' \
	"$qvfd" --simulate "$directory/trace.jsonl" --config "$directory/budget.yaml" --json
printf '{"time": 5, "batery": 3}\n' >"$directory/bad.jsonl"
check 'a bad trace' 1 'bad.jsonl:1: unknown key "batery", did you mean "battery"?' \
	"$qvfd" --simulate "$directory/bad.jsonl" --config "$directory/good.yaml"
check 'a trace that is not there' 1 'none.jsonl' "$qvfd" --simulate "$directory/none.jsonl"
[ "$bad" -eq 0 ]
