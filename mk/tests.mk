# SPDX-License-Identifier: Apache-2.0
# tests/<room>/test_<file>.c is one Check program, tests/<room>/test_<what>.sh a script that prints one line of
# "ok", "FAIL" or "SKIP" for each of its tests. tests/run-tests runs them all and adds up the counts.

# What can't be built here is not tested here.
SERVICE_TESTS := $(wildcard tests/daemon/test_*.c)
TESTS_LEFT_OUT := $(if $(call missing,libsystemd libseccomp),tests/worker/% $(SERVICE_TESTS)) \
	$(if $(call missing,dbus-1),tests/client/% tests/ctl/test_%.c)
TEST_SOURCES := $(filter-out $(TESTS_LEFT_OUT),$(sort $(shell find tests -name 'test_*.c' 2>/dev/null)))
TEST_SCRIPTS := $(sort $(shell find tests -name 'test_*.sh' 2>/dev/null))
TEST_HELPERS := $(sort $(wildcard tests/support/*.c))
TEST_HELPER_OBJECTS := $(call objects,$(TEST_HELPERS))
TEST_OBJECTS := $(call objects,$(TEST_SOURCES))
# T=word builds and runs only those whose name holds the word.
chosen = $(if $(T),$(foreach s,$(1),$(if $(findstring $(T),$(s)),$(s))),$(1))
TEST_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(call chosen,$(TEST_SOURCES)))
TEST_CHOSEN := $(TEST_PROGRAMS) $(call chosen,$(TEST_SCRIPTS))
$(TEST_OBJECTS) $(TEST_HELPER_OBJECTS): PACKAGES := check json-c
DEPS += $(TEST_OBJECTS:.o=.d)
$(eval $(call archive,$(BUILD)/libsupport.a,$(TEST_HELPER_OBJECTS)))

$(TEST_PROGRAMS): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/libsupport.a $(POLICY_LIBS) $(ENGINE_LIBS) $(BUILD)/link-flags
	$(say) LD $@
	$(Q)$(CC) -pie -o $@ $< $(filter %.a,$^) $(LDFLAGS_ALL) $(call package_libs,check) $(TEST_LINK) $(POLICY_LINK) $(ENGINE_LINK)

# How many test programs run at a time, and the longest that one may take.
TEST_JOBS ?= 2
TEST_LIMIT_S ?= 600

.PHONY: tests check asan coverage
## make tests           build the tests without running them
tests: $(TEST_PROGRAMS)

# What runs the tests of a cross build: EMULATOR=qemu-aarch64
EMULATOR ?=

## make check           build and run all tests (T=gguf: those whose path holds "gguf")
check: all tests
	$(Q)EMULATOR='$(EMULATOR)' TEST_JOBS=$(TEST_JOBS) TEST_LIMIT_S=$(TEST_LIMIT_S) tests/run-tests $(BUILD) $(TEST_CHOSEN)

## make asan            the same under AddressSanitizer and UBSan, in build-asan/
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
asan:
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)-asan OPT='-O1 -g' SANITIZE='$(SANITIZERS)' TEST_LIMIT_S=900 check

## make coverage        the tests counted line by line, in build-coverage/: fails below COVERAGE_MIN (85) % of engine/
COVERAGE_MIN ?= 85
# Only the engine's lines count, and counting makes kernels many times slower.
$(foreach room,plugins common bench tests,$(BUILD)/$(room)/%.o): override COVERAGE :=
coverage:
	$(Q)find $(BUILD)-coverage -name '*.gcda' -delete 2>/dev/null || :
	$(Q)QVF_TEST_QUICK=1 $(MAKE) --no-print-directory BUILD=$(BUILD)-coverage OPT='-O1 -g' COVERAGE='--coverage -fprofile-update=atomic' check
	$(Q)tests/coverage $(BUILD)-coverage engine $(COVERAGE_MIN)

# The other end of a worker's connection, for the tests in tests/worker.
WORKER_TEST_HELPERS := $(call objects,$(filter-out tests/worker/test_%,$(wildcard tests/worker/*.c)))
$(WORKER_TEST_HELPERS) $(filter $(BUILD)/tests/worker/%,$(TEST_OBJECTS)): PACKAGES := check json-c libsystemd libseccomp
$(eval $(call archive,$(BUILD)/libpeer.a,$(WORKER_TEST_HELPERS)))
$(filter $(BUILD)/tests/worker/%,$(TEST_PROGRAMS)): $(BUILD)/libpeer.a $(BUILD)/libworker.a
$(filter $(BUILD)/tests/worker/%,$(TEST_PROGRAMS)): TEST_LINK = $(call package_libs,libsystemd libseccomp)
$(filter $(BUILD)/tests/worker/%,$(TEST_PROGRAMS)): | $(BUILD)/qvf-worker $(PLUGINS)

# A qvfd in a folder of its own, for the tests that lie in tests/daemon itself.
SERVICE_TEST_HELPERS := $(call objects,$(filter-out tests/daemon/test_%,$(wildcard tests/daemon/*.c)))
SERVICE_TEST_OBJECTS := $(filter $(call objects,$(SERVICE_TESTS)),$(TEST_OBJECTS))
SERVICE_TEST_PROGRAMS := $(filter $(SERVICE_TEST_OBJECTS:.o=),$(TEST_PROGRAMS))
$(SERVICE_TEST_HELPERS) $(SERVICE_TEST_OBJECTS): PACKAGES := check json-c libsystemd
$(eval $(call archive,$(BUILD)/libservice.a,$(SERVICE_TEST_HELPERS)))
$(SERVICE_TEST_PROGRAMS): $(BUILD)/libservice.a $(BUILD)/libqvfd.a
$(SERVICE_TEST_PROGRAMS): TEST_LINK = $(call package_libs,libsystemd)
$(SERVICE_TEST_PROGRAMS): | $(BUILD)/qvfd $(BUILD)/qvf-worker $(PLUGINS) $(FAULTY_PLUGINS)

# libqvf and the parts of qvfctl.
CLIENT_TESTS := $(BUILD)/tests/client/% $(BUILD)/tests/ctl/%
$(filter $(CLIENT_TESTS),$(TEST_OBJECTS)): PACKAGES := check json-c dbus-1
$(filter $(CLIENT_TESTS),$(TEST_PROGRAMS)): | $(BUILD)/libctl.a $(BUILD)/bench/options.o $(CLIENT_LIBS)
$(filter $(CLIENT_TESTS),$(TEST_PROGRAMS)): TEST_LINK = $(BUILD)/libctl.a $(BUILD)/bench/options.o $(CLIENT_LIBS) \
	$(call package_libs,dbus-1)
