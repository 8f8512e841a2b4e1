/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/s3_outcome.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* ---- Times --------------------------------------------------------------------------------------------------------- */

static int month_of(const char *name) {
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

        for (int i = 0; i < 12; i++)
                if (strncmp(name, months + 3 * (ptrdiff_t) i, 3) == 0)
                        return i;
        return -EINVAL;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7), whatever the locale. */
int s3_parse_date(const char *text, int64_t *ret_unix_sec) {
        static const char shape[] = "aaa, 00 aaa 0000 00:00:00 GMT";
        struct tm tm = {};

        if (strlen(text) != sizeof(shape) - 1)
                return -EINVAL;
        for (size_t i = 0; shape[i]; i++) {
                bool digit = text[i] >= '0' && text[i] <= '9';

                if (shape[i] == '0' ? !digit : shape[i] != 'a' && text[i] != shape[i])
                        return -EINVAL;
        }
        tm.tm_mday = atoi(text + 5);
        tm.tm_mon = month_of(text + 8);
        tm.tm_year = atoi(text + 12) - 1900;
        tm.tm_hour = atoi(text + 17);
        tm.tm_min = atoi(text + 20);
        tm.tm_sec = atoi(text + 23);
        if (tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
                return -EINVAL;
        *ret_unix_sec = (int64_t) timegm(&tm);
        return 0;
}

uint64_t s3_retry_after_sec(const char *value, int64_t now_unix_sec) {
        size_t digits = strspn(value, "0123456789");
        int64_t at;

        if (digits > 0 && digits < 10 && value[digits] == 0)
                return strtoull(value, NULL, 10);
        if (s3_parse_date(value, &at) >= 0 && at > now_unix_sec)
                return (uint64_t) (at - now_unix_sec);
        return 0;
}
