# SPDX-License-Identifier: Apache-2.0
# Shaders become one object file. Those below shaders/ are compiled by glslc; those in shaders/matrix/ need a newer compiler than Debian
# 12 has, so that their SPIR-V is committed beside them (`make shaders-matrix` writes it again where glslc can).
HAVE_glslc := $(shell command -v glslc >/dev/null 2>&1 && echo yes)
PACKAGES_KNOWN += glslc

vulkan_DIR := plugins/vulkan/shaders
vulkan_INCLUDES := $(wildcard $(vulkan_DIR)/*.glsl)
vulkan_PLAIN := $(sort $(notdir $(basename $(wildcard $(vulkan_DIR)/*.comp))))
# Lines "name source -DX=1 …"; the first words are the names.
vulkan_VARIANTS := $(shell sed -n 's/^\([a-z][a-z0-9_]*\) .*/\1/p' $(vulkan_DIR)/variants 2>/dev/null)
vulkan_MATRIX := $(sort $(notdir $(basename $(wildcard $(vulkan_DIR)/matrix/*.spv))))
vulkan_SHADERS := $(sort $(vulkan_PLAIN) $(vulkan_VARIANTS) $(vulkan_MATRIX))
vulkan_OUT := $(BUILD)/plugins/vulkan
vulkan_GLSLC := glslc --target-env=vulkan1.1 -Werror -I $(vulkan_DIR)
# Of loops that ask to be unrolled -O makes copies without `precise`: what has both is left to the driver.
vulkan_PRECISE := attention%

# vulkan_compiled FOLDER,FLAGS: all shaders in a folder, and FOLDER/shader_data.o, which has them.
define vulkan_compiled
$(vulkan_PLAIN:%=$(1)/%.spv): $(1)/%.spv: $(vulkan_DIR)/%.comp $(vulkan_INCLUDES)
	$$(say) GLSL $$@
	@mkdir -p $$(@D)
	$$(Q)$(vulkan_GLSLC) $$(if $$(filter $(vulkan_PRECISE),$$*),,-O) $(2) -o $$@ $$<

$(vulkan_VARIANTS:%=$(1)/%.spv): $(1)/%.spv: $(vulkan_DIR)/variants $(wildcard $(vulkan_DIR)/*.comp) $(vulkan_INCLUDES)
	$$(say) GLSL $$@
	@mkdir -p $$(@D)
	$$(Q)set -- $$$$(grep '^$$* ' $$< | cut -d' ' -f2-); source=$$$$1; shift; \
		$(vulkan_GLSLC) -O $(2) "$$$$@" -o $$@ $(vulkan_DIR)/$$$$source.comp

$(vulkan_MATRIX:%=$(1)/%.spv): $(1)/%.spv: $(vulkan_DIR)/matrix/%.spv
	@mkdir -p $$(@D)
	$$(Q)cp $$< $$@

$(1)/shader_data.c: $(vulkan_SHADERS:%=$(1)/%.spv) $(vulkan_OUT)/shader_list.h $(vulkan_DIR)/embed
	$$(say) EMBED $$@
	$$(Q)$(vulkan_DIR)/embed data $$(filter %.spv,$$^) > $$@

$(1)/shader_data.o: $(1)/shader_data.c $(BUILD)/flags
	$$(Q)$$(CC) $$(CFLAGS_ALL) -I$(BUILD) -c -o $$@ $$<
endef
$(eval $(call vulkan_compiled,$(vulkan_OUT),))

$(vulkan_OUT)/shaders.list: LIST := $(vulkan_SHADERS)

$(vulkan_OUT)/shader_list.h: $(vulkan_OUT)/shaders.list
	$(Q)mkdir -p $(@D)
	$(Q)$(vulkan_DIR)/embed list $(vulkan_SHADERS) > $@

$(eval $(call plugin,vulkan,vulkan glslc,$(sort $(wildcard plugins/vulkan/*.c plugins/vulkan/ops/*.c plugins/common/*.c)),$(vulkan_OUT)/shader_data.o))
$(vulkan_OUT)/%.o: LEVEL_FLAGS := -I$(BUILD)
$(vulkan_OBJECTS:.o=.tidy): LEVEL_FLAGS := -I$(BUILD)
$(filter $(vulkan_OUT)/%,$(vulkan_OBJECTS)): $(vulkan_OUT)/shader_list.h

## shaders-matrix: compile shaders/matrix/ again into the SPIR-V that is committed (needs a glslc of 2025).
# Integer dot products are also found on devices with Vulkan 1.1; matrices are not.
.PHONY: shaders-matrix
shaders-matrix:
	$(Q)for f in $(vulkan_DIR)/matrix/*.comp; do \
		case $$f in *_dot.comp) env=vulkan1.1 ;; *) env=vulkan1.3 ;; esac; \
		$(vulkan_GLSLC) --target-env=$$env -O -o $${f%.comp}.spv $$f || exit 1; done
