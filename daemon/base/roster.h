/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A roster: a site's officers, and who has a camera of their own. As JSON an array of objects with "id", and where there is something to
 * say "name", "unit_id", "unit_name", "badge" (what a reader shows) and "camera" (a serial; without it the pool's do).
 */

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/conf.h"
#include "base/sign.h"

#define ROSTER_OFFICERS_MAX 1000u
#define ROSTER_WORD_MAX 100u /* bytes of each */

typedef struct Officer {
        const char *id, *name, *unit_id, *unit_name, *badge, *serial; /* never NULL */
} Officer;

/* The i-th of a checked roster; what it points to lives as long as the JSON. */
Officer roster_officer(const json_t *roster, size_t i);
/* -EINVAL with a sentence: not of that form, two of one id or badge, or one camera for two officers. */
int roster_check(const json_t *roster, ConfError *error);
/*
 * From a table as spreadsheets write it (RFC 4180), in UTF-8: its first line names the columns, of which "id" must be there, and those
 * that it does not know are passed over. Fields are separated by commas, or by semicolons where the first line has these. -EINVAL with a
 * sentence that names file and line.
 */
int roster_from_csv(const char *file, const char *text, size_t size, json_t **ret, ConfError *error);

/* ---- The fleet's ---------------------------------------------------------------------------------------------------- */

/*
 * A statement (base/statement.h) of the type "roster", signed by the fleet's administrator, of a rising number. It lies in the store under
 * "roster/FLEET/NUMBER", so that docks find the one that follows theirs.
 */
#define ROSTER_FILE_MAX (60u * 1024u)

/* The caller frees; NULL when out of memory. */
char *roster_key(const char *fleet, uint64_t number);
/* Signs; the caller frees. -E2BIG when it is larger than ROSTER_FILE_MAX, -EINVAL for what is no id of a fleet. */
int roster_sign(const SignKey *admin, const char *fleet, uint64_t number, int64_t now_usec, const json_t *roster, char **ret);
/*
 * Reads one: -EBADE when it is none, -EKEYREJECTED when it is not signed by `admin`, of another fleet, of another number than its name
 * tells (`number`, 0: any), or not newer than `last_number`; each with a sentence.
 */
int roster_parse(const char *file, size_t size, const PublicKey *admin, const char *fleet, uint64_t number, uint64_t last_number,
                 json_t **ret, uint64_t *ret_number, ConfError *error);
