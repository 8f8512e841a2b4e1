#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What Prometheus gets from a dock: promtool and the strict OpenMetrics parser take it, and the alerts and the dashboard ask for
nothing that is not there."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile

from prometheus_client.openmetrics import parser

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), part) for part in ("..", "../lib")]
import tap  # noqa: E402
from ctl_world import CTL, GIB, pulling, world  # noqa: E402
from fake_dock import SRC  # noqa: E402

STAGES = ["seen", "copying", "copied", "uploading", "receipted", "erasing", "erased", "conflict", "lost"]
MONITORING = os.path.join(SRC, "monitoring")


def figures(w, **more):
    w.dock.figures(**{**{"Clips": dict(zip(STAGES, range(9))), "Bytes": dict(zip(STAGES, range(0, 9000, 1000))), "CustodyEvents": 77,
                         "OldestUnstoredUsec": 1700000000250000, "UploadsUnderWay": 2, "ReadBytes": 5 * GIB, "CopiedClips": 11,
                         "CopiedBytes": 4 * GIB, "StoredClips": 10, "StoredBytes": 3 * GIB, "ErasedClips": 9, "Faults": 3}, **more})


def full(w):
    """A dock of which everything is known."""
    figures(w)
    w.dock.dock(NextShiftUsec=1700000000000000)
    w.dock.bay(3, **pulling(ChargePercent=88, Power=True, Faults=1))
    w.dock.camera("a", Serial="a", Health="serious", HeldBack="it is hot")
    w.dock.rollout("r1", Id="r1", Version="2", Models=["m"], State="stopped", Waves=[[1, 10, 8, 2], [2, 90, 0, 0]])


def parsed(text):
    """{(name, labels): value} by the strict parser, which minds names, types, order and the end."""
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in parser.text_string_to_metric_families(text) for s in f.samples}


def value(samples, name, **labels):
    return samples.get((name, tuple(sorted(labels.items()))))


def promtool(*args, **options):
    return subprocess.run(["promtool", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)


def request(w, raw, **options):
    """What `berthctl metrics --http` answers on a connection: (status, header, body)."""
    ours, theirs = socket.socketpair()
    with ours, subprocess.Popen([CTL, "metrics", "--http"], env=w.env(), stdin=theirs, stdout=theirs, stderr=subprocess.PIPE,
                                **options) as child:
        theirs.close()
        ours.sendall(raw)
        ours.settimeout(60)
        answer = b""
        while True:
            data = ours.recv(65536)
            if not data:
                break
            answer += data
        ours.close()
        child.stderr.read()
    header, _, body = answer.decode().partition("\r\n\r\n")
    return header.split("\r\n")[0].removeprefix("HTTP/1.1 "), header, body


def test_promtool_finds_nothing_to_say():
    with world() as w:
        full(w)
        done = promtool("check", "metrics", input=w.run("metrics", "--textfile").stdout)
        assert done.returncode == 0 and not done.stdout.strip(), done.stdout
        assert promtool("check", "metrics", input=w.run("metrics", "--textfile").stdout + "berth_x{ 1\n").returncode != 0


def test_the_dock_is_told_as_it_is():
    with world() as w:
        full(w)
        text = w.run("metrics").stdout
        s = parsed(text)
        assert text.endswith("# EOF\n") and value(s, "berth_up") == 1 and value(s, "berth_build_info", version="0.1") == 1, text
        assert value(s, "berth_bay_state", bay="3", state="pulling") == 1 and value(s, "berth_bay_state", bay="3", state="empty") == 0
        assert value(s, "berth_bays", state="empty") == 3 and value(s, "berth_bays", state="pulling") == 1, text
        assert value(s, "berth_bay_battery_ratio", bay="3") == 0.87 and value(s, "berth_bay_charge_ratio", bay="3") == 0.88, text
        assert value(s, "berth_bay_battery_ratio", bay="1") is None, "what is not known is absent"
        assert value(s, "berth_bay_docking_faults", bay="3") == 1 and value(s, "berth_bay_unread_clips", bay="3") == 9, text
        assert [value(s, "berth_clips", stage=stage) for stage in STAGES] == list(range(9)), text
        assert value(s, "berth_clips_size_bytes", stage="lost") == 8000, text
        assert value(s, "berth_oldest_unstored_clip_timestamp_seconds") == 1700000000.25, text
        assert value(s, "berth_spool_free_bytes") == 90 * GIB and value(s, "berth_spool_remaining_seconds") == 7200, text
        assert value(s, "berth_read_bytes_total") == 5 * GIB and value(s, "berth_stored_bytes_total") == 3 * GIB, text
        assert value(s, "berth_faults_total") == 3 and value(s, "berth_store_state", state="ready") == 1, text
        assert value(s, "berth_cameras", health="serious") == 1 and value(s, "berth_cameras_held_back") == 1, text
        assert value(s, "berth_rollout_cameras_bad", rollout="r1", wave="1") == 2, text
        assert value(s, "berth_rollout_state", rollout="r1", state="stopped") == 1, text


def test_a_dock_that_does_not_answer_is_told_by_berth_up():
    with world() as w:
        w.dock.end()
        for args in ((), ("--textfile",)):
            done = w.run("metrics", *args)
            assert "berth_up 0\n" in done.stdout and "berth_bays" not in done.stdout and "does not run" in done.stderr, done
        assert request(w, b"GET /metrics HTTP/1.1\r\n\r\n")[0] == "200 OK"


def test_cardinality_is_bounded_by_the_rack():
    """No label holds what people or cameras are called, and a list that only grows is cut."""
    with world() as w:
        full(w)
        for n in range(40):
            w.dock.rollout(f"old{n:02}", Id=f"old{n:02}", State="aborted", Waves=[[1, 1, 1, 0]])
            w.dock.camera(f"c{n}", Serial=f"SERIAL-{n}", OfficerId=f"OFFICER-{n}", Health="good")
        text = w.run("metrics").stdout
        s = parsed(text)
        assert "SERIAL" not in text and "OFFICER" not in text and "BC-0003" not in text, text
        assert {key for _, labels in s for key, _ in labels} == {"version", "state", "bay", "health", "stage", "rollout", "wave"}
        assert value(s, "berth_rollouts") == 41 and len({dict(k[1])["rollout"] for k in s if k[0] == "berth_rollout_state"}) == 16, text


def test_a_scrape_is_answered_in_the_format_that_it_asks_for():
    with world() as w:
        full(w)
        accept = b"Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n"
        status, header, body = request(w, b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + accept + b"\r\n")
        assert status == "200 OK" and "openmetrics-text; version=1.0.0" in header and value(parsed(body), "berth_up") == 1, header
        assert f"Content-Length: {len(body.encode())}" in header, header
        status, header, body = request(w, b"GET /metrics?x=1 HTTP/1.0\r\n\r\n")
        assert status == "200 OK" and "text/plain; version=0.0.4" in header and "# TYPE berth_faults_total counter" in body, header
        assert request(w, b"HEAD /metrics HTTP/1.1\r\n\r\n")[2] == ""


def test_what_is_no_scrape_is_turned_away():
    with world() as w:
        assert request(w, b"POST /metrics HTTP/1.1\r\n\r\n")[0] == "405 Method Not Allowed"
        assert request(w, b"GET /etc/passwd HTTP/1.1\r\n\r\n")[0] == "404 Not Found"
        for raw in (b"\r\n\r\n",
                    b"GET /metrics\0HTTP/1.1\r\n\r\n", b"GET /metrics SSH-2\r\n\r\n", b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 8200):
            assert request(w, raw)[0] == "400 Bad Request", raw[:40]


def names():
    """All names of samples that there are."""
    with world() as w:
        full(w)
        return {name for name, _ in parsed(w.run("metrics").stdout)}


def asked(expression):
    return set(re.findall(r"\bberth_\w+", expression))


def test_alert_rules_are_tested_and_ask_for_what_is_there():
    assert (done := promtool("check", "rules", "alerts.yml", cwd=MONITORING)).returncode == 0, done.stdout
    assert (done := promtool("test", "rules", "alerts_test.yml", cwd=MONITORING)).returncode == 0, done.stdout
    with open(os.path.join(MONITORING, "alerts.yml"), encoding="utf-8") as f:
        rules = f.read()
    assert (used := {n for line in rules.splitlines() if "expr:" in line for n in asked(line)}) <= names(), used - names()
    with open(os.path.join(MONITORING, "alerts_test.yml"), encoding="utf-8") as f:
        tested = f.read()
    for alert in re.findall(r"alert: (\w+)", rules):
        assert f'"{alert}"' in tested, f"{alert} has no test"


def expressions(panels):
    for panel in panels:
        yield from (target["expr"] for target in panel.get("targets", []))
        yield from expressions(panel.get("panels", []))


def test_the_dashboard_asks_for_what_is_there():
    with open(os.path.join(MONITORING, "dashboard.json"), encoding="utf-8") as f:
        board = json.load(f)
    found = list(expressions(board["panels"]))
    assert len(found) >= 12 and board["title"] == "Berth docks" and board["uid"], found
    variables = {v["name"] for v in board["templating"]["list"]}
    rules = []
    for n, expression in enumerate(found):
        assert asked(expression) <= names(), asked(expression) - names()
        assert set(re.findall(r"\$(\w+)", expression)) <= variables | {"__rate_interval"}, expression
        expression = expression.replace("$__rate_interval", "5m").replace("$instance", "x")
        rules.append(f"      - record: r{n}\n        expr: {json.dumps(expression)}\n")
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as f:
        f.write("groups:\n  - name: dashboard\n    rules:\n" + "".join(rules))
        f.flush()
        assert (done := promtool("check", "rules", f.name)).returncode == 0, done.stdout
    ids = [p["id"] for p in board["panels"]]
    assert len(ids) == len(set(ids)), "panels have numbers of their own"


def test_the_page_lists_every_metric():
    with open(os.path.join(SRC, "docs", "monitoring.md"), encoding="utf-8") as f:
        listed = set(re.findall(r"^\| `(berth_\w+)", f.read(), re.M))
    assert listed == names(), listed ^ names()


if __name__ == "__main__":
    tap.main()
