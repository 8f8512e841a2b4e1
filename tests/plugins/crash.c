/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A plugin with a broken callback. Options: in=open|identify|health|set_clock|list|read|erase|close, and
 *   how=segv|abort|exit|stack   the process ends
 *   how=sleep|spin              nothing comes any more
 *   how=alive                   nothing comes either, and the plugin says all the time that it is busy
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugins/plain.h"

static char where[32] = "", how[32] = "segv";
static volatile unsigned counter = 1;
static volatile char *volatile nowhere = (volatile char *) (uintptr_t) 8;

static unsigned fill_the_stack(unsigned depth) {
        volatile char page[4096];

        page[0] = (char) depth;
        /* Never 0, which the compiler does not know. */
        return counter == 0 ? 0 : fill_the_stack(depth + 1) + (unsigned) page[0];
}

static void wait_for_ever(void) {
        for (;;) {
                if (strcmp(how, "spin") == 0)
                        counter |= 1;
                else if (strcmp(how, "alive") == 0)
                        berth_host_alive(plain_host);
                if (strcmp(how, "spin") != 0)
                        (void) nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
        }
}

static void reach(const char *callback) {
        if (strcmp(where, callback) != 0)
                return;
        if (strcmp(how, "segv") == 0)
                *nowhere = 1;
        else if (strcmp(how, "abort") == 0)
                abort();
        else if (strcmp(how, "exit") == 0)
                exit(0);
        else if (strcmp(how, "stack") == 0)
                (void) fill_the_stack(0);
        else
                wait_for_ever();
}

static int crash_open(berth_host *host, const char *const *options, void **ret_state) {
        (void) plain_open(host, options, ret_state);
        for (; *options; options++)
                if (strncmp(*options, "in=", 3) == 0)
                        (void) snprintf(where, sizeof(where), "%s", *options + 3);
                else if (strncmp(*options, "how=", 4) == 0)
                        (void) snprintf(how, sizeof(how), "%s", *options + 4);
        reach("open");
        return 0;
}

static void crash_close(void *state) {
        (void) state;
        reach("close");
}

static int crash_identify(void *state, berth_identity *ret) {
        reach("identify");
        return plain_identify(state, ret);
}

static int crash_health(void *state, berth_health *ret) {
        (void) state;
        (void) ret;
        reach("health");
        return 0;
}

static int crash_set_clock(void *state, int64_t unix_sec) {
        (void) state;
        (void) unix_sec;
        reach("set_clock");
        return 0;
}

static int crash_list(void *state) {
        berth_clip clip = { .struct_size = sizeof(clip), .path = "A", .size_bytes = 100, .mtime_unix_sec = 1 };

        (void) state;
        reach("list");
        return berth_host_clip(plain_host, &clip);
}

static int crash_read(void *state, const berth_clip *clip, uint64_t offset, uint64_t length) {
        static const char zeroes[100];

        (void) state;
        (void) clip;
        (void) offset;
        reach("read");
        return berth_host_deliver(plain_host, zeroes, (size_t) length);
}

static int crash_erase(void *state, const berth_clip *clip) {
        (void) state;
        (void) clip;
        reach("erase");
        return 0;
}

static int crash_get_owner(void *state, berth_owner *ret) {
        (void) state;
        (void) ret;
        reach("get_owner");
        return 0;
}

static int crash_set_owner(void *state, const berth_owner *owner) {
        (void) state;
        (void) owner;
        reach("set_owner");
        return 0;
}

static int crash_enter_storage(void *state) {
        (void) state;
        reach("enter_storage");
        return 0;
}

static int crash_eject(void *state) {
        (void) state;
        reach("eject");
        return 0;
}

static int crash_format(void *state) {
        (void) state;
        reach("format");
        return 0;
}

const berth_plugin berth_plugin_entry = {
        .abi_version = BERTH_PLUGIN_ABI,
        .struct_size = sizeof(berth_plugin),
        .name = "crash",
        .version = "1.0",
        .open = crash_open,
        .close = crash_close,
        .identify = crash_identify,
        .health = crash_health,
        .set_clock = crash_set_clock,
        .list = crash_list,
        .read = crash_read,
        .erase = crash_erase,
        .get_owner = crash_get_owner,
        .set_owner = crash_set_owner,
        .enter_storage = crash_enter_storage,
        .eject = crash_eject,
        .format = crash_format,
};
