# SPDX-License-Identifier: Apache-2.0
"""org.berth.Dock1 as its XML files promise it, and as a running daemon shows it."""

import os
import xml.etree.ElementTree as ElementTree

SRC = os.environ.get("BERTH_SRC", os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..")))
NAME = "org.berth.Dock1"


def shape(xml, interface):
    """What an interface promises: {member: (kind, what is typed how, whether changes are announced)}."""
    found = next(i for i in ElementTree.fromstring(xml).iter("interface") if i.get("name") == interface)
    members = {}
    for member in found:
        note = next((a.get("value") for a in member.iter("annotation")
                     if a.get("name") == "org.freedesktop.DBus.Property.EmitsChangedSignal"), "true")
        if member.tag == "property":
            members[member.get("name")] = ("property", member.get("type"), member.get("access"), note)
        elif member.tag in ("method", "signal"):
            members[member.get("name")] = (member.tag, [(a.get("name"), a.get("type"), a.get("direction")) for a in member.iter("arg")])
    return members


def written(noun):
    with open(f"{SRC}/daemon/bus/{NAME}.{noun}.xml", encoding="utf-8") as f:
        return shape(f.read(), f"{NAME}.{noun}")


def live(connection, path, noun):
    """`connection` is a Gio.DBusConnection."""
    answer = connection.call_sync(NAME, path, "org.freedesktop.DBus.Introspectable", "Introspect", None, None, 0, 60000, None)
    return shape(answer.unpack()[0], f"{NAME}.{noun}")
