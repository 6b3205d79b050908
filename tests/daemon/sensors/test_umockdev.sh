#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The sensors on machines that umockdev makes up: through the real paths, without a root prefix.
set -u
: "${QVF_BUILD:=build}"
reader=$QVF_BUILD/tests/daemon/sensors/test_sensors
if ! command -v umockdev-run >/dev/null; then
	echo "SKIP umockdev: umockdev-run is not installed"
	exit 0
fi
if [ ! -x "$reader" ]; then
	echo "SKIP umockdev: $reader is not built"
	exit 0
fi
# umockdev's library is preloaded before the sanitizer's.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0:detect_leaks=0"
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
bad=0

# device NAME SUBSYSTEM ATTRIBUTE=VALUE…: one more device of the machine.
device() {
	printf 'P: /devices/%s\nE: SUBSYSTEM=%s\n' "$1" "$2" >>"$directory/machine"
	shift 2
	for attribute in "$@"; do
		printf 'A: %s\\n\n' "$attribute" >>"$directory/machine"
	done
	echo >>"$directory/machine"
}

# check NAME WORDS…: what the sensors say of the machine has each of the words.
check() {
	name=$1
	shift
	timeout -s KILL 60 umockdev-run --device "$directory/machine" -- "$reader" describe >"$directory/out" 2>&1 </dev/null
	rm -f "$directory/machine"
	for words in "$@"; do
		if ! grep -qxF -- "$words" "$directory/out"; then
			echo "FAIL $name: \"$words\" is not in:"
			cat "$directory/out"
			bad=1
			return
		fi
	done
	echo "ok $name"
}

device AC power_supply type=Mains online=0
device BAT0 power_supply type=Battery status=Discharging capacity=63 present=1 power_now=6000000
device thermal_zone0 thermal type=x86_pkg_temp temp=61500
check 'a laptop on its battery' 'battery: 63%' 'power: battery' 'thermal zones: 1 (x86_pkg_temp 61.5 °C)'

device AC power_supply type=Mains online=1
device BAT0 power_supply type=Battery status=Charging capacity=63 present=1
device BAT1 power_supply type=Battery status=Discharging capacity=9 present=1 scope=Device
check 'a laptop on mains, with a mouse' 'battery: 63%' 'power: mains, charging or full' 'thermal zones: 0'

device thermal_zone0 thermal type=cpu-thermal temp=45000
device thermal_zone1 thermal type=gpu-thermal temp=47000
check 'a board without a battery' 'battery: not to be read here' 'power: mains, charging or full'
[ "$bad" -eq 0 ]
