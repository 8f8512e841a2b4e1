# SPDX-License-Identifier: Apache-2.0
"""What berthctl prints as JSON, against docs/json. A key that a schema does not have is an error here, though not for who reads it."""

import json
import os

import jsonschema

SRC = os.environ.get("BERTH_SRC", os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..")))
FOLDER = os.path.join(SRC, "docs", "json")


def _strict(schema):
    if isinstance(schema, dict):
        schema = {key: _strict(value) for key, value in schema.items()}
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        return schema
    return [_strict(s) for s in schema] if isinstance(schema, list) else schema


def load(name):
    with open(os.path.join(FOLDER, f"{name}.json"), encoding="utf-8") as f:
        return json.load(f)


def check(document):
    """The name of its schema, which it keeps."""
    name = document["schema"].removeprefix("org.berth.ctl.").removesuffix("/1")
    jsonschema.validate(document, _strict(load(name)), cls=jsonschema.Draft7Validator)
    return name


def parse(text):
    """The document, which is as its schema says."""
    document = json.loads(text)
    check(document)
    return document
