# SPDX-License-Identifier: Apache-2.0
# tests/<room>/test_<file>.c is one Check program. tests/run-tests runs them all and adds up the counts.

TEST_SOURCES := $(sort $(shell find tests -name 'test_*.c' 2>/dev/null))
TEST_HELPERS := $(sort $(wildcard tests/support/*.c))
TEST_HELPER_OBJECTS := $(TEST_HELPERS:%.c=$(BUILD)/%.o)
TEST_OBJECTS := $(TEST_SOURCES:%.c=$(BUILD)/%.o)
TEST_PROGRAMS := $(TEST_SOURCES:%.c=$(BUILD)/%)
$(TEST_OBJECTS) $(TEST_HELPER_OBJECTS): PACKAGES := check json-c
DEPS += $(TEST_OBJECTS:.o=.d) $(TEST_HELPER_OBJECTS:.o=.d)

$(TEST_PROGRAMS): $(BUILD)/%: $(BUILD)/%.o $(TEST_HELPER_OBJECTS) $(BUILD)/libplain.a $(ENGINE_LIBS)
	$(say) LD $@
	$(Q)$(CC) -o $@ $< $(TEST_HELPER_OBJECTS) $(BUILD)/libplain.a $(ENGINE_LIBS) $(LDFLAGS_ALL) \
		$(call PKGLIBS,check) $(ENGINE_LINK)

.PHONY: tests check asan
## make tests           build the tests without running them
tests: $(TEST_PROGRAMS)

## make check           build and run all tests (T=gguf runs those whose name holds "gguf")
check: all tests
	$(Q)tests/run-tests $(BUILD) $(T)

## make asan            the same under AddressSanitizer and UBSan
asan:
	$(Q)$(MAKE) BUILD=$(BUILD)-asan OPT='-O1 -g' \
		SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer' check
