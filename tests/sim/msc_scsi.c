/* SPDX-License-Identifier: Apache-2.0 */

/* The commands of SPC and SBC that the simulated mass-storage camera knows. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"
#include "sim/msc.h"

enum {
        TEST_UNIT_READY = 0x00,
        REQUEST_SENSE = 0x03,
        INQUIRY = 0x12,
        MODE_SENSE6 = 0x1a,
        START_STOP_UNIT = 0x1b,
        PREVENT_ALLOW = 0x1e,
        READ_CAPACITY10 = 0x25,
        READ10 = 0x28,
        WRITE10 = 0x2a,
        SYNCHRONIZE_CACHE10 = 0x35,
        MODE_SENSE10 = 0x5a,
        READ16 = 0x88,
        WRITE16 = 0x8a,
        SYNCHRONIZE_CACHE16 = 0x91,
        READ_CAPACITY16 = 0x9e,
};

#define LEAVE_MSEC 50u
#define AWAY_MSEC 100u

static const struct {
        uint8_t code, family;
        const char *name;
} names[] = {
        { TEST_UNIT_READY, TEST_UNIT_READY, "TEST UNIT READY" },
        { REQUEST_SENSE, REQUEST_SENSE, "REQUEST SENSE" },
        { INQUIRY, INQUIRY, "INQUIRY" },
        { MODE_SENSE6, MODE_SENSE6, "MODE SENSE" },
        { MODE_SENSE10, MODE_SENSE6, "MODE SENSE(10)" },
        { START_STOP_UNIT, START_STOP_UNIT, "START STOP UNIT" },
        { PREVENT_ALLOW, PREVENT_ALLOW, "PREVENT ALLOW MEDIUM REMOVAL" },
        { READ_CAPACITY10, READ_CAPACITY10, "READ CAPACITY" },
        { READ_CAPACITY16, READ_CAPACITY10, "READ CAPACITY(16)" },
        { READ10, READ10, "READ" },
        { READ16, READ10, "READ(16)" },
        { WRITE10, WRITE10, "WRITE" },
        { WRITE16, WRITE10, "WRITE(16)" },
        { SYNCHRONIZE_CACHE10, SYNCHRONIZE_CACHE10, "SYNCHRONIZE CACHE" },
        { SYNCHRONIZE_CACHE16, SYNCHRONIZE_CACHE10, "SYNCHRONIZE CACHE(16)" },
};

int msc_command_code(const char *name) {
        for (size_t i = 0; name && i < ELEMENTSOF(names); i++)
                if (text_equal(names[i].name, name))
                        return names[i].family;
        return -1;
}

int msc_command_family(uint8_t code) {
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (names[i].code == code)
                        return names[i].family;
        return code;
}

const char *msc_command_name(uint8_t code) {
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (names[i].code == code)
                        return names[i].name;
        return NULL;
}

static void put_be(uint8_t *ret, uint64_t v, size_t size) {
        for (size_t i = 0; i < size; i++)
                ret[i] = (uint8_t) (v >> 8 * (size - 1 - i));
}

static uint64_t get_be(const uint8_t *p, size_t size) {
        uint64_t v = 0;

        for (size_t i = 0; i < size; i++)
                v = v << 8 | p[i];
        return v;
}

static void fail_at(MscTask *task, uint8_t key, uint8_t asc, uint8_t ascq, bool has_sector, uint64_t sector) {
        task->unit->sense = (MscSense) { key, asc, ascq, has_sector, sector };
        task->status = 1;
}

void msc_scsi_fail(MscTask *task, uint8_t key, uint8_t asc, uint8_t ascq) {
        fail_at(task, key, asc, ascq, false, 0);
        task->way = MSC_WAY_NONE;
        task->planned = 0;
}

/* Answers with `size` bytes of task->answer, or as many as the host left room for. */
static void answer(MscTask *task, size_t size, uint64_t room) {
        task->way = MSC_WAY_IN;
        task->planned = MIN2((uint64_t) size, room);
}

/* ---- what a unit says about itself -------------------------------------------------------------------------- */

static void put_padded(uint8_t *ret, const char *text, size_t size) {
        size_t n = MIN2(strlen(text), size);

        memset(ret, ' ', size);
        memcpy(ret, text, n);
}

static size_t vpd(const MscUnit *unit, uint8_t page, uint8_t *a) {
        size_t n = strlen(unit->serial);

        a[0] = unit->type;
        a[1] = page;
        switch (page) {
        case 0x00:
                memcpy(a + 4, "\x00\x80\x83", 3);
                a[3] = 3;
                return 7;
        case 0x80:
                memcpy(a + 4, unit->serial, n);
                a[3] = (uint8_t) n;
                return 4 + n;
        case 0x83:
                memcpy(a + 4, "\x01\x03\x00\x08\x50\x01\x02\x03\x04\x05\x06\x07", 12);
                a[3] = 12;
                return 16;
        default:
                return 0;
        }
}

static void inquiry(MscTask *task) {
        const MscUnit *unit = task->unit;
        uint8_t *a = task->answer;
        size_t size = 36;

        if (task->cdb[1] & 1) {
                size = unit->serial[0] ? vpd(unit, task->cdb[2], a) : 0;
                if (size == 0) {
                        msc_scsi_fail(task, 5, 0x24, 0);
                        return;
                }
        } else {
                a[0] = unit->type;
                a[1] = unit->is_removable ? 0x80 : 0;
                a[2] = unit->serial[0] ? 5 : 2;
                a[3] = 2;
                a[4] = 31;
                put_padded(a + 8, unit->vendor, 8);
                put_padded(a + 16, unit->product, 16);
                put_padded(a + 32, unit->revision, 4);
        }
        answer(task, size, get_be(task->cdb + 3, 2));
}

static void request_sense(MscTask *task) {
        MscSense *s = &task->unit->sense;
        uint8_t *a = task->answer;

        if (task->unit->has_descriptor_sense) {
                a[0] = 0x72;
                a[1] = s->key;
                a[2] = s->asc;
                a[3] = s->ascq;
                if (s->has_sector) {
                        a[7] = 12;
                        memcpy(a + 8, "\x00\x0a\x80\x00", 4);
                        put_be(a + 12, s->sector, 8);
                }
        } else {
                a[0] = s->has_sector ? 0xf0 : 0x70;
                a[2] = s->key;
                put_be(a + 3, s->sector, 4);
                a[7] = 10;
                a[12] = s->asc;
                a[13] = s->ascq;
        }
        *s = (MscSense) {};
        answer(task, 18, task->cdb[4]);
}

static void mode_sense(MscTask *task, bool ten) {
        uint8_t *a = task->answer;

        if (ten) {
                a[1] = 6;
                a[3] = task->unit->medium.is_read_only ? 0x80 : 0;
        } else {
                a[0] = 3;
                a[2] = task->unit->medium.is_read_only ? 0x80 : 0;
        }
        answer(task, ten ? 8 : 4, ten ? get_be(task->cdb + 7, 2) : task->cdb[4]);
}

static void read_capacity(MscTask *task, bool sixteen) {
        const MscMedium *m = &task->unit->medium;
        uint64_t last = m->n_sectors - 1;

        if (sixteen) {
                put_be(task->answer, last, 8);
                put_be(task->answer + 8, m->sector_bytes, 4);
                answer(task, 32, get_be(task->cdb + 10, 4));
        } else {
                put_be(task->answer, MIN2(last, (uint64_t) UINT32_MAX), 4);
                put_be(task->answer + 4, m->sector_bytes, 4);
                answer(task, 8, 8);
        }
}

static void start_stop(MscCamera *camera) {
        MscTask *task = &camera->task;

        if (!(task->cdb[4] & 2))
                return;
        (void) msc_medium_flush(&task->unit->medium);
        task->unit->is_ejected = !(task->cdb[4] & 1);
        for (size_t i = 0; i < camera->n_units; i++)
                if (!camera->units[i].is_ejected && camera->units[i].medium.fd >= 0)
                        return;
        /* One that was a camera in command mode before is that again. */
        (void) sim_device_go_home(camera->device, LEAVE_MSEC, AWAY_MSEC);
        msc_firmware_restart(camera);
}

/* ---- sectors ------------------------------------------------------------------------------------------------ */

static bool take_range(MscTask *task, bool sixteen) {
        const MscMedium *m = &task->unit->medium;

        task->range_sector = sixteen ? get_be(task->cdb + 2, 8) : get_be(task->cdb + 2, 4);
        task->range_n = sixteen ? get_be(task->cdb + 10, 4) : get_be(task->cdb + 7, 2);
        if (task->range_sector > m->n_sectors || task->range_n > m->n_sectors - task->range_sector) {
                msc_scsi_fail(task, 5, 0x21, 0);
                return false;
        }
        task->has_range = true;
        return true;
}

static void read_sectors(MscTask *task, bool sixteen) {
        MscMedium *m = &task->unit->medium;
        uint64_t good;

        if (!take_range(task, sixteen))
                return;
        good = msc_medium_good(m, task->range_sector, task->range_n);
        if (good < task->range_n)
                fail_at(task, 3, 0x11, 0, true, task->range_sector + good);
        m->sectors_read += good;
        task->way = MSC_WAY_IN;
        task->planned = (m->pads ? task->range_n : good) * m->sector_bytes;
        task->good_bytes = good * m->sector_bytes;
}

static void write_sectors(MscTask *task, bool sixteen) {
        if (!take_range(task, sixteen))
                return;
        if (task->unit->medium.is_read_only) {
                msc_scsi_fail(task, 7, 0x27, 0);
                return;
        }
        task->way = MSC_WAY_OUT;
        task->planned = task->range_n * task->unit->medium.sector_bytes;
}

int msc_scsi_received(MscCamera *camera) {
        MscTask *task = &camera->task;
        int r;

        if (!task->has_range || task->received_size < task->planned)
                return 0;
        r = msc_medium_write(&task->unit->medium, task->range_sector, task->received, task->range_n);
        if (r == -ESHUTDOWN)
                return r;
        if (r < 0)
                msc_scsi_fail(task, 4, 0x44, 0);
        return 0;
}

static int synchronise(MscTask *task) {
        return msc_medium_flush(&task->unit->medium);
}

/* ---- dispatch ----------------------------------------------------------------------------------------------- */

/* What answers without a medium, and while a unit attention waits. */
static bool is_always_answered(uint8_t code) {
        return code == INQUIRY || code == REQUEST_SENSE;
}

static bool is_ready(MscTask *task) {
        MscUnit *unit = task->unit;

        if (is_always_answered(task->cdb[0]))
                return true;
        if (unit->has_attention) {
                unit->has_attention = false;
                msc_scsi_fail(task, 6, unit->attention_asc, 0);
                return false;
        }
        if (unit->medium.fd < 0 || unit->is_ejected) {
                if (task->cdb[0] == START_STOP_UNIT || task->cdb[0] == PREVENT_ALLOW)
                        return true;
                msc_scsi_fail(task, 2, 0x3a, 0);
                return false;
        }
        return true;
}

static bool faults_strike(MscCamera *camera) {
        static const struct {
                MscFaultKind kind;
                uint8_t key, asc, ascq;
        } checks[] = {
                { MSC_FAULT_NOT_READY, 2, 0x04, 0x01 },
                { MSC_FAULT_ATTENTION, 6, 0x29, 0 },
                { MSC_FAULT_MEDIUM_CHANGED, 6, 0x28, 0 },
                { MSC_FAULT_ABORTED, 0xb, 0, 0 },
        };
        const MscFault *fault = msc_fault(&camera->faults, MSC_FAULT_CHECK);

        if (fault) {
                msc_scsi_fail(&camera->task, (uint8_t) fault->key, (uint8_t) fault->asc, (uint8_t) fault->ascq);
                return true;
        }
        for (size_t i = 0; i < ELEMENTSOF(checks); i++)
                if (msc_fault(&camera->faults, checks[i].kind) && camera->task.cdb[0] != REQUEST_SENSE) {
                        msc_scsi_fail(&camera->task, checks[i].key, checks[i].asc, checks[i].ascq);
                        return true;
                }
        return false;
}

void msc_scsi_begin(MscCamera *camera) {
        MscTask *task = &camera->task;

        if (faults_strike(camera) || !is_ready(task))
                return;
        switch (task->cdb[0]) {
        case TEST_UNIT_READY:
        case PREVENT_ALLOW:
                break;
        case REQUEST_SENSE:
                request_sense(task);
                break;
        case INQUIRY:
                inquiry(task);
                break;
        case MODE_SENSE6:
        case MODE_SENSE10:
                mode_sense(task, task->cdb[0] == MODE_SENSE10);
                break;
        case START_STOP_UNIT:
                start_stop(camera);
                break;
        case READ_CAPACITY10:
        case READ_CAPACITY16:
                read_capacity(task, task->cdb[0] == READ_CAPACITY16);
                break;
        case READ10:
        case READ16:
                read_sectors(task, task->cdb[0] == READ16);
                break;
        case WRITE10:
        case WRITE16:
                write_sectors(task, task->cdb[0] == WRITE16);
                break;
        case SYNCHRONIZE_CACHE10:
        case SYNCHRONIZE_CACHE16:
                if (synchronise(task) < 0)
                        camera->phase = MSC_DEAD;
                break;
        default:
                msc_scsi_fail(task, 5, 0x20, 0);
        }
}
