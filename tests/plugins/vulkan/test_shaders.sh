#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The SPIR-V that is committed in shaders/matrix/ is what its sources give: compiled again by the compiler that wrote
# it, byte by byte; a source without SPIR-V, or the other way round, fails everywhere.
set -u
shaders=plugins/vulkan/shaders
compiler='shaderc 2025.2'
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
failed=0

for source in "$shaders"/matrix/*.comp; do
	[ -e "${source%.comp}.spv" ] || echo "no SPIR-V beside $source"
done >"$directory/lone"
for binary in "$shaders"/matrix/*.spv; do
	[ -e "${binary%.spv}.comp" ] || echo "no source of $binary"
done >>"$directory/lone"
if [ -s "$directory/lone" ]; then
	echo "FAIL shaders and SPIR-V in pairs"
	sed 's/^/    /' "$directory/lone"
	failed=1
else
	echo "ok shaders and SPIR-V in pairs"
fi

if ! glslc --version 2>/dev/null | grep -q "^$compiler"; then
	echo "SKIP shaders compiled again: glslc is not of $compiler"
	exit "$failed"
fi
for source in "$shaders"/matrix/*.comp; do
	name=$(basename "$source" .comp)
	# As `make shaders-matrix`.
	case $name in *_dot) environment=vulkan1.1 ;; *) environment=vulkan1.3 ;; esac
	if ! glslc --target-env="$environment" -O -Werror -I "$shaders" -o "$directory/$name.spv" "$source" \
		2>"$directory/out"; then
		echo "FAIL $name compiles"
		sed 's/^/    /' "$directory/out"
		failed=1
	elif ! cmp -s "$directory/$name.spv" "${source%.comp}.spv"; then
		echo "FAIL $name is what its source gives: run make shaders-matrix"
		failed=1
	else
		echo "ok $name is what its source gives"
	fi
done
exit "$failed"
