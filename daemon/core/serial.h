/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Is a serial one that can tell cameras apart? Pure. */

/* NULL when it can; else why not, as the rest of "its serial …": "is empty", "is a placeholder". */
const char *serial_problem(const char *serial);
