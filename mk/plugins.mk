# SPDX-License-Identifier: Apache-2.0
# One folder, one plugin. plugins/cpu/plain is also an archive of its own: the reference that every
# other kernel and every other backend is tested against.

cpu_PLAIN_SOURCES := $(sort $(wildcard plugins/cpu/plain/*.c))
cpu_PLAIN_OBJECTS := $(cpu_PLAIN_SOURCES:%.c=$(BUILD)/%.o)
$(BUILD)/libplain.a: $(cpu_PLAIN_OBJECTS)
	$(say) AR $@
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Each folder plugins/cpu/<level> is compiled for that level only, and entered only where the CPU has it.
cpu_LEVELS_x86_64 := avx2 avx512
cpu_LEVELS_aarch64 := neon
cpu_FLAGS_avx2 := -mavx2 -mfma -mf16c
cpu_FLAGS_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mf16c
cpu_FLAGS_neon :=

cpu_LEVELS := $(cpu_LEVELS_$(ARCH))
cpu_SOURCES := $(sort $(wildcard plugins/cpu/*.c)) $(foreach l,$(cpu_LEVELS),$(sort $(wildcard plugins/cpu/$(l)/*.c)))
cpu_OBJECTS := $(cpu_SOURCES:%.c=$(BUILD)/%.o)
$(foreach l,$(cpu_LEVELS),$(eval $(BUILD)/plugins/cpu/$(l)/%.o: LEVEL_FLAGS := $(cpu_FLAGS_$(l))))

DEPS += $(cpu_OBJECTS:.o=.d) $(cpu_PLAIN_OBJECTS:.o=.d)

ifneq ($(cpu_SOURCES),)
$(BUILD)/plugins/cpu.so: $(cpu_OBJECTS) $(BUILD)/libplain.a $(BUILD)/libcommon.a
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) -shared -Wl,-z,defs -o $@ $^ $(LDFLAGS_ALL) -lm
ALL += $(BUILD)/plugins/cpu.so
endif
