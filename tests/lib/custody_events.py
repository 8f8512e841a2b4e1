# SPDX-License-Identifier: Apache-2.0
"""The custody log's events as docs/custody-events.md lists them."""

import os
import re

SRC = os.environ.get("BERTH_SRC", os.getcwd())


def read(*names):
    with open(os.path.join(SRC, *names), encoding="utf-8") as f:
        return f.read()


def documented():
    """({kind: {member}}, {members that all may have})"""
    text = read("docs", "custody-events.md")
    kinds = {}
    for line in re.findall(r"^\| `(.*)\|$", text, re.M):
        kind, _, members = line.split("|")
        kinds[kind.strip().strip("`")] = set(re.findall(r"`(\w+)`", members))
    return kinds, set(re.findall(r"`(\w+)`", text.split("| event")[0]))


def assert_documented(events):
    kinds, common = documented()
    for event in events:
        assert event["event"] in kinds, f"docs/custody-events.md has no event {event['event']}"
        odd = set(event) - common - kinds[event["event"]]
        assert not odd, f"docs/custody-events.md: {event['event']} has not the members {odd}"
