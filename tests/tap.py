# SPDX-License-Identifier: Apache-2.0
"""Test programs in Python: functions named test_…, run in the order of the file by main(), reported as TAP."""

import sys
import traceback


class Skip(Exception):
    """Raised by a test that cannot run here; its text says why."""


def main(*arguments, on_failure=None):
    """The tests are called with the arguments; on_failure after each that failed, to show more of why."""
    module = sys.modules["__main__"]
    tests = [(name, thing) for name, thing in vars(module).items() if name.startswith("test_") and callable(thing)]
    chosen = sys.argv[1:]
    if chosen:
        tests = [(name, thing) for name, thing in tests if name in chosen]
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        try:
            test(*arguments)
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
        except Exception:
            failed += 1
            print("".join("# " + line + "\n" for line in traceback.format_exc().splitlines()), end="")
            print(f"not ok {number} - {name}", flush=True)
            if on_failure:
                on_failure()
        else:
            print(f"ok {number} - {name}", flush=True)
    sys.exit(1 if failed else 0)
