# SPDX-License-Identifier: Apache-2.0
.PHONY: lint
## make lint            clang-tidy and cppcheck
lint:
	@echo "lint: nothing yet"
