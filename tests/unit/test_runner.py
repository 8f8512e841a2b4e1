#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tests/run.py sees every way in which a test program can fail, and tests/check.py tells of each in its last lines."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)
import tap  # noqa: E402

GOOD = "echo 1..2; echo ok 1 - a; echo ok 2 - b"


def run(*scripts, deadline=120, results=False, options=()):
    """Runs the runner on shell scripts; (exit status, lines of output[, numbers])."""
    with tempfile.TemporaryDirectory() as folder:
        programs = []
        for number, script in enumerate(scripts):
            path = os.path.join(folder, f"program{number}")
            with open(path, "w", encoding="utf-8") as f:
                f.write("#!/bin/bash\n" + script + "\n")
            os.chmod(path, 0o755)
            programs.append(path)
        environment = dict(os.environ)
        environment.pop("BERTH_RESULTS", None)
        if results:
            environment["BERTH_RESULTS"] = os.path.join(folder, "results")
        done = subprocess.run([os.path.join(TESTS, "run.py"), "--deadline", str(deadline), *options, *programs],
                              stdout=subprocess.PIPE, text=True, env=environment, check=False)
        lines = done.stdout.splitlines()
        if not results:
            return done.returncode, lines
        with open(environment["BERTH_RESULTS"], encoding="utf-8") as f:
            return done.returncode, lines, json.loads(f.read())


def expect(got, status, last):
    assert got[0] == status, got
    assert got[1][-1] == last, got


def test_passing_programs_are_counted():
    expect(run(GOOD, GOOD), 0, "4 passed, 0 failed")


def test_a_failing_test_is_named_and_its_output_shown():
    got = run("echo 1..2; echo ok 1 - a; echo '# because of it'; echo not ok 2 - the promise; exit 1", GOOD)
    expect(got, 1, "3 passed, 1 failed")
    assert any("the promise" in line for line in got[1])
    assert any("because of it" in line for line in got[1])


def broken(*scripts, **options):
    """What the summary of a whole check gets."""
    return [line.split(": ", 1)[1] for line in run(*scripts, results=True, **options)[2]["broken"]]


def test_why_a_test_failed_is_told_in_one_line():
    python = """cat <<'END'
1..3
# Traceback (most recent call last):
#   File "x.py", line 3, in test_a
#     assert number == 7, number
# guest.GuestError: not this one
# During handling of the above exception, another exception occurred:
# AssertionError: 8
# and what else it held
not ok 1 - test_a
ok 2 - test_b
not ok 3 - test_c
END
exit 1"""
    assert broken(python) == ["test_a: AssertionError: 8", "test_c"]
    dock = """cat <<'END'
1..2
not ok 1 - test_a
# Traceback (most recent call last):
#   File "x.py", line 3, in test_a
# KeyError: 'a'
# During handling of the above exception, another exception occurred:
# AssertionError: (('checkout', 'P-1'), 7)
# ---- berthd.log
# fake: a line of a log
ok 2 - test_b
END
exit 1"""
    assert broken(dock) == ["test_a: AssertionError: (('checkout', 'P-1'), 7)"]
    cmocka = "echo 1..2; echo not ok 1 - a; echo '#'; echo '# 0x1 != 0x2'; echo '# a.c:7: error: Failure!'; echo ok 2 - b; exit 1"
    assert broken(cmocka) == ["a: 0x1 != 0x2"]


def test_a_hang_is_told_with_the_test_in_which_it_was():
    python = "import threading\ndef test_gate():\n    threading.Event().wait()\nprint('1..1', flush=True)\ntest_gate()"
    why, = broken(f"cat > hang.py <<'END'\n{python}\nEND\nexec python3 hang.py", deadline=15)
    assert "deadline" in why and why.endswith("killed in test_gate, line 3"), why


# A test in Python, failing the first time alone; and how often each of its tests was run.
UNSTEADY = """#!/usr/bin/python3
import os, sys
chosen = sys.argv[1:] or ["test_a", "test_b"]
note = os.environ["NOTE"]
print(f"1..{len(chosen)}")
for name in chosen:
    with open(note, "a+") as f:
        f.seek(0)
        first = name not in f.read().split()
        f.write(name + chr(10))
    if name == "test_b" and (first or ALWAYS):
        print("# AssertionError: late")
        print("not ok - test_b")
    else:
        print("ok - " + name)
sys.exit(0)
"""


def unsteady(always, *options):
    """(exit status, numbers, the tests in the order in which they ran)."""
    with tempfile.TemporaryDirectory() as folder:
        program, note, numbers = (os.path.join(folder, name) for name in ("test_it.py", "note", "numbers"))
        with open(program, "w", encoding="utf-8") as f:
            f.write(UNSTEADY.replace("ALWAYS", str(always)))
        os.chmod(program, 0o755)
        done = subprocess.run([os.path.join(TESTS, "run.py"), *options, program], stdout=subprocess.PIPE, text=True, check=False,
                              env=dict(os.environ, NOTE=note, BERTH_RESULTS=numbers))
        with open(note, encoding="utf-8") as ran, open(numbers, encoding="utf-8") as told_:
            return done.returncode, json.loads(told_.read()), ran.read().split()


def test_with_again_a_failed_test_is_run_once_more_and_told_as_unsteady():
    status, numbers, ran = unsteady(False, "--again")
    assert status == 0 and (numbers["passed"], numbers["failed"]) == (2, 0), numbers
    assert numbers["unsteady"] == ["test_it.py: test_b: AssertionError: late"] and not numbers["broken"], numbers
    assert ran == ["test_a", "test_b", "test_b"], ran


def test_what_fails_twice_has_failed_and_nothing_is_run_again_unasked():
    status, numbers, ran = unsteady(True, "--again")
    assert status == 1 and (numbers["passed"], numbers["failed"]) == (1, 1) and not numbers["unsteady"], numbers
    assert ran == ["test_a", "test_b", "test_b"], ran
    status, numbers, ran = unsteady(False)
    assert status == 1 and numbers["failed"] == 1 and ran == ["test_a", "test_b"], (numbers, ran)


def test_what_a_program_ran_again_itself_is_told():
    got = run("echo 1..1; echo '# UNSTEADY the gate: late'; echo ok 1 - a", results=True)
    assert got[0] == 0 and got[2]["unsteady"] == ["program0: the gate: late"], got


def test_a_test_that_is_skipped_the_second_time_has_failed():
    script = "echo 1..1; if [ -e $NOTE ]; then echo 'ok 1 - a # SKIP not now'; else touch $NOTE; echo not ok 1 - a; exit 1; fi"
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NOTE"] = os.path.join(folder, "note")
        expect(run(script, options=("--again",)), 1, "0 passed, 1 failed")


def test_many_failures_are_no_chance():
    script = "echo 1..9; for n in 1 2 3 4 5 6 7 8 9; do echo not ok $n - a; done; echo again; exit 1"
    got = run(script, options=("--again",))
    expect(got, 1, "0 passed, 9 failed")
    assert not any("Once more" in line for line in got[1]), got


def check(parts, *names):
    """tests/check.py of these, in this order, with a make that runs scripts; (exit status, lines of output)."""
    with tempfile.TemporaryDirectory() as folder:
        make = os.path.join(folder, "make")
        with open(make, "w", encoding="utf-8") as f:
            f.write('#!/bin/bash\ncase "${@: -1}" in\n' + "".join(f"{name}) {script};;\n" for name, script in parts.items()) + "esac\n")
        os.chmod(make, 0o755)
        done = subprocess.run([os.path.join(TESTS, "check.py"), make, "first", *names], stdout=subprocess.PIPE, text=True, cwd=folder,
                              timeout=120, check=False)
    return done.returncode, done.stdout.splitlines()


def told(*failures, passed=1):
    numbers = json.dumps({"passed": passed, "failed": len(failures), "skipped": 0, "broken": [f"test_x.py: {text}" for text in failures],
                          "unsteady": ["test_y.py: test_b: late"] if passed > 1 else []})
    return f"cat >> $BERTH_RESULTS <<'END'\n{numbers}\nEND\nexit {int(bool(failures))}"


def test_a_check_counts_its_parts_and_ends_with_each_failure_in_a_line():
    parts = {"first": "true", "a": told("the gate: AssertionError: 8", "y" * 3000), "b": told(passed=5), "c": "echo its own; false"}
    status, lines = check(parts, "a", "b", "c")
    assert status == 1 and lines[-1] == "7 passed, 3 failed", lines
    failed = sorted(line for line in lines[-4:] if line.startswith("FAILED "))
    assert "FAILED test_x.py: the gate: AssertionError: 8" in failed and any("make c ended with exit status 1" in f for f in failed), failed
    assert sum(len(line) for line in failed) < 1100 and any(line.endswith("y…") for line in failed), failed
    assert "UNSTEADY test_y.py: test_b: late" in lines, lines
    assert "its own" in lines and len([line for line in lines if "(processors" in line]) == 4, lines


def test_two_parts_run_beside_each_other_and_the_next_begins_when_one_has_ended():
    parts = {"first": "true", "a": "touch a; until [ -e c ]; do sleep 0.05; done",
             "b": "until [ -e a ]; do sleep 0.05; done; touch b-ended", "c": "touch c; [ -e b-ended ]"}
    assert check(parts, "a", "b", "c")[0] == 0


def test_a_check_that_is_ended_takes_its_parts_along_and_shows_what_they_said():
    with tempfile.TemporaryDirectory() as folder:
        make = os.path.join(folder, "make")
        with open(make, "w", encoding="utf-8") as f:
            f.write('#!/bin/bash\n[ "${@: -1}" = first ] && exit\nsleep 1000 & echo $! >pid.new; echo so far; mv pid.new pid; wait\n')
        os.chmod(make, 0o755)
        child = subprocess.Popen([os.path.join(TESTS, "check.py"), make, "first", "a"], stdout=subprocess.PIPE, text=True, cwd=folder)
        note = os.path.join(folder, "pid")
        end = time.monotonic() + 60
        while not os.path.exists(note) and time.monotonic() < end:
            time.sleep(0.01)
        with open(note, encoding="utf-8") as f:
            pid = f.read().strip()
        child.terminate()
        output, _ = child.communicate(timeout=60)
        assert child.returncode == 143 and "so far" in output.splitlines(), output
        while os.path.exists(f"/proc/{pid}/fd/0") and time.monotonic() < end:
            time.sleep(0.01)
        assert not os.path.exists(f"/proc/{pid}/fd/0")


def test_nothing_is_tested_when_the_build_failed():
    status, lines = check({"first": "false", "a": "touch a"}, "a")
    assert status == 1 and lines[-1] == "0 passed, 1 failed" and not any(" a begins" in line for line in lines), lines


def test_skipped_tests_are_counted_apart():
    expect(run("echo 1..2; echo ok 1 - a; echo 'ok 2 - b # SKIP no such thing here'"), 0, "1 passed, 0 failed, 1 skipped")


def test_a_run_in_which_everything_is_skipped_is_a_failure():
    expect(run("echo '1..0 # SKIP not here'"), 1, "0 passed, 0 failed, 1 skipped")


def test_no_program_is_a_failure():
    expect(run(), 1, "0 passed, 0 failed")


def test_a_program_without_a_plan_fails():
    expect(run("echo ok 1 - a", GOOD), 1, "3 passed, 1 failed")


def test_a_program_that_stops_early_fails_by_what_is_missing():
    expect(run("echo 1..5; echo ok 1 - a"), 1, "1 passed, 4 failed")


def test_a_program_that_reports_more_than_planned_fails():
    expect(run("echo 1..1; echo ok 1 - a; echo ok 2 - b"), 1, "2 passed, 1 failed")


def test_an_exit_status_counts_although_all_tests_passed():
    expect(run(GOOD + "; exit 3"), 1, "2 passed, 1 failed")


def test_a_program_that_dies_by_a_signal_fails():
    got = run(GOOD + "; kill -SEGV $$")
    expect(got, 1, "2 passed, 1 failed")
    assert any("SIGSEGV" in line for line in got[1])


def test_a_program_that_cannot_be_started_fails():
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([os.path.join(TESTS, "run.py"), os.path.join(folder, "absent")], stdout=subprocess.PIPE,
                              text=True, check=False, env={k: v for k, v in os.environ.items() if k != "BERTH_RESULTS"})
    expect((done.returncode, done.stdout.splitlines()), 1, "0 passed, 1 failed")


def test_a_hang_is_a_failure_that_names_the_program_and_shows_its_last_lines():
    got = run("echo 1..2; echo ok 1 - a; echo '# at the gate'; sleep 1000", GOOD, deadline=6)
    expect(got, 1, "3 passed, 1 failed")
    assert any("program0" in line and "deadline" in line for line in got[1]), got
    assert any("at the gate" in line for line in got[1])


def test_a_hang_that_ignores_signals_and_has_children_is_killed_whole():
    with tempfile.TemporaryDirectory() as folder:
        note = os.path.join(folder, "pid")
        got = run(f"trap '' ABRT TERM; sleep 1000 & echo $! > {note}; echo 1..1; wait; wait; sleep 1000", deadline=6)
        expect(got, 1, "0 passed, 1 failed")
        with open(note, encoding="utf-8") as f:
            pid = f.read().strip()
        # It is killed; that it has ended may take the kernel another moment.
        end = time.monotonic() + 60
        while os.path.exists(f"/proc/{pid}/fd/0") and time.monotonic() < end:
            time.sleep(0.01)
        assert not os.path.exists(f"/proc/{pid}/fd/0")


def test_processes_left_behind_are_killed_and_told():
    with tempfile.TemporaryDirectory() as folder:
        note = os.path.join(folder, "pid")
        got = run(f"{GOOD}; sleep 1000 & echo $! > {note}")
        expect(got, 0, "2 passed, 0 failed")
        assert any("left processes behind" in line and "sleep" in line for line in got[1]), got
        with open(note, encoding="utf-8") as f:
            assert not os.path.exists(f"/proc/{f.read().strip()}/fd/0")


def test_several_plans_add_up():
    expect(run(GOOD + "; echo 1..1; echo ok 1 - c"), 0, "3 passed, 0 failed")


def test_each_program_has_an_empty_scratch_folder_that_goes_away():
    script = 'echo 1..1; [ -z "$(ls)" ] && [ "$PWD" = "$TMPDIR" ] && echo ok 1 - "$PWD"; touch left; exit 1'
    got = run(script)
    folder = next(line.split(" - ")[1] for line in got[1] if " - /" in line)
    assert not os.path.exists(folder), folder


def test_results_go_to_the_file_when_one_is_named():
    status, lines, numbers = run("echo 1..2; echo ok 1 - a; echo not ok 2 - b; exit 1", results=True)
    assert status == 1
    assert (numbers["passed"], numbers["failed"], numbers["skipped"]) == (1, 1, 0), numbers
    assert not any(line.startswith("1 passed,") for line in lines), lines


def test_the_runner_takes_its_programs_along_when_it_is_ended():
    with tempfile.TemporaryDirectory() as folder:
        path, note = os.path.join(folder, "program"), os.path.join(folder, "pid")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/bash\necho $$ > {note}.new && mv {note}.new {note}\nexec sleep 1000\n")
        os.chmod(path, 0o755)
        with subprocess.Popen([os.path.join(TESTS, "run.py"), path], stdout=subprocess.DEVNULL) as runner:
            until = time.monotonic() + 120
            while not os.path.exists(note) and time.monotonic() < until:
                time.sleep(0.02)
            runner.send_signal(signal.SIGTERM)
            runner.wait(timeout=120)
        with open(note, encoding="utf-8") as f:
            assert not os.path.exists(f"/proc/{f.read().strip()}/fd/0")


if __name__ == "__main__":
    tap.main()
