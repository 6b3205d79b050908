# SPDX-License-Identifier: Apache-2.0
# tests/plugins/bad.c is built once for each way in which a plugin can be bad, into $(BUILD)/tests/plugins/<way>.so.
BAD_WAYS := good old magic abi short long tiny no_symbol no_function other_name crash hang garbage many failing quitting
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
		'"description": "the device is lost at the n-th submission", "device_extensions": [' \
		'{ "name": "VK_EXT_device_fault", "spec_version": "1", "entrypoints": [ "vkGetDeviceFaultInfoEXT" ] } ] } }' > $@

ifneq ($(LOST_LAYER),)
tests check $(TEST_PROGRAMS): | $(LOST_LAYER)
endif

# The Vulkan backend with a multiply-add that rounds once also where the driver has none, so that drivers in software give the bits of a
# GPU; beside the CPU's, as a folder of plugins.
EXACT := $(BUILD)/tests/vulkan-exact
EXACT_PLUGINS := $(if $(vulkan_OBJECTS),$(EXACT)/vulkan.so $(EXACT)/cpu.so)
$(eval $(call vulkan_compiled,$(EXACT),-DEMULATE_FMA))
$(EXACT)/vulkan.so: $(vulkan_OBJECTS) $(EXACT)/shader_data.o $(BUILD)/libcommon.a $(BUILD)/link-flags
	$(say) LD $@
	$(Q)$(CC) -shared -o $@ $(filter %.o %.a,$^) $(LDFLAGS_ALL) $(call package_libs,vulkan) -lm
$(EXACT)/cpu.so: $(BUILD)/plugins/cpu.so
	@mkdir -p $(@D)
	$(Q)cp $< $@
ifneq ($(EXACT_PLUGINS),)
tests check: | $(EXACT_PLUGINS)
endif

# The CPU backend with faults (tests/plugins/faulty.c says which), beside a sound one, as a folder of plugins.
FAULTY := $(BUILD)/tests/faulty
$(FAULTY)/inner.o: plugins/cpu/cpu.c $(BUILD)/flags
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -Dqvf_backend=cpu_backend -c -o $@ $<
$(FAULTY)/faulty.so: tests/plugins/faulty.c $(FAULTY)/inner.o $(filter-out $(BUILD)/plugins/cpu/cpu.o,$(cpu_OBJECTS)) $(cpu_ARCHIVES) $(BUILD)/libcommon.a $(BUILD)/plugins/cpu.list
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS_ALL) -shared -o $@ $(filter %.c %.o %.a,$^) $(LDFLAGS_ALL) -lm
$(FAULTY)/cpu.so: $(BUILD)/plugins/cpu.so
	@mkdir -p $(@D)
	$(Q)cp $< $@
FAULTY_PLUGINS := $(FAULTY)/faulty.so $(FAULTY)/cpu.so
$(filter $(BUILD)/tests/worker/% $(BUILD)/tests/daemon/%,$(TEST_PROGRAMS)): | $(FAULTY_PLUGINS)

# The CPU backend whose AMX level computes with a model of the matrix unit in plain C: for machines without the unit.
AMX_MODEL := $(BUILD)/tests/amx-model
AMX_MODEL_OBJECTS := $(patsubst plugins/cpu/amx/%.c,$(AMX_MODEL)/%.o,$(if $(filter amx,$(cpu_LEVELS)),$(wildcard plugins/cpu/amx/*.c)))
$(AMX_MODEL_OBJECTS): $(AMX_MODEL)/%.o: plugins/cpu/amx/%.c $(BUILD)/flags
	$(say) CC '$< (model)'
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(cpu_FLAGS_amx) -DCPU_LEVEL=amx -DQVF_AMX_MODEL -MMD -MP -c -o $@ $<
DEPS += $(AMX_MODEL_OBJECTS:.o=.d)
$(AMX_MODEL)/cpu.so: $(AMX_MODEL_OBJECTS) $(filter-out $(BUILD)/plugins/cpu/amx/%,$(cpu_OBJECTS)) $(cpu_ARCHIVES) $(BUILD)/libcommon.a $(BUILD)/plugins/cpu.list
	$(say) LD $@
	$(Q)$(CC) -shared -o $@ $(filter %.o %.a,$^) $(LDFLAGS_ALL) -lm
ifneq ($(AMX_MODEL_OBJECTS),)
$(filter $(BUILD)/tests/conformance/% $(BUILD)/tests/engine/% $(BUILD)/tests/plugins/cpu/%,$(TEST_PROGRAMS)): | $(AMX_MODEL)/cpu.so
endif

# How the CPU plugin counts CPUs is not to be seen from outside of it.
$(filter $(BUILD)/tests/plugins/cpu/test_count,$(TEST_PROGRAMS)): $(BUILD)/plugins/cpu/count.o
$(filter $(BUILD)/tests/plugins/cpu/test_count,$(TEST_PROGRAMS)): TEST_LINK = $(BUILD)/plugins/cpu/count.o

# Emitters name shaders.
$(BUILD)/tests/plugins/vulkan/test_tilings.o $(BUILD)/tests/plugins/vulkan/test_tilings.tidy: LEVEL_FLAGS := -I$(BUILD)
$(BUILD)/tests/plugins/vulkan/test_tilings.o: $(BUILD)/plugins/vulkan/shader_list.h
