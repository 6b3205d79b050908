#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The makefiles, on a small tree of their own: what is rebuilt when, and what is left out.
. tests/build/lib.sh

small=$scratch/small
mkdir -p "$small/common" "$small/engine/deep" "$small/bench" "$small/plugins/cpu/plain" "$small/plugins/lacking" \
	"$small/plugins/other" "$small/tests/common"
cp -R Makefile mk VERSION include "$small/"
cp plugins/cpu/plugin.mk "$small/plugins/cpu/"
cp tests/run-tests "$small/tests/"
cd "$small" || exit 1
# Nothing of an outer make's variables: this tree is built in its own way.
unset MAKEFLAGS MAKEOVERRIDES BUILD CC AR CROSS OPT WERROR HARDEN SANITIZE COVERAGE CFLAGS LDFLAGS PREFIX LIBDIR DESTDIR

cat >common/answer.h <<'END'
int qvf_answer(void);
END
cat >common/answer.c <<'END'
#include "common/answer.h"
int qvf_answer(void)
{
        return 42;
}
END
cat >engine/deep/path.c <<'END'
const char *qvf_path(void);
const char *qvf_path(void)
{
        return QVF_PLUGIN_DIR;
}
END
cat >bench/main.c <<'END'
#include <stdio.h>
#include "common/answer.h"
const char *qvf_path(void);
int main(void)
{
        printf("%d %s\n", qvf_answer(), qvf_path());
        return 0;
}
END
echo 'int qvf_plugin;' >plugins/lacking/lacking.c
# shellcheck disable=SC2016
echo '$(eval $(call plugin,lacking,no-such-library,$(wildcard plugins/lacking/*.c)))' >plugins/lacking/plugin.mk
cp plugins/lacking/lacking.c plugins/other/other.c
# shellcheck disable=SC2016
echo '$(eval $(call plugin,other,,$(wildcard plugins/other/*.c)))' >plugins/other/plugin.mk

built() {
	make "$@" >"$scratch/out" 2>&1 || { cat "$scratch/out"; return 1; }
	cat "$scratch/out"
}

says() {
	grep -q -- "$1" "$scratch/out"
}

# File times that differ from those of the build before.
touch_later() {
	sleep 0.05
	touch "$@"
}

first_build() {
	built
	build/qvf-bench | grep -x '42 /usr/local/lib/qvf/plugins'
	[ -f build/plugins/other.so ]
}
try 'a first build links programs and plugins' first_build

left_out() {
	built
	[ "$(grep -c 'plugins/lacking.so is left out: missing no-such-library' "$scratch/out")" -eq 1 ]
	[ ! -e build/plugins/lacking.so ]
}
try 'a plugin without its library is left out with one line' left_out

nothing() {
	built
	fails says ' CC \| AR \| LD '
}
try 'a second build does nothing' nothing

header() {
	touch_later common/answer.h
	built
	says ' CC .*common/answer.c'
	says ' CC .*bench/main.c'
	fails says ' CC .*engine/deep/path.c'
	says ' LD .*qvf-bench'
}
try 'a changed header rebuilds what includes it, and only that' header

flags() {
	built OPT=-O1
	says ' CC .*engine/deep/path.c'
	says ' CC .*common/answer.c'
	built OPT=-O1
	fails says ' CC \| LD '
}
try 'changed flags rebuild everything, once' flags

link_flags() {
	built OPT=-O1 LDFLAGS=-Wl,-O1
	fails says ' CC '
	says ' LD .*qvf-bench'
}
try 'changed link flags link again' link_flags

prefix() {
	built
	built PREFIX=/opt/qvf
	says ' CC .*engine/deep/path.c'
	fails says ' CC .*common/answer.c'
	build/qvf-bench | grep -x '42 /opt/qvf/lib/qvf/plugins'
	built
}
try 'another PREFIX rebuilds only what names the path' prefix

removed() {
	printf 'int qvf_extra(void);\nint qvf_extra(void)\n{\n        return 1;\n}\n' >engine/extra.c
	built
	nm build/libengine.a | grep -q qvf_extra
	rm engine/extra.c
	built
	says ' AR .*libengine.a'
	nm build/libengine.a | fails grep -q qvf_extra
}
try 'a source that went away leaves its archive' removed

removed_header() {
	echo '#include "common/answer.h"' >common/old.h
	sed -i 's/answer.h/old.h/' common/answer.c
	built
	rm common/old.h
	sed -i 's/old.h/answer.h/' common/answer.c
	built
}
try 'a header that went away does not stop the build' removed_header

warning() {
	printf 'int qvf_extra(void);\nint qvf_extra(void)\n{\n        int unused;\n        return 1;\n}\n' >engine/extra.c
	fails built
	built WERROR=
	rm engine/extra.c
	built
}
try 'a warning is an error, unless WERROR is empty' warning

elsewhere() {
	rm -rf build "$scratch/elsewhere"
	built BUILD="$scratch/elsewhere"
	"$scratch/elsewhere/qvf-bench" | grep -q 42
	[ ! -e build ]
	make clean BUILD="$scratch/elsewhere"
	[ ! -e "$scratch/elsewhere" ]
}
try 'everything stays below BUILD' elsewhere

no_tests() {
	fails make check >"$scratch/out" 2>&1
	grep -qx '0 passed, 1 failed' "$scratch/out"
}
try 'a run without tests is a failure' no_tests

finish
