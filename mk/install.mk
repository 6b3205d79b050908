# SPDX-License-Identifier: Apache-2.0
.PHONY: install
## make install         install below DESTDIR and PREFIX (/usr/local)
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PLUGINDIR)
	install -m 755 $(BUILD)/qvf-bench $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(wildcard $(BUILD)/plugins/*.so) $(DESTDIR)$(PLUGINDIR)/
