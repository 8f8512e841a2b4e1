#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs each program of FUZZERS for FUZZ_SECONDS, two at a time, from its seeds in tests/fuzz/corpus/. Reports TAP.

An input that breaks a fuzzer is made as small as a few seconds allow and printed, and belongs into the corpus together with the fix.
"""

import base64
import concurrent.futures
import gzip
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# What libFuzzer calls a hang, by the clock and beside whatever else the machine does, and too much memory.
INPUT_SEC, MEMORY_MB = 120, 2048
# What one input may take of a processor. libFuzzer keeps those that took that by the clock.
SLOW_SEC = 10
# How long an input that broke it may be made smaller.
SMALLER_SEC = 20
LINE_MAX = 1500
# Of a stack, the functions that are the project's.
FRAME = re.compile(r"\s*#\d+ 0x\w+ in (\w+) \S*/((?:tests|plugins|daemon)/\S+?:\d+)")
FRAMES_TOLD = 4


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
                           f"-report_slow_units={SLOW_SEC}", "-print_final_stats=1", f"-artifact_prefix={crash}", work],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode("utf-8", "replace").splitlines()
    broke = [f for f in os.listdir(".") if f.startswith(os.path.basename(crash)) and ("slow-unit" not in f or is_slow(fuzzer, f))]
    if done.returncode == 0 and not broke:
        runs = next((line.split(":")[-1].strip() for line in text if "number_of_executed_units" in line), "?")
        return "", [f"{name}: {runs} inputs, {len(os.listdir(work))} kept"]
    inputs = [packed(smaller(fuzzer, file)) for file in broke]
    for file, line in zip(broke, inputs):
        text.append(f"{file}: {packed(file)}")
        text.append(f"{file}, smaller: {line}")
    return "; ".join([why(done.returncode, text), *inputs]), text[-200:]


def is_slow(fuzzer, file):
    """By itself, and by its own time on a processor."""
    done = subprocess.run(["prlimit", f"--cpu={SLOW_SEC}", fuzzer, f"-timeout={INPUT_SEC}", f"-rss_limit_mb={MEMORY_MB}", file],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return done.returncode != 0


def smaller(fuzzer, file):
    """The name of a file with as much of the input as breaks it, too; the input's own where there is none."""
    small = file + "-smaller"
    subprocess.run([fuzzer, "-minimize_crash=1", f"-max_total_time={SMALLER_SEC}", f"-timeout={INPUT_SEC}", f"-rss_limit_mb={MEMORY_MB}",
                    f"-exact_artifact_path={small}", file], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   check=False)
    return small if os.path.exists(small) else file


def packed(file):
    """As what `base64 -d | gunzip` makes the file of."""
    with open(file, "rb") as f:
        return "base64 of gzip: " + base64.b64encode(gzip.compress(f.read(), mtime=0)).decode()


def why(status, text):
    """In one line: with the input, all that a summary of many tests keeps of a finding that may not come again."""
    said = [line[:LINE_MAX] for line in text if "SUMMARY:" in line]
    frames = [f"{found.group(1)} {found.group(2)}" for found in map(FRAME.match, text) if found]
    return f"exit status {status}; " + "; ".join((said or text)[-1:] + frames[:FRAMES_TOLD])


def main():
    fuzzers = os.environ.get("FUZZERS", "").split()
    seconds = int(os.environ.get("FUZZ_SECONDS", "20"))
    print(f"1..{len(fuzzers)}", flush=True)
    failed = False
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for number, (fuzzer, future) in enumerate([(f, pool.submit(fuzz, f, seconds)) for f in fuzzers], 1):
            found, lines = future.result()
            print("\n".join("# " + line for line in lines))
            end = f": {found}" if found else ""
            print(f"{'not ok' if found else 'ok'} {number} - {os.path.basename(fuzzer)} finds nothing{end}", flush=True)
            failed = failed or bool(found)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
