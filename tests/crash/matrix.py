#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The crash matrix: every named crash point of berthd, berth-bay and berth-uplink, each ended there by SIGKILL.

usage: matrix.py [--deep N] [--lanes N] [--only WORDS] [--scenario WORDS]

The points are read from the programs themselves (built with CRASH_POINTS=1, in $BERTH_CRASH_BUILD), so that none can be forgotten. Each
scenario of crash_rig.py is played once undisturbed to see which points it passes, and what for (a commit passes its points once for each
kind of fact in it). Then each is armed in turn, in a new dock: the process is ended there, started again, and all must come to the same
end with nothing lost, nothing twice, and nothing erased without a receipt. A point that no scenario passes fails, unless ELSEWHERE says
which test passes it. A crash after which a wait ended at its deadline is played once more, alone, when all others are done, and that
counts, since many docks share a small machine here: it is told of as unsteady. What is lost, or there twice, fails at once.
`--deep N` ends it at up to N different passes of each point, and once more with everybody killed at once.
TAP. Runs several docks at a time, each in a simulator of its own.
"""

import argparse
import collections
import concurrent.futures
import functools
import json
import operator
import os
import re
import subprocess
import sys
import tempfile
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
BUILD = os.environ.get("BERTH_BUILD", os.path.join(os.getcwd(), "build"))
CRASH_BUILD = os.environ.get("BERTH_CRASH_BUILD", BUILD + "-crash")
os.environ.setdefault("BERTH_PLAIN_BUILD", BUILD)
os.environ["BERTH_CRASH_BUILD"] = os.environ["BERTH_BUILD"] = CRASH_BUILD

# Points that no scenario here passes: why, and which test does.
ELSEWHERE = {
    "berth-uplink withdraw-begins": "two docks race for one manifest: tests/unit/test_dir_crash.c",
    "berth-uplink object-withdrawn": "two docks race for one manifest: tests/unit/test_dir_crash.c",
    "berth-uplink linked": "a file system without RENAME_NOREPLACE: tests/unit/test_dir_crash.c",
}
# Kinds of facts that no scenario here puts on record. How they come there is the same for all: the commit, its head file, its report. What
# is done before and after is what differs, and for these that is either nothing, or a step that no scenario in a simulator can time.
KINDS_ELSEWHERE = {
    "chain-broken": "the evidence was tampered with: nothing is erased from then on; tests/integration/test_proof.py",
    "charged": "after hours at a charger; tests/night/",
    "checkout-ended": "by the clock; tests/integration/test_roster.py",
    "clock-stepped": "by the clock; tests/integration/test_clock.py, tests/property/",
    "conflict": "a store with other bytes under a name; tests/integration/test_identity.py, tests/property/",
    "eject-ordered": "an operator, who gives it anew; tests/integration/test_main_job.py",
    "ejected": "a change of mode; tests/integration/test_switch.py kills the daemon in the middle of it",
    "fetch-ordered": "nothing depends on what is fetched; tests/integration/test_custody_export.py",
    "fleet-list": "a list of docks in the store; tests/integration/test_fleet.py",
    "held-back": "a finding of the camera's health, found again at the next check; tests/integration/test_health.py",
    "identity-confirmed": "a change of mode; tests/integration/test_switch.py",
    "import-failed": "a reader that gives no file twice the same; tests/integration/test_import.py",
    "import-recognised": "only for what an import before it brought; tests/integration/test_import.py",
    "key-replaced": "a key that was lost; tests/integration/test_checkpoints.py",
    "let-go": "an operator, in spite of a finding; tests/integration/test_health.py",
    "over-current": "a hub that cuts a port; tests/integration/test_health.py",
    "overdue": "by the clock; tests/integration/test_roster.py",
    "owner-set": "a model that takes an owner; tests/integration/test_switch.py",
    "port-calibrated": "minutes at a port; tests/integration/test_charging.py",
    "quarantined": "after many worker deaths; tests/crash/kills.py",
    "refused": "a stranger's device, looked at again by each start; tests/integration/test_strangers.py",
    "statement-refused": "a forged store; tests/integration/test_checkpoints.py",
    "storage-identified": "a change of mode; tests/integration/test_switch.py",
    "store-refused": "a store that lost what it had; tests/integration/test_policy.py, tests/property/",
    "switch-begun": "a change of mode; tests/integration/test_switch.py kills the daemon in the middle of it",
}
# Kinds that come or not, as it happens: a worker may see that its camera is gone before the kernel's word of it is read.
KINDS_BY_CHANCE = {"fault": "tests/integration/test_worker_hostile.c, tests/crash/kills.py"}
# How a wait ends at its deadline (rack.py); and how many of these may be chance.
LATE = re.compile(r"waited \d+ s in vain for [^\n]*")
LATE_MAX = 8
# How often a scenario is played undisturbed for what it lacks, or has and should not.
LOOKS_MAX = 3
# Functions of base/ that a program is linked with and does not call.
UNUSED = {
    "berth-bay": ("folder-", "rename", "replace", "new-name-synced"),
    "berth-uplink": ("rename", "new-name-synced"),
}


def why_elsewhere(point):
    """"" for a point that a scenario here must pass."""
    from crash_points import S3_POINTS, TUS_POINTS
    program, name = point.split(" ", 1)
    if point in ELSEWHERE:
        return ELSEWHERE[point]
    if point.startswith(S3_POINTS + TUS_POINTS):
        return "a store on the network: tests/store/test_s3_crash.py, tests/store/test_tus_crash.py"
    return "of base/, and not called by this program" if name.startswith(UNUSED.get(program, ("\0",))) else ""


def is_elsewhere(point):
    return why_elsewhere(point) != ""


# ---- A lane: one dock in one simulator, which is told what to play ------------------------------------------------


def lane():
    import crash_rig
    import crash_scenarios
    import rack
    rack.enter("1-1:4")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory(prefix="berth-matrix-") as folder:
        rig = crash_rig.Rig(rack.Sim(), folder)
        for line in sys.stdin:
            order = json.loads(line)
            [scenario] = [s for s in crash_scenarios.SCENARIOS if s.name == order["scenario"]]
            try:
                passed, fired = rig.run(scenario, scenario.first + tuple(map(tuple, order["armed"])), order["power"])
                answer = {"passed": passed if not order["armed"] else [], "fired": fired}
            except Exception:  # noqa: BLE001
                answer = {"error": traceback.format_exc() + rig.dock.logs()}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
        rig.close()


class Lane:
    def __init__(self):
        self.child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--lane"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)

    def play(self, scenario, armed=(), power=False):
        self.child.stdin.write(json.dumps({"scenario": scenario, "armed": armed, "power": power}) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        assert line, f"a lane ended with {self.child.wait()}"
        return json.loads(line)

    def close(self):
        self.child.stdin.close()
        return self.child.wait()


# ---- The matrix ---------------------------------------------------------------------------------------------------


class Matrix:
    def __init__(self, arguments):
        import crash_rig
        import crash_scenarios
        self.rig, self.scenarios = crash_rig, crash_scenarios.SCENARIOS
        self.deep, self.only = arguments.deep, arguments.only
        if arguments.scenario:
            self.scenarios = [s for s in self.scenarios if arguments.scenario in s.name]
        self.lanes = [Lane() for _ in range(arguments.lanes)]
        self.pool = concurrent.futures.ThreadPoolExecutor(len(self.lanes))
        self.counts = collections.Counter()
        self.plays = [[] for _ in self.scenarios]  # of each, what it passed whenever it was played undisturbed: {label: how often}

    def on_lane(self, order):
        lane_ = self.lanes.pop()
        try:
            return lane_.play(*order)
        finally:
            self.lanes.append(lane_)

    def look(self, numbers):
        """What these scenarios pass after the crashes that make them."""
        answers = list(self.pool.map(self.on_lane, [(self.scenarios[n].name,) for n in numbers]))
        for n, answer in zip(numbers, answers):
            late = LATE.search(answer.get("error", ""))
            if late:
                print(f"# once more, alone: {self.scenarios[n].name}, undisturbed\n" + comment(answer["error"]), end="")
                answer = self.on_lane((self.scenarios[n].name,))
            if "error" in answer:
                print(f"not ok - {self.scenarios[n].name}, undisturbed\n" + comment(answer["error"]))
                sys.exit(1)
            if late:
                print(f"# UNSTEADY {self.scenarios[n].name}, undisturbed: {late.group()}")
            self.plays[n].append(collections.Counter(answer["passed"]))

    def census(self, lacks, surplus):
        """Until nothing is lacking that some scenario passes, and nothing is there that is said not to be: what hangs on how fast the one
        and the other were is given more chances. lacks: of all labels; surplus: of a scenario's."""
        again = list(range(len(self.scenarios)))
        while again and len(self.plays[again[0]]) < LOOKS_MAX:
            self.look(again)
            odd = [n for n, plays in enumerate(self.plays) if surplus(self.always(n))]
            again = list(range(len(self.scenarios))) if lacks(self.ever()) else odd

    def labels(self, n):
        return functools.reduce(operator.or_, self.plays[n])

    def always(self, n):
        return set.intersection(*map(set, self.plays[n]))

    def ever(self):
        return {label for n in range(len(self.scenarios)) for label in self.labels(n)}

    def orders(self):
        """What to arm: each label in the first scenario that passes it."""
        orders, seen = [], set()
        for n in range(len(self.scenarios)):
            labels = self.labels(n)
            for label in sorted(labels):
                if label in seen or is_elsewhere(label.split(":")[0]):
                    continue
                seen.add(label)
                for at in self.rig.spread(labels[label], self.deep):
                    orders.append((n, [(label, at)], False))
                    if self.deep > 1:
                        orders.append((n, [(label, at)], True))
        wanted = self.only.split() if self.only else [""]
        return [o for o in orders if any(word in o[1][0][0] for word in wanted)]

    def play(self, order):
        label = order[1][0][0]
        answer = self.on_lane((self.scenarios[order[0]].name, *order[1:]))
        # What hangs on how fast the one and the other were is given more chances, in every scenario that passed it.
        for n in [n for n in range(len(self.scenarios)) if label in self.labels(n)] * 2:
            if "error" in answer or answer["fired"]:
                break
            self.counts["again"] += 1
            order = (n, order[1], order[2])
            answer = self.on_lane((self.scenarios[n].name, *order[1:]))
        return order, answer

    def played(self, orders):
        """(number, (order as it was played, answer)) of each; those that were only late come last, from their second time."""
        late = []
        for number, (order, answer) in enumerate(self.pool.map(self.play, orders), 4):
            if LATE.search(answer.get("error", "")):
                late.append((number, order, answer))
            else:
                yield number, (order, answer)
        for number, order, answer in late:
            print(f"# once more, alone: {number}\n" + comment(answer["error"]), end="")
            if len(late) <= LATE_MAX:
                why = LATE.search(answer["error"]).group()
                order, answer = self.play(order)
                if "error" not in answer:
                    print(f"# UNSTEADY {self.scenarios[order[0]].name}, {order[1][0][0]}: {why}")
            yield number, (order, answer)

    def close(self):
        self.pool.shutdown()
        assert all(lane_.close() == 0 for lane_ in self.lanes), "a lane ended badly"


def tell_elsewhere(points):
    """The points that no scenario here is to pass, and why."""
    for point in points:
        if is_elsewhere(point):
            print(comment(f"not here: {point}: {why_elsewhere(point)}"), end="")


def comment(text):
    return "".join(f"# {line}\n" for line in text.splitlines())


def points_of(labels):
    return {label.split(":")[0] for label in labels}


def missing_points(labels, points):
    return [p for p in points if p not in points_of(labels) and not is_elsewhere(p)]


def stale_points(labels):
    return {p for p in points_of(labels) if is_elsewhere(p)}


def check_points(matrix, points):
    reached = points_of(matrix.ever())
    missing = missing_points(reached, points)
    stale = set().union(*(stale_points(matrix.always(n)) for n in range(len(matrix.scenarios))))
    unknown = [p for p in reached if p not in points]
    ok = not missing and not stale and not unknown and len(points) > 50
    print(f"{'ok' if ok else 'not ok'} 1 - every crash point of the three programs is passed by a scenario, or said to be passed elsewhere")
    for what, found in (("passed by no scenario", missing), ("listed as passed elsewhere, and passed", stale), ("in no program", unknown)):
        print(comment("\n".join(f"{what}: {p}" for p in found)), end="")
    return ok


def all_kinds():
    with open(os.path.join(os.environ.get("BERTH_SRC", "."), "daemon", "store", "fact.c"), encoding="utf-8") as f:
        return set(re.findall(r'\[FACT_\w+\] = "([a-z-]+)"', f.read()))


def kinds_of(labels):
    return {label.split(":")[1] for label in labels if label.startswith("berthd facts-committed:")}


def missing_kinds(labels):
    return all_kinds() - kinds_of(labels) - set(KINDS_ELSEWHERE) - set(KINDS_BY_CHANCE)


def stale_kinds(labels):
    return kinds_of(labels) & set(KINDS_ELSEWHERE)


def check_kinds(matrix):
    """Facts are the dock's memory: each kind's way to the disk is disturbed, or said why not."""
    missing, passed = missing_kinds(matrix.ever()), collections.defaultdict(list)
    for n, scenario in enumerate(matrix.scenarios):
        for kind in stale_kinds(matrix.always(n)):
            passed[kind].append(scenario.name)
    ok = not missing and not passed and len(all_kinds()) > 50
    print(f"{'ok' if ok else 'not ok'} 3 - every kind of fact is put on record by a scenario, or said why not")
    print(comment("\n".join(f"put on record by no scenario: {k}" for k in sorted(missing))), end="")
    print(comment("\n".join(f"listed as not put on record, and was: {k}, by {', '.join(passed[k])}" for k in sorted(passed))), end="")
    chance = sorted(stale_kinds(matrix.ever()) - set(passed))
    print(comment("\n".join(f"listed as not put on record, and was, by chance: {k}" for k in chance)), end="")
    return ok


def check_release():
    from crash_points import PROGRAMS, points_of
    found = [p for p in PROGRAMS if os.path.exists(os.path.join(BUILD, p)) and points_of(os.path.join(BUILD, p))]
    print(f"{'not ok' if found else 'ok'} 2 - no crash point is in the programs that are installed")
    return not found


def main():
    from crash_points import all_points
    parser = argparse.ArgumentParser()
    parser.add_argument("--deep", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=(os.cpu_count() or 2) + 1)
    parser.add_argument("--only", help="crash points whose names have one of these words")
    parser.add_argument("--scenario", help="only those whose name has these words, and no check of what is missing")
    arguments = parser.parse_args()
    matrix, points = Matrix(arguments), all_points(CRASH_BUILD)
    some = bool(arguments.scenario)
    matrix.census(lambda labels: not some and (missing_points(labels, points) or missing_kinds(labels)),
                  lambda labels: not some and (stale_points(labels) or stale_kinds(labels)))
    orders = matrix.orders()
    print(f"1..{len(orders) + 3}\n# {len(points)} points, {len(orders)} crashes", flush=True)
    tell_elsewhere(points)
    good = (some or check_points(matrix, points)) & check_release()
    good &= some or check_kinds(matrix)
    for number, (order, answer) in matrix.played(orders):
        (label, at), name = order[1][0], matrix.scenarios[order[0]].name
        # That a step is done for this very thing may be chance; that it is done at all is not.
        by_chance = "error" not in answer and not answer["fired"] and ":" in label
        ok = by_chance or ("error" not in answer and answer["fired"])
        good &= ok
        matrix.counts["not passed this time"] += by_chance
        others = ", and all others with it" if order[2] else ""
        others += " # SKIP not passed this time" if by_chance else ""
        print(f"{'ok' if ok else 'not ok'} {number} - {name}: ended at {label}, pass {at}{others}", flush=True)
        if not ok:
            print(comment(answer.get("error", "the point was not passed")), flush=True)
    matrix.close()
    print(f"# {len(orders) - matrix.counts['not passed this time']} crashes, {matrix.counts['again']} tried again")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    if sys.argv[1:] == ["--lane"]:
        lane()
    else:
        main()
