#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""check.py MAKE FIRST PART…: makes FIRST (a make target), then the parts, two beside each other, and sums up.

Whenever a part has ended the next one begins, so that parts that wait most of the time and parts that need all processors share the
machine, and it has work until the end. What a part prints is shown when it has ended, in one piece. A part whose tests
ran under tests/run.py counts with their numbers, any other part as one test. A failing part does not keep the next ones from
running, but nothing is tested once FIRST has failed.

The last lines are the time of each part and of its processes on processors; each test that failed, in one line, short enough that a log
whose middle was cut still has them; each that passed only when it was run again (UNSTEADY); and "N passed, N failed[, N skipped]" over
all of them.
"""

import collections
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time

# All lines about failures together, the least that one of them gets, and how many are told.
FAILURES_MAX, FAILURE_MIN, FAILURES_TOLD = 1000, 100, 20
AT_ONCE = 2
UNSTEADY_MAX = 200


def without_jobserver(flags):
    """MAKEFLAGS for a make that divides the machine anew: the jobserver's descriptors do not reach it."""
    return " ".join(f for f in shlex.split(flags) if not f.startswith(("-j", "--jobserver"))) if "jobserver" in flags else flags


def shortened(line, length):
    return line if len(line) <= length else line[:length - 1] + "…"


def minutes(seconds):
    return f"{int(seconds) // 60:3d} min {int(seconds) % 60:2d} s"


class Check:
    def __init__(self, make, folder):
        self.make, self.folder = make, folder
        self.started = time.monotonic()
        self.lock = threading.Lock()
        self.running = {}  # part: (its process, the file with what it prints)
        self.done = []
        self.ending = False

    def say(self, part, text):
        print(f"==== {minutes(time.monotonic() - self.started)}: {part} {text}", flush=True)

    def _start(self, part, output, results):
        environment = dict(os.environ, BERTH_RESULTS=results, MAKEFLAGS=without_jobserver(os.environ.get("MAKEFLAGS", "")))
        command = [self.make, "--no-print-directory", f"-j{os.cpu_count()}", "--keep-going", part]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
                                start_new_session=True)

    def run(self, part):
        """False when it failed."""
        results, shown = (os.path.join(self.folder, part + end) for end in (".results", ".output"))
        open(results, "w", encoding="utf-8").close()
        started = time.monotonic()
        with open(shown, "wb") as output:
            with self.lock:
                if self.ending:
                    return False
                self.say(part, "begins")
                process = self._start(part, output, results)
                self.running[part] = (process, shown)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        d = self._judge(part, process.returncode, results)
        d["seconds"], d["processor"] = time.monotonic() - started, usage.ru_utime + usage.ru_stime
        with self.lock:
            del self.running[part]
            self.done.append(d)
            print()
            self.say(part, "said")
            self._show(shown)
        return not d["failed"]

    @staticmethod
    def _judge(part, status, results_file):
        with open(results_file, encoding="utf-8") as f:
            results = [json.loads(line) for line in f]
        numbers = {key: sum(r[key] for r in results) for key in ("passed", "failed", "skipped")}
        broken, unsteady = ([line for r in results for line in r[key]] for key in ("broken", "unsteady"))
        if status != 0 and not numbers["failed"]:
            numbers["failed"] = 1
            broken.append(f"make {part} ended with exit status {status}; its messages are above")
        elif not results:
            numbers["passed"] = 1
        return {"part": part, "broken": broken, "unsteady": unsteady, **numbers}

    @staticmethod
    def _show(path):
        sys.stdout.flush()
        with open(path, "rb") as f:
            while data := f.read(1 << 20):
                sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def run_from(self, parts):
        while True:
            try:
                part = parts.popleft()
            except IndexError:
                return
            self.run(part)

    def end(self, *_):
        """Somebody wants it to end: what it was about is shown."""
        self.ending = True
        for part, (process, shown) in list(self.running.items()):
            # With all that make began: it does not pass the signal on.
            os.killpg(process.pid, signal.SIGTERM)
            self.say(part, "was ended, and said so far")
            self._show(shown)
        sys.exit(143)

    def sum_up(self):
        print("\n==== summary " + "=" * 65)
        for d in self.done:
            counts = f"{d['passed']} passed, {d['failed']} failed" + (f", {d['skipped']} skipped" if d["skipped"] else "")
            print(f"  {d['part']:12}{minutes(d['seconds'])} (processors {minutes(d['processor']).strip()})   {counts}")
        print(f"  {'all':12}{minutes(time.monotonic() - self.started)}")
        for line in [line for d in self.done for line in d["unsteady"]]:
            print("UNSTEADY " + shortened(line, UNSTEADY_MAX))
        broken = [line for d in self.done for line in d["broken"]]
        length = max(FAILURE_MIN, FAILURES_MAX // max(1, len(broken)))
        for line in broken[:FAILURES_TOLD]:
            print("FAILED " + shortened(line, length))
        if len(broken) > FAILURES_TOLD:
            print(f"and {len(broken) - FAILURES_TOLD} more, which are named above")
        total = {key: sum(d[key] for d in self.done) for key in ("passed", "failed", "skipped")}
        print(f"{total['passed']} passed, {total['failed']} failed" + (f", {total['skipped']} skipped" if total["skipped"] else ""))
        return 1 if total["failed"] or not total["passed"] else 0


def main():
    make, first, *parts = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="berth-check-") as folder:
        check = Check(make, folder)
        signal.signal(signal.SIGTERM, check.end)
        signal.signal(signal.SIGINT, check.end)
        if check.run(first):
            left = collections.deque(parts)
            threads = [threading.Thread(target=check.run_from, args=(left,), daemon=True) for _ in range(AT_ONCE)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return check.sum_up()


if __name__ == "__main__":
    sys.exit(main())
