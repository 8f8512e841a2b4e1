# SPDX-License-Identifier: Apache-2.0
"""A terminal for tests: a program on a pty, and what its output makes a screen look like."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unicodedata

CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")


class Screen:
    """Understands what berthctl sends; anything else is an error, so that nothing unexpected gets through."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.main, self.cells = [], self._blank()
        self.row = self.column = 0
        self.alternate, self.cursor, self.wraps = False, True, True
        self.clears = 0  # of the whole screen
        self.styles = 0
        self.frames = 0      # whole updates
        self.stale = False   # the update under way may still be for the size of before
        self.rest = ""

    def _blank(self):
        return [[" "] * self.columns for _ in range(self.rows)]

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.cells = self._blank()
        self.row, self.column = min(self.row, rows - 1), min(self.column, columns - 1)
        self.stale = True

    def lines(self):
        return ["".join(row).rstrip() for row in self.cells]

    def text(self):
        return "\n".join(self.lines())

    def feed(self, text):
        text = self.rest + text
        self.rest = ""
        i = 0
        while i < len(text):
            c = text[i]
            if c == "\x1b":
                match = CONTROL.match(text, i)
                if not match:
                    if len(text) - i > 32:
                        raise AssertionError(f"an unknown control sequence: {text[i:i + 32]!r}")
                    self.rest = text[i:]
                    return
                self._control(*match.groups())
                i = match.end()
                continue
            self._put(c)
            i += 1

    def _put(self, c):
        if c == "\n":
            self.row += 1
            if not self.alternate:
                self.column = 0
            if self.row >= self.rows:
                self.row = self.rows - 1
                self.main.append("".join(self.cells.pop(0)).rstrip())
                self.cells.append([" "] * self.columns)
        elif c == "\r":
            self.column = 0
        elif unicodedata.category(c) in ("Cc", "Cf"):
            raise AssertionError(f"a control character reached the terminal: {c!r}")
        else:
            # The last column stays empty, where there is another one.
            if self.alternate and self.column >= max(self.columns - 1, 1) and not self.stale:
                raise AssertionError(f"row {self.row + 1} is too long for the screen: {''.join(self.cells[self.row])!r}")
            if self.column < self.columns:
                self.cells[self.row][self.column] = c
            self.column += 2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1

    def _control(self, args, verb):
        if verb == "m":
            self.styles += 1
        elif verb == "H":
            row, column = (args.split(";") + ["1"])[:2]
            self.row, self.column = int(row or 1) - 1, int(column) - 1
            if not (0 <= self.row < self.rows and 0 <= self.column < self.columns):
                if not self.stale:
                    raise AssertionError(f"the cursor leaves the screen: {args}")
                self.row, self.column = min(self.row, self.rows - 1), min(self.column, self.columns - 1)
        elif verb == "K" and not args:
            self.cells[self.row][self.column:] = [" "] * (self.columns - self.column)
        elif verb == "J":
            if args == "2":
                self.clears += 1
                self.cells = self._blank()
            elif not args:
                for row in range(self.row, self.rows):
                    self.cells[row] = [" "] * self.columns
        elif verb in "hl" and args == "?1049":
            self.alternate = verb == "h"
            self.cells = self._blank()
            self.row = self.column = 0
        elif verb in "hl" and args == "?25":
            self.cursor = verb == "h"
        elif verb in "hl" and args == "?7":
            self.wraps = verb == "h"
        elif verb in "hl" and args == "?2026":
            if verb == "l":
                self.frames += 1
                self.stale = False
        else:
            raise AssertionError(f"an unknown control sequence: ESC [ {args} {verb}")


class Terminal:
    """A program on a pty of its own."""

    def __init__(self, argv, env, rows=24, columns=100):
        self.screen = Screen(rows, columns)
        self.master, slave = pty.openpty()
        self._set_size(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.slave = slave
        self.raw = ""

    def _set_size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows, columns):
        """Stopped while its size changes, the program can have one update under way that is for the old one, and no more."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)
        while self.read(0):
            pass
        self.screen.resize(rows, columns)
        self._set_size(rows, columns)
        self.process.send_signal(signal.SIGWINCH)
        self.process.send_signal(signal.SIGCONT)

    def read(self, timeout):
        """Whether anything came."""
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        text = data.decode("utf-8", "replace")
        self.raw += text
        self.screen.feed(text)
        return True

    def wait(self, condition, what, deadline=120):
        end = time.monotonic() + deadline
        while not condition():
            if time.monotonic() >= end:
                raise AssertionError(f"waited {deadline} s for {what}; the screen shows:\n{self.screen.text()}")
            self.read(0.1)

    def wait_text(self, text, deadline=120):
        self.wait(lambda: text in self.screen.text(), repr(text), deadline)

    def keys(self, text):
        os.write(self.master, text.encode())

    def restored(self):
        """The modes of the terminal are those of before."""
        return termios.tcgetattr(self.slave) == self.before

    def finish(self, deadline=120):
        """Waits for the end: the exit code, with all output read."""
        self.wait(lambda: self.process.poll() is not None, "the end of the program", deadline)
        while self.read(0):
            pass
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)
        os.close(self.master)
        os.close(self.slave)
