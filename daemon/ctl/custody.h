/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/ctl.h"

#define CUSTODY_STATE_DIR "/var/lib/berth"
#define CUSTODY_UPLINK "/run/berth-uplink/uplink.sock"

int custody_verify_verb(const Options *options);
int custody_export_verb(const Options *options);
int custody_show_verb(const Options *options);
