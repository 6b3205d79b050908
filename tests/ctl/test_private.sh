#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# qvfctl --private: a qvfd of its own, that comes and goes with it, and lets nobody else in.
. tests/build/lib.sh
: "${QVF_BUILD:=build}"
qvfctl=$QVF_BUILD/qvfctl
if [ ! -x "$qvfctl" ] || [ ! -x "$QVF_BUILD/qvfd" ] || [ -n "${EMULATOR:-}" ]; then
	skip ctl/private 'needs qvfd and qvfctl'
	exit 0
fi
XDG_RUNTIME_DIR=$scratch/run XDG_STATE_HOME=$scratch/state XDG_CONFIG_HOME=$scratch/config
DBUS_SYSTEM_BUS_ADDRESS=unix:path=$scratch/none
export XDG_RUNTIME_DIR XDG_STATE_HOME XDG_CONFIG_HOME DBUS_SYSTEM_BUS_ADDRESS
unset QVF_ADDRESS STATE_DIRECTORY
mkdir "$scratch/run" "$scratch/state" "$scratch/config"

nobody_is_left() {
	fails pgrep -f "$scratch/run"
}

comes_and_goes() {
	timeout 100 "$qvfctl" --private models add models/tiny-silu.TQ2_0.gguf --name tiny
	nobody_is_left
	timeout 100 "$qvfctl" --private models --names >"$scratch/out"
	[ "$(cat "$scratch/out")" = tiny ]
	timeout 100 "$qvfctl" infer --private hello --max-tokens 2 --json >"$scratch/out"
	grep -q '"generated_tokens": *2' "$scratch/out"
	nobody_is_left
}
try 'it comes and goes, and its store stays' comes_and_goes

shared() {
	# Two at once use the same one; it ends with the one that started it.
	timeout 100 "$qvfctl" --private hold --for 30s &
	holder=$!
	until "$qvfctl" --address "unix:path=$scratch/run/qvf/private" status >"$scratch/out" 2>/dev/null; do
		kill -0 "$holder"
		sleep 0.1
	done
	timeout 100 "$qvfctl" --private status >"$scratch/out"
	grep -q private "$scratch/out"
	until timeout 100 "$qvfctl" --private status | grep '^hold' >"$scratch/out"; do
		kill -0 "$holder"
		sleep 0.1
	done
	kill -INT "$(pgrep -P "$holder" -f hold)"
	wait "$holder"
	nobody_is_left
}
try 'a second one finds the first' shared

killed() {
	timeout 100 "$qvfctl" --private hold --for 30s &
	holder=$!
	until "$qvfctl" --address "unix:path=$scratch/run/qvf/private" status >"$scratch/out" 2>/dev/null; do
		kill -0 "$holder"
		sleep 0.1
	done
	kill -KILL "$(pgrep -P "$holder" -f hold)"
	wait "$holder" || :
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		pgrep -f "$scratch/run" >/dev/null || break
		sleep 1
	done
	nobody_is_left
}
try 'it ends when qvfctl is killed' killed

of_others() {
	chmod 755 "$scratch/run/qvf"
	fails timeout 100 "$qvfctl" --private status
	chmod 700 "$scratch/run/qvf"
	mv "$scratch/run/qvf" "$scratch/elsewhere"
	ln -s "$scratch/elsewhere" "$scratch/run/qvf"
	fails timeout 100 "$qvfctl" --private status
	rm "$scratch/run/qvf"
}
try 'a folder that others could have made is refused' of_others

finish
