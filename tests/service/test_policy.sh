#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every constraint of the policy pauses and resumes a real small job: see policy.py.
set -u
: "${QVF_BUILD:=build}"
export QVF_BUILD

# A python of its own may stand before the system's, without the system's modules.
for python in python3 /usr/bin/python3; do
	"$python" -c 'import dbus' 2>/dev/null && break
	python=
done
[ -n "$python" ] || missing="python3 with dbus-python is not installed"
for needed in "$QVF_BUILD/qvfd" "$QVF_BUILD/qvf-worker"; do
	[ -x "$needed" ] || missing="$needed is not built"
done
if [ -n "${missing:-}" ]; then
	echo "SKIP policy: $missing"
	exit 0
fi
# They mostly wait: at the same time.
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
for group in files settings buses; do
	"$python" tests/service/policy.py "$group" >"$directory/$group" 2>&1 || echo "FAIL $group" >>"$directory/$group" &
done
wait
cat "$directory"/*
! grep -q '^FAIL' "$directory"/*
