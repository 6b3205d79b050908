#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The test runner, on programs that end in every way.
. tests/build/lib.sh

unset EMULATOR TEST_JOBS
runner=$(pwd)/tests/run-tests
build=$scratch/build
mkdir -p "$build/tests/room"

program() {
	printf '#!/bin/sh\n%s\n' "$2" >"$build/tests/room/$1"
	chmod +x "$build/tests/room/$1"
}

program test_good 'echo "100%: Checks: 3, Failures: 0, Errors: 0"'
program test_bad 'echo "50%: Checks: 4, Failures: 1, Errors: 1"; exit 1'
program test_crash 'echo "Running"; kill -SEGV $$'
program test_late_crash 'echo "100%: Checks: 3, Failures: 0, Errors: 0"; kill -ABRT $$'
program test_none 'echo "100%: Checks: 0, Failures: 0, Errors: 0"'
program test_silent ':'
program test_slow 'echo "100%: Checks: 3, Failures: 0, Errors: 0"; sleep 20'
program test_skip 'echo "SKIP one: no such device"; echo "100%: Checks: 1, Failures: 0, Errors: 0"'
program test_two 'echo "100%: Checks: 3, Failures: 0, Errors: 0"; echo "100%: Checks: 2, Failures: 0, Errors: 0"'
program test_script.sh 'echo "ok one"; echo "ok two"; echo "SKIP three: cold"'
program test_script_bad.sh 'echo "ok one"; echo "FAIL two"; exit 1'
program test_script_lies.sh 'echo "ok one"; exit 3'

run() {
	programs=
	for name in "$@"; do
		programs="$programs $build/tests/room/$name"
	done
	# shellcheck disable=SC2086
	TEST_LIMIT_S=2 "$runner" "$build" $programs >"$scratch/out" 2>&1
	status=$?
	cat "$scratch/out"
	return "$status"
}

last() {
	[ "$(tail -n 1 "$scratch/out")" = "$1" ]
}

good() {
	run test_good test_two test_script.sh
	last '10 passed, 0 failed'
	[ "$(cat "$build/test-result")" = '10 0' ]
	grep -qx 'SKIP three: cold' "$scratch/out"
}
try 'passes are added up, skips are shown' good

bad() {
	fails run test_good test_bad
	last '5 passed, 2 failed'
	grep -q '^FAIL room/test_bad' "$scratch/out"
}
try 'failures and errors are added up' bad

crash() {
	fails run test_crash test_late_crash
	last '3 passed, 2 failed'
}
try 'a crash is a failure, also after the last test' crash

empty() {
	fails run test_none
	fails run test_silent
	fails run
	last '0 passed, 1 failed'
	fails run test_missing
	last '0 passed, 1 failed'
}
try 'a program that ran no test is a failure, and so is no program' empty

slow() {
	fails run test_slow
	last '3 passed, 1 failed'
	grep -q 'stopped after 2 s' "$scratch/out"
}
try 'a program that does not end is stopped' slow

skipping() {
	run test_skip
	last '1 passed, 0 failed'
	grep -qx 'SKIP one: no such device' "$scratch/out"
}
try 'a skip says why' skipping

scripts() {
	fails run test_script_bad.sh
	last '1 passed, 1 failed'
	fails run test_script_lies.sh
	last '1 passed, 1 failed'
}
try 'scripts count by their lines and their exit status' scripts

finish
