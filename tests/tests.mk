# SPDX-License-Identifier: Apache-2.0
# Tests and lint. Included by the Makefile.

# ---- The simulated rack -----------------------------------------------------------------------------------------

SIM := $(BUILD)/berth-sim
SIM_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/sim/*.c))
$(SIM): $(SIM_OBJECTS) $(LIB_base) $(BUILD)/sources
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -pie -o $@ $(filter %.o %.a,$^) $(call pkg-libs,$(PKGS_base) fuse3)

# Private, or the flags file, on which every object depends, would inherit it.
$(BUILD)/tests/%.o: private CPPFLAGS += -Itests $(PKG_CFLAGS_TEST)
PKG_CFLAGS_TEST = $(eval PKG_CFLAGS_TEST := $$(shell $(PKG_CONFIG) --cflags $(PKGS_test)))$(PKG_CFLAGS_TEST)

# ---- Programs under tests/ --------------------------------------------------------------------------------------

# tests/unit/test_X.c: one program each, linked with the daemon's floors. What else one needs is named in EXTRA_X, which
# comes first on the linker's command line, and its packages in PKGS_X.
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
# What runs under ThreadSanitizer is made of these two floors.
UNIT_LIBS := $(if $(filter thread,$(SANITIZE)),$(LIB_store) $(LIB_base),$(DAEMON_LIBS))
$(UNIT_TESTS): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $$(EXTRA_$$(subst test_,,$$*)) $(UNIT_LIBS)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(call pkg-libs,cmocka $(DAEMON_PKGS) $(PKGS_$(patsubst test_%,%,$*)))

# tests/integration/test_X.c: programs of their own, run inside or around the simulator.
INTEGRATION_TESTS := $(patsubst tests/integration/%.c,$(BUILD)/tests/integration/%,$(wildcard tests/integration/test_*.c))
$(INTEGRATION_TESTS): $(BUILD)/tests/integration/%: $(BUILD)/tests/integration/%.o $$(EXTRA_$$(subst test_,,$$*)) $(DAEMON_LIBS)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(call pkg-libs,$(DAEMON_PKGS) $(PKGS_$(patsubst test_%,%,$*)))

# There is room for as many transfers as a test says.
$(BUILD)/tests/integration/test_host: private LDFLAGS += -Wl,--wrap=libusb_bulk_transfer

# The tests of the simulated bus itself share a fixture.
EXTRA_sim_bus := $(BUILD)/tests/integration/sim_fixture.o
EXTRA_sim_rack := $(EXTRA_sim_bus)
PKGS_sim_bus := libusb-1.0 cmocka
PKGS_sim_rack := libusb-1.0 libudev cmocka

# tests/plugins/X.c: misbehaving camera plugins.
TEST_PLUGINS := $(patsubst tests/plugins/%.c,$(BUILD)/tests/plugins/%.so,$(wildcard tests/plugins/*.c))
$(TEST_PLUGINS): %.so: %.o
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -shared -o $@ $<

# tests/preload/X.c: what a test puts between a program and the C library.
PRELOADS := $(patsubst tests/preload/%.c,$(BUILD)/tests/preload/%.so,$(wildcard tests/preload/*.c))
$(PRELOADS): %.so: %.o
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -shared -o $@ $< -ldl

EXTRA_bus := $(BUILD)/tests/unit/bus_stubs.o
# How often a thread is woken is counted.
$(BUILD)/tests/test_ring: private LDFLAGS += -Wl,--wrap=pthread_cond_signal

# The uplink, by itself and with berthd's client to it.
EXTRA_pace := $(LIB_uplink)
EXTRA_uplink_client := $(BUILD)/tests/unit/false_uplink.o
EXTRA_http_pace := $(LIB_uplink)
PKGS_http_pace := $(PKGS_uplink)
EXTRA_manifest := $(LIB_uplink)
EXTRA_dir := $(BUILD)/tests/unit/dir_rig.o $(LIB_uplink)
EXTRA_dir_crash := $(EXTRA_dir)
EXTRA_uplink_program := $(BUILD)/tests/integration/uplink_rig.o
PKGS_uplink_program := cmocka
$(foreach t,http_time schedule tus_text tus_record fuzz_tus_text sigv4 s3_xml s3_outcome s3_record uplink_settings,$(eval EXTRA_$(t) := $(LIB_uplink)))
PKGS_s3_xml := expat
EXTRA_fuzz_s3_xml := $(LIB_uplink)
PKGS_fuzz_s3_xml := expat
$(BUILD)/tests/integration/test_uplink_program: | $(BUILD)/berth-uplink $(BUILD)/tests/preload/hang_fsync.so

# tests/tools/X.c: programs that tests ask, with what they are linked with in EXTRA_X.
TEST_TOOLS := $(patsubst tests/tools/%.c,$(BUILD)/tests/%,$(wildcard tests/tools/*.c))
$(TEST_TOOLS): $(BUILD)/tests/%: $(BUILD)/tests/tools/%.o $$(EXTRA_$$*) $(LIB_base)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(call pkg-libs,$(PKGS_base) $(PKGS_$*))

# Random sequences against the daemon's real floors: tests/property/ stands in for what is outside of them, time included. The archives
# come last, so that what it defines itself is not taken from them.
PROPERTY := $(BUILD)/tests/sequences
PROPERTY_WRAPS := sd_event_add_time sd_event_source_set_time sd_event_source_unref sd_event_source_disable_unref job_thread_submit \
	clock_boottime_usec clock_suspended_usec clock_wall_usec moment_now fstatvfs getrandom
comma := ,
PROPERTY_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/property/*.c))
$(PROPERTY): $(PROPERTY_OBJECTS) $(DAEMON_LIBS)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) $(PROPERTY_WRAPS:%=-Wl$(comma)--wrap=%) -o $@ $^ $(call pkg-libs,$(DAEMON_PKGS))

# A night of a whole rack in the same virtual time, with the same stand-ins, which are compiled for as many bays.
NIGHT := $(BUILD)/tests/whole_night
NIGHT_OBJECTS := $(BUILD)/tests/night/night.o $(patsubst %,$(BUILD)/tests/night/%.o,fake_flasher fake_uplink fake_usb fake_worker fleet virtual_time world)
$(BUILD)/tests/night/%.o: CPPFLAGS += -DCAMERAS=64u -DBAYS=64u
$(filter-out %/night.o,$(NIGHT_OBJECTS)): $(BUILD)/tests/night/%.o: tests/property/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<
$(NIGHT): $(NIGHT_OBJECTS) $(DAEMON_LIBS)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) $(PROPERTY_WRAPS:%=-Wl$(comma)--wrap=%) -o $@ $^ $(call pkg-libs,$(DAEMON_PKGS))

.PHONY: check-property mutants
# The same sequences each time, so that a change is judged by itself; `make soak` has others each time.
PROPERTY_SEED ?= 1
PROPERTY_SEQUENCES ?= 40
check-property: $(PROPERTY) $(NIGHT) ## random sequences of events, PROPERTY_SEQUENCES from PROPERTY_SEED on; each one's seed makes it again
	@PROPERTY_SEED=$(PROPERTY_SEED) PROPERTY_SEQUENCES=$(PROPERTY_SEQUENCES) $(RUN) --deadline 900 $(PROPERTY) $(NIGHT)
mutants: PROPERTY_SEQUENCES = 80
mutants: export BERTH_COMPILE = $(CC) $(CFLAGS_ALL) $(VERSION_FLAG)
mutants: export BERTH_LINK = $(CC) $(LDFLAGS_ALL) $(PROPERTY_WRAPS:%=-Wl$(comma)--wrap=%) $(filter %.o,$(PROPERTY_OBJECTS))
mutants: export BERTH_LIBS = $(DAEMON_LIBS) $(call pkg-libs,$(DAEMON_PKGS))
mutants: export BERTH_UNIT_LINK = $(CC) $(LDFLAGS_ALL)
mutants: export BERTH_UNIT_LIBS = $(DAEMON_LIBS) $(call pkg-libs,cmocka $(DAEMON_PKGS))
# What tests of whole programs find: each program with the mutant (@) before its own objects, whose place it takes.
mutant-link = $(CC) $(LDFLAGS_ALL) -Wl,--allow-multiple-definition $(1) @
mutants: export BERTH_LINK_berthd = $(call mutant-link,-pie) $(BUILD)/daemon/main.o $(DAEMON_LIBS) $(call pkg-libs,$(DAEMON_PKGS))
mutants: export BERTH_LINK_berth_bay = $(call mutant-link,-pie -rdynamic) $(call whole,$(LIB_bay)) $(LIB_base) $(call pkg-libs,$(PKGS_base) $(PKGS_bay))
mutants: export BERTH_LINK_berthctl = $(call mutant-link,-pie) $(call whole,$(LIB_ctl)) $(CTL_LIBS) $(call pkg-libs,$(PKGS_base) $(PKGS_store))
mutants: export BERTH_LINK_plugins_mtp_so = $(call mutant-link,-shared) $(MTP_OBJECTS)
mutants: all $(PROPERTY) $(UNIT_TESTS) $(TEST_PLUGINS) $(PRELOADS) sim ## bugs made on purpose, each of which the random sequences, or a unit test, must find
	@PROPERTY_SEED=$(PROPERTY_SEED) PROPERTY_SEQUENCES=$(PROPERTY_SEQUENCES) $(RUN) --deadline 3600 tests/property/mutants.py

.PHONY: sim tests
sim: $(SIM) ## build the simulated rack
tests: $(PROPERTY) $(NIGHT) $(UNIT_TESTS) $(INTEGRATION_TESTS) $(TEST_PLUGINS) $(TEST_TOOLS) $(PRELOADS) $(SIM) ## build all tests

# What tests of the mtp plugin are linked with: its own objects, a host that plays a script, a writer of datasets.
MTP_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard plugins/mtp/*.c))
EXTRA_mtp_wire := $(MTP_OBJECTS) $(BUILD)/tests/unit/fake_host.o
EXTRA_mtp_transaction := $(EXTRA_mtp_wire)
EXTRA_mtp_data := $(EXTRA_mtp_wire)
EXTRA_mtp_source := $(EXTRA_mtp_wire)
EXTRA_mtp_datasets := $(EXTRA_mtp_wire) $(BUILD)/tests/unit/mtp_dataset.o
$(foreach t,camera listing health,$(eval EXTRA_mtp_$(t) := $(EXTRA_mtp_datasets) $(BUILD)/tests/unit/mtp_script.o))
EXTRA_fuzz_ptp := $(MTP_OBJECTS)
EXTRA_fuzz_dfu := $(patsubst %.c,$(BUILD)/%.o,$(wildcard plugins/dfu/*.c))

# The file systems of the msc plugin, without USB; fs_image tries them on image files.
FS_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard plugins/msc/fs*.c plugins/msc/fat*.c plugins/msc/exfat*.c))
EXTRA_fs_image := $(FS_OBJECTS)
EXTRA_fs_huge := $(FS_OBJECTS)
EXTRA_fuzz_fat := $(BUILD)/tests/fuzz/fs_subject.o $(FS_OBJECTS)
EXTRA_fuzz_exfat := $(EXTRA_fuzz_fat)
# The transport of the msc plugin, on its own.
MSC_TRANSPORT := $(addprefix $(BUILD)/plugins/msc/,bot.o scsi.o scsi_io.o scsi_do.o sense.o)
EXTRA_msc_bot := $(MSC_TRANSPORT) $(BUILD)/tests/unit/fake_host.o
EXTRA_msc_scsi := $(EXTRA_msc_bot)
EXTRA_fuzz_msc := $(patsubst %.c,$(BUILD)/%.o,$(wildcard plugins/msc/*.c))
EXTRA_msc_partition := $(addprefix $(BUILD)/plugins/msc/,partition.o gpt.o)

# What tests of the ambarella plugin are linked with: its own objects, and a host that plays a script.
AMBARELLA_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard plugins/ambarella/*.c))
EXTRA_ambarella_record := $(AMBARELLA_OBJECTS) $(BUILD)/tests/unit/command_host.o
EXTRA_ambarella_a := $(EXTRA_ambarella_record)
EXTRA_ambarella_b := $(EXTRA_ambarella_record)
EXTRA_ambarella_c := $(EXTRA_ambarella_record)
EXTRA_fuzz_ambarella := $(AMBARELLA_OBJECTS)

# What tests of the simulated PTP camera are linked with: the model without the bus, and a host in its place.
SIM_PTP_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/sim/ptp*.c)) $(BUILD)/tests/sim/content.o \
	$(BUILD)/tests/sim/firmware.o
EXTRA_sim_content := $(BUILD)/tests/sim/content.o
EXTRA_sim_ptp := $(SIM_PTP_OBJECTS) $(BUILD)/tests/unit/ptp_host.o
EXTRA_sim_ptp_objects := $(EXTRA_sim_ptp)
EXTRA_sim_ptp_faults := $(EXTRA_sim_ptp)

# berthctl's parts: the archive comes before the floor that it stands on.
EXTRA_c4 := $(LIB_proof)
EXTRA_table := $(LIB_ctl)
EXTRA_display := $(LIB_ctl)
EXTRA_until := $(LIB_ctl)

# Tests that drive real workers: a loop around service/worker.c, and the programs and plugins that they start.
WORKER_TESTS := worker worker_pull worker_erase worker_hostile worker_mode sandbox
$(foreach t,$(WORKER_TESTS),$(eval EXTRA_$(t) := $(BUILD)/tests/integration/worker_rig.o))
$(foreach t,$(WORKER_TESTS),$(eval PKGS_$(t) := cmocka))
$(WORKER_TESTS:%=$(BUILD)/tests/integration/test_%): | $(BUILD)/berth-bay $(BUILD)/tests/berth-bay-unlocked $(TEST_PLUGINS)
# The worker without its sandbox, which the test of the sandbox proves its attempts against. Never installed.
BAY_UNLOCKED := $(filter-out %/sandbox.o %/sandbox_calls.o,$(patsubst %.c,$(BUILD)/%.o,$(wildcard daemon/bay/*.c)))
$(BUILD)/tests/berth-bay-unlocked: $(BAY_UNLOCKED) $(BUILD)/tests/integration/no_sandbox.o $(LIB_base)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -pie -rdynamic -o $@ $^ $(call pkg-libs,$(PKGS_base) $(PKGS_bay))

# The camera worker's own parts.
EXTRA_ring := $(BUILD)/daemon/bay/ring.o
EXTRA_sync_batch := $(BUILD)/daemon/bay/sync_batch.o
EXTRA_pull := $(LIB_bay)
PKGS_pull := $(PKGS_bay)
CONTAINER_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard daemon/bay/container*.c) daemon/bay/look.c)
$(foreach t,mp4 avi matroska date tell,$(eval EXTRA_container_$(t) := $(CONTAINER_OBJECTS)))
EXTRA_fill_facts := $(LIB_store)
PKGS_fill_facts := sqlite3
EXTRA_fuzz_container := $(CONTAINER_OBJECTS)
EXTRA_zone := $(BUILD)/daemon/bay/zone.o
EXTRA_host := $(EXTRA_sim_bus) $(filter-out %/main.o,$(patsubst %.c,$(BUILD)/%.o,$(wildcard daemon/bay/*.c)))
PKGS_host := cmocka $(PKGS_bay)

# ---- Running ----------------------------------------------------------------------------------------------------

RUN = BERTH_SRC='$(CURDIR)' BERTH_BUILD='$(abspath $(BUILD))' tests/run.py
UNIT_SCRIPTS := $(wildcard tests/unit/test_*.py)
INTEGRATION_SCRIPTS := $(wildcard tests/integration/test_*.py)
# Those that take minutes begin first, so that no one of them is left to run alone in the end.
longest-first = $(foreach n,$(1),$(filter %/test_$(n).py,$(2))) $(filter-out $(foreach n,$(1),%/test_$(n).py),$(2))
LONGEST_SIM := rollout charging trouble main_job msc mtp flash recover

.PHONY: check check-units check-sim check-demo check-asan check-tsan
# What takes one way through the code again and again, for minutes: `make check` leaves it to the plain build, `make check-asan` does not.
ASAN_LONG := chain_check dir_crash store_commit store_crash store_growth
TSAN_LONG := store_crash store_growth
check: export FUZZ_SECONDS := 10
check: export ASAN_LEFT_OUT := $(addprefix %/test_,$(ASAN_LONG))
check: export TSAN_LEFT_OUT := $(addprefix %/test_,$(TSAN_LONG))
# How often a sanitizer's test_store_damage damages a database: a twentieth of what the plain one does.
check: export SANITIZED_DAMAGES := 100
# A check looks less deep than `make lint`, which `make soak` runs.
check: export CLANG_ANALYZER := shallow
check: deps ## everything that continuous integration runs: units, simulator, sanitizers, lint, short fuzzing
	@.ci/install-packages $(DEPS_VM)
	@tests/check.py '$(MAKE)' check-build $(CHECK_PARTS)
# The longest first. No two parts may make the same files: what several need is made by check-build, and what they need of Debian is there before.
CHECK_PARTS := check-vm check-units check-sim check-asan check-store check-crash check-tsan fuzz-short lint check-demo
.PHONY: check-build
# Not "build": that is the folder.
check-build: all tests crash-points build-next-deb

check-units: all tests ## unit tests
	@$(RUN) --deadline 900 $(UNIT_TESTS) $(UNIT_SCRIPTS)
# They wait most of the time: for timers of the daemon's, for cameras that are slow on purpose.
check-sim: all tests ## integration tests in the simulated rack
	@$(RUN) --again --jobs 4 --deadline 900 $(call longest-first,$(LONGEST_SIM),$(filter-out %/test_units.py,$(INTEGRATION_TESTS) $(INTEGRATION_SCRIPTS)))

# Against stores that others wrote, each started by the test program that needs it.
STORE_SCRIPTS := $(wildcard tests/store/test_*.py)
.PHONY: check-store
check-store: all tests crash-points ## stores on the network against a real Ceph and a real tus server, behind a proxy that fails on purpose
	@$(CRASH_RUN) --again --jobs 3 --deadline 1800 $(STORE_SCRIPTS)

check-demo: all sim $(TEST_PLUGINS) ## the demo, without a terminal
	@BERTH_SRC='$(CURDIR)' BERTH_BUILD='$(abspath $(BUILD))' tests/demo/run </dev/null

# The installed Berth on a real kernel: a Debian guest, which is made once and kept, in an emulated machine.
# The simulator's cameras, for QEMU.
REDIR := $(BUILD)/tests/redir
REDIR_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/vm/*.c) \
	$(foreach m,ptp msc ambarella dfu,$(wildcard tests/sim/$(m)*.c)) tests/sim/models.c tests/sim/content.c tests/sim/firmware.c tests/sim/descriptors.c)
$(BUILD)/tests/vm/%.o: private CPPFLAGS += $(shell $(PKG_CONFIG) --cflags libusbredirparser-0.5)
$(REDIR): $(REDIR_OBJECTS) $(LIB_base)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(call pkg-libs,$(PKGS_base) libusbredirparser-0.5)
VM_SCRIPTS := $(wildcard tests/vm/test_*.py)
VM_DEADLINE ?= 3000
.PHONY: check-vm run-vm vm-guest
check-vm: ## the installed Berth on Debian's kernel, in QEMU; installs what that needs
	@.ci/install-packages $(DEPS_BUILD) $(DEPS_TEST) $(DEPS_VM) $(DEPS_DEB)
	@$(MAKE) --no-print-directory $(PARALLEL) run-vm
run-vm: vm-guest build-next-deb $(REDIR) $(PRELOADS)
	@$(RUN) --again --jobs 1 --deadline $(VM_DEADLINE) $(VM_SCRIPTS)
vm-guest: all
	@tests/vm/build-guest '$(BUILD)-vm'
	@rm -rf '$(BUILD)-vm/root'
	@$(MAKE) --no-print-directory install DESTDIR='$(abspath $(BUILD))-vm/root' >'$(BUILD)-vm/install.log'
	@tar --owner=0 --group=0 -C '$(BUILD)-vm/root' -cf '$(BUILD)-vm/berth.tar' .

# SIGKILL of any of the processes at random moments, and at each crash point; the long form takes KILLS= and DEEP=.
KILLS ?= 10000
DEEP ?= 6
.PHONY: check-crash soak
check-crash: all tests crash-points check-property ## 200 random kills, each crash point once, random sequences
	@$(RUN) --deadline 900 tests/crash/kills.py
	@$(CRASH_RUN) --deadline 3600 tests/crash/matrix.py
soak: all tests sim crash-points mutants check-asan check-tsan lint ## KILLS random kills (default 10000), crash points at several passes, an hour of sequences, 20 power cuts
	@PROPERTY_SECONDS=3600 BERTH_SRC='$(CURDIR)' $(PROPERTY)
	@ROLLOUTS_LONG=1 FLASH_LONG=1 MAIN_JOB_LONG=1 $(RUN) --deadline 1800 tests/store/test_s3_rollout.py \
		$(patsubst %,tests/integration/test_%.py,rollout flash main_job)
	@VM_LONG=1 POWER_CUTS=20 $(MAKE) --no-print-directory run-vm VM_DEADLINE=14400 \
		VM_SCRIPTS='tests/vm/test_power.py tests/vm/test_gadgets.py'
	@BERTH_SRC='$(CURDIR)' BERTH_BUILD='$(abspath $(BUILD))' tests/crash/kills.py --disk $(KILLS)
	@BERTH_CRASH_BUILD='$(abspath $(BUILD))-crash' BERTH_SRC='$(CURDIR)' BERTH_BUILD='$(abspath $(BUILD))' tests/crash/matrix.py --deep $(DEEP)

# The programs with the places where the crash matrix ends them (base/crash_point.h), in a folder of their own.
CRASH_RUN = BERTH_CRASH_BUILD='$(abspath $(BUILD))-crash' $(RUN)
.PHONY: crash-points
crash-points: all sim ## build the programs with their crash points
	@$(MAKE) --no-print-directory BUILD='$(BUILD)-crash' PLAIN_BUILD='$(BUILD)' CRASH_POINTS=1 all sim

# ---- Sanitizers: the same programs, built anew in folders of their own --------------------------------------------

# A report ends the program with a status that no test takes for an answer.
export ASAN_OPTIONS ?= detect_stack_use_after_return=1:strict_string_checks=1:exitcode=99
export UBSAN_OPTIONS ?= print_stacktrace=1:exitcode=99
export TSAN_OPTIONS ?= second_deadlock_stack=1:exitcode=99
# What threads share data in: the store thread, the jobs, the worker's ring and its pull.
TSAN_TESTS = $(wildcard $(foreach n,jobs store writer ring pull,tests/unit/test_$(n).c tests/unit/test_$(n)_*.c))

# A kernel that strews its mappings over more than 28 bits leaves the sanitizers of gcc 12 and clang 14 no place for theirs, now and then.
RUN_SANITIZED = $(shell [ "$$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0)" -le 28 ] || echo setarch -R) env

# Scripts that feed a program of ours what breaks parsers.
ASAN_SCRIPTS := tests/unit/test_fat_hostile.py tests/unit/test_exfat_hostile.py
check-asan: ## unit and chosen integration tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory BUILD='$(BUILD)-asan' SANITIZE=address,undefined run-asan
check-tsan: ## tests of what threads share, under ThreadSanitizer
	@$(MAKE) --no-print-directory BUILD='$(BUILD)-tsan' SANITIZE=thread run-tsan
.PHONY: run-asan run-tsan
run-asan: all tests
	@$(RUN_SANITIZED) BERTH_DAMAGES=$(SANITIZED_DAMAGES) $(RUN) --deadline 1800 $(filter-out $(ASAN_LEFT_OUT),$(UNIT_TESTS)) $(INTEGRATION_TESTS) $(ASAN_SCRIPTS)
run-tsan: $(TSAN_TESTS:tests/unit/%.c=$(BUILD)/tests/%)
	@$(RUN_SANITIZED) BERTH_DAMAGES=$(SANITIZED_DAMAGES) $(RUN) --deadline 1800 $(filter-out $(TSAN_LEFT_OUT),$^)

# ---- Fuzzing ----------------------------------------------------------------------------------------------------

# tests/fuzz/fuzz_X.c, with seeds in tests/fuzz/corpus/X/ and its libraries in EXTRA_fuzz_X and PKGS_fuzz_X.
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 60
FUZZ_LONG_SECONDS ?= 3600
$(FUZZERS): $(BUILD)/tests/%: $(BUILD)/tests/fuzz/%.o $$(EXTRA_$$*) $(LIB_model) $(LIB_store) $(LIB_base)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(call pkg-libs,$(DAEMON_PKGS) $(PKGS_$*))

.PHONY: fuzz fuzz-short run-fuzz
FUZZ = $(MAKE) --no-print-directory BUILD='$(BUILD)-fuzz' SANITIZE=address,undefined,fuzzer-no-link CC=clang WARNINGS=-w run-fuzz
fuzz-short: ## each parser of outside bytes under libFuzzer for FUZZ_SECONDS (a minute)
	@$(FUZZ) FUZZ_SECONDS=$(FUZZ_SECONDS)
fuzz: ## the same for FUZZ_LONG_SECONDS (an hour)
	@$(FUZZ) FUZZ_SECONDS=$(FUZZ_LONG_SECONDS)
run-fuzz: $(FUZZERS)
	@$(RUN_SANITIZED) FUZZERS='$(abspath $(FUZZERS))' FUZZ_SECONDS=$(FUZZ_SECONDS) \
		$(RUN) --deadline $$(( $(FUZZ_SECONDS) * $(words $(FUZZERS)) + 600 )) tests/fuzz/run.py

# ---- Lint -------------------------------------------------------------------------------------------------------

# Tests are compiled with all warnings, but not analysed: after each assert of theirs the analysers see a way on.
C_FILES := $(wildcard daemon/*.c daemon/*/*.c plugins/*/*.c tests/sim/*.c bench/*.c docs/plugin-example/*.c)
SCRIPTS := $(shell grep -lsE '^\#!/bin/(ba)?sh' .ci/* debian/* docs/examples/* tests/* tests/*/* tests/vm/guest/* bench/*)

# cppcheck reads no system header: it is told what a loop macro is, and not asked about leaks, since it knows nothing of
# release by scope (ASan sees leaks), nor about NULL, which accept4() does take (gcc -fanalyzer looks for that).
CPPCHECK := cppcheck --quiet --std=c11 --enable=warning,portability,performance --inline-suppr --error-exitcode=1 \
	--library=posix --library=gnu --include=$(firstword $(wildcard /usr/include/sys/queue.h /usr/include/*-linux-gnu/sys/queue.h)) \
	$(addprefix --suppress=,memleak resourceLeak autoVariables readdirCalled getgrnamCalled getpwnamCalled getpwuidCalled nullPointer internalAstError \
	missingIncludeSystem) \
	-Iinclude -Idaemon -Itests -D_GNU_SOURCE -DBERTH_VERSION='"0"' -D'json_object_foreach(o,k,v)=while((v=o)&&(k=""))' \
	-D'json_array_foreach(a,i,v)=while((v=a)&&(i=1))'

LINTS := lint-floors lint-words lint-style lint-shell lint-man lint-cppcheck lint-files lint-units lint-deb
.PHONY: lint $(LINTS)
lint: $(LINTS) ## floors, words, style, shellcheck, mandoc, cppcheck, gcc -fanalyzer, clang-tidy, systemd-analyze, lintian
lint-floors:
	tests/lint/floors.py
lint-words:
	tests/lint/words.py
lint-style:
	tests/lint/style.py
lint-shell:
	shellcheck $(SCRIPTS)
	shellcheck --shell=bash completion/bash/berthctl
lint-man: $(DBUS_PAGE)
	mandoc -T lint -W warning $(wildcard man/*.[1-8]) $(DBUS_PAGE)
lint-cppcheck:
	$(CPPCHECK) -j$(shell nproc) $(C_FILES)
lint-deb: build-deb
	lintian --allow-root --pedantic --display-info --fail-on=error,warning,info,pedantic --tag-display-limit=0 $(DEB)/*.changes
lint-units: all sim
	@$(RUN) --deadline 900 tests/integration/test_units.py
# How far clang's analyser follows calls, and how many states of a function it looks at: "shallow" takes a fraction of the time. gcc's
# follows them in each case.
CLANG_ANALYZER ?= deep
LOOKS := mode=$(CLANG_ANALYZER) $(if $(filter shallow,$(CLANG_ANALYZER)),max-nodes=20000)
# One file at a time, so that make runs several and repeats only those that changed.
LINTED := $(BUILD)/lint$(if $(filter shallow,$(CLANG_ANALYZER)),-shallow)
lint-files: $(C_FILES:%.c=$(LINTED)/%.ok)
$(LINTED)/%.ok: %.c $(BUILD)/flags tests/lint/clang-tidy.yaml
	@mkdir -p $(@D)
	$(call say,LINT)$(CC) $(CFLAGS_ALL) $(VERSION_FLAG) $(LINT_FLAGS) $(ANALYZER) -MMD -MP -MT $@ -MF $(@:.ok=.d) -c -o $(@:.ok=.o) $<
	@clang-tidy --quiet --config-file=tests/lint/clang-tidy.yaml $< -- -std=gnu11 -D_GNU_SOURCE $(PLACES) $(VERSION_FLAG) -Iinclude -Idaemon \
		$(PKG_CFLAGS) $(LINT_FLAGS) $(LOOKS:%=-Xclang -analyzer-config -Xclang %) > $@.log 2>&1 || { cat $@.log; exit 1; }
	@touch $@
# Leaks are left to ASan: this gcc loses track of what a list or a table owns. Without -O0, gcc has removed some mistakes (a
# double free of an unused object) before it looks.
ANALYZER := -O0 -U_FORTIFY_SOURCE -fanalyzer -Wno-analyzer-malloc-leak
LINT_FLAGS = -Itests $(PKG_CFLAGS_TEST)
