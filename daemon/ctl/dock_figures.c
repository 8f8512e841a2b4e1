/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/dock_figures.h"

#include <errno.h>
#include <stdlib.h>

#include "ctl/property.h"

static const Property properties[] = {
        PROPERTY(DockFigures, "Clips", "clips", TALLY, clips),
        PROPERTY(DockFigures, "Bytes", "bytes", TALLY, bytes),
        PROPERTY(DockFigures, "CustodyEvents", "custody_events", UINT64, custody_events),
        PROPERTY(DockFigures, "OldestUnstoredUsec", "oldest_unstored_usec", TIME, oldest_unstored_usec),
        PROPERTY(DockFigures, "UploadsUnderWay", "uploads_under_way", UINT32, uploads_under_way),
        PROPERTY(DockFigures, "ReadBytes", "read_bytes", UINT64, read_bytes),
        PROPERTY(DockFigures, "CopiedClips", "copied_clips", UINT64, copied_clips),
        PROPERTY(DockFigures, "CopiedBytes", "copied_bytes", UINT64, copied_bytes),
        PROPERTY(DockFigures, "StoredClips", "stored_clips", UINT64, stored_clips),
        PROPERTY(DockFigures, "StoredBytes", "stored_bytes", UINT64, stored_bytes),
        PROPERTY(DockFigures, "ErasedClips", "erased_clips", UINT64, erased_clips),
        PROPERTY(DockFigures, "Faults", "faults", UINT64, faults),
};

int dock_figures_load(sd_bus_message *reply, DockFigures **ret) {
        DockFigures *f = calloc(1, sizeof(*f));
        int r = f ? properties_init(properties, ELEMENTSOF(properties), f) : -ENOMEM;
        if (r >= 0)
                r = properties_read(properties, ELEMENTSOF(properties), f, reply);
        if (r < 0) {
                (void) dock_figures_free(f);
                return r == -ENOMEM ? r : -EBADMSG;
        }
        *ret = f;
        return 0;
}

DockFigures *dock_figures_free(DockFigures *f) {
        if (!f)
                return NULL;
        properties_clear(properties, ELEMENTSOF(properties), f);
        free(f);
        return NULL;
}
