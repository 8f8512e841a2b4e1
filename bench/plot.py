#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How the figures grow with cameras, clips and bytes: bench/growth-AXIS.png from bench/results.json, by gnuplot, and the slopes as text.

usage: plot.py [RESULTS.json [FOLDER]]

A figure that was measured at several places of an axis (results.add(…, over=(AXIS, PLACE, SERIES))) is a line, both scales logarithmic.
Its slope s is that of the straight line that fits best: what doubles along the axis makes the figure 2^s times as large. 0 does not grow, 1
grows in proportion; what is a figure of one clip, camera or GiB should not grow.
"""

import json
import math
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
UNITS = {"cameras": "cameras at once", "clips": "clips in the database", "bytes": "bytes of a clip"}


def series_of(runs):
    """{axis: {(series, unit): [(place, value)]}}"""
    axes = {}
    for run in runs.values():
        for figure in run["figures"]:
            if not figure.get("over"):
                continue
            axis, place, series = figure["over"]
            if place > 0 and figure["value"] > 0:
                axes.setdefault(axis, {}).setdefault((series, figure["unit"]), []).append((place, figure["value"]))
    return {axis: {key: sorted(points) for key, points in lines.items() if len({x for x, _ in points}) > 1} for axis, lines in axes.items()}


def slope(points):
    """Of the least squares line through the logarithms."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys)) / sum((x - mean_x) ** 2 for x in xs)


def quoted(text):
    return '"' + "".join(" " if c in '"\\\n{}_^@&' else c for c in text) + '"'


def plot(axis, lines, path):
    with tempfile.TemporaryDirectory(prefix="berth-plot-") as folder:
        script = [f"set terminal png size 1200,{360 + 26 * len(lines)}", f"set output {quoted(path)}", "set logscale xy", "set grid",
                  f"set xlabel {quoted(UNITS.get(axis, axis))}", "set key below left vertical maxcols 1 Left reverse",
                  f"set title {quoted('How figures grow with ' + axis + ' (slope of each line: 0 does not, 1 in proportion)')}"]
        drawn = []
        for number, ((series, unit), points) in enumerate(lines.items()):
            data = os.path.join(folder, str(number))
            with open(data, "w", encoding="ascii") as f:
                f.writelines(f"{x} {y}\n" for x, y in points)
            drawn.append(f"'{data}' with linespoints lw 2 title {quoted(f'{series} [{unit}]: slope {slope(points):.2f}')}")
        script.append("plot " + ", ".join(drawn))
        subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=True)


def main():
    source, target = (sys.argv[1:] + [os.path.join(HERE, "results.json"), HERE][len(sys.argv) - 1:])[:2]
    with open(source, encoding="utf-8") as f:
        axes = series_of(json.load(f))
    if not axes:
        sys.exit(f"{source} has no figure at more than one place: run 'make bench BENCH=\"many years\"' first.")
    for axis, lines in axes.items():
        if not lines:
            continue
        path = os.path.join(target, f"growth-{axis}.png")
        plot(axis, lines, path)
        print(f"{os.path.relpath(path)}:")
        for (series, unit), points in lines.items():
            print(f"  {series:50} {points[0][1]:10.4g} to {points[-1][1]:10.4g} {unit:18} slope {slope(points):5.2f}")


if __name__ == "__main__":
    main()
