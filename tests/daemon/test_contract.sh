#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The interface files in config/ are the contract: what qvfd answers to is compared with them, line by line.
set -u
qvfd=${QVF_BUILD:-build}/qvfd
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT

# Methods, arguments, properties, signals and what PropertiesChanged does, of one interface, one a line, in order.
elements() {
	awk -v wanted="$1" '
		function value(name) {
			return match($0, " " name "=\"[^\"]*\"") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 4) : ""
		}
		/<!--/ { comment = 1 }
		comment { if (/-->/) comment = 0; next }
		/<interface/ { on = value("name") == wanted }
		!on { next }
		/<(method|signal|property) / {
			match($0, /<[a-z]+/)
			print substr($0, RSTART + 1, RLENGTH - 1), value("name"), value("type"), value("access")
		}
		/<arg / { print " arg", value("name"), value("type"), value("direction") }
		/<annotation / { print " annotation", value("name"), value("value") }'
}

compare() {
	interface=org.qvf.Fabric1.$1
	[ -f "config/$interface.xml" ] || { echo "FAIL $1: config/$interface.xml is missing"; return; }
	elements "$interface" <"config/$interface.xml" >"$directory/contract"
	"$qvfd" --bus-introspect="$2" </dev/null 2>"$directory/errors" | elements "$interface" >"$directory/answers"
	if [ -s "$directory/contract" ] && diff -u "$directory/contract" "$directory/answers" >"$directory/diff"; then
		echo "ok contract_$1"
	else
		echo "FAIL contract_$1"
		cat "$directory/diff" "$directory/errors"
	fi
}

if [ ! -x "$qvfd" ]; then
	echo "SKIP contract: qvfd is not built here"
	exit 0
fi
root=/org/qvf/Fabric1
compare Manager $root
compare Device $root/devices/example
compare Model $root/models/example
compare Adapter $root/adapters/example
compare Job $root/jobs/example
compare Session $root/sessions/example
if ! command -v python3 >/dev/null; then
	echo "SKIP pages_of_the_interfaces: no python3"
elif python3 tools/make-dbus-docs.py --check; then
	echo "ok pages_of_the_interfaces"
else
	echo "FAIL pages_of_the_interfaces"
fi
