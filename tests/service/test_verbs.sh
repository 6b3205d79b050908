#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every method of the interfaces, allowed and denied, on a private socket, a session bus, and a system bus with polkit
# (also one that hangs, and none): see verbs.py.
set -u
: "${QVF_BUILD:=build}"
export QVF_BUILD

for python in python3 /usr/bin/python3; do
	"$python" -c 'import dbus' 2>/dev/null && break
	python=
done
missing=
[ -n "$python" ] || missing="python3 with dbus-python is not installed"
for needed in "$QVF_BUILD/qvfd" "$QVF_BUILD/qvf-worker"; do
	[ -x "$needed" ] || missing="$needed is not built"
done
if [ -n "$missing" ]; then
	echo "SKIP verbs: $missing"
	exit 0
fi
"$python" tests/service/verbs.py private 2>&1 || echo "FAIL private"
if ! command -v dbus-daemon >/dev/null; then
	echo "SKIP verbs on buses: dbus-daemon is not installed"
	exit 0
fi
"$python" tests/service/verbs.py session 2>&1 || echo "FAIL session"
if [ "$(id -u)" -ne 0 ]; then
	echo "SKIP verbs on the system bus: only root can be two users"
elif ! "$python" -c 'import dbusmock' 2>/dev/null; then
	echo "SKIP verbs on the system bus: python-dbusmock is not installed"
else
	"$python" tests/service/verbs.py system 2>&1 || echo "FAIL system"
fi
