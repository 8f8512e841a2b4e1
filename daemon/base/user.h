/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For a tool that an admin runs as root on a service's files: becomes, for good, the user who owns this folder. Nothing is done when
 * this process is not root, or root owns it. -errno.
 */
int user_become_owner_of(const char *path);
