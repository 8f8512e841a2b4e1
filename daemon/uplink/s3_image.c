/* SPDX-License-Identifier: Apache-2.0 */

/* Firmware images: objects that are named by their SHA-256. Looked at before they are put, read back after, and hashed on the way here. */

#include <errno.h>
#include <string.h>

#include "base/catalog.h"
#include "base/fd.h"
#include "uplink/s3_private.h"
#include "uplink/uncached.h"

typedef struct S3Image {
        S3Op op; /* first */
        char key[CATALOG_KEY_SIZE];
        Digest digest; /* of the file that is to be put */
        bool there;
} S3Image;

static void release(S3Op *op) {
        s3_op_fini(op);
        free(op);
}

static void end_whole(S3Op *op) {
        const ImageRequest *image = &op->task->image;
        S3Image *i = (S3Image *) op;
        uint64_t size;
        Digest digest;

        if (s3_read_digest(op, &digest, &size) < 0 || size != image->size_bytes || !digest_equal(&digest, &image->digest))
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_CONFLICT, NULL,
                                   "%s in the store is damaged: it has not the SHA-256 that it is named by", i->key);
        op->task->already_there = i->there;
        s3_op_end(op);
}

/* ---- Putting ------------------------------------------------------------------------------------------------------- */

static void on_read_back(S3Op *op, const S3Result *result) {
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "reading a firmware image back");
        end_whole(op);
}

static void on_put(S3Op *op, const S3Result *result) {
        S3Image *i = (S3Image *) op;

        if (result->outcome != S3_OK && result->outcome != S3_EXISTS)
                return s3_op_fail(op, result, "putting a firmware image");
        i->there = result->outcome == S3_EXISTS;
        s3_read(op, i->key, on_read_back);
}

static int hash_source(S3Op *op) {
        const ImageRequest *image = &op->task->image;

        return uncached_digest(image->fd, image->size_bytes, op->task, &((S3Image *) op)->digest);
}

static void on_hashed(S3Op *op, int result) {
        const ImageRequest *image = &op->task->image;
        S3Image *i = (S3Image *) op;
        S3Call *call;

        if (result < 0 && result != -ENODATA)
                return s3_op_fail_errno(op, result, "reading the firmware image that is to be put");
        if (result < 0 || !digest_equal(&i->digest, &image->digest)) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_SOURCE, NULL, "the file has not the SHA-256 that was told");
                return s3_op_end(op);
        }
        call = s3_call_new(op, "PUT", i->key);
        s3_call_header(call, "if-none-match", "*");
        s3_call_file(call, image->fd, 0, image->size_bytes, &image->digest, NULL, op->store->promises.checks_checksum);
        s3_call_send(op, call, on_put);
}

/* ---- Getting ------------------------------------------------------------------------------------------------------- */

static int get_data(S3Op *op, const void *data, size_t size) {
        const ImageRequest *image = &op->task->image;
        int r;

        if (size > image->size_bytes - op->base.read_bytes)
                return -EFBIG;
        r = fd_pwrite_full(image->fd, data, size, op->base.read_bytes);
        return r < 0 ? r : op_read_takes(&op->base, data, size);
}

static int get_again(S3Op *op) {
        return op_read_begins(&op->base);
}

static void on_got(S3Op *op, const S3Result *result) {
        if (result->outcome == S3_ABSENT) {
                (void) answer_fail(&op->task->answer, WIRE_UPLINK_E_GONE, NULL, "there is no %s in the store", ((S3Image *) op)->key);
                return s3_op_end(op);
        }
        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "reading a firmware image");
        end_whole(op);
}

static int begin(S3Store *store, Task *task, S3Op **ret) {
        S3Image *i = calloc(1, sizeof(*i));
        int r;

        r = i ? s3_op_init(&i->op, store, task, release) : -ENOMEM;
        if (r < 0) {
                free(i);
                return r;
        }
        (void) catalog_image_key(&task->image.digest, i->key);
        *ret = &i->op;
        return 0;
}

int s3_put_image_begin(S3Store *store, Task *task) {
        S3Op *op = NULL;
        int r = begin(store, task, &op);

        if (r >= 0)
                s3_op_job(op, hash_source, on_hashed);
        return r;
}

int s3_get_image_begin(S3Store *store, Task *task) {
        S3Op *op = NULL;
        S3Call *call;
        int r = begin(store, task, &op);

        if (r < 0)
                return r;
        call = s3_call_new(op, "GET", ((S3Image *) op)->key);
        s3_call_sink(call, get_data, get_again);
        s3_call_send(op, call, on_got);
        return 0;
}
