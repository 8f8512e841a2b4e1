#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shells complete berthctl's verbs, words and options, and what the dock knows, by the functions that bash and zsh really call."""

import os
import shlex
import subprocess
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), part) for part in ("..", "../lib")]
import tap  # noqa: E402
from ctl_world import CTL, clip, world  # noqa: E402
from fake_dock import SRC  # noqa: E402

BASH = """
source {script}
COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); COMP_LINE={line}; COMP_POINT=${{#COMP_LINE}}
_berthctl
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# compadd tells what it is given, and the rest of the completion system is away.
ZSH = """
compadd() {{ local all=("$@"); print -rl -- "${{(@)all[$((${{all[(i)--]}} + 1)),-1]}}" }}
_files() {{ print -r -- FILES }}
words=({words}); CURRENT=$#words
source {script}
"""


def bash(w, *words):
    """As readline breaks a line: at spaces, and around '=' and ':'."""
    broken = []
    for word in words:
        part = ""
        for c in word:
            if c in "=:":
                broken += [part] if part else []
                broken.append(c)
                part = ""
            else:
                part += c
        if part or not word or word[-1] not in "=:":
            broken.append(part)
    script = BASH.format(script=shlex.quote(f"{SRC}/completion/bash/berthctl"), words=" ".join(map(shlex.quote, [CTL, *broken])),
                         line=shlex.quote(" ".join([CTL, *words])))
    done = subprocess.run(["bash", "--norc", "-c", script], env=w.env(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=True)
    assert not done.stderr, done.stderr
    return done.stdout.split("\n")[:-1] if done.stdout != "\n" else []


def zsh(w, *words):
    script = ZSH.format(script=shlex.quote(f"{SRC}/completion/zsh/_berthctl"), words=" ".join(map(shlex.quote, [CTL, *words])))
    done = subprocess.run(["zsh", "-f", "-c", script], env=w.env(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return [line for line in done.stdout.split("\n") if line]


def known(w):
    """Cameras, officers and firmware."""
    w.dock(do="rows", member="ListCameras", rows=[{"Serial": serial} for serial in ("SN-1", "SN-2", "import:card a", "XY\x1b")])
    w.dock(do="rows", member="ListOfficers", rows=[{"Id": "o17"}, {"Id": "o18"}])
    for version in ("2.1", "2.2"):
        w.dock.firmware(f"m/_{ord(version[0]):x}_2e{version[2]}", Model="m", Version=version)
    w.dock.job(7, Id=7, Kind="import", State="running")
    w.dock.add_clips([clip(n) for n in (1, 2, 30)])
    w.dock.rollout("r1", Id="r1", Version="2")


def test_bash_completes_verbs_words_and_options():
    with world() as w:
        assert {"status", "camera", "rollout", "reload", "metrics"} <= set(bash(w, "")) and "complete" not in bash(w, "")
        assert bash(w, "cam") == ["camera"] and bash(w, "ro") == ["roster", "rollout"]
        assert bash(w, "camera", "h") == ["health"] and bash(w, "transfer", "re") == ["resume"]
        assert bash(w, "clips", "--sta") == ["--state="] and "--until=" not in bash(w, "clips", "--")
        assert bash(w, "clips", "--state=er") == ["erasing", "erased"] and bash(w, "clips", "--state=") != []
        assert bash(w, "model", "check", "x") == [], "files are the shell's"


def test_bash_completes_what_the_dock_knows():
    with world() as w:
        known(w)
        assert bash(w, "camera", "health", "SN") == ["SN-1", "SN-2"] and bash(w, "bay", "locate", "") == ["1", "2", "3", "4"]
        assert bash(w, "log", "--camera=SN-") == ["SN-1", "SN-2"] and bash(w, "log", "--camera=import:c") == ["card\\ a"]
        assert bash(w, "camera", "erase", "XY") == [], "what steers a terminal is not typed"
        assert bash(w, "firmware", "flash", "SN-1", "") == ["2.1", "2.2"] and bash(w, "assign", "o1") == ["o17", "o18"]
        assert bash(w, "assign", "o17", "p") == ["pool"] and bash(w, "custody", "show", "3") == ["30"]
        assert bash(w, "rollout", "pause", "") == ["r1"] and bash(w, "job", "wait", "") == ["7"]
        # Options before, with their values apart, are not words.
        assert bash(w, "--address", w.bus.address, "-n", "5", "camera", "health", "SN-2") == ["SN-2"]


def test_completion_is_silent_where_nobody_answers():
    with world() as w:
        w.dock.end()
        assert bash(w, "camera", "health", "") == [] and bash(w, "camera", "he") == ["health"]


def test_zsh_completes_the_same():
    with world() as w:
        known(w)
        assert {"status", "camera", "metrics"} <= set(zsh(w, "")) and zsh(w, "camera", "health", "S")[:2] == ["SN-1", "SN-2"]
        assert "--camera=SN-1" in zsh(w, "log", "--camera=") and "--state=" in zsh(w, "clips", "--")
        assert zsh(w, "model", "check", "x") == ["FILES"]


def test_every_verb_is_in_the_table_of_words_as_the_help_has_it():
    """What follows a verb is completed as the help shows it."""
    with world() as w:
        text = w.run("--help").stdout
        for verb in bash(w, ""):
            assert f"\n  {verb}" in text, f"{verb} is not in the help"
        for verb, word in (("bay", "locate"), ("custody", "export"), ("dock", "enroll"), ("roster", "issues"), ("config", "show")):
            assert word in bash(w, verb, ""), (verb, word)


if __name__ == "__main__":
    tap.main()
