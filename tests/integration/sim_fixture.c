/* SPDX-License-Identifier: Apache-2.0 */
#include "integration/sim_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

static FILE *control_open(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", getenv("BERTH_SIM_SOCKET"));
        assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        return fdopen(fd, "r+");
}

/* Sends one command and returns the answer. */
static json_t *control_ask(const char *line) {
        FILE *stream = control_open();
        json_t *answer;

        assert_non_null(stream);
        fprintf(stream, "%s\n", line);
        fflush(stream);
        answer = json_loadf(stream, JSON_DISABLE_EOF_CHECK, NULL);
        fclose(stream);
        assert_non_null(answer);
        return answer;
}

void control(const char *format, ...) {
        char line[1024];
        json_t *answer;
        va_list args;

        va_start(args, format);
        (void) vsnprintf(line, sizeof(line), format, args);
        va_end(args);
        answer = control_ask(line);
        if (!json_is_true(json_object_get(answer, "ok")))
                fail_msg("%s: %s", line, json_string_value(json_object_get(answer, "error")));
        json_decref(answer);
}

long long state_of(const char *camera, const char *key) {
        char line[256];
        json_t *answer;
        long long n;

        (void) snprintf(line, sizeof(line), "{\"cmd\": \"state\", \"camera\": \"%s\"}", camera);
        answer = control_ask(line);
        assert_non_null(json_object_get(answer, key));
        n = json_is_boolean(json_object_get(answer, key)) ? json_is_true(json_object_get(answer, key))
                                                          : json_integer_value(json_object_get(answer, key));
        json_decref(answer);
        return n;
}

static int counter;

libusb_device_handle *open_loopback(libusb_context *usb) {
        libusb_device_handle *handle = libusb_open_device_with_vid_pid(usb, VID, PID);

        assert_non_null(handle);
        return handle;
}

int fixture_setup(void **state) {
        Fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        (void) snprintf(f->name, sizeof(f->name), "loop-%d", ++counter);
        control("{\"cmd\": \"camera\", \"name\": \"%s\", \"type\": \"loopback\", \"vid\": %d, \"pid\": %d, "
                "\"manufacturer\": \"Ring Ltd\", "
                "\"product\": \"Löop\", \"serial\": \"%s\"}",
                f->name, VID, PID, f->name);
        control("{\"cmd\": \"plug\", \"camera\": \"%s\", \"port\": \"" PORT "\"}", f->name);
        assert_int_equal(libusb_init(&f->usb), 0);
        f->handle = open_loopback(f->usb);
        assert_int_equal(libusb_claim_interface(f->handle, 0), 0);
        *state = f;
        return 0;
}

int fixture_teardown(void **state) {
        Fixture *f = *state;

        if (f->handle)
                libusb_close(f->handle);
        libusb_exit(f->usb);
        if (state_of(f->name, "docked"))
                control("{\"cmd\": \"unplug\", \"camera\": \"%s\"}", f->name);
        free(f);
        return 0;
}

int bulk(Fixture *f, unsigned char endpoint, void *data, int length, int *ret, unsigned timeout_msec) {
        return libusb_bulk_transfer(f->handle, endpoint, data, length, ret, timeout_msec);
}

void assert_pattern(const unsigned char *data, size_t size, size_t position) {
        for (size_t i = 0; i < size; i++)
                if (data[i] != (position + i) % PATTERN_PERIOD)
                        fail_msg("byte %zu is %u", position + i, data[i]);
}

int open_node(const Fixture *f) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/dev/bus/usb/%03lld/%03lld", state_of(f->name, "busnum"),
                        state_of(f->name, "devnum"));
        return open(path, O_RDWR | O_CLOEXEC);
}

void LIBUSB_CALL set_done(struct libusb_transfer *transfer) {
        *(int *) transfer->user_data = 1;
}

void finish(Fixture *f, int *done) {
        while (!*done)
                assert_int_equal(libusb_handle_events_completed(f->usb, done), 0);
}

static int run_inside(const char *self, const char *controller) {
        char sim[4096];
        int status;
        pid_t pid;

        (void) snprintf(sim, sizeof(sim), "%s/berth-sim", getenv("BERTH_BUILD") ?: "build");
        pid = fork();
        if (pid == 0) {
                setenv("BERTH_SIM_CONTROLLER", controller, 1);
                if (strcmp(controller, "old") == 0)
                        execl(sim, sim, "--old-controller", "--", self, (char *) NULL);
                else
                        execl(sim, sim, "--", self, (char *) NULL);
                perror(sim);
                _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                return 1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int run_simulated(char **argv, const char *const *controllers, int (*run)(void)) {
        int failed = 0;

        if (getenv("BERTH_SIM_SOCKET"))
                return run();
        for (; *controllers; controllers++)
                failed += run_inside(argv[0], *controllers) != 0;
        return failed > 0;
}
