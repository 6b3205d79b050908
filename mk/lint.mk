# SPDX-License-Identifier: Apache-2.0
# Each tool is skipped with one line where it is not installed; what it finds is an error.

CLANG_TIDY ?= clang-tidy
CLANG_FORMAT ?= clang-format
LINT_SOURCES := $(sort $(common_SOURCES) $(engine_SOURCES) $(daemon_SOURCES) $(daemon/policy_SOURCES) $(daemon/config_SOURCES) $(daemon/sensors_SOURCES) $(bench_SOURCES) $(client_SOURCES) $(ctl_SOURCES) $(worker_SOURCES) $(cpu_PLAIN_SOURCES) $(cpu_SOURCES) $(patsubst $(BUILD)/%.o,%.c,$(vulkan_OBJECTS)) \
	$(TEST_HELPERS) $(TEST_SOURCES))
C_FILES := $(sort $(shell find common engine daemon worker bench client ctl examples plugins include tests fuzz -name '*.[ch]' 2>/dev/null))
SCRIPTS := $(sort setup .ci/run $(shell grep -lE '^#!/bin/(ba)?sh|^#!/usr/bin/env bash' -r tests packaging examples 2>/dev/null))
# Another version of clang-format may disagree with what the tree was formatted by.
CLANG_FORMAT_VERSION := 14
have = $(shell command -v $(1) 2>/dev/null)

.PHONY: lint style tidy cppcheck format-check shellcheck format
## make lint            clang-tidy, cppcheck, shellcheck, the format and the rules that a script can check
lint: style format-check shellcheck cppcheck tidy

## make style           only what tests/build/check-style checks: lengths, licence lines, symbols' names
style:
	$(Q)tests/build/check-style

ifneq ($(call have,$(CLANG_TIDY)),)
# An object is rebuilt when anything it hangs on has changed, and its linting with it.
$(BUILD)/%.tidy: %.c $(BUILD)/%.o .clang-tidy
	$(say) TIDY $<
	$(Q)$(CLANG_TIDY) --quiet $< -- $(filter-out -W%,$(CFLAGS_ALL)) -Wno-unknown-warning-option \
		-DQVF_PLUGIN_DIR='""' -DQVF_LIBEXEC_DIR='""' $(LEVEL_FLAGS) $(foreach p,$(PACKAGES_KNOWN),$(CFLAGS_$(p))) >$@.log 2>&1 \
		|| { grep -E '(error|warning):' $@.log; echo '(more in $@.log)'; exit 1; }
	@mv $@.log $@
tidy: $(LINT_SOURCES:%.c=$(BUILD)/%.tidy)
else
tidy:
	@echo '  -       clang-tidy is left out: not installed'
endif

# Left out: matters of taste; memleak, resourceLeak and unreadVariable, which do not know _cleanup_; invalidPointerCast, which dislikes scratch memory;
# knownConditionTrueFalse and invalidFunctionArg, which dislike what holds for one constant or one branch only.
CPPCHECK_FLAGS := --enable=warning,performance,portability,style --inline-suppr --std=c11 --quiet -j 2 \
	--error-exitcode=1 --template='{file}:{line}: {severity}: {message} [{id}]' \
	--suppress=unusedStructMember --suppress=variableScope --suppress=constParameter \
	--suppress=constParameterPointer --suppress=constParameterCallback --suppress=constVariablePointer \
	--suppress=clarifyCalculation --suppress=memleak --suppress=resourceLeak --suppress=unreadVariable --suppress=invalidPointerCast \
	--suppress=shadowFunction --suppress=duplicateCondition \
	--suppress=knownConditionTrueFalse --suppress=invalidFunctionArg \
	--suppress=normalCheckLevelMaxBranches --suppress=unknownMacro --suppress=missingIncludeSystem
cppcheck:
ifneq ($(call have,cppcheck),)
	$(say) CPPCHECK 'common engine daemon bench client ctl plugins'
	@mkdir -p $(BUILD)/cppcheck
	$(Q)cppcheck $(CPPCHECK_FLAGS) --cppcheck-build-dir=$(BUILD)/cppcheck -I. -Iinclude -D__linux__ -D_GNU_SOURCE \
		$(wildcard common engine daemon worker bench client ctl plugins)
else
	@echo '  -       cppcheck is left out: not installed'
endif

format-check:
ifneq ($(findstring version $(CLANG_FORMAT_VERSION).,$(shell $(CLANG_FORMAT) --version 2>/dev/null)),)
	$(say) FORMAT '$(words $(C_FILES)) files'
	$(Q)for file in $(C_FILES); do $(CLANG_FORMAT) "$$file" | cmp -s - "$$file" || \
		{ echo "$$file: not as clang-format would write it (make format)"; bad=1; }; done; [ -z "$$bad" ]
else
	@echo '  -       the format is not checked: clang-format $(CLANG_FORMAT_VERSION) is not installed'
endif

shellcheck:
ifneq ($(call have,shellcheck),)
	$(say) SHELL '$(words $(SCRIPTS)) scripts'
	$(Q)shellcheck $(SCRIPTS)
else
	@echo '  -       shellcheck is left out: not installed'
endif

## make format          rewrite the C files with clang-format
format:
	$(Q)$(CLANG_FORMAT) -i $(C_FILES)
