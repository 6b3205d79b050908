#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every verb of qvfctl against a made-up service: what is printed, what is sent, exit codes, JSON by its schemas.
. tests/build/lib.sh
. tests/ctl/bus.sh
: "${QVF_BUILD:=build}"
qvfctl=$QVF_BUILD/qvfctl
python=$(python_with 'dbus, gi.repository')
if [ ! -x "$qvfctl" ] || [ -z "$python" ] || ! command -v dbus-daemon >/dev/null || [ -n "${EMULATOR:-}" ]; then
	skip ctl/verbs "needs qvfctl, dbus-daemon, and Python's dbus and gi"
	exit 0
fi
if ! start_bus || ! start_fake "$python"; then
	echo "FAIL the made-up service starts"
	exit 1
fi
checker=$(python_with jsonschema)

# CODE ARGUMENT…: runs qvfctl; what it says is in $scratch/out and $scratch/errors.
ctl() {
	code=$1
	shift
	got=0
	timeout 200 "$qvfctl" "$@" >"$scratch/out" 2>"$scratch/errors" </dev/null || got=$?
	cat "$scratch/out" "$scratch/errors"
	[ "$got" -eq "$code" ]
}

said() {
	grep -qF -- "$1" "$scratch/out"
}

complained() {
	grep -qF -- "$1" "$scratch/errors"
}

# SCHEMA ARGUMENT…: the verb's JSON is as docs/schemas/SCHEMA.json says; and so is each line, where there are many.
json() {
	schema=$1
	shift
	ctl 0 "$@" --json
	[ -z "$checker" ] || "$checker" tests/ctl/check_schema.py "docs/schemas/$schema.json" "$scratch/out"
}

exit_codes() {
	ctl 0 status
	ctl 1 infer limit
	ctl 2 job priority 1 x
	ctl 3 infer --timeout 1 hang
	complained 'did not answer'
	ctl 4 models info nothing
	complained "there is no model 'nothing'"
	ctl 5 infer denied
	ctl 5 infer policy
	complained 'battery: 12 %'
	ctl 8 --address "unix:path=$scratch/nobody"
	complained 'is not running'
}
try 'exit codes' exit_codes

lists() {
	ctl 0 devices
	said 'cpu-0     ready'
	said 'MATMUL is wrong by 3 %'
	ctl 0 models
	said helper
	ctl 0 --timeout 20 --no-color models info helper
	said 'knows commands'
	ctl 0 models --names
	[ "$(cat "$scratch/out")" = helper ]
	ctl 0 adapters list
	said taught
	json devices devices
	json models models list
	json adapters adapters
	json model models info helper
	json adapter adapters info taught
	json status status
	json status
	json version version
	json policy policy explain
	ctl 0 policy explain
	said 'training: not now'
	said 'at least 40 %'
}
try 'lists and status' lists

storing() {
	ctl 0 models add models/tiny-silu.TQ2_0.gguf --description 'a tiny one'
	ctl 0 models info tiny-silu
	said 'a tiny one'
	json model models add models/tiny-silu.TQ2_0.gguf --name other --replace
	ctl 5 models add models/tiny-silu.TQ2_0.gguf --name denied
	complained 'this user may not'
	ctl 4 models add "$scratch/nothing.gguf"
	ctl 1 models add /dev/null
	complained 'no regular file'
	ctl 0 models load helper
	ctl 0 models info helper
	said 'loaded'
	ctl 0 models unload helper
	ctl 6 models unload helper
	json act models remove tiny-silu
	ctl 4 models info tiny-silu
	ctl 0 devices reset cpu-0
	ctl 0 devices discover
	json act devices discover
	ctl 0 policy reload
	said /etc/qvf/qvfd.yaml
	json reload policy reload
}
try 'models, devices and the policy are managed' storing

adapters() {
	ctl 0 adapters export taught "$scratch/a.gguf"
	grep -q 'an adapter as gguf' "$scratch/a.gguf"
	ctl 1 adapters export taught "$scratch/a.gguf"
	complained 'is there already'
	ctl 0 adapters export taught "$scratch/peft" --format peft
	grep -q 'an adapter as peft' "$scratch/peft/adapter_model.safetensors"
	[ -f "$scratch/peft/adapter_config.json" ]
	ctl 0 adapters export taught "$scratch/whole.gguf" --format model --dtype q8_0
	grep -q 'a model in q8_0' "$scratch/whole.gguf"
	ctl 4 adapters export nothing "$scratch/b.gguf"
	[ ! -e "$scratch/b.gguf" ]
	ctl 0 adapters import again "$scratch/peft/adapter_model.safetensors"
	ctl 0 adapters info again
	said peft
	ctl 0 adapters merge sum taught:0.5 again
	ctl 0 adapters info sum
	said 'taught x 0.5 + again x 1'
	ctl 2 adapters merge sum taught:x again
	json act adapters remove sum
	ctl 5 adapters import denied "$scratch/a.gguf"
}
try 'adapters are exported, imported, merged and removed' adapters

training() {
	ctl 0 train examples/demo/handheld.jsonl --adapter demo --learning-rate 2e-3 --no-pack --priority -3 --memory 600MiB
	said 'job 1 finished: 40 steps'
	complained '40/40'
	ctl 0 jobs
	said 'finished  100 %'
	json job job show 1
	grep -q '"learning_rate": *0.002\b' "$scratch/out"
	grep -q '"pack": *false' "$scratch/out"
	grep -q '"memory": *629145600' "$scratch/out"
	grep -q '"priority": *-3' "$scratch/out"
	ctl 1 train /dev/null
	: >"$scratch/empty"
	ctl 1 train "$scratch/empty"
	complained 'the data is empty'
	ctl 4 train examples/demo/handheld.jsonl --model nothing
	ctl 2 train examples/demo/handheld.jsonl --memory lots
	ctl 0 train examples/demo/handheld.jsonl --check
	said '60 documents, 2192 tokens'
	said 'line 3: no JSON'
	json check train examples/demo/handheld.jsonl --check
	echo '{"text": "a"}' | timeout 200 "$qvfctl" train - --detach >"$scratch/out"
	[ "$(cat "$scratch/out")" = 2 ]
	json jobs jobs
}
try 'a job is queued with its options, and shown until it ends' training

jobs() {
	timeout 200 "$qvfctl" train examples/demo/handheld.jsonl --detach --paused --adapter slow >"$scratch/id"
	id=$(cat "$scratch/id")
	ctl 0 job show "$id"
	said paused
	ctl 0 job priority "$id" 5
	ctl 0 job priority -- "$id" -5
	json act job resume "$id"
	ctl 6 job resume "$id"
	ctl 0 job pause "$id"
	ctl 0 job cancel "$id" --keep
	ctl 6 job cancel "$id"
	ctl 1 job show --follow "$id"
	complained 'was cancelled'
	ctl 0 job retry "$id"
	ctl 0 job show --follow "$id"
	json job-lines job show --follow "$id"
	ctl 0 job logs "$id"
	# What a service writes does not steer a terminal.
	said '?[31mred'
	json lines job logs "$id"
	ctl 0 job remove "$id"
	ctl 4 job show "$id"
}
try 'jobs are paused, resumed, cancelled, retried and removed' jobs

plots() {
	ctl 0 job plot 1
	said 'evaluation'
	ctl 0 job plot 1 --svg "$scratch/p.svg" --png "$scratch/p.png"
	grep -q '<polyline' "$scratch/p.svg"
	"$python" -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$scratch/p.svg"
	"$python" tests/ctl/check_png.py "$scratch/p.png"
	json plot job plot 1
	timeout 200 "$qvfctl" train examples/demo/handheld.jsonl --detach --paused >"$scratch/id"
	ctl 6 job plot "$(cat "$scratch/id")"
	complained 'has made no step yet'
}
try 'plots in the terminal, as SVG, PNG and JSON' plots

answers() {
	ctl 0 infer hello --system Ann --adapter taught:0.5 --adapter helper
	[ "$(cat "$scratch/out")" = 'hello says Ann. ü€😀 taught*0.5, helper*1.0' ]
	printf 'from a pipe\n' | timeout 200 "$qvfctl" infer >"$scratch/out"
	said 'from a pipe says nobody.'
	printf 'from a file' >"$scratch/prompt"
	ctl 0 infer -f "$scratch/prompt" --stats
	said 'from a file says'
	complained '70.0 tok/s'
	json infer infer hello
	ctl 1 infer cut
	complained 'the worker crashed'
	ctl 2 infer hello --temperature cold
	ctl 2 infer hello --adapter :1
	ctl 1 infer "$(printf 'not UTF-8 \377')"
	complained 'UTF-8'
}
try 'answers are streamed' answers

chats() {
	printf '%s\n' hi /help '/set temperature 0.5' /wat '/system Bob' more /undo '/adapter taught:2' '/set top_k 3' again "/save $scratch/chat.jsonl" |
		timeout 200 "$qvfctl" chat >"$scratch/out" 2>"$scratch/errors"
	cat "$scratch/out" "$scratch/errors"
	said '1 turns, hi says nobody.'
	said '3 turns, more says Bob.'
	# What was set before stays.
	said '3 turns, again says Bob. ü€😀 taught*2.0'
	complained 'did you mean /set?'
	[ "$(grep -o '"role"' "$scratch/chat.jsonl" | wc -l)" -eq 5 ]
	printf 'hi\n' | timeout 200 "$qvfctl" chat --json >"$scratch/out"
	[ -z "$checker" ] || "$checker" tests/ctl/check_schema.py docs/schemas/turn.json "$scratch/out"
}
try 'a talk with commands' chats

terminal() {
	XDG_STATE_HOME=$scratch "$python" tests/ctl/chat_terminal.py "$qvfctl"
	XDG_STATE_HOME=$scratch "$python" tests/ctl/chat_terminal.py "$qvfctl" # with a history of the first one
}
try 'a talk at a terminal' terminal

interrupts() {
	# Ctrl-C ends an answer that would never end, and qvfctl says what came.
	timeout -s INT 3 "$qvfctl" infer slow --json >"$scratch/out" 2>"$scratch/errors" || true
	cat "$scratch/out" "$scratch/errors"
	said '"cancelled"'
	# Ctrl-C leaves a job running, and qvfctl says so.
	timeout -s INT 3 "$qvfctl" train examples/demo/handheld.jsonl --adapter slow >"$scratch/out" 2>"$scratch/errors" || true
	cat "$scratch/out" "$scratch/errors"
	complained 'goes on'
}
try 'Ctrl-C' interrupts

holds() {
	ctl 0 hold --reason gaming -- "$qvfctl" status
	said 'held: gaming'
	ctl 7 hold -- sh -c 'exit 7'
	ctl 0 status
	said 'training   allowed'
	ctl 5 hold --reason denied --for 1s
	ctl 2 hold --for ever
	json hold hold --for 1s
}
try 'holds last as long as their command' holds

watching() {
	timeout -s INT 8 "$qvfctl" jobs --watch >"$scratch/watch" 2>&1 &
	watcher=$!
	timeout -s INT 8 "$qvfctl" monitor >"$scratch/monitor" 2>&1 &
	monitor=$!
	timeout -s INT 8 "$qvfctl" monitor --json >"$scratch/monitor-json" 2>&1 &
	monitor_json=$!
	until [ -s "$scratch/watch" ]; do sleep 0.1; done
	sleep 1
	ctl 0 train examples/demo/handheld.jsonl
	ctl 0 hold true
	wait "$watcher" "$monitor" "$monitor_json" || true
	cat "$scratch/watch" "$scratch/monitor"
	[ "$(wc -l <"$scratch/watch")" -ge 3 ]
	grep -q 'State = "finished"' "$scratch/monitor"
	grep -q 'hold .* ended' "$scratch/monitor"
	[ -z "$checker" ] || "$checker" tests/ctl/check_schema.py docs/schemas/jobs.json "$scratch/watch"
	[ -z "$checker" ] || "$checker" tests/ctl/check_schema.py docs/schemas/event.json "$scratch/monitor-json"
}
try '--watch and monitor print changes' watching

doctor() {
	ctl 1 doctor
	said 'MATMUL is wrong'
	said 'devices reset'
	ctl 1 doctor --json
	[ -z "$checker" ] || "$checker" tests/ctl/check_schema.py docs/schemas/doctor.json "$scratch/out"
	ctl 1 doctor --address "unix:path=$scratch/nobody"
	said 'is not running'
	ctl 8 status --json --address "unix:path=$scratch/nobody"
	[ -z "$checker" ] || "$checker" tests/ctl/check_schema.py docs/schemas/error.json "$scratch/out"
}
try 'doctor, and errors as JSON' doctor

colours() {
	# No colour where it is piped; script(1) gives it a terminal.
	ctl 0 devices
	fails grep -q "$(printf '\033')" "$scratch/out"
	script -qec "$qvfctl devices" /dev/null >"$scratch/out" </dev/null
	grep -q "$(printf '\033')" "$scratch/out"
	NO_COLOR=1 script -qec "$qvfctl devices" /dev/null >"$scratch/out" </dev/null
	fails grep -q "$(printf '\033\\[3')" "$scratch/out"
	script -qec "$qvfctl devices --no-color" /dev/null >"$scratch/out" </dev/null
	fails grep -q "$(printf '\033\\[3')" "$scratch/out"
}
if command -v script >/dev/null; then
	try 'colour only on a terminal, and never with NO_COLOR' colours
else
	skip 'colour only on a terminal, and never with NO_COLOR' 'script is not installed'
fi

gone() {
	timeout 200 "$qvfctl" train examples/demo/handheld.jsonl --paused >"$scratch/left" 2>&1 &
	waiting=$!
	until grep -q paused "$scratch/left"; do
		kill -0 "$waiting"
		sleep 0.1
	done
	ctl 8 infer dies
	fails wait "$waiting"
	cat "$scratch/left"
	grep -q 'qvfd went away' "$scratch/left"
}
try 'a service that dies is told' gone

finish
