/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The custody chain's newest event, kept beside the database in a file of its own: a database that was set back to
 * an earlier state is then behind it.
 *
 * `chain.head` has two slots of 4096 bytes, written in turn, so that a torn write costs the newer one at most. A slot
 * is the line "berth-chain-head 1 <seq> <hash> <check>\n" padded with NUL; <check> is the SHA-256 of all before it.
 */

#include "base/digest.h"
#include "base/macro.h"

#define CHAIN_HEAD_NAME "chain.head"

typedef struct ChainHead {
        uint64_t seq; /* 0: no event yet, and the hash is zeros */
        Digest hash;
} ChainHead;

typedef struct ChainFile ChainFile;

/* Makes the file for an empty chain. */
int chain_file_create(int dir_fd);
/* -ENOENT when it is not there; -EBADE when neither slot can be read. */
int chain_file_open(int dir_fd, ChainFile **ret, ChainHead *ret_head);
/* The same, for looking only. */
int chain_file_read(int dir_fd, ChainHead *ret);
ChainFile *chain_file_free(ChainFile *f);
DEFINE_CLEANUP(ChainFile, chain_file_free);
/* Durable when it returns 0. */
int chain_file_write(ChainFile *f, const ChainHead *head);
