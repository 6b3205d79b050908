# SPDX-License-Identifier: Apache-2.0
# The static libraries and programs: one folder, one archive. A new .c file in a folder is found by itself.

# $(call archive,path of the .a,objects): an archive of exactly these objects, also after one of them went away.
define archive
$(1:.a=.list): LIST := $(2)
$(1): $(2) $(1:.a=.list)
	$$(say) AR $$@
	@mkdir -p $$(@D)
	$$(Q)rm -f $$@ && $(AR) rcs $$@ $$(filter %.o,$$^)
DEPS += $$(patsubst %.o,%.d,$(2))
endef

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))

# $(call module,folder,pkg-config packages): builds $(BUILD)/lib<folder>.a from every .c below the folder.
define module
$(1)_SOURCES := $$(sort $$(shell find $(1) -name '*.c' 2>/dev/null))
$(1)_OBJECTS := $$(call objects,$$($(1)_SOURCES))
$$($(1)_OBJECTS): PACKAGES := $(2)
$$(eval $$(call archive,$(BUILD)/lib$(1).a,$$($(1)_OBJECTS)))
endef

$(BUILD)/%.o: %.c $(BUILD)/flags
	$(call need,$(PACKAGES))
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(ROOM_FLAGS) $(PATH_FLAGS) $(LEVEL_FLAGS) $(call package_cflags,$(PACKAGES)) -MMD -MP -c -o $@ $<

$(eval $(call module,common,))
$(eval $(call module,engine,json-c zlib))
$(eval $(call module,bench,json-c))
$(eval $(call module,worker,json-c libsystemd libseccomp))
# The parts of the daemon that need no bus, and are tested without one.
$(eval $(call module,daemon/policy,json-c))
$(eval $(call module,daemon/config,yaml-0.1))
$(eval $(call module,daemon/sensors,))

# Programs that only other programs of the project start.
LIBEXECDIR := $(PREFIX)/libexec/qvf
# The rest of the daemon: what lies in daemon/ itself.
daemon_SOURCES := $(sort $(wildcard daemon/*.c))
daemon_OBJECTS := $(call objects,$(daemon_SOURCES))
$(daemon_OBJECTS): PACKAGES := json-c libsystemd yaml-0.1
$(eval $(call archive,$(BUILD)/libqvfd.a,$(filter-out %/main.o,$(daemon_OBJECTS))))
DEPS += $(BUILD)/daemon/main.d
$(daemon_OBJECTS): $(BUILD)/paths
$(daemon_OBJECTS): PATH_FLAGS := -DQVF_LIBEXEC_DIR='"$(LIBEXECDIR)"'

# Where numbers from outside are turned into sizes, a conversion that could lose bits is an error.
STRICT_ROOMS := common daemon/config daemon/policy daemon/sensors engine/data engine/files engine/program engine/sampling engine/tokenizer
STRICT_FLAGS := -Wconversion -Wno-sign-conversion
$(foreach r,$(STRICT_ROOMS),$(BUILD)/$(r)/%.o): ROOM_FLAGS := $(STRICT_FLAGS)

# The compiled-in plugin folder depends on PREFIX: only the sources that name it are told, and rebuilt for another.
PATH_SOURCES := $(shell grep -rlw QVF_PLUGIN_DIR --include='*.c' common engine bench tests 2>/dev/null)
PATH_OBJECTS := $(call objects,$(PATH_SOURCES))
$(PATH_OBJECTS): $(BUILD)/paths
$(PATH_OBJECTS): PATH_FLAGS := -DQVF_PLUGIN_DIR='"$(PLUGINDIR)"'

# The self-test compares a device with the plain kernels, so that the engine needs them too.
ENGINE_LIBS = $(BUILD)/libengine.a $(BUILD)/libplain.a $(BUILD)/libcommon.a
ENGINE_LINK = $(call package_libs,json-c zlib) -ldl -lm

POLICY_LIBS = $(BUILD)/libdaemon/config.a $(BUILD)/libdaemon/sensors.a $(BUILD)/libdaemon/policy.a
POLICY_LINK = $(call package_libs,yaml-0.1 json-c) -lm

ifneq ($(bench_SOURCES),)
$(BUILD)/qvf-bench: $(BUILD)/libbench.a $(ENGINE_LIBS) $(BUILD)/link-flags
	$(say) LD $@
	$(Q)$(CC) -pie -o $@ $(filter %.a,$^) $(LDFLAGS_ALL) $(ENGINE_LINK)
ALL += $(BUILD)/qvf-bench
endif

ifneq ($(worker_SOURCES),)
ifneq ($(call missing,libsystemd libseccomp),)
.PHONY: left-out-worker
left-out-worker:
	@echo '  -       qvf-worker is left out: missing $(call missing,libsystemd libseccomp)'
ALL += left-out-worker
else
$(BUILD)/qvf-worker: $(BUILD)/libworker.a $(ENGINE_LIBS) $(BUILD)/link-flags
	$(say) LD $@
	$(Q)$(CC) -pie -o $@ $(filter %.a,$^) $(LDFLAGS_ALL) $(call package_libs,libsystemd libseccomp) $(ENGINE_LINK)
ALL += $(BUILD)/qvf-worker
endif
endif

DAEMON_LIBS = $(BUILD)/libqvfd.a $(POLICY_LIBS) $(BUILD)/libcommon.a
DAEMON_LINK = $(call package_libs,libsystemd) $(POLICY_LINK)

ifneq ($(daemon_SOURCES),)
ifneq ($(call missing,libsystemd yaml-0.1 json-c),)
.PHONY: left-out-daemon
left-out-daemon:
	@echo '  -       qvfd is left out: missing $(call missing,libsystemd yaml-0.1 json-c)'
ALL += left-out-daemon
else
$(BUILD)/qvfd: $(BUILD)/daemon/main.o $(DAEMON_LIBS) $(BUILD)/link-flags
	$(say) LD $@
	$(Q)$(CC) -pie -o $@ $(filter %.o %.a,$^) $(LDFLAGS_ALL) $(DAEMON_LINK)
ALL += $(BUILD)/qvfd
endif
endif
