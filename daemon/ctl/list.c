/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/bus_client.h"
#include "ctl/json_out.h"

#define ENTRIES_A_PAGE 500u

int list_begin(const ListKind *kind, bool json, void *userdata, List *ret) {
        *ret = (List) { .kind = kind, .userdata = userdata, .last = calloc(1, kind->entry_size), .array = json ? json_array() : NULL };
        if (!ret->last || (json && !ret->array))
                return -ENOMEM;
        return table_new(kind->columns, kind->n_columns, &ret->table);
}

void list_done(List *l) {
        if (l->last)
                properties_clear(l->kind->properties, l->kind->n_properties, l->last);
        free(l->last);
        json_decref(l->array);
        table_free(l->table);
}

static int take_entry(List *l, sd_bus_message *reply) {
        const ListKind *kind = l->kind;
        properties_clear(kind->properties, kind->n_properties, l->last);
        memset(l->last, 0, kind->entry_size);
        int r = properties_init(kind->properties, kind->n_properties, l->last);
        if (r >= 0)
                r = properties_read(kind->properties, kind->n_properties, l->last, reply);
        if (r < 0)
                return r;
        l->n++;
        if (!l->array) {
                kind->add(l->table, l->last, l->userdata);
                return 0;
        }
        json_t *entry = json_object();
        if (!entry || properties_to_json(kind->properties, kind->n_properties, l->last, entry) < 0 ||
            json_array_append(l->array, entry) < 0)
                r = -ENOMEM;
        json_decref(entry);
        return r;
}

int list_read(List *l, sd_bus_message *reply, size_t *ret_n) {
        size_t before = l->n;
        int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "a{sv}");
        while (r >= 0 && (r = sd_bus_message_at_end(reply, false)) == 0)
                r = take_entry(l, reply);
        if (r < 0)
                return r;
        if (ret_n)
                *ret_n = l->n - before;
        return 0;
}

static int ask_for_page(const List *l, sd_bus *bus, const char *interface, const char *method, sd_bus_message **ret) {
        const Property *key = &l->kind->properties[0];
        const void *member = (const char *) l->last + key->offset;
        if (key->kind == PROPERTY_UINT64)
                return bus_client_call(bus, interface, method, ret, "tu", *(const uint64_t *) member, ENTRIES_A_PAGE);
        const char *text = *(char *const *) member;
        return bus_client_call(bus, interface, method, ret, "su", text ? text : "", ENTRIES_A_PAGE);
}

int list_read_pages(List *l, sd_bus *bus, const char *interface, const char *method, uint64_t *ret_number) {
        size_t n = 0;
        do {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                int exit_code = ask_for_page(l, bus, interface, method, &reply);
                if (exit_code != CTL_OK)
                        return exit_code;
                int r = ret_number ? sd_bus_message_read(reply, "t", ret_number) : 0;
                if (r >= 0)
                        r = list_read(l, reply, &n);
                if (r < 0)
                        return bus_client_report(NULL, r);
        } while (n == ENTRIES_A_PAGE);
        return CTL_OK;
}

int list_print(const List *l, const char *schema, const char *key, const char *none) {
        if (l->array)
                return json_out(json_pack("{s:s, s:O}", "schema", schema, key, l->array), false);
        if (l->n == 0) {
                puts(none);
                return CTL_OK;
        }
        return table_print(l->table);
}
