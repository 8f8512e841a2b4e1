/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What administrators published and this dock went by: the lists of the fleet's docks, its rosters, the firmware catalogs. Each must still
 * lie in the store as the dock took it, by the digest on record; only what another one followed may be gone, since nobody keeps old rosters
 * for ever. Whether it counts at all was judged when it was taken, and whoever reads it anew judges it again.
 */

#include "proof/proof.h"

struct sd_bus;
/* Of verify. As the parts of proof.h. */
int proof_published(Proof *p, struct sd_bus *bus);
