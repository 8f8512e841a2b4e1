#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The cameras that can be taken now, by berthctl's JSON (docs/json/status.json): "BAY SERIAL BATTERY%", the best charged first.
set -euo pipefail

berthctl status --json "$@" | jq -r '
        [.bays[] | select(.state == "ready" and .light != "keep")]
        | sort_by(-(.charge_percent // .battery_percent // 0))
        | .[] | [.number, .serial, (.charge_percent // .battery_percent // "?" | tostring) + "%"] | @tsv'
