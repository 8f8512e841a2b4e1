/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * On a rack where interfaces are unauthorised until somebody says otherwise (udev-rules/68-berth-rack.rules), usbfs cannot claim
 * one either: those that the model's plugin works with, and the one by which it is sent into its loader, are authorised first, and only
 * those. Authorising binds no driver.
 */

#include "model/model.h"
#include "service/hotplug.h"

#define AUTHORISE_WAIT 1 /* udev has not given the file to the group yet */
#define AUTHORISE_MISSING 2 /* it is not authorised, and was only to be looked at */

/* May the device's node be opened for a worker? 0, or AUTHORISE_WAIT. Whatever else is the matter with it, the worker's start tells. */
int authorise_node(const HotplugDevice *device);
/* 0, AUTHORISE_WAIT, or -errno: -ENODEV when the device is gone. */
int authorise_interfaces(const HotplugDevice *device, const Model *model);
/*
 * The same without authorising: 0, AUTHORISE_MISSING, or -errno. To a claim of an unauthorised interface the kernel answers ENODEV, as
 * if the device had been unplugged: what is the matter must be known before.
 */
int authorise_look(const HotplugDevice *device, const Model *model);
