/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A part: the file in the docking's incoming folder that a clip is pulled into. */

#include "base/edges.h"
#include "base/range.h"
#include "bay/fault.h"

/* Opens the part cut at `offset`, making it when `offset` is 0, with its name durable. */
int part_open(int dir_fd, const char *name, uint64_t offset, int *ret_fd, Fault *fault);
/*
 * Reads the first n_kept blocks back from the disk into `edges`, and compares what that comes to at the end of each with its digest. Tells
 * that it is alive. WIRE_BAY_E_PREFIX when one differs.
 */
int part_check(int fd, const Digest *kept, size_t n_kept, Edges *edges, Fault *fault);
/* The SHA-256 of a place in a part, read from the disk. WIRE_BAY_E_PREFIX when that has no such place. */
int part_sample(int dir_fd, const char *name, const ByteRange *place, Digest *ret, Fault *fault);
/* The fault for an errno that a file operation gave. `doing` completes "cannot … the part". */
int part_fault(Fault *fault, const char *doing, int error);
