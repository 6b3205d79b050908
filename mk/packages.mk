# SPDX-License-Identifier: Apache-2.0
# Libraries from outside, found once by pkg-config, and the files that remember what was built with what.

# A cross build takes its own pkg-config where there is one, or else the foreign folders of a multiarch system.
CROSS_PKG_CONFIG := $(if $(CROSS),$(shell command -v $(CROSS)pkg-config 2>/dev/null))
ifneq ($(origin PKG_CONFIG),undefined)
else ifneq ($(CROSS_PKG_CONFIG),)
PKG_CONFIG := $(CROSS_PKG_CONFIG)
else ifneq ($(CROSS),)
PKG_CONFIG := PKG_CONFIG_LIBDIR=/usr/lib/$(patsubst %-,%,$(notdir $(CROSS)))/pkgconfig:/usr/share/pkgconfig pkg-config
else
PKG_CONFIG := pkg-config
endif

# $(call package,json-c): sets HAVE_json-c, CFLAGS_json-c and LIBS_json-c.
define package
HAVE_$(1) := $$(shell $(PKG_CONFIG) --exists '$(1)' 2>/dev/null && echo yes)
CFLAGS_$(1) := $$(patsubst -I%,-isystem %,$$(shell $(PKG_CONFIG) --cflags '$(1)' 2>/dev/null))
LIBS_$(1) := $$(shell $(PKG_CONFIG) --libs '$(1)' 2>/dev/null)
PACKAGES_KNOWN += $(1)
endef

PACKAGES_KNOWN :=
$(eval $(call package,json-c))
$(eval $(call package,zlib))
$(eval $(call package,check))
$(eval $(call package,libsystemd))
$(eval $(call package,libseccomp))
$(eval $(call package,yaml-0.1))

package_cflags = $(foreach name,$(1),$(CFLAGS_$(name)))
package_libs = $(foreach name,$(1),$(LIBS_$(name)))
# Those of the given packages that are not here.
missing = $(strip $(foreach name,$(1),$(if $(HAVE_$(name)),,$(name))))
# $(call need,json-c): stops a recipe that can do nothing without the package, with a word on what to do.
need = $(if $(call missing,$(1)),@echo "missing: $(call missing,$(1)) (./setup deps installs it)" >&2; exit 1)

quote = '$(subst ','\'',$(strip $(1)))'
# $(call remember,text): a recipe that rewrites $@ only when the text is another one than last time, so that what
# depends on $@ is rebuilt when the flags or the list of files change, and only then.
define remember
	@mkdir -p $(@D)
	@printf '%s\n' $(call quote,$(1)) | cmp -s - $@ || printf '%s\n' $(call quote,$(1)) > $@
endef

$(BUILD)/flags: FORCE
	$(call remember,$(CC) $(COMPILER) $(CFLAGS_ALL) $(foreach p,$(PACKAGES_KNOWN),$(CFLAGS_$(p))) $(LEVELS_ALL))

$(BUILD)/link-flags: FORCE
	$(call remember,$(CC) $(COMPILER) $(LDFLAGS_ALL) $(foreach p,$(PACKAGES_KNOWN),$(LIBS_$(p))))

$(BUILD)/paths: FORCE
	$(call remember,$(PLUGINDIR))

$(BUILD)/%.list: FORCE
	$(call remember,$(LIST))
