/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/mtp_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "unit/fake_host.h"

const berth_plugin *const plugin = &berth_plugin_entry;
berth_host *host;
void *camera;
uint32_t id;

void answer(uint16_t code, const Dataset *d) {
        fake_data(code, id, d->data, d->size);
        fake_response(OK, id++);
}

void refuse(uint16_t response) {
        fake_response(response, id++);
}

void script_device_info(const uint16_t *operations, size_t n, const char *serial) {
        static const uint16_t properties[] = { 0x5001, 0x5011 };
        Dataset d = { 0 };

        dataset_u(&d, 2, 100);
        dataset_u(&d, 4, 6);
        dataset_u(&d, 2, 100);
        dataset_text(&d, "microsoft.com: 1.0;");
        dataset_u(&d, 2, 0);
        dataset_codes(&d, operations, n);
        dataset_codes(&d, NULL, 0);
        dataset_codes(&d, properties, 2);
        dataset_codes(&d, NULL, 0);
        dataset_codes(&d, NULL, 0);
        dataset_text(&d, "ACME");
        dataset_text(&d, "BodyCam 3");
        dataset_text(&d, "1.2.3");
        dataset_text(&d, serial);
        fake_command(0x1001, id, 0);
        answer(0x1001, &d);
}

const uint16_t full_camera[] = { 0x1001, 0x1007, 0x1008, 0x1009, 0x100B, 0x1014, 0x1016, 0x101B, 0x95C1, 0x9803, 0x9805 };
const uint16_t plain_camera[] = { 0x1001, 0x1007, 0x1008, 0x1009, 0x100B };

void open_camera(const uint16_t *operations, size_t n, const char *const *options) {
        host = fake_host();
        id = 1;
        fake_command(0x1002, 0, 1, 1);
        fake_response(OK, 0);
        script_device_info(operations, n, "SN-0001");
        assert_int_equal(plugin->open(host, options, &camera), 0);
        fake_done();
}

void close_camera(void) {
        fake_command(0x1003, id, 0);
        fake_response(OK, id);
        plugin->close(camera);
        fake_done();
}

void script_ids(uint16_t code, const uint32_t *ids, size_t n) {
        Dataset d = { 0 };

        dataset_u(&d, 4, n);
        for (size_t i = 0; i < n; i++)
                dataset_u(&d, 4, ids[i]);
        answer(code, &d);
}

void script_storages(void) {
        fake_command(0x1004, id, 0);
        IDS(0x1004, STORAGE);
}

void ask_handles(uint32_t folder) {
        fake_command(0x1007, id, 3, STORAGE, 0u, folder);
}

void script_info(uint32_t handle, uint16_t format, uint32_t size, uint32_t parent, const char *name) {
        Dataset d = { 0 };

        dataset_object_info(&d, STORAGE, format, size, parent, name, DATE);
        fake_command(0x1008, id, 1, handle);
        answer(0x1008, &d);
}

void list_one(uint32_t size) {
        script_storages();
        ask_handles(ROOT);
        IDS(0x1007, 5);
        script_info(5, 0x300B, size, 0, "A.MP4");
}

void props(Dataset *d, uint32_t handle, uint16_t format, uint64_t size, uint32_t parent, const char *name) {
        dataset_prop(d, handle, 0xDC01, 6);
        dataset_u(d, 4, STORAGE);
        dataset_prop(d, handle, 0xDC02, 4);
        dataset_u(d, 2, format);
        dataset_prop(d, handle, 0xDC04, 8);
        dataset_u(d, 8, size);
        dataset_prop(d, handle, 0xDC0B, 6);
        dataset_u(d, 4, parent);
        dataset_prop(d, handle, 0xDC09, 0xFFFF);
        dataset_text(d, DATE);
        dataset_prop(d, handle, 0xDC07, 0xFFFF);
        dataset_text(d, name);
}

berth_clip clip_of(uint64_t size) {
        return (berth_clip){ .struct_size = sizeof(berth_clip), .path = "A.MP4", .size_bytes = size, .handle = 5 };
}
