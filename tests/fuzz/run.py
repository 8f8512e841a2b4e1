#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs each program of FUZZERS for FUZZ_SECONDS, two at a time, from its seeds in tests/fuzz/corpus/. Reports TAP.

An input that breaks a fuzzer is printed, and belongs into the corpus together with the fix.
"""

import base64
import concurrent.futures
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# What libFuzzer calls too long for one input, and too much memory.
INPUT_SEC, MEMORY_MB = 20, 2048


def fuzz(fuzzer, seconds):
    name = os.path.basename(fuzzer)
    work = os.path.join(os.getcwd(), name)
    seeds = os.path.join(HERE, "corpus", name.removeprefix("fuzz_"))
    if os.path.isdir(seeds):
        shutil.copytree(seeds, work)
    else:
        os.mkdir(work)
    crash = os.path.join(os.getcwd(), name + "-broke-it-")
    done = subprocess.run([fuzzer, f"-max_total_time={seconds}", f"-timeout={INPUT_SEC}", f"-rss_limit_mb={MEMORY_MB}",
                           "-print_final_stats=1", f"-artifact_prefix={crash}", work],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode("utf-8", "replace").splitlines()
    broke = [f for f in os.listdir(".") if f.startswith(os.path.basename(crash))]
    if done.returncode == 0 and not broke:
        runs = next((line.split(":")[-1].strip() for line in text if "number_of_executed_units" in line), "?")
        return True, [f"{name}: {runs} inputs, {len(os.listdir(work))} kept"]
    for file in broke:
        with open(file, "rb") as f:
            text.append(f"{file} (base64): {base64.b64encode(f.read(65536)).decode()}")
    return False, text[-200:]


def main():
    fuzzers = os.environ.get("FUZZERS", "").split()
    seconds = int(os.environ.get("FUZZ_SECONDS", "20"))
    print(f"1..{len(fuzzers)}", flush=True)
    failed = False
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for number, (fuzzer, future) in enumerate([(f, pool.submit(fuzz, f, seconds)) for f in fuzzers], 1):
            good, lines = future.result()
            print("\n".join("# " + line for line in lines))
            print(f"{'ok' if good else 'not ok'} {number} - {os.path.basename(fuzzer)} finds nothing", flush=True)
            failed = failed or not good
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
