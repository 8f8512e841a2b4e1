/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The words that follow a verb: for whoever completes them, and for -H, which some of them do not take. */

#include <stdbool.h>
#include <stddef.h>

typedef enum WordKind {
        WORD_NONE,
        WORD_BAY,
        WORD_SERIAL, /* of a camera */
        WORD_CLIP,
        WORD_OFFICER,
        WORD_POOL, /* a serial, or "pool" */
        WORD_VERSION, /* of firmware */
        WORD_ROLLOUT,
        WORD_JOB,
        WORD_CLIP_STATE,
        WORD_FILE, /* the shell knows */
} WordKind;

#define WORDS_MAX 3u

typedef struct Word {
        const char *verb;
        const char *word; /* NULL: the verb is followed by what `then` says at once */
        bool local;       /* of this machine's files and sockets: not by way of -H */
        WordKind then[WORDS_MAX];
} Word;

const Word *words(size_t *ret_n);
