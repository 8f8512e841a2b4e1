/* SPDX-License-Identifier: Apache-2.0 */
#include "base/container.h"

#include <errno.h>

#include "base/text.h"

static const char *const format_table[_CONTAINER_FORMAT_MAX] = {
        [CONTAINER_NONE] = "none",
        [CONTAINER_MP4] = "mp4",
        [CONTAINER_MOV] = "mov",
        [CONTAINER_AVI] = "avi",
        [CONTAINER_MATROSKA] = "matroska",
        [CONTAINER_WEBM] = "webm",
};
DEFINE_STRING_TABLE(container_format, ContainerFormat, format_table)

static const char *const verdict_table[_CONTAINER_VERDICT_MAX] = {
        [CONTAINER_UNCHECKED] = "unchecked",
        [CONTAINER_COMPLETE] = "complete",
        [CONTAINER_INCOMPLETE] = "incomplete",
};
DEFINE_STRING_TABLE(container_verdict, ContainerVerdict, verdict_table)
