#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ./setup with package managers that only write down what they are asked for.
. tests/build/lib.sh

bin=$scratch/bin
asked=$scratch/asked
mkdir -p "$bin"
# The commands of the script itself; what is not linked here is "not installed".
for command in sh dirname cut cat grep sort tr id env sed; do
	ln -s "$(command -v "$command")" "$bin/$command"
done

command_says() {
	printf '#!/bin/sh\n%s\n' "$2" >"$bin/$1"
	chmod +x "$bin/$1"
}

# A manager that writes down its arguments, and after that everything is there.
manager() {
	rm -f "$asked" "$bin/apt-get" "$bin/dnf" "$bin/pacman" "$bin/apk" "$bin/gcc" "$bin/pkg-config"
	command_says "$1" "echo \"$1 \$*\" >>$asked; [ \"\$1\" = update ] || : >$scratch/installed"
	rm -f "$scratch/installed"
	command_says gcc "[ -e $scratch/installed ] && echo 12"
	command_says pkg-config "[ -e $scratch/installed ]"
}

run() {
	PATH=$bin sh ./setup "$@" >"$scratch/out" 2>&1
	status=$?
	cat "$scratch/out"
	return "$status"
}

as_root_only() {
	[ "$(id -u)" -eq 0 ] || command_says sudo 'exec "$@"'
}
as_root_only

with_apt() {
	manager apt-get
	run deps
	cat "$asked"
	grep -qx 'apt-get update -q' "$asked"
	grep '^apt-get install .* -y .*make' "$asked" | grep libjson-c-dev | grep ' check' | grep -q libc6-dev
}
try 'apt: updates its lists, then installs' with_apt

with_dnf() {
	manager dnf
	run deps
	grep '^dnf install -y .*make' "$asked" | grep json-c-devel | grep check-devel | grep -q libasan
}
try 'dnf' with_dnf

with_pacman() {
	manager pacman
	run deps
	grep '^pacman .*--noconfirm .*make' "$asked" | grep json-c | grep -q check
}
try 'pacman' with_pacman

with_apk() {
	manager apk
	run deps
	grep '^apk add .*make' "$asked" | grep json-c-dev | grep check-dev | grep -q musl-dev
}
try 'apk' with_apk

commands="make ld find cmp awk timeout scdoc glslc dbus-daemon script umockdev-run"
cross_commands="qemu-aarch64 aarch64-linux-gnu-gcc arm-linux-gnueabihf-gcc riscv64-linux-gnu-gcc"
nothing_lacks() {
	manager apt-get
	for command in $commands $cross_commands; do
		command_says "$command" :
	done
	: >"$scratch/installed"
	run deps
	for command in $commands $cross_commands; do
		rm -f "$bin/$command"
	done
	[ ! -e "$asked" ]
}
try 'where everything is there, no package manager is asked' nothing_lacks

no_manager() {
	manager nothing
	fails run deps
	grep -q 'no known package manager' "$scratch/out"
	grep -q libjson-c-dev "$scratch/out"
}
try 'without a known package manager it says what to install' no_manager

only_cross_lacks() {
	manager apt-get
	for command in $commands; do
		command_says "$command" :
	done
	: >"$scratch/installed"
	command_says apt-get "echo \"apt-get \$*\" >>$asked; exit 100"
	run deps
	held=$?
	for command in $commands; do
		rm -f "$bin/$command"
	done
	cat "$asked"
	[ "$held" -eq 0 ] && grep '^apt-get install .*gcc-riscv64-linux-gnu' "$asked" | grep -q qemu-user &&
		grep -q 'other architectures are not tested' "$scratch/out"
}
try 'compilers for other architectures are not needed' only_cross_lacks

old_compiler() {
	manager apt-get
	command_says gcc "[ -e $scratch/installed ] && echo 11"
	fails run deps
	grep -q 'gcc 11 is too old: 12' "$scratch/out"
}
try 'an old compiler is refused' old_compiler

offline() {
	manager apt-get
	command_says apt-get 'exit 100'
	fails run deps
	grep -q 'could not be installed' "$scratch/out"
}
try 'a failed installation says so' offline

without_rights() {
	manager apt-get
	rm -f "$bin/id" "$bin/sudo"
	command_says id 'echo 1000'
	fails run deps
	grep -q 'neither sudo nor doas' "$scratch/out"
	fails test -e "$asked"
}
try 'without root rights, sudo and doas it says what to run' without_rights

words() {
	run help
	grep -q './setup demo' "$scratch/out"
	fails run nonsense
	fails run packages nonsense
	for name in apt dnf pacman apk; do
		run packages "$name" | grep -q make
	done
}
try 'help, and words that it does not know' words

finish
