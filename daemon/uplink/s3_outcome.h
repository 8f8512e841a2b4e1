/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an answer of a store means for us, pure. */

#include <stdbool.h>
#include <stdint.h>

typedef enum S3Outcome {
        S3_OK,
        S3_ABSENT,         /* no such object */
        S3_NO_UPLOAD,      /* no such multipart upload (any more) */
        S3_NOT_SET,        /* the object has no retention or legal hold */
        S3_EXISTS,         /* the condition does not hold: an object is there */
        S3_TRY_AGAIN,      /* the store is busy, or failed inside */
        S3_COLLISION,      /* others do the same at this moment */
        S3_UNREACHABLE,    /* no answer, or half of one */
        S3_CORRUPTED,      /* what arrived is not what was hashed */
        S3_FULL,
        S3_NOT_ALLOWED,    /* the credentials are good, but not for this */
        S3_BAD_CREDENTIALS,
        S3_CLOCK_SKEW,
        S3_NO_BUCKET,
        S3_WRONG_REGION,
        S3_NEVER,          /* the store will never take this */
        _S3_OUTCOME_MAX,
} S3Outcome;

/* `status` 0: there was no answer. `code` is from the error document, "" when there was none. */
S3Outcome s3_outcome(int status, const char *code);
/* May the same request succeed in a moment? */
bool s3_outcome_is_passing(S3Outcome outcome);
