/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How a camera is: findings, each with what a person can do about it, from what the dock measured now and over its dockings. And
 * whether it may be issued. Pure: "now" is in the facts, thresholds are arguments.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/temperature.h"
#include "core/trend.h"

typedef enum HealthSeverity {
        HEALTH_NOTICE,  /* nobody has to do anything */
        HEALTH_WARNING, /* somebody should look at it; it may be issued */
        HEALTH_SERIOUS, /* it may not */
        _HEALTH_SEVERITY_MAX,
        _HEALTH_SEVERITY_INVALID = -22,
} HealthSeverity;
const char *health_severity_to_string(HealthSeverity s);
HealthSeverity health_severity_from_string(const char *s);

typedef enum HealthCode {
        HEALTH_STORAGE_READ_ONLY,
        HEALTH_STORAGE_SHRUNK,  /* smaller than it was: a medium that fails, or another one */
        HEALTH_STORAGE_FULL,    /* nearly, and nothing is left that could be erased */
        HEALTH_MEDIUM_ERRORS,   /* recordings that could not be read whole */
        HEALTH_VOLUME_DIRTY,    /* its file system was not left cleanly */
        HEALTH_CLOCK_LOST,      /* it begins anew when the battery is empty */
        HEALTH_CLOCK_RUNS_OFF,  /* faster than a clock should */
        HEALTH_FIRMWARE_OTHER,  /* not the fleet's */
        HEALTH_CAMERA_FAULTS,   /* its dockings fault, in more bays than one */
        HEALTH_RECORDINGS_LEFT, /* on it, though its docking is done */
        HEALTH_BATTERY_WORN,    /* it holds less than when it was new, by how fast it charges */
        HEALTH_BATTERY_WEAK,    /* it came back all but empty, again and again */
        HEALTH_TEMPERATURE,     /* too warm or too cold to be charged */
        HEALTH_HOT,             /* so hot that nobody should wear it */
        HEALTH_BATTERY_FADES,   /* it holds less from month to month */
        HEALTH_CLOCK_WORSENS,   /* it runs off faster from month to month */
        HEALTH_RESTARTS,        /* it started again by itself, again and again */
        HEALTH_FIRMWARE_COMES,  /* not the fleet's yet: a rollout brings it */
        HEALTH_FIRMWARE_UNLISTED, /* the fleet's catalog does not have it */
        _HEALTH_CODE_MAX,
        _HEALTH_CODE_INVALID = -22,
} HealthCode;
/* "storage-read-only": for programs, and for good. */
const char *health_code_to_string(HealthCode c);
HealthCode health_code_from_string(const char *s);

#define HEALTH_BIT(code) (UINT32_C(1) << (code))
/* A set of codes as text, joined by commas, "" for none; of bytes with room for all of them. */
#define HEALTH_CODES_SIZE 520u
char *health_codes_to_text(uint32_t codes, char ret[static HEALTH_CODES_SIZE]);
/* Unknown words are passed over: a newer program may have written them. */
uint32_t health_codes_from_text(const char *text);

/* What the fleet says of a camera's firmware. */
typedef enum HealthFleet {
        HEALTH_FLEET_NOTHING,
        HEALTH_FLEET_SET,      /* the dock's settings name the version */
        HEALTH_FLEET_COMES,    /* a rollout brings it to this camera */
        HEALTH_FLEET_FAILED,   /* a rollout tried to */
        HEALTH_FLEET_UNLISTED, /* no rollout is on, and the catalog has versions for its model, but not this one */
        _HEALTH_FLEET_MAX,
} HealthFleet;

typedef struct HealthLimits {
        int64_t drift_usec_per_day;   /* more than this runs off */
        unsigned storage_free_percent; /* less than this, with nothing left to erase, is full */
        unsigned medium_errors;       /* so many recordings are serious; fewer are a warning */
        unsigned faulted_dockings;    /* of the last ten, in two bays or more */
        unsigned battery_wear_percent; /* more than this is worn; at one and a half times that it is serious */
        unsigned weak_dockings;       /* in a row, at HEALTH_WEAK_PERCENT or less */
        unsigned battery_fade_percent; /* more than this a month fades; 0: that is not looked at */
        int64_t drift_trend_usec;     /* a drift by the day that grows by more than this a month worsens; 0: that is not looked at */
        unsigned restarts;            /* that nobody asked for, in the last ten dockings; 0: they are not looked at */
        TemperatureLimits charge;     /* batteries are charged within these */
        int hot_decidegrees;          /* from this on it is serious */
} HealthLimits;
#define HEALTH_WEAK_PERCENT 5
#define HEALTH_DOCKINGS 10u /* so many are looked back on */

/* What is known. All zero is a camera of which nothing is known, but for the members that say otherwise. */
typedef struct HealthFacts {
        bool storage_known, read_only;
        bool free_known; /* nothing was erased since it was told */
        uint64_t storage_total_bytes, storage_free_bytes;
        uint64_t storage_before_bytes; /* of the same storage, the most that it ever told; 0: nothing */
        bool volume_known, volume_dirty;
        bool drift_known;            /* and the dock's own clock known right */
        int64_t drift_usec;          /* camera minus dock */
        int64_t camera_unix_sec;     /* what its clock showed */
        uint64_t clock_set_age_usec; /* since the dock set it; 0: never, or not known */
        const char *firmware;        /* NULL or "": not known */
        HealthFleet fleet;
        const char *firmware_wanted; /* with HEALTH_FLEET_SET, COMES, FAILED */
        unsigned medium_errors;      /* recordings with bytes that could not be read, in the last dockings */
        unsigned faulted_dockings, faulted_bays; /* of the last dockings */
        bool done;                   /* its docking has nothing left to do … */
        unsigned recordings_left;    /* … but these are on the camera */
        unsigned weak_dockings;      /* in a row, this one included */
        int battery_wear_percent;    /* -1: not known */
        const TrendPoint *capacities; /* how long it took to be charged, in thousandths of what its model says, over its dockings */
        size_t n_capacities;
        const TrendPoint *drifts;    /* by how much its clock ran off in a day, microseconds, over its dockings */
        size_t n_drifts;
        bool restarts_known;
        uint64_t restarts;           /* in the last dockings */
        bool temperature_known;
        int temperature_decidegrees;
} HealthFacts;

typedef struct HealthFinding {
        HealthCode code;
        HealthSeverity severity;
        char text[192];
        const char *next_step;
} HealthFinding;

/* The findings, the most severe first; returns how many. */
size_t health_judge(const HealthFacts *facts, const HealthLimits *limits, HealthFinding ret[static _HEALTH_CODE_MAX]);
/* What these facts could tell of: a code that is not in it was neither found nor ruled out. */
uint32_t health_looked_at(const HealthFacts *facts);

typedef struct HealthStanding {
        uint32_t quarantined; /* for these findings it is kept back; 0: it is not */
        uint32_t accepted;    /* in spite of these somebody released it */
} HealthStanding;

/*
 * What follows from a check. Serious findings keep the camera back, but for those that were accepted. It is let go by a check that
 * looked for all that it was kept back for and found nothing serious. What is not found any more is not accepted any more.
 */
HealthStanding health_standing(HealthStanding before, uint32_t serious, uint32_t looked_at);
/* Somebody releases it. */
HealthStanding health_released(HealthStanding before);
/* Of these findings, the serious ones. */
uint32_t health_serious(const HealthFinding *findings, size_t n);

/*
 * How much less a battery holds than it should, by how long it took from one percentage to another at full power: `expected_usec` is
 * what its charge curve says. Percent, 0 to 100; -1 when the span is too short to tell.
 */
int health_battery_wear(uint64_t took_usec, uint64_t expected_usec, unsigned percents);
