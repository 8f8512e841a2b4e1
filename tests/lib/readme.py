# SPDX-License-Identifier: Apache-2.0
"""What README.md, and the guide that it leads to, tell an admin to type. A walk that needs more shows that they say too little."""

import os
import re

SRC = os.environ["BERTH_SRC"]


def _commands():
    text = ""
    for page in ("README.md", "docs/guide.md"):
        with open(os.path.join(SRC, page), encoding="utf-8") as f:
            text += f.read()
    fences = re.findall(r"```sh\n(.*?)```", text, re.S)
    lines = [re.sub(r"\s+#.*", "", line) for fence in fences for line in fence.splitlines()]
    lines += re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    return [command.split() for line in lines for command in line.split("&&") if command.strip()]


def _stands_for(shown, typed):
    """The same word; or one in capitals, a number or a file by way of example, for which the admin has his own."""
    if shown == typed:
        return True
    parts = [re.escape(part) for part in re.split(r"[A-Z]{2,}|\d+", shown)]
    return len(parts) > 1 and re.fullmatch(r"[^ ]+".join(parts), typed) is not None


class Readme:
    def __init__(self):
        self.commands = _commands()

    def check(self, command):
        """An error unless a page has this command, with other names in it where that has names."""
        for part in command.split("&&"):
            typed = part.split()
            if not any(len(shown) == len(typed) and all(_stands_for(s, t) for s, t in zip(shown, typed)) for shown in self.commands):
                raise AssertionError(f"neither README.md nor docs/guide.md tells the admin of: {part.strip()}")
