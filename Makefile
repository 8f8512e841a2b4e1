# SPDX-License-Identifier: Apache-2.0
# Berth: one non-recursive Makefile. `make help` lists the targets. Tests and lint are in tests/tests.mk.

VERSION := 0.1

# ---- What may be set on the command line ------------------------------------------------------------------------

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
SANITIZE ?=
# Not empty: with the places where the crash matrix ends the programs (base/crash_point.h). Never installed.
CRASH_POINTS ?=
CC ?= cc
PKG_CONFIG ?= pkg-config

bindir ?= $(PREFIX)/bin
sbindir ?= $(PREFIX)/sbin
libdir ?= $(PREFIX)/lib
includedir ?= $(PREFIX)/include
datadir ?= $(PREFIX)/share
mandir ?= $(datadir)/man
# Where Debian's zsh looks.
zshcompletiondir ?= $(datadir)/zsh/vendor-completions
docdir ?= $(datadir)/doc/berth
# Not under PREFIX: a dock's settings are in /etc/berth wherever the programs are.
sysconfdir ?= /etc
localstatedir ?= /var
runstatedir ?= /run
# dbus-daemon reads policy from /usr/share and /etc only.
dbuspolicydir ?= $(if $(filter /usr,$(PREFIX)),$(datadir),$(sysconfdir))/dbus-1/system.d

# polkit reads actions from there only.
polkitactionsdir ?= /usr/share/polkit-1/actions
polkitrulesdir ?= /usr/share/polkit-1/rules.d
# Debian 12's debhelper knows the first two below /lib alone.
unitdir ?= $(PREFIX)/lib/systemd/system
udevrulesdir ?= $(PREFIX)/lib/udev/rules.d
sysusersdir ?= $(PREFIX)/lib/sysusers.d
catalogdir ?= $(PREFIX)/lib/systemd/catalog
tmpfilesdir ?= $(PREFIX)/lib/tmpfiles.d

# ---- Debian packages: the one list ------------------------------------------------------------------------------

DEPS_BUILD := gcc make pkgconf python3 libc6-dev libsystemd-dev libudev-dev libusb-1.0-0-dev libseccomp-dev libsqlite3-dev \
	libcurl4-openssl-dev libexpat1-dev libssl-dev libjansson-dev
# The simulated rack and a dock in it: all that the demo needs.
DEPS_SIM := libcmocka-dev libfuse3-dev fuse3 python3 python3-gi gir1.2-glib-2.0 python3-dbus python3-dbusmock dbus util-linux
DEPS_TEST := $(DEPS_SIM) systemd udev polkitd sqlite3 strace jq libxml2-utils gphoto2 mtp-tools usbutils uhubctl openssl ffmpeg \
	dosfstools mtools exfatprogs sleuthkit fdisk minisign dfu-util \
	prometheus python3-prometheus-client python3-jsonschema zsh less \
	curl jq ceph-common ceph-mgr ceph-mon ceph-osd radosgw
# make check-vm: QEMU, what makes a Debian guest (without root as well).
DEPS_VM := qemu-system-x86 mmdebstrap squashfs-tools uidmap libusbredirparser-dev
# make bench-upload, bench-dock: what it is compared with.
DEPS_BENCH := rclone awscli gnuplot-nox
DEPS_LINT := cppcheck clang clang-tidy libclang-rt-dev mandoc shellcheck
# make deb; what debian/control wants beside DEPS_BUILD.
DEPS_DEB := build-essential debhelper dpkg-dev lintian

# ---- Flags ------------------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla -Werror
HARDENING := -fstack-protector-strong -fstack-clash-protection $(if $(filter x86_64,$(shell uname -m)),-fcf-protection) -fPIC
LINK_HARDENING := -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
ifeq ($(SANITIZE),)
OPTIMISE := -O2 -g -D_FORTIFY_SOURCE=2
else
OPTIMISE := -O1 -g1 -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
endif

PLACES := -DBERTH_LIBDIR='"$(libdir)/berth"' -DBERTH_DATADIR='"$(datadir)/berth"' \
	-DBERTH_SYSCONFDIR='"$(sysconfdir)/berth"' -DBERTH_SBINDIR='"$(sbindir)"'
# For those files alone that tell it: another version is not another build of everything.
VERSION_FLAG := -DBERTH_VERSION='"$(VERSION)"'
CFLAGS_ALL = -std=gnu11 -D_GNU_SOURCE $(PLACES) $(if $(CRASH_POINTS),-DBERTH_CRASH_POINTS) $(WARNINGS) $(HARDENING) $(OPTIMISE) -Iinclude -Idaemon -pthread $(PKG_CFLAGS) \
	$(CPPFLAGS) $(CFLAGS)
LDFLAGS_ALL = $(OPTIMISE) -pthread $(LINK_HARDENING) $(LDFLAGS)

PKGS_base := libsystemd libcrypto jansson
PKGS_store := sqlite3
PKGS_service := libudev
PKGS_bay := libusb-1.0 libseccomp
PKGS_uplink := libcurl expat
PKGS_test := fuse3 cmocka
PKGS := $(PKGS_base) $(PKGS_store) $(PKGS_service) $(PKGS_bay) $(PKGS_uplink)

# pkg-config is asked when an answer is first needed, not when make starts: then the libraries need not be there yet.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell $(PKG_CONFIG) --cflags $(PKGS)))$(PKG_CFLAGS)
pkg-libs = $(shell $(PKG_CONFIG) --libs $(1))

# ---- What is built ----------------------------------------------------------------------------------------------

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.SECONDEXPANSION:

# Quiet unless V=1.
say = $(if $(V),,@echo '  $(1)	$@';)

# One library for each floor; the programs are linked from them.
LIBS := base store core model proof service bus bay uplink ctl
define library
LIB_$(1) := $(BUILD)/daemon/$(1)/lib$(1).a
$$(LIB_$(1)): $$(patsubst %.c,$(BUILD)/%.o,$$(wildcard daemon/$(1)/*.c)) $(BUILD)/sources
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,AR)$$(AR) rcs $$@ $$(filter %.o,$$^)
endef
$(foreach l,$(LIBS),$(eval $(call library,$(l))))

DAEMON_LIBS := $(LIB_bus) $(LIB_service) $(LIB_core) $(LIB_model) $(LIB_store) $(LIB_base)
DAEMON_PKGS := $(PKGS_base) $(PKGS_store) $(PKGS_service)

PROGRAMS := $(addprefix $(BUILD)/,berthd berth-bay berth-uplink berthctl)
PLUGINS := $(patsubst plugins/%/,%,$(sort $(dir $(wildcard plugins/*/*.c))))
PLUGIN_FILES := $(PLUGINS:%=$(BUILD)/plugins/%.so)

.PHONY: all
all: $(PROGRAMS) $(PLUGIN_FILES) $$(GENERATED) $$(DBUS_PAGE) ## build the programs and the camera plugins (default)

whole = -Wl,--whole-archive $(1) -Wl,--no-whole-archive
$(BUILD)/berthd: $(BUILD)/daemon/main.o $(DAEMON_LIBS)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -pie -o $@ $^ $(call pkg-libs,$(DAEMON_PKGS))
# Plugins find the berth_host_*() functions in the worker that loads them.
$(BUILD)/berth-bay: $(LIB_bay) $(LIB_base)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -pie -rdynamic -o $@ $(call whole,$(LIB_bay)) $(LIB_base) $(call pkg-libs,$(PKGS_base) $(PKGS_bay))
$(BUILD)/berth-uplink: $(LIB_uplink) $(LIB_base)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -pie -o $@ $(call whole,$(LIB_uplink)) $(LIB_base) $(call pkg-libs,$(PKGS_base) $(PKGS_uplink))
CTL_LIBS := $(LIB_proof) $(LIB_store) $(LIB_model) $(LIB_base)
$(BUILD)/berthctl: $(LIB_ctl) $(CTL_LIBS)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -pie -o $@ $(call whole,$(LIB_ctl)) $(CTL_LIBS) $(call pkg-libs,$(PKGS_base) $(PKGS_store))

define plugin
$(BUILD)/plugins/$(1).so: $$(patsubst %.c,$(BUILD)/%.o,$$(wildcard plugins/$(1)/*.c)) $(BUILD)/sources
	@mkdir -p $$(@D)
	$$(call say,LINK)$$(CC) $$(LDFLAGS_ALL) -shared -o $$@ $$(filter %.o,$$^)
endef
$(foreach p,$(PLUGINS),$(eval $(call plugin,$(p))))

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# With crash points only what has such places is compiled anew: all else is as in PLAIN_BUILD, which is made before.
ifneq ($(CRASH_POINTS),)
ALL_SOURCES := $(wildcard daemon/*.c daemon/*/*.c plugins/*/*.c tests/sim/*.c)
PLAIN_SOURCES := $(filter-out $(shell grep -ls crash_point.h $(ALL_SOURCES)),$(ALL_SOURCES))
$(PLAIN_SOURCES:%.c=$(BUILD)/%.o): $(BUILD)/%.o: $(PLAIN_BUILD)/%.o
	@mkdir -p $(@D)
	@cp -p $< $@
endif

VERSIONED := $(patsubst %.c,$(BUILD)/%.o,$(shell grep -ls BERTH_VERSION daemon/*.c daemon/*/*.c plugins/*/*.c))
$(VERSIONED): private CPPFLAGS += $(VERSION_FLAG)
$(VERSIONED): $(BUILD)/version

# Files whose text changes when the flags, or the set of sources, change: what depends on them is then made anew.
FLAGS_NOW = $(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL)
SOURCES_NOW = $(sort $(wildcard daemon/*.c daemon/*/*.c plugins/*/*.c tests/*/*.c))
# The text goes through the environment, since it holds quotes.
define write-if-changed
@printf '%s\n' "$$TEXT" | cmp -s - $@ || printf '%s\n' "$$TEXT" > $@
endef
.PHONY: force
$(BUILD)/flags: export TEXT = $(FLAGS_NOW)
$(BUILD)/flags: force | $(BUILD)
	@$(PKG_CONFIG) --print-errors --exists $(PKGS) || { echo "Libraries are missing: run 'make deps'." >&2; exit 1; }
	$(write-if-changed)
$(BUILD)/version: export TEXT = $(VERSION)
$(BUILD)/version: force | $(BUILD)
	$(write-if-changed)
$(BUILD)/sources: export TEXT = $(SOURCES_NOW)
$(BUILD)/sources: force | $(BUILD)
	$(write-if-changed)
$(BUILD):
	@mkdir -p $@

# ---- Packages, demo, housekeeping -------------------------------------------------------------------------------

.PHONY: deps deps-build deps-demo demo help clean
deps: ## install the Debian packages, and a tus server from npm, that building, testing and linting need
	@.ci/install-packages $(DEPS_BUILD) $(DEPS_TEST) $(DEPS_LINT) $(DEPS_DEB)
	@.ci/install-tus-server build-npm
deps-build: ## those that building needs
	@.ci/install-packages $(DEPS_BUILD)
deps-demo:
	@.ci/install-packages $(DEPS_BUILD) $(DEPS_SIM)

# Whoever installs first must build in a make of its own, which then looks at the machine anew.
PARALLEL = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
demo: deps-demo ## show the main job in a simulated rack of 12 bays
	@$(MAKE) --no-print-directory $(PARALLEL) all sim $(TEST_PLUGINS)
	@BERTH_SRC='$(CURDIR)' BERTH_BUILD='$(abspath $(BUILD))' tests/demo/run

DEB := $(BUILD)-deb
.PHONY: deb build-deb build-next-deb
deb: ## make the Debian packages, in build-deb/; installs what that needs
	@.ci/install-packages $(DEPS_BUILD) $(DEPS_DEB)
	@$(MAKE) --no-print-directory build-deb
	@ls '$(DEB)'/*.deb
build-deb:
	@.ci/build-deb '$(abspath $(DEB))'
# Beside them, in build-deb/next/, those of a release that follows: what an upgrade is tested with.
build-next-deb:
	@.ci/build-deb '$(abspath $(DEB))' tests/vm/next-release

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24
	@echo 'Set BUILD=, PREFIX=, DESTDIR=, CFLAGS=, SANITIZE=address,undefined, CRASH_POINTS=1, V=1 as you need.'

clean: ## remove what was built
	rm -rf '$(BUILD)' '$(DEB)' '$(BUILD)-asan' '$(BUILD)-tsan' '$(BUILD)-fuzz' '$(BUILD)-vm' '$(BUILD)-crash' build-npm

# ---- Install: every file once, as MODE|SOURCE|PLACE -------------------------------------------------------------

# Files that name a folder are made from their .in.
GENERATED := $(patsubst %.in,$(BUILD)/%,$(wildcard systemd/*/*.in udev-rules/*.in))
$(GENERATED): $(BUILD)/%: %.in $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,MAKE)sed -e 's|@sbindir@|$(sbindir)|g' -e 's|@bindir@|$(bindir)|g' -e 's|@docdir@|$(docdir)|g' $< > $@

# The bus's manual page from the contract, which is its documentation.
DBUS_PAGE := $(BUILD)/man/org.berth.Dock1.5
$(DBUS_PAGE): man/dbus-page $(wildcard daemon/bus/*.xml)
	@mkdir -p $(@D)
	$(call say,MAKE)man/dbus-page $(wildcard daemon/bus/*.xml) > $@

from = $(filter-out %.in,$(wildcard $(1)/*)) $(filter $(BUILD)/$(1)/%,$(GENERATED))
place = $(foreach f,$(2),$(1)|$(f)|$(3)/$(notdir $(f)))
INSTALLED = \
	$(call place,755,$(BUILD)/berthctl,$(bindir)) \
	$(call place,755,$(BUILD)/berthd $(BUILD)/berth-uplink,$(sbindir)) \
	$(call place,755,$(BUILD)/berth-bay,$(libdir)/berth) \
	$(call place,644,$(PLUGIN_FILES),$(libdir)/berth/plugins) \
	$(call place,644,$(wildcard cameras.d/*.conf),$(datadir)/berth/cameras.d) \
	$(call place,644,$(call from,systemd/dropins),$(datadir)/berth) \
	$(call place,644,completion/bash/berthctl,$(datadir)/bash-completion/completions) \
	$(call place,644,completion/zsh/_berthctl,$(zshcompletiondir)) \
	$(call place,644,monitoring/alerts.yml monitoring/dashboard.json,$(datadir)/berth/monitoring) \
	$(call place,644,include/berth/plugin.h,$(includedir)/berth) \
	$(call place,644,$(call from,systemd/system),$(unitdir)) \
	$(call place,644,$(call from,systemd/sysusers.d),$(sysusersdir)) \
	$(call place,644,$(call from,systemd/tmpfiles.d),$(tmpfilesdir)) \
	$(call place,644,$(call from,systemd/catalog),$(catalogdir)) \
	$(call place,644,$(call from,systemd/dbus-policy),$(dbuspolicydir)) \
	$(call place,644,$(call from,systemd/polkit),$(polkitactionsdir)) \
	$(call place,644,$(call from,systemd/polkit-rules),$(polkitrulesdir)) \
	$(call place,644,$(call from,systemd/dbus-activation),$(datadir)/dbus-1/system-services) \
	$(call place,644,$(wildcard daemon/bus/*.xml),$(datadir)/dbus-1/interfaces) \
	$(call place,644,$(call from,udev-rules),$(udevrulesdir)) \
	$(foreach n,1 3 5 7 8,$(call place,644,$(wildcard man/*.$(n)) $(filter %.$(n),$(DBUS_PAGE)),$(mandir)/man$(n))) \
	$(call place,644,$(wildcard docs/json/*.json),$(docdir)/json) \
	$(call place,644,$(wildcard docs/examples/*.*),$(docdir)/examples) \
	$(call place,644,$(wildcard docs/plugin-example/*),$(docdir)/plugin-example) \
	$(call place,644,README.md SECURITY.md LICENSE NEWS $(wildcard docs/*.md),$(docdir)) \
	$(foreach p,$(PLUGINS),$(call place,644,$(wildcard plugins/$(p)/README.md),$(docdir)/plugins/$(p)))
# Settings: never overwritten, and removed only when nobody changed them.
SETTINGS = $(call place,644,$(wildcard systemd/settings/*.conf),$(sysconfdir)/berth) \
	$(call place,600,systemd/settings/cameras.secret,$(sysconfdir)/berth)

mode = $(word 1,$(subst |, ,$(1)))
source = $(word 2,$(subst |, ,$(1)))
target = $(DESTDIR)$(word 3,$(subst |, ,$(1)))
define newline


endef
.PHONY: install install-files uninstall
install: all ## install under DESTDIR and PREFIX; settings that are there already stay as they are
	@$(MAKE) --no-print-directory install-files
install-files:
	$(foreach f,$(INSTALLED),install -D -m $(call mode,$(f)) '$(call source,$(f))' '$(call target,$(f))'$(newline)	)
	$(foreach f,$(SETTINGS),test -e '$(call target,$(f))' || \
		install -D -m $(call mode,$(f)) '$(call source,$(f))' '$(call target,$(f))'$(newline)	)
	install -d '$(DESTDIR)$(sysconfdir)/berth/cameras.d'
uninstall: ## remove what install put there; changed settings and the state folder stay
	$(foreach f,$(INSTALLED),rm -f '$(call target,$(f))'$(newline)	)
	$(foreach f,$(SETTINGS),if cmp -s '$(call source,$(f))' '$(call target,$(f))'; then rm -f '$(call target,$(f))'; fi$(newline)	)
	-rmdir --ignore-fail-on-non-empty -p '$(DESTDIR)$(libdir)/berth/plugins' '$(DESTDIR)$(datadir)/berth/cameras.d' \
		'$(DESTDIR)$(includedir)/berth' '$(DESTDIR)$(docdir)' '$(DESTDIR)$(sysconfdir)/berth/cameras.d'

# ---- Tests, and what was learned about headers ------------------------------------------------------------------

include tests/tests.mk
include bench/bench.mk

ifneq ($(filter-out help clean deps deps-build deps-demo deb build-deb build-next-deb,$(or $(MAKECMDGOALS),all)),)
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
endif
