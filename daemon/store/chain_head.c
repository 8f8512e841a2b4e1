/* SPDX-License-Identifier: Apache-2.0 */
#include "store/chain_head.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/text.h"

#define SLOT_SIZE 4096u
#define SLOTS 2u
#define MAGIC "berth-chain-head 1"

struct ChainFile {
        int fd;
        unsigned next; /* the slot to write: not the one that holds the newest head */
};

static int slot_format(const ChainHead *head, char ret[static SLOT_SIZE]) {
        char hash[DIGEST_HEX_SIZE], check[DIGEST_HEX_SIZE], text[256];
        Digest d;
        int n, r;

        n = snprintf(text, sizeof(text), MAGIC " %" PRIu64 " %s", head->seq, digest_to_hex(&head->hash, hash));
        r = digest_of(text, (size_t) n, &d);
        if (r < 0)
                return r;
        memset(ret, 0, SLOT_SIZE);
        (void) snprintf(ret, SLOT_SIZE, "%s %s\n", text, digest_to_hex(&d, check));
        return 0;
}

/* A slot is valid when it is, byte for byte, what slot_format() makes of the head that it names. */
static bool slot_parse(const char slot[static SLOT_SIZE], ChainHead *ret) {
        char again[SLOT_SIZE], hash[DIGEST_HEX_SIZE], text[256];
        ChainHead head;

        memcpy(text, slot, sizeof(text) - 1);
        text[sizeof(text) - 1] = 0;
        if (sscanf(text, MAGIC " %" SCNu64 " %64s", &head.seq, hash) != 2 || digest_from_hex(hash, &head.hash) < 0)
                return false;
        if (slot_format(&head, again) < 0 || memcmp(again, slot, SLOT_SIZE) != 0)
                return false;
        *ret = head;
        return true;
}

int chain_file_create(int dir_fd) {
        char slots[SLOTS * SLOT_SIZE] = { 0 };
        int r;

        r = slot_format(&(ChainHead){ 0 }, slots);
        if (r < 0)
                return r;
        return fd_replace_file(dir_fd, CHAIN_HEAD_NAME, slots, sizeof(slots), 0600);
}

/* Of the two slots: the newest head, and which slot does not hold it. */
static int read_slots(int fd, ChainHead *ret, unsigned *ret_other) {
        ChainHead newest = { 0 };
        unsigned other = 0;
        bool found = false;

        for (unsigned i = 0; i < SLOTS; i++) {
                char slot[SLOT_SIZE];
                ChainHead head;
                int r;

                r = fd_pread_full(fd, slot, sizeof(slot), (uint64_t) i * SLOT_SIZE);
                if (r == -ENODATA)
                        return -EBADE;
                if (r < 0)
                        return r;
                if (!slot_parse(slot, &head) || (found && head.seq <= newest.seq))
                        continue;
                newest = head;
                other = (i + 1) % SLOTS;
                found = true;
        }
        if (!found)
                return -EBADE;
        *ret = newest;
        *ret_other = other;
        return 0;
}

int chain_file_open(int dir_fd, ChainFile **ret, ChainHead *ret_head) {
        _cleanup_(chain_file_freep) ChainFile *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        f->fd = openat(dir_fd, CHAIN_HEAD_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
        if (f->fd < 0)
                return -errno;
        r = read_slots(f->fd, ret_head, &f->next);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(f);
        return 0;
}

int chain_file_read(int dir_fd, ChainHead *ret) {
        _cleanup_(fd_closep) int fd = openat(dir_fd, CHAIN_HEAD_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
        unsigned other;

        return fd < 0 ? -errno : read_slots(fd, ret, &other);
}

ChainFile *chain_file_free(ChainFile *f) {
        if (!f)
                return NULL;
        f->fd = fd_close(f->fd);
        free(f);
        return NULL;
}

int chain_file_write(ChainFile *f, const ChainHead *head) {
        char slot[SLOT_SIZE];
        int r;

        r = slot_format(head, slot);
        if (r < 0)
                return r;
        r = fd_pwrite_full(f->fd, slot, sizeof(slot), (uint64_t) f->next * SLOT_SIZE);
        if (r < 0)
                return r;
        CRASH_POINT("head-written");
        /* After a failure the slot stays the next one to write: it is written whole again, and synced anew. */
        if (fdatasync(f->fd) < 0)
                return -errno;
        CRASH_POINT("head-synced");
        f->next = (f->next + 1) % SLOTS;
        return 0;
}
