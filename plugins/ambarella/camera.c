/* SPDX-License-Identifier: Apache-2.0 */

/* What all dialects do alike: vendor requests, and sentences about what went wrong. None of them quotes the camera. */

#include <errno.h>
#include <string.h>

#include "ambarella.h"

#define REQUEST_TO_DEVICE 0x40 /* vendor, host to device */
#define REQUEST_OF_DEVICE 0xC0 /* vendor, device to host */
#define CLASS_VENDOR 0xFF

bool dialect_fits_vendor(const berth_usb_interface *interface) {
        return interface->class_code == CLASS_VENDOR && interface->alternate == 0;
}

int camera_failed(Ambarella *camera, const char *doing, int error) {
        const char *dialect = camera->options.dialect->name;

        if (error == -EPIPE) {
                berth_host_log(camera->host, BERTH_LOG_ERR,
                               "the camera does not understand dialect %s (it stalls when asked to %s); see plugin.dialect of its model",
                               dialect, doing);
                return -EPROTO;
        }
        if (error == -EBADMSG)
                return camera_answered_wrongly(camera, doing, "the answer has not the length that it should have");
        if (error == -ETIMEDOUT)
                berth_host_log(camera->host, BERTH_LOG_ERR, "the camera did not answer within %u ms when asked to %s in dialect %s",
                               camera->options.timeout_msec, doing, dialect);
        else
                berth_host_log(camera->host, BERTH_LOG_ERR, "the camera cannot be asked to %s in dialect %s: %s", doing, dialect,
                               strerror(-error));
        return error;
}

int camera_answered_wrongly(Ambarella *camera, const char *doing, const char *reason) {
        berth_host_log(camera->host, BERTH_LOG_ERR, "the camera answered wrongly when asked to %s in dialect %s: %s", doing,
                       camera->options.dialect->name, reason);
        return -EBADMSG;
}

int camera_refused_log_in(Ambarella *camera) {
        berth_host_log(camera->host, BERTH_LOG_ERR,
                       "it does not accept the log-in that the dock's credentials give for it; correct them, then dock it again");
        return BERTH_DENIED;
}

int camera_left_silently(Ambarella *camera, int error) {
        berth_host_log(camera->host, BERTH_LOG_DEBUG, "no answer to the change of mode: %s", strerror(-error));
        return 0;
}

int camera_send(Ambarella *camera, uint8_t request, uint16_t value, const void *data, size_t size) {
        /* The host takes the buffer as not const because it serves both directions; it does not write to it. */
        int r = berth_host_control(camera->host, REQUEST_TO_DEVICE, request, value, 0, (void *) data, (uint16_t) size,
                                   camera->options.timeout_msec);

        if (r < 0)
                return r;
        return (size_t) r == size ? 0 : -EIO;
}

int camera_receive(Ambarella *camera, uint8_t request, uint16_t value, void *ret, size_t size) {
        int r = berth_host_control(camera->host, REQUEST_OF_DEVICE, request, value, 0, ret, (uint16_t) size, camera->options.timeout_msec);

        if (r < 0)
                return r;
        return (size_t) r == size ? 0 : -EBADMSG;
}
