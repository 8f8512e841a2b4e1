# SPDX-License-Identifier: Apache-2.0
# Benchmarks: each prints its figures beside a peer or a limit of the machine, measured in the same run.

.PHONY: bench
BENCH ?=
bench: ## all benchmarks, or those in BENCH ("storm years"): figures in bench/RESULTS.md
	@bench/run.py '$(MAKE)' $(BENCH)

BENCH_PROGRAMS := $(BUILD)/bench/limits $(BUILD)/bench/spool_write $(BUILD)/bench/usb_read $(BUILD)/bench/usb_storage $(BUILD)/bench/pull \
	$(BUILD)/bench/charge $(BUILD)/bench/rollout $(BUILD)/bench/years
$(BUILD)/bench/%.o: private CPPFLAGS += $(PKG_CFLAGS_TEST)
$(BUILD)/bench/limits: $(BUILD)/bench/limits.o $(LIB_base)
$(BUILD)/bench/spool_write: $(BUILD)/bench/spool_write.o $(LIB_base)
$(BUILD)/bench/usb_read: $(BUILD)/bench/usb_read.o
$(BUILD)/bench/usb_storage: $(BUILD)/bench/usb_storage.o
$(BUILD)/bench/pull: $(BUILD)/bench/pull.o $(LIB_service) $(LIB_core) $(LIB_store) $(LIB_base)
$(BUILD)/bench/charge: $(BUILD)/bench/charge.o $(LIB_core) $(LIB_base)
$(BUILD)/bench/rollout: $(BUILD)/bench/rollout.o $(LIB_core) $(LIB_base)
$(BUILD)/bench/years: $(BUILD)/bench/years.o $(BUILD)/bench/years_lay.o $(LIB_service) $(LIB_store) $(LIB_base)
$(BENCH_PROGRAMS):
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -pie -o $@ $^ $(call pkg-libs,$(DAEMON_PKGS) $(PKGS_bay))

.PHONY: bench-pull
BENCH_MIB ?= 1024
bench-pull: all sim $(BENCH_PROGRAMS) $(BUILD)/tests/preload/slow_fsync.so ## pulling one clip, beside libusb, disk and SHA-256 alone, gphoto2 and mtp-tools
	@BERTH_SRC='$(CURDIR)' BERTH_BUILD='$(abspath $(BUILD))' bench/bench_pull.py $(BENCH_MIB)

# In the guest of the VM tests.
.PHONY: bench-vm run-bench-vm
BENCH_VM_MIB ?= 512
bench-vm: ## pulling one clip from a USB disk on Debian's kernel, beside mount, cp, sync and sha256sum
	@.ci/install-packages $(DEPS_BUILD) $(DEPS_TEST) $(DEPS_VM)
	@$(MAKE) --no-print-directory $(PARALLEL) run-bench-vm
run-bench-vm: vm-guest $(BUILD)/bench/pull
	@BERTH_SRC='$(CURDIR)' BERTH_BUILD='$(abspath $(BUILD))' bench/bench_vm.py $(BENCH_VM_MIB)

.PHONY: bench-upload
UPLOAD_MIB ?= 1024
UPLOAD_COUNT ?= 100
bench-upload: all ## uploading to a Ceph on this machine, beside rclone, awscli and curl
	@.ci/install-packages $(DEPS_TEST) $(DEPS_BENCH)
	@BERTH_SRC='$(CURDIR)' BERTH_BUILD='$(abspath $(BUILD))' bench/bench_upload.py $(UPLOAD_MIB) $(UPLOAD_COUNT)

.PHONY: bench-charge
CHARGE_SMALL ?= 1000
CHARGE_LARGE ?= 2000
bench-charge: $(BUILD)/bench/charge ## charging in time: random racks beside the exact optimum, round-robin and no plan at all
	@$(BUILD)/bench/charge $(CHARGE_SMALL) $(CHARGE_LARGE)

.PHONY: bench-rollout
ROLLOUT_DOCKS ?= 10000
ROLLOUT_CAMERAS ?= 100
bench-rollout: $(BUILD)/bench/rollout ## firmware for a simulated fleet: requests to the store, time, and what is flashed after a stop
	@$(BUILD)/bench/rollout $(ROLLOUT_DOCKS) $(ROLLOUT_CAMERAS)

.PHONY: bench-dock
DOCK_MIB ?= 256
DOCK_CAMERAS ?= 8
DOCK_ROUNDS ?= 3
bench-dock: all sim ## a whole dock from plug-in to last receipt, beside its halves alone and gphoto2, sha256sum, rclone
	@.ci/install-packages $(DEPS_TEST) $(DEPS_BENCH)
	@BERTH_SRC='$(CURDIR)' BERTH_BUILD='$(abspath $(BUILD))' bench/bench_dock.py $(DOCK_MIB) $(DOCK_CAMERAS) $(DOCK_ROUNDS)

.PHONY: bench-shift bench-plot
SHIFT_MIB ?= 64
SHIFT_CAMERAS ?= 45
SHIFT_MBIT ?= 200
bench-shift: all sim ## a shift change replayed, scaled, over a narrow link, beside gphoto2, sha256sum and rclone in turn
	@.ci/install-packages $(DEPS_TEST) $(DEPS_BENCH)
	@BERTH_SRC='$(CURDIR)' BERTH_BUILD='$(abspath $(BUILD))' bench/bench_shift.py $(SHIFT_MIB) $(SHIFT_CAMERAS) $(SHIFT_MBIT)
bench-plot: ## how the figures of `make bench` grow with cameras, clips and bytes: bench/growth-*.png
	@.ci/install-packages $(DEPS_BENCH)
	@bench/plot.py

.PHONY: bench-years
YEARS_CLIPS ?= 200000
YEARS_CAMERAS ?= 200
bench-years: all sim $(BUILD)/bench/years ## a dock's database after years: starting, asking, writing, and its size
	@.ci/install-packages $(DEPS_TEST)
	@BERTH_SRC='$(CURDIR)' BERTH_BUILD='$(abspath $(BUILD))' bench/bench_years.py $(YEARS_CLIPS) $(YEARS_CAMERAS)

.PHONY: bench-storm
STORM_CAMERAS ?= 64
STORMS ?= 100
STORM_REST ?= 60
bench-storm: all sim ## all cameras plugged within a second, again and again; then all at rest: wake-ups and memory
	@.ci/install-packages $(DEPS_TEST)
	@BERTH_SRC='$(CURDIR)' BERTH_BUILD='$(abspath $(BUILD))' bench/bench_storm.py $(STORM_CAMERAS) $(STORMS) $(STORM_REST)

.PHONY: bench-many
MANY_MIB ?= 2048
bench-many: all sim $(BENCH_PROGRAMS) ## pulling from 1, 4, 16 and 64 cameras at once
	@.ci/install-packages $(DEPS_TEST)
	@BERTH_SRC='$(CURDIR)' BERTH_BUILD='$(abspath $(BUILD))' bench/bench_many.py $(MANY_MIB)

.PHONY: bench-bus
BUS_CAMERAS ?= 64
BUS_CALLS ?= 2000
bench-bus: all sim ## properties and queries over D-Bus while the whole rack is pulled from
	@.ci/install-packages $(DEPS_TEST)
	@BERTH_SRC='$(CURDIR)' BERTH_BUILD='$(abspath $(BUILD))' bench/bench_bus.py $(BUS_CAMERAS) $(BUS_CALLS)
