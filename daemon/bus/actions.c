/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/actions.h"

#include <string.h>

#include "base/macro.h"
#include "bus/bus_private.h"

static const char *const names[_ACTION_MAX + 1] = {
        [ACTION_VIEW] = "org.berth.Dock1.view",         [ACTION_OPERATE] = "org.berth.Dock1.operate",
        [ACTION_EVIDENCE] = "org.berth.Dock1.evidence", [ACTION_FIRMWARE] = "org.berth.Dock1.firmware",
        [ACTION_SETTINGS] = "org.berth.Dock1.settings", [ACTION_OF_JOB] = "of-its-job",
};

static const ActionRow rows[] = {
        { BUS_MANAGER_INTERFACE, "ListClips", ACTION_VIEW },
        { BUS_MANAGER_INTERFACE, "ListEvents", ACTION_VIEW },
        { BUS_MANAGER_INTERFACE, "LastEvents", ACTION_VIEW },
        { BUS_MANAGER_INTERFACE, "ListRefused", ACTION_VIEW },
        { BUS_MANAGER_INTERFACE, "ListModels", ACTION_VIEW },
        { BUS_TRANSFERS_INTERFACE, "ListTransfers", ACTION_VIEW },
        { BUS_MANAGER_INTERFACE, "ListHolds", ACTION_VIEW },
        { BUS_MANAGER_INTERFACE, "ListCameras", ACTION_VIEW },
        { BUS_MANAGER_INTERFACE, "ListFindings", ACTION_VIEW },
        { BUS_MANAGER_INTERFACE, "ListBayFindings", ACTION_VIEW },
        { BUS_ROSTER_INTERFACE, "ListOfficers", ACTION_VIEW },
        { BUS_ROSTER_INTERFACE, "ListIssues", ACTION_VIEW },
        { BUS_MANAGER_INTERFACE, "ListFleetDocks", ACTION_VIEW },
        { BUS_MANAGER_INTERFACE, "ListFleetCameras", ACTION_VIEW },
        { BUS_MANAGER_INTERFACE, "ExamineStore", ACTION_VIEW },
        { BUS_MANAGER_INTERFACE, "ExamineRack", ACTION_VIEW },
        { BUS_MANAGER_INTERFACE, "GetFigures", ACTION_VIEW },

        { BUS_BAY_INTERFACE, "Locate", ACTION_OPERATE },
        { BUS_BAY_INTERFACE, "Calibrate", ACTION_OPERATE },
        { BUS_BAY_INTERFACE, "Eject", ACTION_OPERATE },
        { BUS_ROSTER_INTERFACE, "Checkout", ACTION_OPERATE },
        { BUS_ROSTER_INTERFACE, "CancelCheckout", ACTION_OPERATE },
        { BUS_MANAGER_INTERFACE, "CallShift", ACTION_OPERATE },
        { BUS_TRANSFERS_INTERFACE, "SendNow", ACTION_OPERATE },

        { BUS_MANAGER_INTERFACE, "EraseClip", ACTION_EVIDENCE },
        { BUS_MANAGER_INTERFACE, "SetHold", ACTION_EVIDENCE },
        { BUS_MANAGER_INTERFACE, "ReleaseHold", ACTION_EVIDENCE },
        { BUS_MANAGER_INTERFACE, "Import", ACTION_EVIDENCE },
        { BUS_MANAGER_INTERFACE, "FetchClip", ACTION_EVIDENCE },
        { BUS_MANAGER_INTERFACE, "MakeCheckpoint", ACTION_EVIDENCE },
        { BUS_MANAGER_INTERFACE, "RotateKey", ACTION_EVIDENCE },
        { BUS_CAMERA_INTERFACE, "Erase", ACTION_EVIDENCE },
        { BUS_CAMERA_INTERFACE, "ConfirmIdentity", ACTION_EVIDENCE },
        { BUS_CAMERA_INTERFACE, "UpdateFirmware", ACTION_FIRMWARE },

        { BUS_ROSTER_INTERFACE, "ImportOfficers", ACTION_SETTINGS },
        { BUS_ROSTER_INTERFACE, "Publish", ACTION_SETTINGS },
        { BUS_ROSTER_INTERFACE, "Assign", ACTION_SETTINGS },
        { BUS_MANAGER_INTERFACE, "ReleaseCamera", ACTION_SETTINGS },
        { BUS_MANAGER_INTERFACE, "Reload", ACTION_SETTINGS },
        { BUS_TRANSFERS_INTERFACE, "Pause", ACTION_SETTINGS },
        { BUS_TRANSFERS_INTERFACE, "Resume", ACTION_SETTINGS },
        { BUS_CAMERA_INTERFACE, "SetOwner", ACTION_SETTINGS },

        { BUS_JOB_INTERFACE, "Cancel", ACTION_OF_JOB },
};

const char *action_to_string(Action action) {
        return action >= 0 && action <= ACTION_OF_JOB ? names[action] : NULL;
}

const ActionRow *action_rows(size_t *ret_n) {
        *ret_n = ELEMENTSOF(rows);
        return rows;
}

Action action_of(const char *interface, const char *member) {
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (strcmp(rows[i].member, member) == 0 && (!interface || strcmp(rows[i].interface, interface) == 0))
                        return rows[i].action;
        return _ACTION_INVALID;
}
