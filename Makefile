# SPDX-License-Identifier: Apache-2.0
# GNU make. Everything is built under $(BUILD); `make help` lists the targets. The parts stand in mk/:
# modules (archives and programs), plugins, tests, install, lint, fuzz.

BUILD   ?= build
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
CROSS   ?=
ifeq ($(origin CC),default)
CC      := $(CROSS)gcc
endif
ifeq ($(origin AR),default)
AR      := $(CROSS)ar
endif
OPT     ?= -O2 -g
WERROR  ?= -Werror
# Overflows of stack and heap buffers end the process; the sanitizers bring their own checks.
HARDEN  ?= $(if $(SANITIZE),,-fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
SANITIZE ?=
COVERAGE ?=
VERSION := $(shell cat VERSION)
PLUGINDIR := $(LIBDIR)/qvf/plugins

# clang links for another architecture when it is told so; gcc has a program for each.
ifneq ($(CROSS),)
ifneq ($(findstring clang,$(CC)),)
TARGET := --target=$(patsubst %-,%,$(notdir $(CROSS)))
endif
endif
COMPILER := $(shell $(CC) --version 2>/dev/null | head -n 1)
ARCH := $(firstword $(subst -, ,$(shell $(CC) $(TARGET) -dumpmachine 2>/dev/null)))

WARN := -Wall -Wextra -Wvla -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
        -Wwrite-strings -Wundef -Wformat-security
# gcc cannot see that an error code is negative, and that ret_ values are then not read (M3); and it guesses which
# texts snprintf might cut, which is what snprintf is for.
WARN += $(if $(findstring clang,$(COMPILER)),,-Wno-maybe-uninitialized -Wno-format-truncation)
CFLAGS_ALL = $(TARGET) -std=gnu17 $(OPT) $(WARN) $(WERROR) -fPIC -fvisibility=hidden -pthread \
        -fno-strict-overflow -ffp-contract=off -I. -Iinclude -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DQVF_VERSION='"$(VERSION)"' \
        $(HARDEN) $(SANITIZE) $(COVERAGE) $(CFLAGS)
LDFLAGS_ALL = $(TARGET) -pthread -Wl,-z,relro,-z,now $(SANITIZE) $(COVERAGE) $(LDFLAGS)

# Quiet by default; V=1 shows the commands.
ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
endif

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
ALL :=
DEPS :=

include mk/packages.mk
include mk/modules.mk
include mk/plugins.mk
include mk/client.mk
include mk/tests.mk
include mk/test-plugins.mk
include mk/install.mk
include mk/lint.mk
include mk/fuzz.mk
include mk/cross.mk

.PHONY: all clean help dist FORCE
all: $(ALL)

clean:
	$(Q)rm -rf $(BUILD)

help:
	@sed -n 's/^## //p' Makefile mk/*.mk

dist:
	$(Q)mkdir -p $(BUILD)
	$(Q)git archive --prefix=qvfd-$(VERSION)/ -o $(BUILD)/qvfd-$(VERSION).tar.gz HEAD
	@echo $(BUILD)/qvfd-$(VERSION).tar.gz

## make                 build everything whose libraries are here, into build/
## make clean           remove build/
## make dist            the committed tree as build/qvfd-VERSION.tar.gz
## Variables: BUILD=dir  CC=clang  CROSS=aarch64-linux-gnu-  OPT='-O2 -g'  WERROR=  CFLAGS=  LDFLAGS=  V=1

-include $(DEPS)
