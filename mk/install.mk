# SPDX-License-Identifier: Apache-2.0
# What goes where. Each line of `installs` is used by install and by uninstall.

BINDIR := $(PREFIX)/bin
DATADIR := $(PREFIX)/share
INSTALLED :=
INSTALL_STEPS :=

# $(call installs,mode,folder,files)
define installs
INSTALLED += $(foreach f,$(3),$(2)/$(notdir $(f)))
INSTALL_STEPS += $(foreach f,$(3),$(1)|$(2)|$(f))
endef

MAN_SOURCES := $(wildcard docs/man/*.scd)
MAN_PAGES := $(MAN_SOURCES:%.scd=$(BUILD)/%)
HAVE_SCDOC := $(shell command -v scdoc 2>/dev/null)
ifneq ($(MAN_SOURCES),)
ifneq ($(HAVE_SCDOC),)
$(MAN_PAGES): $(BUILD)/%: %.scd
	$(say) MAN $@
	@mkdir -p $(@D)
	$(Q)scdoc < $< > $@
ALL += $(MAN_PAGES)
else
.PHONY: left-out-man
left-out-man:
	@echo '  -       the man pages are left out: missing scdoc'
ALL += left-out-man
endif
endif

# What only the service starts.
LIBEXEC_PROGRAMS := $(BUILD)/qvf-worker $(BUILD)/qvfd
$(eval $(call installs,755,$(BINDIR),$(filter-out $(LIBEXEC_PROGRAMS),$(filter $(BUILD)/qvf-% $(BUILD)/qvfctl,$(ALL)))))
$(eval $(call installs,755,$(LIBDIR),$(filter $(BUILD)/libqvf.so.%,$(ALL))))
$(eval $(call installs,link,$(LIBDIR),$(patsubst %.$(SOVERSION),%,$(filter $(BUILD)/libqvf.so.%,$(ALL)))))
$(eval $(call installs,644,$(LIBDIR)/pkgconfig,$(filter %.pc,$(ALL))))
$(eval $(call installs,755,$(LIBEXECDIR),$(filter $(LIBEXEC_PROGRAMS),$(ALL))))
$(eval $(call installs,755,$(PLUGINDIR),$(PLUGINS)))
# Files that name the programs' folder are made for it; those for one user have a name of their own only here.
SERVICE_FILES := $(if $(filter $(BUILD)/qvfd,$(ALL)),$(addprefix $(BUILD)/service/,system/qvfd.service user/qvfd.service session/org.qvf.Fabric1.service))
$(BUILD)/service/system/qvfd.service: config/systemd/qvfd.service
$(BUILD)/service/user/qvfd.service: config/systemd/qvfd-user.service
$(BUILD)/service/session/org.qvf.Fabric1.service: config/dbus/org.qvf.Fabric1-session.service
$(SERVICE_FILES): $(BUILD)/paths
	@mkdir -p $(@D)
	$(Q)sed 's,@LIBEXECDIR@,$(LIBEXECDIR),' $(filter config/%,$^) > $@
ALL += $(SERVICE_FILES)
ifneq ($(SERVICE_FILES),)
$(eval $(call installs,644,$(PREFIX)/lib/systemd/system,$(filter %/system/qvfd.service,$(SERVICE_FILES))))
$(eval $(call installs,644,$(PREFIX)/lib/systemd/user,$(filter %/user/qvfd.service,$(SERVICE_FILES))))
$(eval $(call installs,644,$(DATADIR)/dbus-1/services,$(filter %/session/org.qvf.Fabric1.service,$(SERVICE_FILES))))
$(eval $(call installs,644,$(DATADIR)/dbus-1/system-services,config/dbus/org.qvf.Fabric1.service))
$(eval $(call installs,644,$(DATADIR)/dbus-1/system.d,config/dbus/org.qvf.Fabric1.conf))
$(eval $(call installs,644,$(DATADIR)/dbus-1/interfaces,$(wildcard config/org.qvf.Fabric1.*.xml)))
$(eval $(call installs,644,$(DATADIR)/polkit-1/actions,config/polkit/org.qvf.Fabric1.policy))
$(eval $(call installs,644,$(PREFIX)/lib/sysusers.d,config/sysusers/qvf.conf))
endif
$(eval $(call installs,644,$(PREFIX)/include/qvf,$(wildcard include/qvf/*.h)))
$(eval $(call installs,644,$(DATADIR)/doc/qvf,$(wildcard LICENSE NOTICE README.md CHANGELOG.md docs/*.md)))
$(eval $(call installs,644,$(DATADIR)/qvf,$(wildcard config/qvfd.yaml)))
$(eval $(call installs,644,$(DATADIR)/doc/qvf/schemas,$(wildcard docs/schemas/*.json)))
$(eval $(call installs,644,$(DATADIR)/doc/qvf/examples,$(wildcard examples/*.c examples/*.py)))
$(eval $(call installs,644,$(DATADIR)/bash-completion/completions,ctl/completions/qvfctl.bash))
$(eval $(call installs,644,$(DATADIR)/zsh/site-functions,ctl/completions/_qvfctl))
$(eval $(call installs,644,$(DATADIR)/fish/vendor_completions.d,ctl/completions/qvfctl.fish))
$(eval $(call installs,644,$(DATADIR)/qvf/models,$(wildcard models/*.gguf models/*.md models/LICENSE*)))
$(foreach s,1 5 7 8,$(eval $(call installs,644,$(DATADIR)/man/man$(s),$(filter %.$(s),$(filter $(MAN_PAGES),$(ALL))))))

field = $(word $(1),$(subst |, ,$(2)))
define newline


endef

.PHONY: install uninstall
## make install         install below DESTDIR and PREFIX (/usr/local)
install: all
	$(foreach s,$(INSTALL_STEPS),$(Q)$(if $(filter link,$(call field,1,$(s))),cp -P,install -D -m $(call field,1,$(s))) \
		'$(call field,3,$(s))' '$(DESTDIR)$(call field,2,$(s))/$(notdir $(call field,3,$(s)))'$(newline)$(if ,,	))
	@echo 'installed $(words $(INSTALLED)) files below $(DESTDIR)$(PREFIX)'

## make uninstall       remove what install put there
uninstall:
	$(foreach f,$(INSTALLED),$(Q)rm -f '$(DESTDIR)$(f)'$(newline)$(if ,,	))
	$(Q)for folder in $(foreach d,$(PLUGINDIR) $(LIBEXECDIR) $(LIBDIR)/qvf $(PREFIX)/include/qvf $(DATADIR)/doc/qvf/schemas $(DATADIR)/doc/qvf/examples $(DATADIR)/doc/qvf \
		$(DATADIR)/qvf/models $(DATADIR)/qvf,'$(DESTDIR)$(d)'); do \
		[ ! -d "$$folder" ] || rmdir --ignore-fail-on-non-empty "$$folder"; done
