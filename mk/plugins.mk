# SPDX-License-Identifier: Apache-2.0
# One folder, one plugin: plugins/<name>/plugin.mk calls `plugin` and says what is special about it.

LEVELS_ALL :=
PLUGIN_LEFT_OUT :=

# $(call plugin,name,pkg-config packages,sources,archives): builds $(BUILD)/plugins/<name>.so, or says in one line
# which libraries it lacks.
define plugin
$(foreach p,$(2),$(if $(filter $(p),$(PACKAGES_KNOWN)),,$(eval $(call package,$(p)))))
ifneq ($(strip $(3)),)
ifneq ($(call missing,$(2)),)
PLUGIN_LEFT_OUT += $(1)
.PHONY: left-out-$(1)
left-out-$(1):
	@echo '  -       plugins/$(1).so is left out: missing $(call missing,$(2))'
ALL += left-out-$(1)
else
$(1)_OBJECTS := $$(call objects,$(3))
$$($(1)_OBJECTS): PACKAGES := $(2)
DEPS += $$($(1)_OBJECTS:.o=.d)
$(BUILD)/plugins/$(1).list: LIST := $$($(1)_OBJECTS)
$(BUILD)/plugins/$(1).so: $$($(1)_OBJECTS) $(4) $(BUILD)/libcommon.a $(BUILD)/plugins/$(1).list $(BUILD)/link-flags
	$$(say) LD $$@
	$$(Q)$(CC) -shared $$(if $$(SANITIZE),,-Wl,-z,defs) -o $$@ $$(filter %.o %.a,$$^) $$(LDFLAGS_ALL) \
		$$(call package_libs,$(2)) -lm
PLUGINS += $(BUILD)/plugins/$(1).so
ALL += $(BUILD)/plugins/$(1).so
endif
endif
endef

PLUGINS :=
include $(sort $(wildcard plugins/*/plugin.mk))
