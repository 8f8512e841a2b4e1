#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the custody log says of the dock itself: its settings, and how the daemon's runs began and ended."""

import hashlib
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import rack  # noqa: E402


def canonical(values):
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_settings_go_on_record_when_they_changed(sim, dock):
    d = dock(["1-1.1"]).start()
    first, = d.wait(lambda: d.events("settings"), "the settings")
    assert first["values"]["dock.name"] == "test-dock" and first["values"]["bay 1-1.1.number"] == "1", first
    assert first["digest"] == hashlib.sha256(canonical(first["values"])).hexdigest(), first
    assert set(first["changed"]) == set(first["values"]), first
    d.daemon.end()
    d.start_daemon()
    d.wait(lambda: len(d.events("daemon-started")) == 2, "the second start")
    d.daemon.end()
    assert len(d.events("settings")) == 1, "the same settings are told twice"
    d.write_config("[custody]\ncheckpoint_every = 30s\n")
    d.config["policy"] = {"set_clock": "no"}
    d.write_config("[custody]\ncheckpoint_every = 30s\n")
    d.start_daemon()
    second = d.wait(lambda: d.events("settings")[1:], "the other settings")[0]
    assert sorted(second["changed"]) == ["custody.checkpoint_every", "policy.set_clock"], second
    assert second["values"]["policy.set_clock"] == "no" and second["digest"] != first["digest"], second
    d.daemon.end()
    d.write_config("")
    d.start_daemon()
    third = d.wait(lambda: d.events("settings")[2:], "a key that is gone")[0]
    assert third["changed"] == ["custody.checkpoint_every"] and "custody.checkpoint_every" not in third["values"], third
    line = [x for x in subprocess.run([f"{rack.BUILD}/berthctl", "log", "--lines=0"], capture_output=True, text=True,
                                      check=True).stdout.splitlines() if "  settings" in x][-1]
    assert "changed=custody.checkpoint_every" in line, line
    d.check_chain()


def test_run_that_was_killed_is_told_from_one_that_ended(sim, dock):
    d = dock(["1-1.1"]).start()
    d.wait(lambda: d.events("settings"), "the first start")
    d.daemon.end()
    d.start_daemon()
    d.wait(lambda: len(d.events("daemon-started")) == 2, "the second start")
    d.daemon.end(signal.SIGKILL)
    d.start_daemon()
    d.wait(lambda: len(d.events("daemon-started")) == 3, "the third start")
    assert [e.get("last_run") for e in d.events("daemon-started")] == [None, "ended", "crashed"], d.events("daemon-started")


rack.run([test_settings_go_on_record_when_they_changed, test_run_that_was_killed_is_told_from_one_that_ended])
