# SPDX-License-Identifier: Apache-2.0
# fuzz/fuzz_<what>.c is one libFuzzer program. Seeds are the files named below for it, and those of fuzz/seeds/<what>/.

FUZZERS := $(patsubst fuzz/fuzz_%.c,%,$(sort $(wildcard fuzz/fuzz_*.c)))
FUZZ_OBJECTS := $(FUZZERS:%=$(BUILD)/fuzz/fuzz_%.o)
$(FUZZ_OBJECTS): PACKAGES := check json-c
DEPS += $(FUZZ_OBJECTS:.o=.d)

SEEDS_gguf := $(wildcard models/tiny-*.gguf tests/data/golden/*.adapter-init.gguf)
SEEDS_adapter := tests/data/golden/tiny-silu.adapter-init.gguf
SEEDS_template := $(wildcard tests/data/templates/*.jinja)
SEEDS_dataset := $(wildcard tests/data/sets/*)
SEEDS_config := config/qvfd.yaml

FUZZ_PROGRAMS := $(FUZZERS:%=$(BUILD)/fuzz_%)
$(FUZZ_PROGRAMS): $(BUILD)/fuzz_%: $(BUILD)/fuzz/fuzz_%.o $(BUILD)/libsupport.a $(POLICY_LIBS) $(ENGINE_LIBS) $(BUILD)/link-flags
	$(say) LD $@
	$(Q)$(CC) -fsanitize=fuzzer -o $@ $< $(filter %.a,$^) $(LDFLAGS_ALL) $(call package_libs,check) $(POLICY_LINK) $(ENGINE_LINK)

# Found inputs go to the folder beside the seeds and are kept; a seed is linked, so that it can be told from them.
.PHONY: fuzz fuzz-programs
fuzz-programs: $(FUZZ_PROGRAMS) $(PLUGINS)
	$(foreach f,$(FUZZERS),@mkdir -p $(BUILD)/corpus/$(f) && \
		for seed in $(SEEDS_$(f)) $(wildcard fuzz/seeds/$(f)/*); do \
		ln -sf "$(CURDIR)/$$seed" $(BUILD)/corpus/$(f)/; done$(newline))
	@echo 'Run one, in this folder (Ctrl-C ends it; what it finds is written to crash-…):'
	@$(foreach f,$(FUZZERS),echo '  QVF_BUILD=$(BUILD) $(BUILD)/fuzz_$(f) -timeout=10 -rss_limit_mb=1024 $(BUILD)/corpus/$(f)';)

## make fuzz            build the libFuzzer programs with clang, in build-fuzz/, and say how to run them
FUZZ_CC ?= clang
fuzz:
ifneq ($(call have,$(FUZZ_CC)),)
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)-fuzz CC=$(FUZZ_CC) OPT='-O1 -g' \
		SANITIZE='$(SANITIZERS) -fsanitize=fuzzer-no-link' fuzz-programs
else
	@echo '  -       the fuzzers are left out: $(FUZZ_CC) is not installed'
endif
