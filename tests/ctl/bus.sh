# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# shellcheck disable=SC2154
# A message bus of its own, and on it the service of fake_qvfd.py. To be read after tests/build/lib.sh.

# A Python that has the modules that are named; prints nothing when none does.
python_with() {
	for candidate in python3 /usr/bin/python3; do
		if "$candidate" -c "import $1" >/dev/null 2>&1; then
			echo "$candidate"
			return
		fi
	done
}

bus_pid='' fake_pid=''
end_bus() {
	[ -z "$fake_pid" ] || kill "$fake_pid" 2>/dev/null
	[ -z "$bus_pid" ] || kill "$bus_pid" 2>/dev/null
	rm -rf "$scratch"
}

start_bus() {
	trap end_bus EXIT
	dbus-daemon --session --nofork --nopidfile --print-address=3 3>"$scratch/address" >/dev/null 2>&1 </dev/null &
	bus_pid=$!
	until [ -s "$scratch/address" ]; do
		kill -0 "$bus_pid" || return 1
		sleep 0.05
	done
	DBUS_SESSION_BUS_ADDRESS=$(head -n 1 "$scratch/address")
	export DBUS_SESSION_BUS_ADDRESS DBUS_SYSTEM_BUS_ADDRESS="unix:path=$scratch/no-system-bus"
	unset QVF_ADDRESS
}

start_fake() {
	FAKE_FOLDER=$scratch/jobs
	export FAKE_FOLDER
	mkdir -p "$FAKE_FOLDER"
	: >"$scratch/fake"
	"$1" tests/ctl/fake_qvfd.py >"$scratch/fake" 2>"$scratch/fake-errors" </dev/null &
	fake_pid=$!
	until grep -q ready "$scratch/fake"; do
		kill -0 "$fake_pid" || { cat "$scratch/fake-errors"; return 1; }
		sleep 0.05
	done
}
