/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the worker's container check says of files: one line each of format, verdict, offset, recording time ("-" when unknown),
 * duration in milliseconds, bytes that were read, and the reason, with tabs between. `container_tell FILE…`
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "bay/container.h"

static int tell(const char *path) {
        _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;
        Container c;
        Look l;

        if (fd < 0 || fstat(fd, &st) < 0) {
                perror(path);
                return EXIT_FAILURE;
        }
        look_init(&l, fd, (uint64_t) st.st_size, NULL);
        container_look_through(&l, &c);
        printf("%s\t%s\t%" PRIu64 "\t", container_format_to_string(c.format), container_verdict_to_string(c.verdict), c.offset);
        if (c.recorded_unix_sec == CONTAINER_TIME_UNKNOWN)
                printf("-");
        else
                printf("%" PRId64, c.recorded_unix_sec);
        printf("\t%" PRIu64 "\t%" PRIu64 "\t%s\n", c.duration_msec, l.bytes, c.reason);
        return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
        int result = EXIT_SUCCESS;

        for (int i = 1; i < argc; i++)
                if (tell(argv[i]) != EXIT_SUCCESS)
                        result = EXIT_FAILURE;
        return result;
}
