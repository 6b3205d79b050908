# SPDX-License-Identifier: Apache-2.0
# Other architectures under qemu-user. $(BUILD)/cross-test holds the CPU plugin, the engine and tests/cross, and needs
# nothing but the C library, so that Debian's cross compilers are enough to build it.

# zlib is replaced by tests/cross/crc32.c; what needs json-c, and what only that uses, is left out.
CROSS_ROOMS := adapters backend/host.c conformance files inference model program sampling template tokenizer training
CROSS_ENGINE := $(shell find $(CROSS_ROOMS:%=engine/%) -name '*.c' 2>/dev/null)
CROSS_ENGINE := $(filter-out $(if $(CROSS_ENGINE),$(shell grep -l json-c $(CROSS_ENGINE))),$(CROSS_ENGINE))
CROSS_OBJECTS := $(patsubst %.c,$(BUILD)/cross-test.d/%.o,$(sort $(CROSS_ENGINE) $(wildcard tests/cross/*.c)))
DEPS += $(CROSS_OBJECTS:.o=.d)

$(foreach r,$(STRICT_ROOMS),$(BUILD)/cross-test.d/$(r)/%.o): ROOM_FLAGS := $(STRICT_FLAGS)

$(BUILD)/cross-test.d/%.o: %.c $(BUILD)/flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(ROOM_FLAGS) -isystem tests/cross/include -MMD -MP -c -o $@ $<

$(eval $(call archive,$(BUILD)/cross-test.d/libcross.a,$(CROSS_OBJECTS)))
$(BUILD)/cross-test: $(BUILD)/cross-test.d/libcross.a $(cpu_OBJECTS) $(cpu_ARCHIVES) $(BUILD)/libcommon.a $(BUILD)/link-flags
	$(say) LD $@
	$(Q)$(CC) -static -o $@ $(cpu_OBJECTS) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDFLAGS_ALL) -lm

.PHONY: check-cross check-arm64 check-armhf check-riscv64
## make check-cross     the CPU plugin and the engine on other architectures, under qemu-user (or check-arm64, -armhf, -riscv64)
check-cross:
	+$(Q)MAKE='$(MAKE)' TEST_JOBS=$(TEST_JOBS) tests/cross/check $(BUILD) arm64 armhf riscv64
check-arm64 check-armhf check-riscv64:
	+$(Q)MAKE='$(MAKE)' TEST_JOBS=$(TEST_JOBS) tests/cross/check $(BUILD) $(@:check-%=%)
