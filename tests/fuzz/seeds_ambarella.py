#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz_ambarella: `seeds_ambarella.py [FOLDER]` (default: corpus/ambarella beside this file)."""

import os
import sys

FRAME, ACCEPT, STALL, SILENT, UNPLUG, SEND_FAILS, ECHO = 1, 2, 4, 8, 16, 32, 64


def answer(data=b"", flags=0):
    return bytes([flags, len(data)]) + data


def line(text):
    return answer(text.encode())


def frame(payload=b"", flags=FRAME | ACCEPT):
    return answer(bytes(9) + payload, flags)


def record(serial=b"SN000042", officer=b"7031", name=b"J. M\xfcller", unit=b"D12", unit_name=b"Dock unit"):
    return serial.ljust(9, b"\0") + officer.ljust(8, b"\0") + name.ljust(35, b"\0") + unit.ljust(16, b"\0") + unit_name.ljust(32, b"\0")


def seeds():
    lines = line("@Ver;OK;#") + line("@Gdv;8;BC000042;#") + line("@Sdt;OK;#") + line("@Stm;OK;#")
    logged_in = frame(b"ABCDE") + frame(bytes(6))
    read = frame(record())
    changed = frame(record(officer=b"7031\0\0\0"))
    whole = logged_in + read + frame(b"\x37") + frame(bytes([7, 234, 11, 23, 9, 15, 0])) + read
    yield "a-whole", b"a" + lines + line("@ATH;OK;#")
    yield "a-leaves", b"a" + lines + answer(flags=UNPLUG)
    yield "a-refused", b"a" + line("@Ver;NO;#")
    yield "a-echoes", b"a" + answer(flags=ECHO)
    yield "a-cut", b"a" + line("@Ver;OK;#") + line("@Gdv;8;BC0")
    yield "a-stalls", b"a" + line("@Ver;OK;#") + answer(flags=STALL)
    yield "b-whole", b"b" + whole + read + frame(bytes(100)) + changed + frame()
    yield "b-owner-is-there", b"b" + whole + changed + answer(flags=SILENT)
    yield "b-refused", b"b" + frame(b"ABCDE") + frame(bytes(6), FRAME)
    yield "b-echoes", b"b" + frame(b"ABCDE") + answer(flags=ECHO) + answer(flags=ECHO | ACCEPT)
    yield "b-sending-fails", b"b" + frame(b"ABCDE") + bytes([SEND_FAILS])
    yield "b-short", b"b" + answer(bytes(5), ACCEPT)
    yield "c-whole", b"c" + answer(bytes([0xA1, 0x12, 1] + [0] * 7)) + answer(bytes(10))
    yield "c-refused", b"c" + answer(bytes(10))
    yield "record", b"r" + record()
    yield "record-blank", b"r" + b"\xff" * 100
    yield "record-control", b"r" + record(unit=b"D\x1b12")


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "ambarella")
    os.makedirs(folder, exist_ok=True)
    for name, data in seeds():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
