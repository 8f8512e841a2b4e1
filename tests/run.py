#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs test programs that speak TAP and says how many tests passed.

Each program runs in a session and a scratch folder (TMPDIR, and its working directory) of its own, with its output on
a terminal so that the lines before a hang are not lost in a buffer. A program fails when a test of it fails, when it
exits non-zero or by a signal, when its plan is missing or not kept, and when it outstays the deadline: then what it
printed so far is shown. The last line is "N passed, N failed[, N skipped]"; with BERTH_RESULTS set, the numbers are
appended to that file instead, for tests/check.py.

With --again, for programs that play whole docks and share a small machine with others, what failed is run once more when nothing
else of this run is left, and that counts. Nothing is hidden by it: the first failure is shown, and such a test is UNSTEADY in the
summary, which is a bug to be mended. When more than a few tests fail, they have failed.
"""

import argparse
import concurrent.futures
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time

OUTPUT_MAX = 64 << 20
SHOWN_MAX = 1 << 20
TAIL_LINES = 60
ABORT_GRACE_SEC = 5
LEFT_BEHIND_GRACE_SEC = 3

PLAN = re.compile(r"1\.\.(\d+)(?:\s*#\s*skip\S*\s*(.*))?$", re.I)
POINT = re.compile(r"(not )?ok\b\s*(\d*)\s*-?\s*(.*)$")
SKIP = re.compile(r"#\s*skip\b\s*(.*)$", re.I)
# How a traceback of Python ends, in a comment; and a line of one that is in a test.
ERROR = re.compile(r"# (\w[\w.]*: .*|\w*(?:Error|Exception))$")
TEST_FRAME = re.compile(r'^\s*File ".*", line (\d+),? in (test_\w+)$')
WHY_MAX = 400

# With --again: so many failures may be chance, and so long may a program have taken that is run again whole.
AGAIN_TESTS_MAX = 8
AGAIN_SECONDS_MAX = 400


class Tap:
    """What one program's output says. Several plans in one output add up (cmocka prints one for each group)."""

    def __init__(self, text):
        self.planned = None
        self.reported = 0
        self.passed = 0
        self.failed = []
        self.whys = []  # of those that failed, one line each, or ""
        self.skipped = []
        self.unsteady = []  # what the program itself ran again
        self.bailed_out = None
        self._error = ""
        self._waits_for_why = self._in_traceback = False
        for line in text.splitlines():
            self._line(line.rstrip())

    def _comment(self, line):
        """Python's tests say why before the point, or behind it with the logs of their dock; cmocka's behind it."""
        if line.startswith("# UNSTEADY "):
            self.unsteady.append(line.removeprefix("# UNSTEADY "))
        error = ERROR.match(line)
        if error:
            self._error = error.group(1)
        if not self._waits_for_why or not line.strip("# "):
            return
        if line.startswith("# Traceback "):
            self._in_traceback = True
        elif not self._in_traceback:
            self.whys[-1] = line.strip("# ")
            self._waits_for_why = False
        elif error:
            self.whys[-1] = error.group(1)
        elif line.startswith("# ----"):
            self._waits_for_why = False

    def _line(self, line):
        if line.startswith("#"):
            self._comment(line)
            return
        plan = PLAN.match(line)
        if plan:
            count = int(plan.group(1))
            self.planned = (self.planned or 0) + count
            if count == 0:
                self.skipped.append(plan.group(2) or "everything")
            return
        if line.startswith("Bail out!"):
            self.bailed_out = line
            return
        point = POINT.match(line)
        if not point:
            return
        skip = SKIP.search(line)
        name = point.group(3) or "test " + point.group(2)
        self.reported += 1
        error, self._error = self._error, ""
        self._waits_for_why = self._in_traceback = False
        if point.group(1):
            self.failed.append(name)
            self.whys.append(error)
            self._waits_for_why = not error
        elif skip:
            self.skipped.append(name)
        else:
            self.passed += 1


class Result:
    def __init__(self, program, output, status, seconds, processor, hung, left_behind):
        self.program = program
        self.output = output
        self.seconds = seconds
        self.processor = processor
        tap = Tap(output)
        self.passed = tap.passed
        self.skipped = tap.skipped
        self.complaints = [f"{name}: {why[:WHY_MAX]}" if why else name for name, why in zip(tap.failed, tap.whys)]
        self.failed = len(tap.failed)
        # Tests in Python can be chosen by name; whoever did not end as planned is run again whole.
        self.choosable = [name for name in tap.failed if re.fullmatch(r"test_\w+", name)] if program.endswith(".py") else []
        self.unsteady = tap.unsteady
        self.notes = []
        if left_behind:
            self.notes.append("left processes behind, which were killed: " + ", ".join(left_behind))
        missing = (tap.planned or 0) - tap.reported
        if hung:
            self._broken(f"still running at its deadline, {seconds:.0f} s after its start; killed{where(output)}", missing)
        elif status < 0:
            self._broken(f"died by {signal_name(-status)}", missing)
        elif tap.bailed_out:
            self._broken(tap.bailed_out, missing)
        elif tap.planned is None:
            self._broken(f"printed no plan (exit status {status})", 0)
        elif missing != 0:
            self._broken(f"planned {tap.planned} tests and reported {tap.reported}", missing)
        elif status != 0 and not tap.failed:
            self._broken(f"exit status {status} although no test of it failed", 0)
        self.hung = hung

    def _broken(self, why, missing):
        self.complaints.append(why)
        self.choosable = []
        self.failed += max(1, missing)

    def tests_again(self):
        """What to run again: names of tests, or nothing for all of them. None: not at all."""
        if self.choosable and len(self.choosable) == self.failed:
            return self.choosable
        return [] if self.seconds <= AGAIN_SECONDS_MAX else None

    def settle(self, second, names):
        """The second run's word counts, for the tests that it ran."""
        self.unsteady += [] if second.failed else self.complaints
        self.passed = self.passed + second.passed if names else second.passed
        self.skipped = self.skipped + second.skipped if names else second.skipped
        self.failed, self.complaints = second.failed, second.complaints


def where(output):
    """The test in which a program of Python's was when it was told to end, by its fault handler."""
    frames = [frame for frame in map(TEST_FRAME.match, output.splitlines()) if frame]
    return f" in {frames[-1].group(2)}, line {frames[-1].group(1)}" if frames else ""


def signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def session_members(session):
    """The living processes of a session, as {pid: name}."""
    members = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                text = f.read()
        except OSError:
            continue
        name = text[text.index("(") + 1:text.rindex(")")]
        fields = text[text.rindex(")") + 2:].split()
        if fields[0] not in "ZX" and int(fields[3]) == session:
            members[int(entry)] = name
    return members


def end_session(session, grace_sec):
    """Waits for the session's processes to end, then kills them. The names of those that it had to kill."""
    until = time.monotonic() + grace_sec
    while session_members(session) and time.monotonic() < until:
        time.sleep(0.02)
    killed = session_members(session)
    for pid in killed:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return sorted(killed.values())


class Runner:
    def __init__(self, deadline_sec):
        self.deadline_sec = deadline_sec
        self.stopping = threading.Event()

    def run(self, program, *tests):
        scratch = tempfile.mkdtemp(prefix="berth-test-")
        # Tests that act as other users must get through.
        os.chmod(scratch, 0o711)
        try:
            return self._run_in(program, tests, scratch)
        finally:
            # Whatever a test made unreadable or mounted is its own affair; it must not hide the result.
            shutil.rmtree(scratch, ignore_errors=True)

    def _start(self, program, tests, scratch, terminal):
        environment = dict(os.environ, TMPDIR=scratch, PYTHONFAULTHANDLER="1", PYTHONDONTWRITEBYTECODE="1")
        environment.pop("MAKEFLAGS", None)
        environment.pop("BERTH_RESULTS", None)
        return subprocess.Popen([os.path.abspath(program), *tests], stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal,
                                cwd=scratch, env=environment, start_new_session=True)

    def _run_in(self, program, tests, scratch):
        started = time.monotonic()
        master, slave = pty.openpty()
        attributes = termios.tcgetattr(slave)
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        try:
            child = self._start(program, tests, scratch, slave)
        except OSError as e:
            os.close(master)
            return Result(program, f"cannot be started: {e}\n", 127, 0, 0, False, [])
        finally:
            os.close(slave)
        output = bytearray()
        abort_at = started + self.deadline_sec
        hung = False
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                child.returncode = os.waitstatus_to_exitcode(status)
                break
            self._read(master, output, 0.05)
            if not hung and (time.monotonic() > abort_at or self.stopping.is_set() or len(output) > OUTPUT_MAX):
                hung = True
                # Programs that can, say where they are.
                os.kill(child.pid, signal.SIGABRT)
                kill_at = time.monotonic() + ABORT_GRACE_SEC
            elif hung and time.monotonic() > kill_at:
                os.kill(child.pid, signal.SIGKILL)
        seconds = time.monotonic() - started
        left_behind = end_session(child.pid, 0 if hung else LEFT_BEHIND_GRACE_SEC)
        while self._read(master, output, 0):
            pass
        os.close(master)
        return Result(program, output.decode("utf-8", "replace"), child.returncode, seconds, usage.ru_utime + usage.ru_stime, hung,
                      [] if hung else left_behind)

    @staticmethod
    def _read(master, output, wait_sec):
        """One read; false when there was nothing, or when nobody holds the other end any more."""
        if not select.select([master], [], [], wait_sec)[0]:
            return False
        try:
            data = os.read(master, 65536)
        except OSError:
            time.sleep(min(wait_sec, 0.01))
            return False
        output += data
        return bool(data)


def show(result):
    name = os.path.basename(result.program)
    verdict = "FAIL" if result.failed else "skip" if not result.passed and result.skipped else "ok"
    counts = f"{result.passed} passed" + (f", {result.failed} failed" if result.failed else "")
    counts += f", {len(result.skipped)} skipped" if result.skipped else ""
    print(f"  {verdict:4} {name:32} {counts} ({result.seconds:.1f} s, on processors {result.processor:.1f} s)")
    for note in result.notes:
        print(f"       note: {note}")
    for reason in result.skipped:
        print(f"       skipped: {reason}")
    if result.failed:
        for complaint in result.complaints:
            print(f"       not ok: {complaint}")
        text = result.output
        if result.hung:
            text = "\n".join(text.splitlines()[-TAIL_LINES:])
        elif len(text) > SHOWN_MAX:
            text = "…\n" + text[-SHOWN_MAX:]
        print(f"  ---- output of {name} " + "-" * 40)
        print("\n".join("  | " + line for line in text.splitlines()))
        print("  " + "-" * 56)
    sys.stdout.flush()


def run_again(runner, results):
    failed = [result for result in results if result.failed]
    if sum(result.failed for result in failed) > AGAIN_TESTS_MAX:
        return
    for result in failed:
        tests = result.tests_again()
        if tests is None:
            continue
        print(f"Once more, alone: {os.path.basename(result.program)} {' '.join(tests)}".rstrip())
        second = runner.run(result.program, *tests)
        show(second)
        # One that is skipped the second time has not passed.
        if len(second.skipped) <= (0 if tests else len(result.skipped)):
            result.settle(second, tests)


def run_all(programs, deadline_sec, jobs, again):
    runner = Runner(deadline_sec)
    results, futures = [], []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        # From the first one on: the signal may come before the last is begun.
        try:
            for program in programs:
                futures.append(pool.submit(runner.run, program))
            for future in concurrent.futures.as_completed(futures):
                results.append(future.result())
                show(results[-1])
            if again:
                run_again(runner, results)
        except BaseException:
            runner.stopping.set()
            for future in futures:
                future.cancel()
            raise
    return results


def main():
    parser = argparse.ArgumentParser(description="Runs test programs that speak TAP.")
    parser.add_argument("--deadline", type=float, default=300, metavar="SECONDS",
                        help="how long one program may take before it counts as hung")
    parser.add_argument("--jobs", type=int, default=2, help="how many programs run at once")
    parser.add_argument("--again", action="store_true", help="run what failed once more, alone, and let that count")
    parser.add_argument("programs", nargs="*")
    arguments = parser.parse_args()
    # An end by SIGTERM takes the programs along, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    results = run_all(arguments.programs, arguments.deadline, arguments.jobs, arguments.again)
    passed = sum(r.passed for r in results)
    failed = sum(r.failed for r in results)
    skipped = sum(len(r.skipped) for r in results)
    broken = [f"{os.path.basename(r.program)}: {c}" for r in results for c in r.complaints if r.failed]
    unsteady = [f"{os.path.basename(r.program)}: {c}" for r in results for c in r.unsteady]
    if broken:
        print("\nFailed:")
        print("\n".join("  " + line for line in broken))
    for line in unsteady:
        print(f"UNSTEADY {line}")
    if passed + failed == 0:
        print("No test ran.")
    if os.environ.get("BERTH_RESULTS"):
        with open(os.environ["BERTH_RESULTS"], "a", encoding="utf-8") as f:
            f.write(json.dumps({"passed": passed, "failed": failed, "skipped": skipped, "broken": broken, "unsteady": unsteady}) + "\n")
    else:
        print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
