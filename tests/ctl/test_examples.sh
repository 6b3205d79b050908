#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The example programs against the real service on a private socket, and the header and library as installed ones.
. tests/build/lib.sh
. tests/ctl/bus.sh
: "${QVF_BUILD:=build}"
if [ ! -x "$QVF_BUILD/examples/complete" ] || [ ! -x "$QVF_BUILD/qvfd" ] || [ -n "${EMULATOR:-}" ]; then
	skip ctl/examples 'needs qvfd and libqvf'
	exit 0
fi
QVF_ADDRESS=unix:path=$scratch/socket
export QVF_ADDRESS
"$QVF_BUILD/qvfd" --address "$QVF_ADDRESS" --state "$scratch/state" --config examples/demo/qvfd.yaml \
	>"$scratch/daemon" 2>&1 </dev/null &
daemon=$!
trap 'kill "$daemon"; wait "$daemon"; rm -rf "$scratch"' EXIT
until "$QVF_BUILD/qvfctl" status >/dev/null 2>&1; do
	kill -0 "$daemon" || { cat "$scratch/daemon"; echo 'FAIL qvfd starts'; exit 1; }
	sleep 0.1
done
"$QVF_BUILD/qvfctl" models add models/helper-29m.TQ2_0.gguf >/dev/null

complete() {
	timeout 100 "$QVF_BUILD/examples/complete" 'What is grep?' >"$scratch/out"
	[ "$(cat "$scratch/out")" = 'grep: Find patterns in files using regexes.' ]
}
try 'complete: one answer in one call' complete

stream() {
	timeout 100 "$QVF_BUILD/examples/stream" 'What is grep?' >"$scratch/out" 2>"$scratch/errors"
	[ "$(cat "$scratch/out")" = 'grep: Find patterns in files using regexes.' ]
	grep -q 'ended by end after' "$scratch/errors"
}
try 'stream: an answer as it comes, through a pollable descriptor' stream

train() {
	head -n 4 examples/demo/handheld.jsonl >"$scratch/data"
	timeout 200 "$QVF_BUILD/examples/train" "$scratch/data" small >"$scratch/out" 2>"$scratch/errors"
	cat "$scratch/errors"
	[ "$(cat "$scratch/out")" = 'job 1: finished' ]
	"$QVF_BUILD/qvfctl" adapters --names | grep -qx small
}
try 'train: a job, watched until it ends' train

python=$(python_with dbus)
ask() {
	timeout 100 "$python" examples/ask.py 'What is grep?' >"$scratch/out"
	[ "$(grep -cx 'grep: Find patterns in files using regexes.' "$scratch/out")" -eq 2 ]
}
if [ -n "$python" ]; then
	try 'ask.py: through D-Bus alone' ask
else
	skip 'ask.py: through D-Bus alone' "needs Python's dbus module"
fi

finish
