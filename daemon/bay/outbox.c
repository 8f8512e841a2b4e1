/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/outbox.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/wire_bay.h"
#include "base/wire_digest.h"

#define PROGRESS_INTERVAL_USEC (USEC_PER_SEC / 4)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sd_bus *connection;
static uint64_t progress_at_usec, alive_at_usec;

void outbox_init(sd_bus *bus) {
        connection = bus;
}

/* Called with the lock held. Takes the message. */
static void send_now(sd_bus_message *m, int r) {
        if (r >= 0)
                r = sd_bus_send(connection, m, NULL);
        /* Waits while berthd does not read: a signal is told before the work goes on. */
        if (r >= 0)
                r = sd_bus_flush(connection);
        if (r < 0) {
                log_error(NULL, "cannot tell berthd how the work goes: %s", strerror(-r));
                _exit(EXIT_FAILURE);
        }
        sd_bus_message_unref(m);
}

static sd_bus_message *signal_new(const char *member, int *ret_result) {
        sd_bus_message *m = NULL;

        *ret_result = sd_bus_message_new_signal(connection, &m, WIRE_BAY_PATH, WIRE_BAY_INTERFACE, member);
        return m;
}

static bool is_due(uint64_t *at_usec) {
        uint64_t now = clock_boottime_usec();

        if (*at_usec != 0 && now - *at_usec < PROGRESS_INTERVAL_USEC)
                return false;
        *at_usec = now;
        return true;
}

void outbox_block(uint32_t clip, uint32_t number, uint32_t length, const Digest *digest) {
        sd_bus_message *m;
        int r;

        pthread_mutex_lock(&lock);
        m = signal_new("Block", &r);
        if (r >= 0)
                r = sd_bus_message_append(m, "uuu", clip, number, length);
        if (r >= 0)
                r = wire_append_digest(m, digest);
        send_now(m, r);
        pthread_mutex_unlock(&lock);
}

void outbox_progress(uint32_t clip, uint64_t bytes) {
        sd_bus_message *m;
        int r;

        pthread_mutex_lock(&lock);
        if (is_due(&progress_at_usec)) {
                m = signal_new("Progress", &r);
                if (r >= 0)
                        r = sd_bus_message_append(m, "ut", clip, bytes);
                send_now(m, r);
        }
        pthread_mutex_unlock(&lock);
}

void outbox_alive(void) {
        sd_bus_message *m;
        int r;

        pthread_mutex_lock(&lock);
        /* Before outbox_init() there is nobody to tell. */
        if (connection && is_due(&alive_at_usec)) {
                m = signal_new("Alive", &r);
                send_now(m, r);
        }
        pthread_mutex_unlock(&lock);
}
