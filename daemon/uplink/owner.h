/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#define OWNER_SIZE 17

/* 16 hex digits that name this machine among those that use a store: the same at each start. -errno. */
int owner_find(char ret[static OWNER_SIZE]);
