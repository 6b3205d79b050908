# SPDX-License-Identifier: Apache-2.0
# plugins/cpu/plain is also an archive of its own: the reference that every other kernel and every other backend is
# tested against.
cpu_PLAIN_SOURCES := $(sort $(wildcard plugins/cpu/plain/*.c))
$(eval $(call archive,$(BUILD)/libplain.a,$(call objects,$(cpu_PLAIN_SOURCES))))

# Each folder plugins/cpu/<level> is compiled for that level only, and entered only where the CPU has it.
cpu_LEVELS_x86_64 := sse avx2 avxvnni avx512 amx
cpu_LEVELS_aarch64 := neon dotprod i8mm bf16
cpu_FLAGS_sse := -mssse3 -msse4.1
cpu_FLAGS_avx2 := -mavx2 -mfma -mf16c
cpu_FLAGS_avxvnni := $(cpu_FLAGS_avx2) -mavxvnni
cpu_FLAGS_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mf16c
cpu_FLAGS_amx := $(cpu_FLAGS_avx512) -mavx512bf16 -mgfni -mamx-tile -mamx-int8 -mamx-bf16
cpu_FLAGS_neon :=
cpu_FLAGS_dotprod := -march=armv8.2-a+dotprod
cpu_FLAGS_i8mm := -march=armv8.2-a+dotprod+i8mm
cpu_FLAGS_bf16 := -march=armv8.2-a+bf16

cpu_LEVELS := $(cpu_LEVELS_$(ARCH))
$(foreach l,$(cpu_LEVELS),$(eval $(BUILD)/plugins/cpu/$(l)/%: LEVEL_FLAGS := -DCPU_LEVEL=$(l) $(cpu_FLAGS_$(l))))
LEVELS_ALL += $(foreach l,$(cpu_LEVELS),$(cpu_FLAGS_$(l)))

# plugins/cpu/lanes (floats), plugins/cpu/bytes and plugins/cpu/arm (both products of bytes) are compiled once for each of
# these levels, into an archive: a level takes what its table names.
cpu_LANES := $(filter sse avx2 avx512 neon,$(cpu_LEVELS))
cpu_BYTES := $(filter sse avx2 avxvnni,$(cpu_LEVELS))
cpu_ARM := $(filter neon dotprod i8mm,$(cpu_LEVELS))

# $(call for_level,folder,level,sources)
define for_level
$(BUILD)/plugins/cpu/$(1)/$(2)/%: LEVEL_FLAGS := -DCPU_LEVEL=$(2) $(cpu_FLAGS_$(2))
$(BUILD)/plugins/cpu/$(1)/$(2)/%.o: plugins/cpu/$(1)/%.c $(BUILD)/flags
	$$(say) CC '$$< ($(2))'
	@mkdir -p $$(@D)
	$$(Q)$(CC) $$(CFLAGS_ALL) $$(LEVEL_FLAGS) -MMD -MP -c -o $$@ $$<
$(call archive,$(BUILD)/plugins/cpu/$(1)-$(2).a,$(patsubst plugins/cpu/$(1)/%.c,$(BUILD)/plugins/cpu/$(1)/$(2)/%.o,$(3)))
endef
$(foreach l,$(cpu_LANES),$(eval $(call for_level,lanes,$(l),$(sort $(wildcard plugins/cpu/lanes/*.c)))))
$(foreach l,$(cpu_BYTES),$(eval $(call for_level,bytes,$(l),$(sort $(wildcard plugins/cpu/bytes/*.c)))))
$(foreach l,$(cpu_ARM),$(eval $(call for_level,arm,$(l),$(sort $(wildcard plugins/cpu/arm/*.c)))))
# Put into another order before there are registers for it, a tile has more in its hands than gcc 12 finds room for.
$(foreach l,$(cpu_ARM),$(BUILD)/plugins/cpu/arm/$(l)/%.o): LEVEL_FLAGS += $(if $(findstring clang,$(COMPILER)),,-fno-schedule-insns)
cpu_ARCHIVES := $(cpu_LANES:%=$(BUILD)/plugins/cpu/lanes-%.a) $(cpu_BYTES:%=$(BUILD)/plugins/cpu/bytes-%.a) \
	$(cpu_ARM:%=$(BUILD)/plugins/cpu/arm-%.a) $(BUILD)/libplain.a

# level.c lists the levels that are there.
cpu_HAVE := $(foreach l,$(cpu_LEVELS),$(if $(wildcard plugins/cpu/$(l)/level.c),-DQVF_CPU_HAVE_$(shell echo $(l) | tr a-z A-Z)))
$(BUILD)/plugins/cpu/level.o: LEVEL_FLAGS := $(cpu_HAVE)
LEVELS_ALL += $(cpu_HAVE)

$(eval $(call plugin,cpu,,$(sort $(wildcard plugins/cpu/*.c plugins/common/*.c $(cpu_LEVELS:%=plugins/cpu/%/*.c))),$(cpu_ARCHIVES)))
