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

# A Vulkan layer that loses the device, with the manifest by which the loader finds it.
LOST_LAYER := $(if $(HAVE_vulkan),$(BUILD)/tests/plugins/vulkan/lost_layer.so $(BUILD)/tests/plugins/vulkan/lost_layer.json)

$(BUILD)/tests/plugins/vulkan/lost_layer.so: tests/plugins/vulkan/lost_layer.c $(BUILD)/flags
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -fsanitize% $(SANITIZE),$(CFLAGS_ALL)) -shared -o $@ $<

$(BUILD)/tests/plugins/vulkan/lost_layer.json: mk/test-plugins.mk
	@mkdir -p $(@D)
	$(Q)printf '%s\n' '{ "file_format_version": "1.0.0", "layer": { "name": "VK_LAYER_QVF_lost", "type": "GLOBAL",' \
		'"library_path": "./lost_layer.so", "api_version": "1.1.0", "implementation_version": "1",' \
		'"description": "the device is lost at the n-th submission" } }' > $@

ifneq ($(LOST_LAYER),)
tests check $(TEST_PROGRAMS): | $(LOST_LAYER)
endif
