/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/caller.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "bus/bus_private.h"
#include "bus/error.h"

/* From the file alone: a directory server that does not answer would hold up the loop. */
static void look_up_name(uint32_t uid, char ret[static CALLER_NAME_SIZE]) {
        struct passwd entry = {}, *found = NULL;
        char buffer[4096];
        FILE *f = fopen("/etc/passwd", "re");

        ret[0] = 0;
        if (!f)
                return;
        while (fgetpwent_r(f, &entry, buffer, sizeof(buffer), &found) == 0)
                if (found->pw_uid == uid) {
                        text_sanitise(found->pw_name, ret, CALLER_NAME_SIZE);
                        break;
                }
        (void) fclose(f);
}

int caller_get(sd_bus_message *m, Caller *ret, sd_bus_error *error) {
        _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
        Caller c = { 0 };
        uid_t uid;
        int r;

        r = sd_bus_query_sender_creds(m, SD_BUS_CREDS_EUID, &creds);
        if (r >= 0)
                r = sd_bus_creds_get_euid(creds, &uid);
        if (r < 0)
                return sd_bus_error_setf(error, BUS_E_NOT_AUTHORISED, "The bus does not say who calls: %s.", strerror(-r));
        c.uid = (uint32_t) uid;
        look_up_name(c.uid, c.name);
        *ret = c;
        return 0;
}

Operator caller_operator(const Caller *c) {
        return (Operator){ .uid = c->uid, .name = c->name[0] ? c->name : NULL };
}

void caller_answer(void *userdata, int result, const char *text) {
        sd_bus_message *m = userdata;

        if (result < 0)
                (void) error_reply(m, result, text);
        else
                (void) sd_bus_reply_method_return(m, NULL);
        sd_bus_message_unref(m);
}
