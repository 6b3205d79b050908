#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# 64 clients ask at once while a job trains: all are answered, or refused by a named limit, and the daemon's memory stays
# flat. For the figures of a minute: LOAD_SECONDS=60 tests/service/test_load.sh
. tests/build/lib.sh
: "${QVF_BUILD:=build}" "${QVF_TEST_QUICK:=}" "${LOAD_SECONDS:=4}"
load=$QVF_BUILD/tests/service/load
if [ ! -x "$load" ] || [ ! -x "$QVF_BUILD/qvfd" ] || [ -n "${EMULATOR:-}" ]; then
	skip service/load 'needs qvfd and libqvf'
	exit 0
fi
if [ -n "$QVF_TEST_QUICK" ]; then
	skip service/load 'QVF_TEST_QUICK is set'
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

many() {
	"$load" "$QVF_ADDRESS" helper-29m examples/demo/handheld.jsonl 64 "$LOAD_SECONDS" >"$scratch/report" 2>&1
	cat "$scratch/report"
	grep -q ', 0 failed$' "$scratch/report"
}
try '64 clients at once are answered or refused by a limit' many
sed 's/^/    /' "$scratch/report"

flat() {
	# 4 MiB are more than 64 connections and their requests take, and less than a leak of a kilobyte an answer.
	awk '/^qvfd: / { found = 1; exit !($2 > 0 && $10 - $2 < 4) } END { if (!found) exit 1 }' "$scratch/report"
}
case $QVF_BUILD in
*-asan*) skip 'the memory of the daemon stays flat' 'AddressSanitizer keeps what is freed' ;;
*) try 'the memory of the daemon stays flat' flat ;;
esac

finish
