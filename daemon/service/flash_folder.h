/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The folder of one flash, flash/<id>/ in the state folder: what it shares with the worker that outlives the daemon (base/wire_flash.h). */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/digest.h"

#define FLASH_TEXT_SIZE 768u

/* state/flash: a descriptor or -errno. `make` makes it when it is not there, else that is -ENOENT. */
int flash_root_open(const char *state_dir, bool make);
/* The folder; `make` makes it. -ENOENT when there is none. */
int flash_folder_open(int root_fd, uint64_t id, bool make);
void flash_folder_remove(int root_fd, uint64_t id);
/* Removes those of which `is_wanted` knows nothing. */
void flash_root_sweep(int root_fd, bool (*is_wanted)(void *userdata, uint64_t id), void *userdata);

/* Copies the image there, durably: -EBADMSG when it is not of that size and digest. Blocks. */
int flash_folder_put_image(int folder_fd, int image_fd, uint64_t size_bytes, const Digest *digest);
/* For reading. */
int flash_folder_image(int folder_fd);
/* Under which path the image is put on the camera; put there before the image. Blocks. */
int flash_folder_put_target(int folder_fd, const char *path);
/* -ENOENT when it goes to a loader. The caller frees *ret. */
int flash_folder_target(int folder_fd, char **ret);
/*
 * How the n-th sending ended: 1: the camera took all; 0: it did not, with the worker's sentence in `ret`; -ENOENT when its worker
 * did not come to say.
 */
int flash_folder_outcome(int folder_fd, unsigned sending, char ret[static FLASH_TEXT_SIZE]);
/* The file that it writes. */
void flash_folder_outcome_name(unsigned sending, char ret[static 32]);
/* How many bytes of the image the camera has, as its worker says, which may be told anything: 0 when it says nothing that makes sense. */
uint64_t flash_folder_progress(int folder_fd);
/* What an earlier sending came to is no progress of the next. */
void flash_folder_forget_progress(int folder_fd);
/* The pid of the worker that is at it; 0: none is. */
pid_t flash_folder_worker(int folder_fd);
