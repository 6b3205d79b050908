# SPDX-License-Identifier: Apache-2.0
# libqvf, qvfctl and the example programs. libqvf needs libdbus alone; without it all three are left out.

$(eval $(call package,dbus-1))
SOVERSION := 0
CLIENT_FILES := $(shell find client -name '*.c')

ifneq ($(CLIENT_FILES),)
ifeq ($(call missing,dbus-1),)
$(eval $(call module,client,dbus-1))
CLIENT_LIBS := $(BUILD)/libclient.a $(BUILD)/libcommon.a

$(BUILD)/libqvf.so.$(SOVERSION): $(BUILD)/libclient.a $(BUILD)/libcommon.a client/libqvf.map $(BUILD)/link-flags
	$(say) LD $@
	$(Q)$(CC) -shared $(if $(SANITIZE),,-Wl,-z,defs) -Wl,-soname,$(@F) -Wl,--version-script=client/libqvf.map -o $@ \
		-Wl,--whole-archive $(BUILD)/libclient.a -Wl,--no-whole-archive $(BUILD)/libcommon.a \
		$(LDFLAGS_ALL) $(call package_libs,dbus-1) -lm
	$(Q)ln -sf $(@F) $(@:.$(SOVERSION)=)

$(BUILD)/qvf.pc: client/qvf.pc.in VERSION $(BUILD)/paths
	$(Q)sed -e 's,@prefix@,$(PREFIX),' -e 's,@libdir@,$(LIBDIR),' -e 's,@version@,$(VERSION),' $< > $@
ALL += $(BUILD)/libqvf.so.$(SOVERSION) $(BUILD)/qvf.pc

# examples/<name>.c is one small program against the shared library, as an application would be built.
EXAMPLES := $(patsubst examples/%.c,$(BUILD)/examples/%,$(wildcard examples/*.c))
$(EXAMPLES): $(BUILD)/examples/%: examples/%.c $(BUILD)/libqvf.so.$(SOVERSION) include/qvf/qvf.h $(BUILD)/flags
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -o $@ $< $(LDFLAGS_ALL) -Wl,-rpath,'$$ORIGIN/..' -L$(BUILD) -lqvf
ALL += $(EXAMPLES)

# Many clients at once: run by tests/service/test_load.sh, and by hand for longer.
LOAD := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/service/load.c))
$(LOAD): $(BUILD)/%: $(BUILD)/%.o $(CLIENT_LIBS) $(BUILD)/link-flags
	$(say) LD $@
	$(Q)$(CC) -pie -o $@ $(filter %.a %.o,$^) $(LDFLAGS_ALL) $(call package_libs,dbus-1) -lm
DEPS += $(LOAD:%=%.d)
tests: $(LOAD)

ifneq ($(wildcard ctl/*.c),)
$(eval $(call module,ctl,dbus-1 json-c zlib))
# The tables of options are read by one parser in all programs.
$(BUILD)/qvfctl: $(BUILD)/libctl.a $(BUILD)/bench/options.o $(CLIENT_LIBS) $(BUILD)/link-flags
	$(say) LD $@
	$(Q)$(CC) -pie -o $@ $(filter %.a %.o,$^) $(LDFLAGS_ALL) $(call package_libs,dbus-1 json-c zlib) -lm
ALL += $(BUILD)/qvfctl
endif
else
.PHONY: left-out-client
left-out-client:
	@echo '  -       libqvf and qvfctl are left out: missing $(call missing,dbus-1)'
ALL += left-out-client
endif
endif
