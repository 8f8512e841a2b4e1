/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Gives this process (which must have one thread only) a mount and a network namespace of its own, made in a user
 * namespace when it is not root's, with empty /sys and /run, a /dev of the harmless nodes, and lo up. Says on stderr
 * what failed; 0 or -errno.
 */
int namespace_enter(void);
