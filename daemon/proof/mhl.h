/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An ASC Media Hash List, version 2.0 (urn:ASC:MHL:v2.0), of all that is in a bundle so far: the folder `ascmhl` with the first generation
 * and its chain. The hashes are C4 and MD5, of those that the format knows.
 */

#include "proof/bundle.h"

/* `root` names the folder that the list is of. */
int mhl_write(Bundle *b, const char *root);
