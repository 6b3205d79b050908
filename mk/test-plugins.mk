# SPDX-License-Identifier: Apache-2.0
# tests/plugins/bad.c is built once for each way in which a plugin can be bad, into $(BUILD)/tests/plugins/<way>.so.
BAD_WAYS := good magic abi short long tiny no_symbol no_function other_name crash hang garbage many failing quitting
BAD_PLUGINS := $(if $(wildcard tests/plugins/bad.c),$(BAD_WAYS:%=$(BUILD)/tests/plugins/%.so))

$(BAD_PLUGINS): $(BUILD)/tests/plugins/%.so: tests/plugins/bad.c include/qvf/backend.h include/qvf/ops.h $(BUILD)/flags
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -shared -DBAD_$* -DBAD_NAME='"$*"' -o $@ $< $(LDFLAGS_ALL)

ifneq ($(BAD_PLUGINS),)
tests $(TEST_PROGRAMS): | $(BAD_PLUGINS)
endif
