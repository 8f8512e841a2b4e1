/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lists of the bus, aa{sv}, page by page, as a table or as JSON: the one reader of all verbs that list. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "ctl/property.h"
#include "ctl/table.h"

/* How one kind of entry is read and shown. */
typedef struct ListKind {
        const Property *properties; /* the first tells an entry from the others, where a list has pages */
        size_t n_properties, entry_size;
        const Column *columns;
        size_t n_columns;
        /* A row of the table. `userdata` is the list's. */
        void (*add)(Table *table, const void *entry, void *userdata);
} ListKind;

typedef struct List {
        const ListKind *kind;
        Table *table;
        json_t *array; /* NULL: a table is wanted */
        void *last;    /* the entry that was read last, zeros before the first: by it the next page is asked for */
        size_t n;
        void *userdata;
} List;

/* list_done() also when it fails. -ENOMEM. */
int list_begin(const ListKind *kind, bool json, void *userdata, List *ret);
/* Reads an array of entries; *ret_n, which may be NULL, is how many it had. -ENOMEM, -EBADMSG. */
int list_read(List *l, sd_bus_message *reply, size_t *ret_n);
/*
 * Reads all pages of a method that takes the first property of the last entry (a string, or a number), and how many are wanted. The
 * `ret_number`, which may be NULL, is what the answer has before its entries. A CtlExit: what goes wrong is said.
 */
int list_read_pages(List *l, sd_bus *bus, const char *interface, const char *method, uint64_t *ret_number);
/* Prints what was read: JSON of this schema with the entries under `key`, or the table, or `none` when there is no entry. A CtlExit. */
int list_print(const List *l, const char *schema, const char *key, const char *none);
void list_done(List *l);
