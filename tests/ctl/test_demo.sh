#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The demo as ./setup demo runs it: the taught answer comes, and nothing of it stays behind.
. tests/build/lib.sh
: "${QVF_BUILD:=build}" "${QVF_TEST_QUICK:=}"
if [ ! -x "$QVF_BUILD/qvfctl" ] || [ ! -x "$QVF_BUILD/qvfd" ] || [ -n "${EMULATOR:-}" ]; then
	skip ctl/demo 'needs qvfd and qvfctl'
	exit 0
fi
if [ -n "$QVF_TEST_QUICK" ]; then
	skip ctl/demo 'QVF_TEST_QUICK is set'
	exit 0
fi
case $QVF_BUILD in
*-asan*)
	skip ctl/demo 'the worker runs when nobody else does, and takes many times as long under the sanitizers'
	exit 0
	;;
esac
TMPDIR=$scratch/tmp
export TMPDIR
mkdir "$TMPDIR"

taught() {
	examples/demo/run "$QVF_BUILD" >"$scratch/out" 2>&1 </dev/null || { cat "$scratch/out"; return 1; }
	cat "$scratch/out"
	grep -qx 'after:    Hold the moon key and press L2.' "$scratch/out"
	fails grep -q '^before: .*moon key' "$scratch/out"
	grep -q 'job 1 finished: 120 steps' "$scratch/out"
}
try 'the demo teaches an answer' taught

gone() {
	[ -z "$(ls "$TMPDIR")" ]
	fails pgrep -f "$TMPDIR"
}
try 'nothing of the demo stays behind' gone

finish
