/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files of the state folder, read from the disk and hashed. */

#include <dirent.h>

#include "proof/proof.h"

/* `size` bytes from `from` on: -ENODATA when there are not so many, or -errno of a failed read. */
int proof_hash_file(Proof *p, int fd, uint64_t from, uint64_t size, Digest *ret);
/* The same into a hash that goes on. */
int proof_hash_more(Proof *p, int fd, uint64_t from, uint64_t size, Hasher *hasher);
/*
 * Reports "folder/name" when it is not the file that somebody had, of that size and digest: `of` says whose they are ("the copy"). Nothing
 * is said of a size that is not known (UINT64_MAX).
 */
void proof_check_file(Proof *p, int dir_fd, const char *folder, const char *name, uint64_t size, const Digest *digest, const char *of);
/* Opens a folder below another one; NULL when there is none, or it cannot be read, which is reported but for the first. closedir(). */
DIR *proof_open_folder(Proof *p, int dir_fd, const char *name);
bool proof_name_ends(const char *name, const char *end);
