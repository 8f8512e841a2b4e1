/* SPDX-License-Identifier: Apache-2.0 */
#include "service/authorise.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

static int read_class(int dir, UsbClass *ret) {
        static const char *const names[] = { "bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol" };
        uint8_t values[ELEMENTSOF(names)];

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char word[8], *end;
                int r = fd_read_line(dir, names[i], word, sizeof(word));

                if (r < 0)
                        return r;
                values[i] = (uint8_t) strtoul(word, &end, 16);
                if (end == word || *end)
                        return -EBADMSG;
        }
        *ret = (UsbClass){ values[0], values[1], values[2] };
        return 0;
}

static int authorise(int dir, bool look_only) {
        _cleanup_(fd_closep) int fd = -EBADF;
        char now[4];
        int r;

        r = fd_read_line(dir, "authorized", now, sizeof(now));
        if (r < 0)
                return r;
        if (text_equal(now, "1"))
                return 0;
        if (look_only)
                return AUTHORISE_MISSING;
        fd = openat(dir, "authorized", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == EACCES ? AUTHORISE_WAIT : -errno;
        return write(fd, "1", 1) == 1 ? 0 : -errno;
}

static int authorise_one(int device_dir, const char *name, const Model *model, bool look_only) {
        _cleanup_(fd_closep) int dir = openat(device_dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        UsbClass class;
        int r;

        if (dir < 0)
                return -errno;
        r = read_class(dir, &class);
        if (r < 0)
                return r;
        return model_needs_interface(model, &class) || model_leaves_by_interface(model, &class) ? authorise(dir, look_only) : 0;
}

/* "1-1.4:1.0" is an interface of the device "1-1.4". */
static bool is_interface(const char *name, const char *port_path) {
        size_t n = strlen(port_path);

        return strncmp(name, port_path, n) == 0 && name[n] == ':';
}

/* The one that is furthest from being authorised, or an error. */
static int each_interface(const HotplugDevice *device, const Model *model, bool look_only) {
        int fd = open(device->sys_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        struct dirent *entry;
        int worst = 0;
        DIR *dir;

        if (fd < 0)
                return errno == ENOENT ? -ENODEV : -errno;
        dir = fdopendir(fd);
        if (!dir) {
                r = -errno;
                fd_close(fd);
                return r;
        }
        while (r >= 0 && (entry = readdir(dir))) {
                if (!is_interface(entry->d_name, device->port_path))
                        continue;
                r = authorise_one(dirfd(dir), entry->d_name, model, look_only);
                worst = MAX2(worst, r);
        }
        (void) closedir(dir);
        if (r < 0)
                return r == -ENOENT ? -ENODEV : r;
        return worst;
}

int authorise_node(const HotplugDevice *device) {
        return faccessat(AT_FDCWD, device->node_path, R_OK | W_OK, AT_EACCESS) < 0 && errno == EACCES ? AUTHORISE_WAIT : 0;
}

int authorise_interfaces(const HotplugDevice *device, const Model *model) {
        return each_interface(device, model, false);
}

int authorise_look(const HotplugDevice *device, const Model *model) {
        return each_interface(device, model, true);
}
