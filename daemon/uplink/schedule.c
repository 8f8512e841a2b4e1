/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/schedule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"

/* Also for when the clock is set. */
#define LOOK_USEC (5 * USEC_PER_SEC)
#define DAY_MINUTES (24u * 60u)

struct Schedule {
        ScheduleChanged changed;
        void *userdata;
        sd_event_source *timer;
        char text[SCHEDULE_TEXT_SIZE]; /* as told; "" when something may be sent */
        size_t n_rules;
        PaceRule rules[];
};

bool schedule_text(const PaceRule *rules, size_t n, unsigned minute, char ret[static SCHEDULE_TEXT_SIZE]) {
        static const char *const days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
        unsigned wait = 0, until;
        bool today;

        while (wait < WEEK_MINUTES && pace_rules_at(rules, n, (minute + wait) % WEEK_MINUTES) == 0)
                wait++;
        if (wait == 0)
                return false;
        if (wait == WEEK_MINUTES) {
                (void) snprintf(ret, SCHEDULE_TEXT_SIZE, "[uplink] limit allows no uploads at any time");
                return true;
        }
        until = (minute + wait) % WEEK_MINUTES;
        today = minute % DAY_MINUTES + wait < DAY_MINUTES;
        (void) snprintf(ret, SCHEDULE_TEXT_SIZE, "the schedule allows no uploads until %s%s%02u:%02u",
                        today ? "" : days[until / DAY_MINUTES], today ? "" : " ", until % DAY_MINUTES / 60, until % 60);
        return true;
}

static void look(Schedule *s) {
        char text[SCHEDULE_TEXT_SIZE] = "";
        struct tm local;

        /* Without a time of day nothing is sent either: see pace.c. */
        if (!local_time(clock_wall_usec() / (int64_t) USEC_PER_SEC, &local))
                (void) snprintf(text, sizeof(text), "the dock's clock has no time of day");
        else
                (void) schedule_text(s->rules, s->n_rules, week_minute(&local), text);
        if (text_equal(text, s->text))
                return;
        memcpy(s->text, text, sizeof(text));
        s->changed(s->userdata, text[0] ? s->text : NULL);
}

static void arm(const Schedule *s) {
        uint64_t in_minute = (uint64_t) clock_wall_usec() % (60 * USEC_PER_SEC);

        (void) sd_event_source_set_time(s->timer, clock_boottime_usec() + MIN2(LOOK_USEC, 60 * USEC_PER_SEC - in_minute + USEC_PER_MSEC));
        (void) sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Schedule *s = userdata;

        (void) source;
        (void) usec;
        look(s);
        arm(s);
        return 0;
}

int schedule_new(sd_event *event, const PaceRule *rules, size_t n, ScheduleChanged changed, void *userdata, Schedule **ret) {
        _cleanup_(schedule_freep) Schedule *s = calloc(1, sizeof(*s) + n * sizeof(rules[0]));
        bool pauses = false;
        int r;

        if (!s)
                return -ENOMEM;
        s->changed = changed;
        s->userdata = userdata;
        s->n_rules = n;
        for (size_t i = 0; i < n; i++) {
                s->rules[i] = rules[i];
                pauses |= rules[i].bytes_per_sec == 0;
        }
        /* As a rule there is nothing to watch. */
        if (pauses) {
                r = sd_event_add_time(event, &s->timer, CLOCK_BOOTTIME, UINT64_MAX, 10 * USEC_PER_MSEC, on_timer, s);
                if (r < 0)
                        return r;
                look(s);
                arm(s);
        }
        *ret = TAKE_PTR(s);
        return 0;
}

Schedule *schedule_free(Schedule *s) {
        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->timer);
        free(s);
        return NULL;
}
