/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Berth's own pull of one clip, as berthd does it: a worker with its sandbox reads, hashes and writes durable blocks.
 *
 *   pull WORKER PLUGIN NODE PORT FOLDER      pulls the first clip of the camera into FOLDER/1.part
 *
 * Prints "SECONDS CPU_SECONDS BYTES SHA256" for the Pull alone (the worker's and this process's CPU over its whole life).
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/fd.h"
#include "service/worker.h"
#include "stopwatch.h"

typedef struct Bench {
        sd_event *event;
        Worker *worker;
        double begun, seconds;
        WorkerCopy copy;
} Bench;

static int give_up(Bench *b, const char *what, const char *text) {
        fprintf(stderr, "pull: %s: %s\n", what, text ? text : "failed");
        return sd_event_exit(b->event, 1);
}

static void on_dead(void *userdata, WorkerResult why, const char *text) {
        (void) give_up(userdata, worker_result_to_string(why), text);
}

static void on_block(void *userdata, uint32_t clip, uint32_t number, uint32_t length, const Digest *digest) {
        (void) userdata;
        (void) clip;
        (void) number;
        (void) length;
        (void) digest;
}

static void on_progress(void *userdata, uint32_t clip, uint64_t bytes) {
        (void) userdata;
        (void) clip;
        (void) bytes;
}

static void closed(void *userdata, WorkerResult result, const char *text) {
        Bench *b = userdata;

        (void) result;
        (void) text;
        (void) sd_event_exit(b->event, 0);
}

static void pulled(void *userdata, WorkerResult result, const char *text, const WorkerCopy *copy) {
        Bench *b = userdata;

        if (result != WORKER_OK) {
                (void) give_up(b, "Pull", text);
                return;
        }
        b->seconds = wall() - b->begun;
        b->copy = *copy;
        if (worker_close(b->worker, closed) < 0)
                (void) give_up(b, "Close", NULL);
}

static void listed(void *userdata, WorkerResult result, const char *text, const WorkerClip *clips, size_t n, bool more) {
        Bench *b = userdata;

        (void) more;
        if (result != WORKER_OK || n == 0) {
                (void) give_up(b, "List", text ? text : "no clip there");
                return;
        }
        b->begun = wall();
        if (worker_pull(b->worker, clips[0].index, "1.part", 0, NULL, 0, pulled) < 0)
                (void) give_up(b, "Pull", NULL);
}

static void opened(void *userdata, WorkerResult result, const char *text) {
        Bench *b = userdata;

        if (result != WORKER_OK || worker_list(b->worker, 0, listed) < 0)
                (void) give_up(b, "Open", text);
}

static int run(Bench *b, char **argv, int folder) {
        static const WorkerOps ops = { on_dead, on_block, on_progress };
        WorkerConfig config = {
                .executable = argv[1],
                .plugin_path = argv[2],
                .node_path = argv[3],
                .bay = argv[4],
                .incoming_fd = folder,
                .call_timeout_usec = 30 * USEC_PER_SEC,
                .stall_timeout_usec = 30 * USEC_PER_SEC,
        };
        sigset_t child;
        int r;

        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &child, NULL) < 0)
                return -errno;
        r = sd_event_default(&b->event);
        if (r < 0)
                return r;
        r = worker_spawn(b->event, &config, &ops, b, &b->worker);
        if (r < 0)
                return r;
        r = worker_open(b->worker, "bench", NULL, NULL, opened);
        if (r < 0)
                return r;
        return sd_event_loop(b->event);
}

int main(int argc, char **argv) {
        _cleanup_(fd_closep) int folder = -EBADF;
        char hex[DIGEST_HEX_SIZE];
        Bench b = {};
        int r;

        if (argc != 6) {
                fputs("usage: pull WORKER PLUGIN NODE PORT FOLDER\n", stderr);
                return 2;
        }
        folder = open(argv[5], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = folder < 0 ? -errno : run(&b, argv, folder);
        if (r < 0)
                fprintf(stderr, "pull: %s\n", strerror(-r));
        b.worker = worker_free(b.worker);
        sd_event_unref(b.event);
        if (r != 0)
                return 1;
        printf("%.6f %.6f %llu %s\n", b.seconds, cpu(RUSAGE_SELF) + cpu(RUSAGE_CHILDREN), (unsigned long long) b.copy.size_bytes,
               digest_to_hex(&b.copy.digest, hex));
        return 0;
}
