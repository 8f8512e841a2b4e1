# SPDX-License-Identifier: Apache-2.0
"""What a benchmark found, kept for the table that `make bench` writes: a line of JSON for each figure, in the file that
$BERTH_RESULTS names. Without it nothing is kept; benchmarks print their figures themselves."""

import json
import os


def add(suite, what, value, unit, aim=None, over=None):
    """`aim`: "<= 1.2", ">= 2"; None when the figure is there for comparison. `over`: (axis, place, series), for plot.py."""
    path = os.environ.get("BERTH_RESULTS")
    if path:
        with open(path, "a", encoding="utf-8") as f:
            f.write(json.dumps({"suite": suite, "what": what, "value": round(float(value), 4), "unit": unit, "aim": aim,
                                "over": over}) + "\n")


def met(figure):
    """Whether it reaches its aim; None when it has none."""
    if not figure["aim"]:
        return None
    relation, bound = figure["aim"].split()
    return figure["value"] <= float(bound) if relation == "<=" else figure["value"] >= float(bound)
