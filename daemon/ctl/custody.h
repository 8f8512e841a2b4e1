/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/ctl.h"

int custody_archive_verb(const Options *options);
int custody_verify_verb(const Options *options);
int custody_export_verb(const Options *options);
int custody_show_verb(const Options *options);
