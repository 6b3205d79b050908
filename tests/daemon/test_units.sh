#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What surrounds the service: the unit's sandbox, the bus' policy, polkit's actions.
set -u
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT

# The exposure that systemd-analyze computes is 1.0 or less (10 is the worst).
if command -v systemd-analyze >/dev/null && systemd-analyze security --help 2>/dev/null | grep -q -e --offline; then
	sed 's,@LIBEXECDIR@/qvfd,/bin/true,' config/systemd/qvfd.service >"$directory/qvfd.service"
	level=$(systemd-analyze security --offline=yes "$directory/qvfd.service" 2>/dev/null |
		sed -n 's/.*Overall exposure level for qvfd.service: \([0-9.]*\).*/\1/p')
	if [ -n "$level" ] && awk "BEGIN { exit !($level <= 1.0) }"; then
		echo "ok unit_exposure"
		echo "exposure: $level"
	else
		echo "FAIL unit_exposure: ${level:-not computed}"
	fi
else
	echo "SKIP unit_exposure: no systemd-analyze that works offline"
fi

# Each action that a method names is there, and each that is there is used.
sed -n 's/.*<action id="org\.qvf\.Fabric1\.\([a-z-]*\)".*/\1/p' config/polkit/org.qvf.Fabric1.policy | sort >"$directory/actions"
sed -n 's/^[ ]*{ "[A-Za-z]*", "\([a-z-]*\)", [a-z_]* },$/\1/p' daemon/bus_*.c >"$directory/used"
grep -o '\*action = "[a-z-]*"' daemon/dispatch.c | sed 's/.*"\(.*\)"/\1/' >>"$directory/used"
sort -u "$directory/used" >"$directory/sorted"
if [ -s "$directory/actions" ] && diff "$directory/actions" "$directory/sorted" >"$directory/diff"; then
	echo "ok polkit_actions"
else
	echo "FAIL polkit_actions"
	cat "$directory/diff"
fi

# The contract says of every method which action it needs.
while read -r action; do
	grep -q "org.qvf.Fabric1.$action" config/org.qvf.Fabric1.*.xml || echo "$action"
done <"$directory/actions" >"$directory/unsaid"
if [ -s "$directory/unsaid" ]; then
	echo "FAIL actions_in_the_contract: $(tr '\n' ' ' <"$directory/unsaid")"
else
	echo "ok actions_in_the_contract"
fi

# Every interface may be called through the bus.
missing=
for file in config/org.qvf.Fabric1.*.xml; do
	interface=${file#config/}
	interface=${interface%.xml}
	grep -q "send_interface=\"$interface\"" config/dbus/org.qvf.Fabric1.conf || missing="$missing $interface"
done
if [ -z "$missing" ]; then echo "ok bus_policy"; else echo "FAIL bus_policy:$missing"; fi
