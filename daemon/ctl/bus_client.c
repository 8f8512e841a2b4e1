/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/bus_client.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "ctl/agent.h"

#define CALL_TIMEOUT_USEC (15 * USEC_PER_SEC)
/* A password is typed: a little longer than the daemon waits for that. */
#define DIALOG_USEC (130 * USEC_PER_SEC)

int bus_client_connect(const Options *options, sd_bus **ret) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        int r;
        if (options->n_hosts > 0)
                r = sd_bus_open_system_remote(&bus, options->hosts[0]);
        else if (options->address) {
                r = sd_bus_new(&bus);
                if (r < 0)
                        return r;
                r = sd_bus_set_address(bus, options->address);
                if (r < 0)
                        return r;
                r = sd_bus_set_bus_client(bus, true);
                if (r < 0)
                        return r;
                r = sd_bus_start(bus);
        } else
                r = sd_bus_open_system(&bus);
        if (r < 0)
                return r;
        r = sd_bus_set_method_call_timeout(bus, CALL_TIMEOUT_USEC);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

int bus_client_open(const Options *options, sd_bus **ret) {
        int r = bus_client_connect(options, ret);
        if (r < 0 && options->n_hosts > 0)
                return ctl_fail(CTL_UNREACHABLE, "cannot reach the bus of %s: %s", options->hosts[0], strerror(-r));
        if (r < 0 && options->address)
                return ctl_fail(CTL_UNREACHABLE, "cannot connect to the bus at '%s': %s", options->address,
                                strerror(-r));
        if (r < 0)
                return ctl_fail(CTL_UNREACHABLE, "cannot connect to the system bus: %s", strerror(-r));
        return CTL_OK;
}

bool bus_client_is_unreachable(const sd_bus_error *error, int r) {
        static const char *const absent[] = {
                SD_BUS_ERROR_SERVICE_UNKNOWN,
                SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                SD_BUS_ERROR_NO_SERVER,
                SD_BUS_ERROR_DISCONNECTED,
                "org.freedesktop.DBus.Error.NoReply", /* it went away, or hangs */
        };
        for (size_t i = 0; i < ELEMENTSOF(absent); i++)
                if (sd_bus_error_has_name(error, absent[i]))
                        return true;
        return r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE || r == -ETIMEDOUT || r == -ESHUTDOWN;
}

bool bus_client_has_daemon(sd_bus *bus) {
        return sd_bus_get_name_creds(bus, DOCK_BUS_NAME, 0, NULL) >= 0;
}

int bus_client_report(const sd_bus_error *error, int r) {
        const char *said = error && error->message ? error->message : strerror(-r);
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
            sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                return ctl_fail(CTL_UNREACHABLE, "the daemon does not run: " DOCK_BUS_NAME
                                " is not on the bus; 'systemctl status berthd' may tell why");
        if (bus_client_is_unreachable(error, r))
                return ctl_fail(CTL_UNREACHABLE, "the daemon does not answer: %s", said);
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED))
                return ctl_fail(CTL_FAILURE, "the bus does not let this user talk to the daemon: %s", said);
        /* What the daemon finds wrong with an argument was typed wrong here. */
        if (sd_bus_error_has_name(error, DOCK_E_INVALID_ARGUMENT))
                return ctl_fail(CTL_USAGE, "%s", said);
        if (error && error->message)
                return ctl_fail(CTL_FAILURE, "%s", said);
        return ctl_fail(CTL_FAILURE, "the daemon's answer cannot be used: %s", said);
}

static const char *path_of(const char *interface) {
        static const struct {
                const char *interface, *path;
        } paths[] = {
                { DOCK_ROSTER_INTERFACE, DOCK_PATH "/roster" },
                { DOCK_TRANSFERS_INTERFACE, DOCK_PATH "/transfer" },
                { DOCK_CATALOG_INTERFACE, DOCK_PATH "/firmware" },
        };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++)
                if (strcmp(paths[i].interface, interface) == 0)
                        return paths[i].path;
        return DOCK_PATH;
}

int bus_client_message(sd_bus *bus, const char *interface, const char *member, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = sd_bus_message_new_method_call(bus, &call, DOCK_BUS_NAME, path_of(interface), interface, member);
        if (r < 0)
                return r;
        /* Looking at the dock must not start it. */
        r = sd_bus_message_set_auto_start(call, false);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(call);
        return 0;
}

/* Looking needs no password as the actions are shipped, and a site that wants one has root for it. */
static bool looks(sd_bus_message *call) {
        static const char *const beginnings[] = { "List", "Last", "Get", "Examine" };
        const char *member = sd_bus_message_get_member(call);

        for (size_t i = 0; i < ELEMENTSOF(beginnings); i++)
                if (strncmp(member, beginnings[i], strlen(beginnings[i])) == 0)
                        return true;
        return false;
}

/* Whoever may be asked for a password is given longer. */
static int may_ask(sd_bus *bus, sd_bus_message *call, uint64_t *wait_usec) {
        /* An agent here could not answer for a session there. */
        const char *address = NULL;
        bool remote = sd_bus_get_address(bus, &address) >= 0 && strncmp(address, "unixexec:", strlen("unixexec:")) == 0;
        if (remote || !agent_may_ask() || looks(call))
                return 0;
        int r = sd_bus_message_set_allow_interactive_authorization(call, true);
        if (r < 0)
                return r;
        agent_start();
        *wait_usec = (*wait_usec > 0 ? *wait_usec : CALL_TIMEOUT_USEC) + DIALOG_USEC;
        return 0;
}

int bus_client_send(sd_bus *bus, sd_bus_message *call, uint64_t wait_usec, sd_bus_error *error, sd_bus_message **ret) {
        int r = may_ask(bus, call, &wait_usec);
        return r < 0 ? r : sd_bus_call(bus, call, wait_usec, error, ret);
}

int bus_client_call(sd_bus *bus, const char *interface, const char *member, sd_bus_message **ret, const char *types,
                    ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = bus_client_message(bus, interface, member, &call);
        if (r < 0)
                return bus_client_report(NULL, r);

        va_list ap;
        va_start(ap, types);
        r = sd_bus_message_appendv(call, types, ap);
        va_end(ap);
        if (r < 0)
                return bus_client_report(NULL, r);
        r = bus_client_send(bus, call, 0, &error, ret);
        if (r < 0)
                return bus_client_report(&error, r);
        return CTL_OK;
}

int bus_client_properties(sd_bus *bus, const char *path, const char *interface, sd_bus_message **ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = sd_bus_message_new_method_call(bus, &call, DOCK_BUS_NAME, path ? path : path_of(interface), BUS_PROPERTIES, "GetAll");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(call, false);
        if (r >= 0)
                r = sd_bus_message_append(call, "s", interface);
        if (r >= 0)
                r = bus_client_send(bus, call, 0, &error, ret);
        return r < 0 ? bus_client_report(&error, r) : CTL_OK;
}

int bus_client_load(sd_bus *bus, Dock **ret, sd_bus_message **ret_objects) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *manager = NULL, *objects = NULL;
        _cleanup_(dock_freep) Dock *dock = NULL;
        int exit_code = bus_client_properties(bus, NULL, DOCK_MANAGER_INTERFACE, &manager);
        if (exit_code == CTL_OK)
                exit_code = bus_client_call(bus, BUS_OBJECT_MANAGER, "GetManagedObjects", &objects, "");
        if (exit_code != CTL_OK)
                return exit_code;

        int r = dock_new(&dock);
        if (r >= 0)
                r = dock_load_manager(dock, manager);
        if (r >= 0)
                r = dock_load_objects(dock, objects);
        if (r >= 0)
                r = sd_bus_message_rewind(objects, true);
        if (r < 0)
                return bus_client_report(NULL, r);
        *ret = TAKE_PTR(dock);
        if (ret_objects)
                *ret_objects = TAKE_PTR(objects);
        return CTL_OK;
}

int bus_client_dock(const Options *options, Dock **ret) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        int exit_code = bus_client_open(options, &bus);
        return exit_code == CTL_OK ? bus_client_load(bus, ret, NULL) : exit_code;
}
