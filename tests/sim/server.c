/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/macro.h"
#include "sim/control.h"

/* A camera with tens of thousands of clips fits in one line. */
#define LINE_MAX_BYTES (32u * 1024u * 1024u)

static json_t *execute_line(const char *line, size_t size) {
        json_error_t error;
        json_t *command = json_loadb(line, size, 0, &error);
        json_t *answer;

        if (!command)
                return json_pack("{s:b, s:s}", "ok", 0, "error", error.text);
        answer = control_execute(command);
        json_decref(command);
        return answer;
}

int control_run_script(FILE *script, const char *name) {
        _cleanup_(freep) char *line = NULL;
        size_t room = 0;
        ssize_t n;

        for (unsigned number = 1; (n = getline(&line, &room, script)) >= 0; number++) {
                json_t *answer;
                bool ok;

                if (line[strspn(line, " \t\r\n")] == '\0' || line[0] == '#')
                        continue;
                answer = execute_line(line, (size_t) n);
                ok = json_is_true(json_object_get(answer, "ok"));
                if (!ok)
                        fprintf(stderr, "berth-sim: %s:%u: %s\n", name, number,
                                json_string_value(json_object_get(answer, "error")));
                json_decref(answer);
                if (!ok)
                        return -EINVAL;
        }
        return 0;
}

static int fill_address(const char *path, struct sockaddr_un *ret) {
        *ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
        if (strlen(path) >= sizeof(ret->sun_path))
                return -ENAMETOOLONG;
        (void) snprintf(ret->sun_path, sizeof(ret->sun_path), "%s", path);
        return 0;
}

int control_listen(const char *path) {
        struct sockaddr_un address;
        int fd, r;

        r = fill_address(path, &address);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 16) < 0) {
                r = -errno;
                (void) close(fd);
                return r;
        }
        /* COMMAND may have dropped its privileges. */
        (void) chmod(path, 0666);
        return fd;
}

static void serve_client(FILE *in, FILE *out) {
        _cleanup_(freep) char *line = NULL;
        size_t room = 0;
        ssize_t n;

        while ((n = getline(&line, &room, in)) >= 0) {
                json_t *answer = (size_t) n > LINE_MAX_BYTES
                                         ? json_pack("{s:b, s:s}", "ok", 0, "error", "The line is too long.")
                                         : execute_line(line, (size_t) n);

                (void) json_dumpf(answer, out, JSON_COMPACT);
                json_decref(answer);
                if (fputc('\n', out) == EOF || fflush(out) == EOF)
                        return;
        }
}

static void *client_run(void *userdata) {
        int fd = (int) (intptr_t) userdata;
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        FILE *in = fdopen(fd, "r"), *out = copy >= 0 ? fdopen(copy, "w") : NULL;

        if (in && out)
                serve_client(in, out);
        if (in)
                (void) fclose(in);
        if (out)
                (void) fclose(out);
        return NULL;
}

static void *listen_run(void *userdata) {
        int listen_fd = (int) (intptr_t) userdata;
        struct sockaddr_un peer;
        pthread_t thread;

        for (;;) {
                socklen_t size = sizeof(peer);
                int fd = accept4(listen_fd, (struct sockaddr *) &peer, &size, SOCK_CLOEXEC);

                if (fd < 0)
                        continue;
                if (pthread_create(&thread, NULL, client_run, (void *) (intptr_t) fd) == 0)
                        pthread_detach(thread);
                else
                        (void) close(fd);
        }
        return NULL;
}

int control_serve(int listen_fd) {
        pthread_t thread;
        int r;

        r = pthread_create(&thread, NULL, listen_run, (void *) (intptr_t) listen_fd);
        if (r != 0)
                return -r;
        pthread_detach(thread);
        return 0;
}

static int client_connect(const char *path) {
        struct sockaddr_un address;
        int fd, r;

        r = fill_address(path, &address);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0) {
                r = -errno;
                (void) close(fd);
                return r;
        }
        return fd;
}

int control_client(const char *line) {
        const char *path = getenv("BERTH_SIM_SOCKET");
        _cleanup_(freep) char *text = NULL;
        size_t room = 0;
        json_t *answer;
        FILE *stream;
        int fd, ok;

        if (!path) {
                fprintf(stderr, "berth-sim: BERTH_SIM_SOCKET is not set; run this inside `berth-sim -- COMMAND`.\n");
                return 2;
        }
        fd = client_connect(path);
        if (fd < 0) {
                fprintf(stderr, "berth-sim: cannot reach the simulator at %s: %s\n", path, strerror(-fd));
                return 2;
        }
        stream = fdopen(fd, "r+");
        if (!stream || fprintf(stream, "%s\n", line) < 0 || fflush(stream) == EOF
            || getline(&text, &room, stream) < 0) {
                fprintf(stderr, "berth-sim: the simulator at %s does not answer.\n", path);
                return 2;
        }
        (void) fclose(stream);
        fputs(text, stdout);
        answer = json_loads(text, 0, NULL);
        ok = json_is_true(json_object_get(answer, "ok"));
        json_decref(answer);
        return ok ? 0 : 1;
}
