/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/objects.h"

#include <errno.h>

#include "base/text.h"

static int each_interface(sd_bus_message *m, const char *path, const char *wanted, ObjectTake take, void *userdata) {
        const char *interface;
        int r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_read(m, "s", &interface);
                if (r >= 0)
                        r = text_equal(interface, wanted) ? take(userdata, path, m) : sd_bus_message_skip(m, "a{sv}");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int objects_each(sd_bus_message *reply, const char *interface, ObjectTake take, void *userdata) {
        const char *path;
        int r = sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}");

        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}")) > 0) {
                r = sd_bus_message_read(reply, "o", &path);
                if (r >= 0)
                        r = each_interface(reply, path, interface, take, userdata);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return r < 0 ? r : sd_bus_message_exit_container(reply);
}
