/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The memory of the process that called an ioctl. 0, or -EFAULT. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

int client_read(pid_t pid, uint64_t address, void *ret, size_t size);
int client_write(pid_t pid, uint64_t address, const void *data, size_t size);
