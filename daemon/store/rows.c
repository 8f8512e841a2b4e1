/* SPDX-License-Identifier: Apache-2.0 */

/* What the reads hand out. */

#include "store/store.h"

CameraRow *camera_row_free(CameraRow *c) {
        if (!c)
                return NULL;
        free(c->serial);
        free(c->manufacturer);
        free(c->model);
        free(c->firmware);
        free(c->storage_id);
        free(c->model_id);
        free(c->behind_id);
        free(c->officer_id);
        free(c->officer_name);
        free(c->unit_id);
        free(c->unit_name);
        free(c->findings_json);
        free(c->held_back);
        free(c->accepted);
        free(c->held_back_reason);
        free(c);
        return NULL;
}

SwitchRow *switch_row_free(SwitchRow *s) {
        if (!s)
                return NULL;
        free(s->model_id);
        free(s);
        return NULL;
}

ClipRow *clip_row_free(ClipRow *c) {
        if (!c)
                return NULL;
        free(c->serial);
        free(c->path);
        free(c->spool_name);
        free(c->object_key);
        free(c->manifest_key);
        free(c->strength);
        free(c->reason);
        free(c);
        return NULL;
}

void camera_rows_free(CameraRow **rows, size_t n) {
        for (size_t i = 0; i < n; i++)
                (void) camera_row_free(rows[i]);
        free(rows);
}

void clip_rows_free(ClipRow **rows, size_t n) {
        for (size_t i = 0; i < n; i++)
                (void) clip_row_free(rows[i]);
        free(rows);
}

EventRow *event_row_free(EventRow *e) {
        if (!e)
                return NULL;
        free(e->bytes);
        free(e);
        return NULL;
}

RefusedRow *refused_row_free(RefusedRow *d) {
        if (!d)
                return NULL;
        free(d->bay);
        free(d->usb_serial);
        free(d->usb_manufacturer);
        free(d->usb_product);
        free(d->descriptors_hex);
        free(d->reason);
        free(d);
        return NULL;
}

void event_rows_free(EventRow **rows, size_t n) {
        for (size_t i = 0; i < n; i++)
                (void) event_row_free(rows[i]);
        free(rows);
}

void refused_rows_free(RefusedRow **rows, size_t n) {
        for (size_t i = 0; i < n; i++)
                (void) refused_row_free(rows[i]);
        free(rows);
}
