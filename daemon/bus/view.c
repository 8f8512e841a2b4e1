/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/view.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/macro.h"
#include "base/text.h"

int view_text(char **field, const char *text) {
        size_t size;
        char *copy;

        text = text ? text : "";
        size = strlen(text) + 1;
        copy = malloc(size);
        if (!copy)
                return -ENOMEM;
        /* One string that is no UTF-8 would make the bus refuse the whole answer that it is a part of. */
        if (text_is_utf8(text, size - 1))
                memcpy(copy, text, size);
        else
                text_sanitise(text, copy, size);
        free(*field);
        *field = copy;
        return 0;
}

static void *member_of(const ViewMember *m, const void *view) {
        return (char *) view + m->offset;
}

void view_clear(const ViewMember *members, size_t n, void *view) {
        for (size_t i = 0; i < n; i++)
                if (members[i].kind == VIEW_TEXT) {
                        char **text = member_of(&members[i], view);

                        free(*text);
                        *text = NULL;
                }
}

static bool member_differs(const ViewMember *m, const void *a, const void *b) {
        static const size_t sizes[] = {
                [VIEW_BOOL] = sizeof(int),     [VIEW_U32] = sizeof(uint32_t), [VIEW_I32] = sizeof(int32_t),
                [VIEW_U64] = sizeof(uint64_t), [VIEW_I64] = sizeof(int64_t),
        };

        if (m->kind == VIEW_TEXT)
                return !text_equal(*(char **) member_of(m, a), *(char **) member_of(m, b));
        return memcmp(member_of(m, a), member_of(m, b), sizes[m->kind]) != 0;
}

void view_show(sd_bus *bus, const char *path, const char *interface, const ViewMember *members, size_t n, void *shown,
               void *now, size_t size) {
        char *names[VIEW_MEMBERS_MAX + 1];
        size_t changed = 0;
        int r;

        assert(n <= VIEW_MEMBERS_MAX);
        for (size_t i = 0; i < n; i++)
                if (member_differs(&members[i], shown, now))
                        names[changed++] = (char *) members[i].property;
        names[changed] = NULL;

        view_clear(members, n, shown);
        memcpy(shown, now, size);
        memset(now, 0, size);
        if (changed == 0 || !bus)
                return;
        r = sd_bus_emit_properties_changed_strv(bus, path, interface, names);
        if (r < 0)
                log_debug(NULL, "A change of %s cannot be announced: %s", path, strerror(-r));
}
