#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The dock by busctl alone: its state, its bays, and the newest events of the custody log.
set -euo pipefail

dock=org.berth.Dock1
path=/org/berth/Dock1

property() { # OBJECT INTERFACE NAME
        busctl --system --json=short get-property "$dock" "$1" "$dock.$2" "$3" | jq -r .data
}

echo "dock $(property $path Manager DockName): $(property $path Manager State), store $(property $path Manager StoreState)"

# Bays are objects below the manager; `tree` lists them.
busctl --system --list tree "$dock" | grep -E "^$path/bay/[0-9]+$" | while read -r bay; do
        echo "bay $(property "$bay" Bay Number): $(property "$bay" Bay State) $(property "$bay" Bay Serial)"
done

# An event is its sequence number, its exact text, which the custody chain hashes, and the SHA-256 of that.
busctl --system --json=short call "$dock" $path "$dock.Manager" LastEvents stu "" 0 3 |
        jq -r '.data[0][] | "event \(.[0]): \(.[1] | fromjson | .event)"'
