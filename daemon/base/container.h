/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a clip's bytes say of themselves as a file: its container format, whether that is whole, and when and how long it was
 * recorded. The worker looks once after the pull (bay/container.h) and never decodes; the camera controls all of it.
 */

#include <stdint.h>

typedef enum ContainerFormat {
        CONTAINER_NONE, /* none of these */
        CONTAINER_MP4,  /* ISO/IEC 14496-12 */
        CONTAINER_MOV,  /* QuickTime */
        CONTAINER_AVI,  /* RIFF, with OpenDML's further RIFFs */
        CONTAINER_MATROSKA,
        CONTAINER_WEBM,
        _CONTAINER_FORMAT_MAX,
        _CONTAINER_FORMAT_INVALID = -22,
} ContainerFormat;
const char *container_format_to_string(ContainerFormat f);
ContainerFormat container_format_from_string(const char *s);

typedef enum ContainerVerdict {
        CONTAINER_UNCHECKED,  /* no container, or one that was not followed to its end: the reason says why */
        CONTAINER_COMPLETE,   /* its structure is closed and lies within the file */
        CONTAINER_INCOMPLETE, /* it is not: the reason says what is missing, the offset where */
        _CONTAINER_VERDICT_MAX,
        _CONTAINER_VERDICT_INVALID = -22,
} ContainerVerdict;
const char *container_verdict_to_string(ContainerVerdict v);
ContainerVerdict container_verdict_from_string(const char *s);

#define CONTAINER_REASON_SIZE 192u
#define CONTAINER_TIME_UNKNOWN INT64_MIN
/* A recording time before 1990 or from 2100 on is a clock that was never set, or no time at all: unknown. */
#define CONTAINER_TIME_MIN INT64_C(631152000)
#define CONTAINER_TIME_END INT64_C(4102444800)
/* A duration of more than ten years is none. */
#define CONTAINER_DURATION_MAX_MSEC (UINT64_C(3660) * 24 * 3600 * 1000)

/* Zero-filled but for the time it is "no container". */
typedef struct Container {
        ContainerFormat format;
        ContainerVerdict verdict;
        uint64_t offset;          /* of what the reason names */
        int64_t recorded_unix_sec; /* as the camera wrote it, meant as UTC; or CONTAINER_TIME_UNKNOWN */
        uint64_t duration_msec;   /* 0: unknown */
        char reason[CONTAINER_REASON_SIZE]; /* printable; "" when there is nothing to say */
} Container;
#define CONTAINER_OF_NOTHING ((Container){ .recorded_unix_sec = CONTAINER_TIME_UNKNOWN })
