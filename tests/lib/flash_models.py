# SPDX-License-Identifier: Apache-2.0
"""Model files of the simulator's cameras that can be flashed. `more` is for the camera, `options` for what takes the firmware."""

MODELS = """
[model flash-cam]
description = camera with a loader
tested = in the simulator
match = 1209:bc11
interface = 06/01/01
other_interface = fe/01/01
plugin = mtp
firmware = dfu
update_mode = flash-loader
{more}

[model flash-loader]
description = its loader
tested = in the simulator
match = 1209:bc12
interface = fe/01/02
plugin = dfu
{options}
"""
# Its charge is planned.
CHARGED = MODELS.replace("firmware = dfu", "firmware = dfu\ncharge_ma = 500\nbattery_mah = 3000")

FILE_MODEL = """
[model flash-cam]
description = camera that looks for a file
tested = in the simulator
match = 1209:bc11
interface = 06/01/01
plugin = mtp
footage = *.mp4
firmware = file UPDATE/FW.BIN
{more}
{options}
"""

CARD_MODEL = """
[model flash-cam]
description = camera that looks for a file on its card
tested = in the simulator
match = 1209:bc13
interface = 08/06/50
plugin = msc
footage = DCIM/*
firmware = file UPDATE/FW.BIN
{more}
{options}
"""
