# SPDX-License-Identifier: Apache-2.0
"""Image files of FAT and exFAT: ours (build/tests/fs_image) and the usual programs on them, and what a power cut leaves."""

import glob
import itertools
import json
import os
import random
import shutil
import subprocess
import tempfile

BUILD = os.environ.get("BERTH_BUILD", os.path.join(os.getcwd(), "build"))
FS_IMAGE = os.path.join(BUILD, "tests", "fs_image")
GONE, DENIED, INCOMPLETE = 1, 2, 3
# mtools would rather not touch volumes that it finds odd, and reads settings from the home folder. Times are UTC.
ENVIRONMENT = {**os.environ, "MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": "/dev/null", "TZ": "UTC", "LC_ALL": "C.UTF-8"}


def run(*command, ok=(0,), **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT,
                          check=False, **options)
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode not in ok:
        raise AssertionError(f"{command}: {done.returncode}: {text}")
    return text


# ---- Ours ----

class Session:
    """One fs_open() on an image."""

    def __init__(self, image, sector=512, options=()):
        self.image, self.sector = image, sector
        self.process = subprocess.Popen([FS_IMAGE, "--sector", str(sector), *map(str, options), image], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.opened = self._answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        status = self.process.wait(60)
        assert status == 0, status

    def _answer(self):
        line = self.process.stdout.readline()
        assert line, f"fs_image died: {self.process.wait(60)}"
        return json.loads(line)

    def ask(self, *words):
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        self.process.stdin.flush()
        return self._answer()

    def walk(self):
        """(the answer, {path as bytes: file})"""
        files = {}
        answer = self.ask("walk")
        while "answer" not in answer:
            answer["path"] = b"/".join(bytes.fromhex(name) for name in answer["names"])
            assert answer["path"] not in files, answer
            files[answer["path"]] = answer
            answer = self._answer()
        return answer, files

    def files(self):
        answer, files = self.walk()
        assert answer["answer"] == 0, answer
        return files

    def read(self, file):
        """(what the file system says of it, the bytes up to the first that is lost): answer -5 when one is."""
        answer = self.ask("extents", file["handle"])
        data = b""
        with open(self.image, "rb") as f:
            for offset, length, sector, kind in answer["extents"]:
                assert offset == len(data)
                if kind == "lost":
                    return {**answer, "answer": -5}, data
                f.seek(sector * self.sector)
                data += f.read(length) if kind == "data" else bytes(length)
        assert len(data) == file["size"]
        return answer, data

    def contents(self):
        """{path as text: bytes}; each file must be readable as a whole."""
        contents = {}
        for path, file in self.files().items():
            answer, data = self.read(file)
            assert answer["answer"] == 0 and not answer["why"], (path, answer)
            contents[path.decode("utf-8", "surrogateescape")] = data
        return contents


def contents(image, sector=512):
    with Session(image, sector) as session:
        return session.contents()


def erase(image, path, sector=512, options=()):
    """(the answer of the erase, the log of what it wrote)"""
    with tempfile.NamedTemporaryFile("r") as log:
        with Session(image, sector, ["--log", log.name, *options]) as session:
            _, files = session.walk()
            answer = session.ask("erase", files[path.encode()]["handle"])
        return answer, log.read()


# ---- Others ----

def folder_contents(root):
    contents_there = {}
    for path in glob.glob("**", root_dir=root, recursive=True, include_hidden=True):
        if os.path.isfile(os.path.join(root, path)):
            with open(os.path.join(root, path), "rb") as f:
                contents_there[path] = f.read()
    return contents_there


def mtools_contents(image):
    with tempfile.TemporaryDirectory() as to:
        run("mcopy", "-s", "-n", "-Q", "-i", image, "::", to)
        # mcopy names the folder for the root folder after nothing.
        return folder_contents(to)


def sleuthkit_contents(image, kind):
    with tempfile.TemporaryDirectory() as to:
        run("tsk_recover", "-f", kind, "-a", image, to)
        return folder_contents(to)


def complaints(text, harmless):
    """What a fsck says that is not in the list of expressions (and not its greeting or its summary)."""
    return [line for line in text.splitlines() if line.strip() and not any(p.search(line) for p in harmless)]


# ---- What a power cut leaves ----

class Replay:
    """Goes through the states of the medium when its power goes during the writes of a log.

    A flush ends an epoch. All of the earlier epochs is on the medium, nothing of the later ones; of the epoch itself any
    subset of its sectors: each one when there are few, else prefixes and a random choice.
    """

    ALL_SUBSETS, PREFIXES, CHOICES = 5, 12, 8

    def __init__(self, before, log, sector=512):
        self.sector = sector
        self.epochs = [[]]
        for line in log.splitlines():
            if line == "f":
                self.epochs.append([])
                continue
            _, first, n, data = line.split()
            data = bytes.fromhex(data)
            assert len(data) == int(n) * sector
            self.epochs[-1] += [(int(first) + i, data[i * sector:(i + 1) * sector]) for i in range(int(n))]
        assert not self.epochs[-1], "writes without a flush"
        self.epochs = [e for e in self.epochs if e]
        self.before = before

    def _subsets(self, n, chance):
        if n <= self.ALL_SUBSETS:
            return [s for k in range(n + 1) for s in itertools.combinations(range(n), k)]
        lengths = sorted({round(i * n / self.PREFIXES) for i in range(self.PREFIXES + 1)})
        return [tuple(range(k)) for k in lengths] + [tuple(i for i in range(n) if chance.random() < 0.5) for _ in range(self.CHOICES)]

    def states(self):
        """Yields (the path of an image, the state's name, is it the last one?)."""
        chance = random.Random(4)
        with tempfile.TemporaryDirectory() as folder:
            image = os.path.join(folder, "cut.img")
            shutil.copyfile(self.before, image)
            done = {}
            for number, epoch in enumerate(self.epochs):
                for subset in self._subsets(len(epoch), chance):
                    last = number == len(self.epochs) - 1 and len(subset) == len(epoch)
                    self._put(image, {**done, **{epoch[i][0]: epoch[i][1] for i in subset}})
                    yield image, f"epoch {number} of {len(self.epochs)}, writes {subset} of {len(epoch)}", last
                done.update(dict(epoch))

    def _put(self, image, sectors):
        touched = {sector for epoch in self.epochs for sector, _ in epoch}
        with open(self.before, "rb") as before, open(image, "r+b") as f:
            for sector in touched:
                before.seek(sector * self.sector)
                f.seek(sector * self.sector)
                f.write(sectors.get(sector, before.read(self.sector)))
