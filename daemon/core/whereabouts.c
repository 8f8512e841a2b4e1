/* SPDX-License-Identifier: Apache-2.0 */
#include "core/whereabouts.h"

static void add_unstored(Whereabouts *w, uint64_t clips, int64_t since_usec) {
        w->unstored_clips += clips;
        if (clips > 0 && since_usec > 0 && (w->unstored_since_usec == 0 || since_usec < w->unstored_since_usec))
                w->unstored_since_usec = since_usec;
}

void whereabouts_of(const Sighting *s, size_t n, int64_t now_usec, Whereabouts *ret) {
        Whereabouts w = { 0 };

        for (size_t i = 1; i < n; i++)
                if (s[i].last_docked_usec > s[w.last].last_docked_usec)
                        w.last = i;
        for (size_t i = 0; i < n; i++) {
                add_unstored(&w, s[i].unstored_on_dock, s[i].on_dock_since_usec);
                if (!s[i].out || s[i].taken_usec < s[w.last].last_docked_usec || (w.out && s[i].taken_usec <= s[w.out_from].taken_usec))
                        continue;
                w.out = true;
                w.out_from = i;
        }
        add_unstored(&w, s[w.last].unstored_on_camera, s[w.last].on_camera_since_usec);
        if (w.out)
                w.overdue = s[w.out_from].told_overdue ||
                            (s[w.out_from].due_usec > 0 && s[w.out_from].due_usec + WHEREABOUTS_PATIENCE_USEC <= now_usec);
        *ret = w;
}
