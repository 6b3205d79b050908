# SPDX-License-Identifier: Apache-2.0
# The static libraries and programs: one folder, one archive. A new .c file in a folder is found by itself.

# $(call module,folder,pkg-config packages): builds $(BUILD)/lib<folder>.a from every .c below the folder.
define module
$(1)_SOURCES := $$(sort $$(shell find $(1) -name '*.c' 2>/dev/null))
$(1)_OBJECTS := $$($(1)_SOURCES:%.c=$(BUILD)/%.o)
$$($(1)_OBJECTS): PACKAGES := $(2)
$(BUILD)/lib$(1).a: $$($(1)_OBJECTS)
	$$(say) AR $$@
	@mkdir -p $$(@D)
	$$(Q)rm -f $$@ && $(AR) rcs $$@ $$^
DEPS += $$($(1)_OBJECTS:.o=.d)
endef

$(BUILD)/%.o: %.c $(MAKEFILE_LIST)
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(LEVEL_FLAGS) $(call PKGFLAGS,$(PACKAGES)) -MMD -MP -c -o $@ $<

$(eval $(call module,common,))
$(eval $(call module,engine,json-c))
$(eval $(call module,bench,json-c))

ENGINE_LIBS = $(BUILD)/libengine.a $(BUILD)/libcommon.a
ENGINE_LINK = $(call PKGLIBS,json-c) -ldl -lm

ifneq ($(bench_SOURCES),)
$(BUILD)/qvf-bench: $(BUILD)/libbench.a $(ENGINE_LIBS) $(PLAIN_LIB)
	$(say) LD $@
	$(Q)$(CC) -o $@ $(BUILD)/libbench.a $(BUILD)/libplain.a $(ENGINE_LIBS) $(LDFLAGS_ALL) $(ENGINE_LINK)
$(BUILD)/qvf-bench: $(BUILD)/libplain.a
ALL += $(BUILD)/qvf-bench
endif
