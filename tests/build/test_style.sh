#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The rules that a script can check hold in this tree, and the script sees a breach of each.
. tests/build/lib.sh

here() {
	tests/build/check-style
}
try 'this tree' here

bad=$scratch/bad
mkdir -p "$bad/engine" "$bad/tests/nowhere"
breach() {
	cat >"$bad/engine/part.c"
	tests/build/check-style "$bad" >"$scratch/out" && return 1
	cat "$scratch/out"
	grep -q "$1" "$scratch/out"
}

breaches() {
	echo 'int a;' | breach 'no SPDX'
	{ echo '/* SPDX-License-Identifier: Apache-2.0 */'; seq 800; } | breach 'under 750'
	{ echo '/* SPDX-License-Identifier: Apache-2.0 */'; echo 'int f(void)'; echo '{'; seq 80; echo '}'; } | breach 'under 70'
	printf '/* SPDX-License-Identifier: Apache-2.0 */\nchar *p = "/%s/me";\n' home | breach 'path of one machine'
	printf '/* SPDX-License-Identifier: Apache-2.0 */\n/* TO%s */\n' DO | breach 'unfinished'
	printf '/* SPDX-License-Identifier: Apache-2.0 */ \n' | breach 'end of the line'
	printf '/* SPDX-License-Identifier: Apache-2.0 */\n' >"$bad/engine/part.c"
	tests/build/check-style "$bad"
	cp "$bad/engine/part.c" "$bad/tests/nowhere/test_part.c"
	fails tests/build/check-style "$bad"
}
try 'each breach is seen' breaches

# Archives are linked into programs of others: what they export has the project's prefix, test helpers aside.
symbols() {
	for archive in "$QVF_BUILD"/libcommon.a "$QVF_BUILD"/libengine.a; do
		nm -g --defined-only "$archive" 2>/dev/null | awk 'NF == 3 && $3 !~ /^(qvf_|_?_?(asan|ubsan|odr|gcov|llvm))/ {print $3}' >"$scratch/out"
		cat "$scratch/out"
		[ ! -s "$scratch/out" ]
	done
}
try 'external symbols start with qvf_' symbols

exported() {
	for plugin in "$QVF_BUILD"/plugins/*.so; do
		[ -e "$plugin" ] || continue
		nm -D --defined-only "$plugin" | awk '$3 !~ /^(_init|_fini|__odr|__asan|__gcov|mangle_path)/ {print $3}' >"$scratch/out"
		cat "$scratch/out"
		[ "$(cat "$scratch/out")" = qvf_backend ]
	done
}
try 'a plugin exports one symbol' exported

finish
