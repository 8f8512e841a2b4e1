/* SPDX-License-Identifier: Apache-2.0 */

/* org.berth.Dock1.Manager's Import. */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"
#include "bus/bus_private.h"
#include "bus/caller.h"
#include "bus/job.h"
#include "bus/manager_methods.h"
#include "service/import.h"

#define NAME_MAX_BYTES 64u
#define SOURCE_MAX_BYTES 4096u

static void imported(void *userdata, int result, const char *text, const ImportCount *count) {
        const JobValue values[] = {
                { .name = "Imported", .number = count->imported },
                { .name = "Recognised", .number = count->recognised },
                { .name = "Failed", .number = count->failed },
        };
        _cleanup_(freep) char *said = text_format("%s%s%zu files imported, %zu recognised, %zu failed",
                                                  result < 0 ? text ? text : strerror(-result) : "", result < 0 ? "; " : "",
                                                  count->imported, count->recognised, count->failed);

        job_end(userdata, result >= 0 ? JOB_DONE : result == -ECANCELED ? JOB_CANCELLED : JOB_FAILED,
                result >= 0 || result == -ECANCELED ? NULL : error_name(result), said, values, ELEMENTSOF(values));
}

static void moved(void *userdata, size_t done, size_t total) {
        job_progress(userdata, done, total);
}

static int cancel(void *operation, const Operator *by, const char **ret_why) {
        *ret_why = "it is ending";
        return import_cancel(operation, by);
}

static const JobKind kind = { .name = "import", .unit = "files", .action = ACTION_EVIDENCE, .cancel = cancel };

static int check_text(const char *what, const char *text, size_t max, sd_bus_error *ret_error) {
        if (text[0] && strlen(text) <= max && text_is_printable(text))
                return 0;
        return sd_bus_error_setf(ret_error, BUS_E_INVALID_ARGUMENT, "%s: it is printable and has 1 to %zu bytes.", what, max);
}

/* A regular file or a terminal would have the worker wait, or say nothing. */
static int check_socket(int fd, sd_bus_error *ret_error) {
        socklen_t size = sizeof(int);
        int type = 0;

        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET)
                return 0;
        return sd_bus_error_set(ret_error, BUS_E_INVALID_ARGUMENT, "socket: it is none of the kind over which a folder is served.");
}

int manager_bus_import(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Bus *b = *(Bus **) userdata;
        ImportOrder order;
        Import *import;
        Operator by;
        Caller caller;
        Job *job;
        int r;

        r = sd_bus_message_read(m, "sssh", &order.name, &order.source, &order.folder_id, &order.socket);
        if (r < 0)
                return r;
        if ((r = check_text("name", order.name, NAME_MAX_BYTES, ret_error)) < 0 ||
            (r = check_text("source", order.source, SOURCE_MAX_BYTES, ret_error)) < 0 ||
            (r = check_text("folder_id", order.folder_id, SOURCE_MAX_BYTES, ret_error)) < 0 ||
            (r = check_socket(order.socket, ret_error)) < 0 || (r = caller_get(m, &caller, ret_error)) < 0 ||
            (r = job_new(b, m, &kind, BUS_PATH, &job, ret_error)) < 0)
                return r;
        by = caller_operator(&caller);
        r = manager_import(b->manager, &order, &by, moved, imported, job, &import);
        if (r >= 0)
                return job_answer(job, import);
        job_drop(job);
        if (r == -EBUSY)
                return sd_bus_error_set(ret_error, BUS_E_BUSY, "Another folder is being imported; try again when that is done.");
        return error_set(ret_error, r, "The import cannot be begun: %s.", strerror(-r));
}
