# SPDX-License-Identifier: Apache-2.0
# Benchmarks: each prints its figures beside a peer or a limit of the machine, measured in the same run.

BENCH_PROGRAMS := $(BUILD)/bench/limits $(BUILD)/bench/usb_read $(BUILD)/bench/usb_storage $(BUILD)/bench/pull \
	$(BUILD)/bench/charge $(BUILD)/bench/rollout
$(BUILD)/bench/%.o: private CPPFLAGS += $(PKG_CFLAGS_TEST)
$(BUILD)/bench/limits: $(BUILD)/bench/limits.o $(LIB_base)
$(BUILD)/bench/usb_read: $(BUILD)/bench/usb_read.o
$(BUILD)/bench/usb_storage: $(BUILD)/bench/usb_storage.o
$(BUILD)/bench/pull: $(BUILD)/bench/pull.o $(LIB_service) $(LIB_core) $(LIB_store) $(LIB_base)
$(BUILD)/bench/charge: $(BUILD)/bench/charge.o $(LIB_core) $(LIB_base)
$(BUILD)/bench/rollout: $(BUILD)/bench/rollout.o $(LIB_core) $(LIB_base)
$(BENCH_PROGRAMS):
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -pie -o $@ $^ $(call pkg-libs,$(DAEMON_PKGS) $(PKGS_bay))

.PHONY: bench-pull
BENCH_MIB ?= 1024
bench-pull: all sim $(BENCH_PROGRAMS) ## pulling one clip, beside libusb, disk and SHA-256 alone, gphoto2 and mtp-tools
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
