/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The calls of base/wire_bay.h that are more than one callback of the plugin. */

#include "bay/container.h"
#include "bay/session.h"

/* pull.c: reads the clip into a part, durable when it returns, and looks at the container that it is. */
int pull_clip(Session *s, uint32_t index, const char *part, uint64_t offset, const Digest *kept, size_t n_kept, Reading *ret,
              Container *ret_container, Fault *fault);
/*
 * The same from 0 on, around the bytes that the medium does not give: they are zeros in the part, and *ret_holes says where. More than
 * BERTH_UNREADABLE_MAX places are too many.
 */
typedef struct Holes {
        ByteRange ranges[BERTH_UNREADABLE_MAX]; /* settled */
        size_t n;
} Holes;
int salvage_clip(Session *s, uint32_t index, const char *part, Reading *ret, Container *ret_container, Holes *ret_holes, Fault *fault);
/* verify.c: reads the clip again up to the end of its n-th block, and tells of each block by a Block signal. */
int verify_clip(Session *s, uint32_t index, uint32_t n_blocks, Fault *fault);
/* The same of some places of it, beside what a part has there, unless `part` is "". */
typedef struct Sample {
        Digest camera, part;
} Sample;
int sample_clip(Session *s, uint32_t index, const char *part, const ByteRange *places, size_t n, Sample *ret, Fault *fault);
/* erase.c: finds exactly that clip in this session, deletes it and sees that it is gone. */
int erase_clip(Session *s, const char *path, const Reading *content, int64_t mtime_unix_sec, Fault *fault);
