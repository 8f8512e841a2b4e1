# SPDX-License-Identifier: Apache-2.0
"""A real @tus/server on loopback, in a folder of its own. `make deps` installs it."""

import json
import os
import shutil
import signal
import subprocess

SRC = os.environ.get("BERTH_SRC", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
PACKAGES = os.path.join(SRC, "build-npm")
PROGRAM = os.path.join(SRC, "tests", "store", "tus-server", "server.mjs")


def missing():
    if not shutil.which("node"):
        return "node"
    return None if os.path.exists(os.path.join(PACKAGES, "node_modules", "@tus", "server")) else "@tus/server"


class TusServer:
    """Each option is one of the program's, such as expire=1000; a list gives it several times."""

    def __init__(self, folder, **options):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.arguments = [f"{name}={value}" for name, values in options.items()
                          for value in (values if isinstance(values, list) else [values])]
        with open(folder + ".log", "ab") as log:
            self.child = subprocess.Popen(["node", PROGRAM, PACKAGES, folder, *self.arguments], stdin=subprocess.DEVNULL,
                                          stdout=subprocess.PIPE, stderr=log)
        line = self.child.stdout.readline()
        assert line, f"@tus/server does not start: {self.log()}"
        self.port = int(line)
        self.origin = f"http://127.0.0.1:{self.port}"

    def close(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
        self.child.stdout.close()

    def log(self):
        with open(self.folder + ".log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def curl(self, key, *arguments):
        """Body and status of a request by a foreign client."""
        done = subprocess.run(["curl", "-s", "-S", "-o", "-", "-w", "\n%{http_code}", *arguments, self.origin + key],
                              stdout=subprocess.PIPE, check=True)
        body, _, status = done.stdout.rpartition(b"\n")
        return body, int(status)

    def uploads(self):
        """{key: bytes that it has} of all uploads, whole or not. One may be gone before its size is asked for: a sample, say."""
        found = {}
        for name in os.listdir(self.folder):
            try:
                if not name.endswith(".json"):
                    found[f"/files/{name}"] = os.path.getsize(os.path.join(self.folder, name))
            except FileNotFoundError:
                pass
        return found

    def told(self, key):
        """What the server wrote down of an upload: its "size", None while it has no length, and the "metadata" that it was given. Nothing
        of one that it is just about to make or to remove."""
        try:
            with open(os.path.join(self.folder, key.rpartition("/")[2] + ".json"), encoding="utf-8") as f:
                told = json.load(f)
        except (FileNotFoundError, ValueError):
            told = {"size": None}
        return {"size": None, **told, "metadata": told.get("metadata") or {}}

    def is_whole(self, key):
        size = self.told(key)["size"]
        return size is not None and self.uploads().get(key) == size

    def unfinished(self, keys):
        """Those of them that are there, and not whole."""
        return [key for key in keys if not self.is_whole(key) and key in self.uploads()]
