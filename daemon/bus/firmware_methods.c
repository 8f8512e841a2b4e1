/* SPDX-License-Identifier: Apache-2.0 */

/* The method of org.berth.Dock1.Manager that tells which firmware the dock goes by. */

#include "bus/bus_private.h"
#include "bus/manager_methods.h"
#include "service/catalog_follow.h"
#include "service/image.h"

static int append(sd_bus_message *m, const char *key, const char *type, const void *value) {
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', key);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', type);
        if (r >= 0)
                r = sd_bus_message_append_basic(m, type[0], value);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_image(sd_bus_message *m, const Manager *manager, const CatalogImage *image) {
        int here = images_has(manager_images(manager), image), r;
        char hex[DIGEST_HEX_SIZE];

        (void) digest_to_hex(&image->digest, hex);
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0 || (r = append(m, "Model", "s", image->model)) < 0 || (r = append(m, "Version", "s", image->version)) < 0 ||
            (r = append(m, "Floor", "s", image->floor)) < 0 || (r = append(m, "SizeBytes", "t", &image->size_bytes)) < 0 ||
            (r = append(m, "Sha256", "s", hex)) < 0 || (r = append(m, "Here", "b", &here)) < 0)
                return r;
        return sd_bus_message_close_container(m);
}

static int reply_firmware(sd_bus_message *call, const Manager *manager) {
        const CatalogFollow *follow = manager_catalog_follow(manager);
        const Catalog *c = catalog_follow_newest(follow);
        sd_bus_message *reply = NULL;
        ConfError trouble = { 0 };
        int r;

        r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "btxs", (int) catalog_follow_is_on(follow), c ? c->version : UINT64_C(0),
                                          c ? c->expires_usec : INT64_C(0), catalog_follow_trouble(follow, &trouble));
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; c && i < c->n_images && r >= 0; i++)
                r = append_image(reply, manager, &c->images[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_message_send(reply);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

int manager_bus_list_firmware(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const Bus *b = *(Bus **) userdata;

        (void) ret_error;
        return reply_firmware(m, b->manager);
}
