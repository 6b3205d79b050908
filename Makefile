# SPDX-License-Identifier: Apache-2.0
# GNU make. Everything is built under $(BUILD); `make help` lists the targets.

BUILD   ?= build
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
CROSS   ?=
ifeq ($(origin CC),default)
CC      := $(CROSS)gcc
endif
AR      := $(CROSS)ar
PKG_CONFIG ?= $(CROSS)pkg-config
VERSION := $(shell cat VERSION)
OPT     ?= -O2 -g
SANITIZE ?=
COVERAGE ?=
PLUGINDIR := $(LIBDIR)/qvf/plugins

ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
HAVE = $(shell $(PKG_CONFIG) --exists $(1) 2>/dev/null && echo yes)
PKGFLAGS = $(shell $(PKG_CONFIG) --cflags $(1) 2>/dev/null)
PKGLIBS  = $(shell $(PKG_CONFIG) --libs $(1) 2>/dev/null)

WARN := -Wall -Wextra -Werror -Wvla -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
        -Wwrite-strings
CFLAGS_ALL = -std=gnu17 $(OPT) $(WARN) -fPIC -fvisibility=hidden -pthread -fno-strict-overflow \
        -ffp-contract=off -I. -Iinclude -D_GNU_SOURCE -DQVF_VERSION='"$(VERSION)"' \
        -DQVF_PLUGIN_DIR='"$(PLUGINDIR)"' $(SANITIZE) $(COVERAGE) $(CFLAGS)
LDFLAGS_ALL = -pthread $(SANITIZE) $(COVERAGE) $(LDFLAGS)

# Quiet by default; V=1 shows the commands.
ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
endif

.DEFAULT_GOAL := all
ALL :=
DEPS :=

include mk/modules.mk
include mk/plugins.mk
include mk/tests.mk
include mk/install.mk
include mk/lint.mk

.PHONY: all clean help
all: $(ALL)

clean:
	$(Q)rm -rf $(BUILD)

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make                 build everything whose libraries are here, into build/
## make clean           remove build/
## Variables: BUILD=dir  CC=clang  CROSS=aarch64-linux-gnu-  OPT='-O2 -g'  V=1

-include $(DEPS)
