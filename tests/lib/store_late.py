# SPDX-License-Identifier: Apache-2.0
"""Answers that come seconds late and are right, in every step of a put, whatever the store: below the limit for a stall they are waited
for, and nothing is asked twice."""

import collections
import os

import uplink
from store_dock import STALL  # noqa: F401  its docks have that

SECONDS = 2
LATE = {"asked late": {"action": "delay", "seconds": SECONDS}, "answered late": {"action": "late", "seconds": SECONDS}}


def asked(proxy):
    """How often each step was asked for, of a clip whose put is over. What the store is asked by itself now and then is not of it."""
    return collections.Counter(entry[0] for entry in proxy.log if entry[0] not in ("probe", "sample", "options", "bucket"))


def put_all(docks, rule=None):
    """One clip in each of the docks, all at once, each with the rule for its phase: {(size, phase): (clip, receipt)}"""
    calls = {}
    for (size, phase), (dock, proxy) in docks.items():
        proxy.reset(*([{"phase": phase, **rule}] if rule else []))
        clip = dock.clip(size)
        calls[size, phase] = clip, dock.begin_put(clip)
    return {step: (clip, uplink.Receipt(docks[step][0].finish(call))) for step, (clip, call) in calls.items()}


def try_late(docks, rule, usual):
    wrong = []
    for (size, phase), (clip, receipt) in put_all(docks, rule).items():
        dock, proxy = docks[size, phase]
        try:
            assert all(rule.get("times") == 0 for rule in proxy.rules), "nothing was late"
            dock.judge(clip, receipt)
            assert asked(proxy) == usual[size, phase], f"asked {asked(proxy)}, and in time {usual[size, phase]}"
            assert dock.states == [], f"it was told as a trouble: {dock.states}"
        except AssertionError as e:
            wrong.append(f"{size} {phase}: {e}; {[entry[:2] + entry[3:] for entry in proxy.log]}")
        os.unlink(clip.file)
    return wrong


def late_answers_are_waited_for(docks):
    """`docks`: {(size, phase): (a started dock whose stall limit is STALL, its own proxy)}"""
    usual, wrong = {}, []
    for step, (clip, receipt) in put_all(docks).items():
        docks[step][0].judge(clip, receipt)
        usual[step] = asked(docks[step][1])
    for name, rule in LATE.items():
        wrong += [f"{name}, {text}" for text in try_late(docks, rule, usual)]
    for dock, _ in docks.values():
        dock.end()
    assert not wrong, "\n".join(wrong)
