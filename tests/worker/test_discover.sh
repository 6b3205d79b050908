#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Discovery prints what it finds as JSON, whatever the devices do.
set -u
build=${QVF_BUILD:-build}
worker=$build/qvf-worker
faulty=$build/tests/faulty

if [ ! -x "$worker" ]; then
	echo "SKIP discover: qvf-worker was not built"
	exit 0
fi

# outcome NAME WANTED FAULT AT: the outcome of the self-test of a device that goes wrong so.
outcome() {
	found=$(QVF_PLUGIN_DIR=$faulty QVF_FAULT=$3 QVF_FAULT_AT=$4 timeout -k 5 60 "$worker" --discover --limit 8 faulty |
		sed -n 's/.*"self_test":"\([a-z-]*\)".*/\1/p')
	if [ "$found" = "$2" ]; then echo "ok $1"; else echo "FAIL $1: '$found', expected '$2'"; fi
}

# tuned NAME WANTED FAULT OPTION…: what was tuned of a device that passed.
tuned() {
	name=$1 wanted=$2 fault=$3
	shift 3
	found=$(QVF_PLUGIN_DIR=$faulty QVF_FAULT=$fault timeout -k 5 60 "$worker" --discover --limit 30 "$@" faulty 2>/dev/null |
		sed -n 's/.*"self_test":"passed".*"tuning":"\([^"]*\)".*/[\1]/p')
	if [ "$found" = "[$wanted]" ]; then echo "ok $name"; else echo "FAIL $name: '$found', expected '[$wanted]'"; fi
}

found=$(timeout -k 5 120 "$worker" --discover --limit 60 cpu)
case $found in
*'"backends":[{"name":"cpu","error":""'*'"self_test":"passed"'*) echo "ok the CPU passes" ;;
*) echo "FAIL the CPU passes: $found" ;;
esac
driver=$(printf '%s' "$found" | sed -n 's/.*"driver":"\([^"]*\)".*/\1/p')
case $(timeout -k 5 60 "$worker" --discover --skip "cpu:cpu:$driver" cpu) in
*'"self_test":"skipped"'*) echo "ok what passed before is skipped" ;;
*) echo "FAIL what passed before is skipped" ;;
esac
case $(timeout -k 5 60 "$worker" --discover nothing) in
*'"backends":[]'*) echo "ok a backend that is not there" ;;
*) echo "FAIL a backend that is not there" ;;
esac
if [ -f "$faulty/faulty.so" ]; then
	tuned "a device that passed is tuned" 'budget 2000 ms\nverily\n' none
	tuned "one that dies of it is used untuned" '' tune
	tuned "as is one that nobody wants tuned" '' none --no-tuning
	outcome "a device that crashes" crashed crash 20
	outcome "a device that hangs" hung hang 20
	outcome "a device that computes wrongly" failed wrong 20
	outcome "a device that is lost" failed lost 20
else
	echo "SKIP faulty devices: the plugin for it was not built"
fi
timeout -k 5 10 "$worker" --discover --limit 0 2>/dev/null
if [ $? -eq 64 ]; then echo "ok bad options"; else echo "FAIL bad options"; fi
timeout -k 5 10 "$worker" </dev/null 3>&- 2>/dev/null
if [ $? -eq 69 ]; then echo "ok no connection"; else echo "FAIL no connection"; fi
