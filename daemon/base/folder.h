/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Calls `visit` for each entry of a folder but "." and "..", in no order; a negative return ends it and is returned. Entries may be
 * moved away meanwhile. The descriptor's own offset is left alone.
 */
int folder_each(int dir_fd, int (*visit)(const char *name, void *userdata), void *userdata);
