/* SPDX-License-Identifier: Apache-2.0 */

/* A storage camera that looks on its card for a firmware file, whenever it gets power, and after an eject, upon which it restarts. */

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "sim/firmware.h"
#include "sim/msc.h"

/* Who reads the card is another program: nothing in here knows file systems. */
static void read_card(const MscCamera *camera) {
        char *argv[] = { (char *) camera->reader, (char *) camera->card, (char *) camera->firmware_file,
                         (char *) camera->flash, NULL };
        int status = 0;
        pid_t pid;

        if (posix_spawn(&pid, camera->reader, NULL, NULL, argv, environ) != 0) {
                perror(camera->reader);
                return;
        }
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                continue;
        if (status != 0)
                (void) fprintf(stderr, "berth-sim: %s failed\n", camera->reader);
}

void msc_firmware_apply(MscCamera *camera) {
        char version[FIRMWARE_VERSION_SIZE];

        if (!camera->reader[0])
                return;
        if (!camera->keeps_old)
                read_card(camera);
        if (firmware_boots(camera->flash, version))
                (void) snprintf(camera->units[0].revision, sizeof(camera->units[0].revision), "%.4s", version);
}

void msc_firmware_restart(MscCamera *camera) {
        if (camera->reader[0])
                sim_device_become(camera->device, camera->stays_away ? NULL : sim_device_name(camera->device),
                                  camera->leaves_at_once ? 0 : 20, 30);
}
