#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A simulated storage camera when it starts: `firmware_reader.py IMAGE PATH MEMORY`.

When the card has a file of that path that boots (tests/sim/firmware.h), it goes into the camera's memory. mtools or the sleuth kit read the
card: nothing of ours. The file stays where it is.
"""

import hashlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import fsimage  # noqa: E402


def boots(data):
    head, _, payload = data.partition(b"\n")
    words = head.split(b" ")
    return len(words) == 4 and words[0] == b"BERTH-SIM-FIRMWARE" and int(words[2]) == len(payload) and \
        words[3].decode() == hashlib.sha256(payload).hexdigest()


def main(image, path, memory):
    with open(image, "rb") as f:
        exfat = f.read(11)[3:] == b"EXFAT   "
    there = fsimage.sleuthkit_contents(image, "exfat") if exfat else fsimage.mtools_contents(image)
    data = there.get(path)
    if data and boots(data):
        with open(memory + ".new", "wb") as f:
            f.write(data)
        os.rename(memory + ".new", memory)


if __name__ == "__main__":
    main(*sys.argv[1:])
