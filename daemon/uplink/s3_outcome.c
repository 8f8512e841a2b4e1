/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/s3_outcome.h"

#include "base/macro.h"
#include "base/text.h"

/* What counts more than the status that comes with it. */
static const struct {
        const char *code;
        S3Outcome outcome;
} by_code[] = {
        { "NoSuchBucket", S3_NO_BUCKET },
        { "NoSuchUpload", S3_NO_UPLOAD },
        { "NoSuchKey", S3_ABSENT },
        { "NoSuchVersion", S3_ABSENT },
        { "NoSuchObjectLockConfiguration", S3_NOT_SET },
        { "ObjectLockConfigurationNotFoundError", S3_NOT_SET },
        { "PreconditionFailed", S3_EXISTS },
        { "SlowDown", S3_TRY_AGAIN },
        { "ServiceUnavailable", S3_TRY_AGAIN },
        { "InternalError", S3_TRY_AGAIN },
        { "RequestTimeout", S3_TRY_AGAIN },
        { "InvalidPart", S3_TRY_AGAIN },
        { "OperationAborted", S3_COLLISION },
        { "ConditionalRequestConflict", S3_COLLISION },
        { "BadDigest", S3_CORRUPTED },
        { "XAmzContentSHA256Mismatch", S3_CORRUPTED },
        { "IncompleteBody", S3_CORRUPTED },
        { "QuotaExceeded", S3_FULL },
        { "InsufficientCapacity", S3_FULL },
        { "XMinioStorageFull", S3_FULL },
        { "AccessDenied", S3_NOT_ALLOWED },
        { "AllAccessDisabled", S3_NOT_ALLOWED },
        { "InvalidAccessKeyId", S3_BAD_CREDENTIALS },
        { "SignatureDoesNotMatch", S3_BAD_CREDENTIALS },
        { "ExpiredToken", S3_BAD_CREDENTIALS },
        { "InvalidToken", S3_BAD_CREDENTIALS },
        { "TokenRefreshRequired", S3_BAD_CREDENTIALS },
        { "RequestTimeTooSkewed", S3_CLOCK_SKEW },
        { "PermanentRedirect", S3_WRONG_REGION },
        { "TemporaryRedirect", S3_WRONG_REGION },
        { "AuthorizationHeaderMalformed", S3_WRONG_REGION },
};

S3Outcome s3_outcome(int status, const char *code) {
        if (status >= 200 && status < 300 && code[0] == 0)
                return S3_OK;
        for (size_t i = 0; i < ELEMENTSOF(by_code); i++)
                if (text_equal(by_code[i].code, code))
                        return by_code[i].outcome;
        if (status == 0)
                return S3_UNREACHABLE;
        if (status == 404)
                return S3_ABSENT;
        if (status == 412)
                return S3_EXISTS;
        if (status == 409)
                return S3_COLLISION;
        if (status == 507)
                return S3_FULL;
        if (status == 401)
                return S3_BAD_CREDENTIALS;
        if (status == 403)
                return S3_NOT_ALLOWED;
        if (status >= 300 && status < 400)
                return S3_WRONG_REGION;
        if (status == 408 || status == 425 || status == 429 || status >= 500 || status < 300)
                return S3_TRY_AGAIN;
        return S3_NEVER;
}

bool s3_outcome_is_passing(S3Outcome outcome) {
        return outcome == S3_TRY_AGAIN || outcome == S3_COLLISION || outcome == S3_UNREACHABLE || outcome == S3_CORRUPTED;
}
