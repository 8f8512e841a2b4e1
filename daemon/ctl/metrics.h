/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What Prometheus gets from a dock: docs/monitoring.md has the list. */

#include <stdio.h>

#include <jansson.h>

#include "ctl/dock.h"
#include "ctl/dock_figures.h"

/* OpenMetrics 1.0, or the text format that came before it and that textfile collectors read. */
typedef enum MetricsFormat { METRICS_OPENMETRICS, METRICS_CLASSIC } MetricsFormat;

/* `dock` NULL: it does not answer. `figures` and `rollouts` NULL: they are not known. */
void metrics_write(FILE *to, MetricsFormat format, const Dock *dock, const DockFigures *figures, const json_t *rollouts);
