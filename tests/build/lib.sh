# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What the test scripts share. `try NAME FUNCTION` runs a test in a shell of its own that stops at the first command
# that fails; its output is shown only then. $scratch is a folder that goes away at the end.
set -u
failures=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
# What a make above this one decided about targets and jobs is not for the makes below.
unset T MAKELEVEL

try() {
	(
		set -ex
		"$2"
	) >"$scratch/log" 2>&1
	status=$?
	if [ "$status" -eq 0 ]; then
		echo "ok $1"
	else
		tail -n 30 "$scratch/log"
		echo "FAIL $1"
		failures=$((failures + 1))
	fi
}

skip() {
	echo "SKIP $1: $2"
}

# fails COMMAND…: succeeds when the command does not; `set -e` does not stop at a command after "!".
fails() {
	if "$@"; then
		echo "succeeded, but must not: $*"
		return 1
	fi
}

finish() {
	exit "$((failures > 0))"
}
