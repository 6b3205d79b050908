#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make install and make uninstall, and the program as it was installed.
. tests/build/lib.sh

: "${QVF_BUILD:=build}" "${EMULATOR:=}"
root=$scratch/root
# A copy of what is built, so that another PREFIX does not touch the folder that other tests use.
copy=$scratch/build
mkdir -p "$copy"
for entry in "$QVF_BUILD"/*; do
	case ${entry##*/} in tests | cppcheck) ;; *) cp -a "$entry" "$copy/" ;; esac
done

installed() {
	find "$root" -type f | sed "s,^$root,," | sort
}

staged() {
	make BUILD="$copy" DESTDIR="$root" PREFIX=/usr install
	installed
	for header in include/qvf/*.h; do
		cmp "$header" "$root/usr/$header"
	done
	for plugin in "$QVF_BUILD"/plugins/*.so; do
		[ ! -e "$plugin" ] || [ -x "$root/usr/lib/qvf/plugins/${plugin##*/}" ]
	done
	[ -f "$root/usr/share/doc/qvf/LICENSE" ]
	for model in models/*.gguf; do
		[ ! -e "$model" ] || cmp "$model" "$root/usr/share/qvf/models/${model##*/}"
	done
	find "$root" -perm -002 ! -type l | fails grep .
}
try 'install puts everything below DESTDIR and PREFIX' staged

gone() {
	: >"$root/usr/bin/of-others"
	make BUILD="$copy" DESTDIR="$root" PREFIX=/usr uninstall
	[ "$(installed)" = /usr/bin/of-others ]
	[ ! -d "$root/usr/share/qvf" ]
	[ ! -d "$root/usr/include/qvf" ]
	[ ! -d "$root/usr/lib/qvf" ]
}
mkdir -p "$root/usr/bin"
try 'uninstall takes away what install brought, and no more' gone

# An ordinary prefix, not staged: the plugin folder that is compiled in is the one that is there.
answers() {
	make BUILD="$copy" PREFIX="$scratch/here" install
	# Nothing of the source tree may be needed.
	cd "$scratch"
	# shellcheck disable=SC2086
	answer=$(env -u QVF_BUILD $EMULATOR "$scratch/here/bin/qvf-bench" generate \
		-m "$scratch/here/share/qvf/models/helper-29m.TQ2_0.gguf" --user 'What is grep?')
	echo "$answer"
	[ "$answer" = 'grep: Find patterns in files using regexes.' ]
}
if [ -x "$QVF_BUILD/qvf-bench" ]; then
	try 'the installed qvf-bench finds its plugins and answers' answers
fi

# As an application is built: by pkg-config, against the installed header and library.
library() {
	PKG_CONFIG_PATH=$scratch/here/lib/pkgconfig
	export PKG_CONFIG_PATH
	# shellcheck disable=SC2046
	gcc -Wall -Werror -o "$scratch/complete" examples/complete.c $(pkg-config --cflags --libs qvf)
	readelf -d "$scratch/complete" | grep -q 'libqvf.so.0'
	QVF_ADDRESS=unix:path=$scratch/nobody LD_LIBRARY_PATH=$scratch/here/lib fails "$scratch/complete" hello
}
if [ -f "$scratch/here/lib/libqvf.so.0" ] && [ -z "$EMULATOR" ] && command -v gcc pkg-config readelf >/dev/null; then
	case $QVF_BUILD in
	*-asan*) skip 'a program is built against the installed library' 'the library needs the sanitizer' ;;
	*) try 'a program is built against the installed library' library ;;
	esac
fi

finish
