/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/table.h"
#include "ctl/term.h"

int table_print(Table *t) {
        Lines lines = { 0 };
        Look look;
        term_look(&look);
        int r = table_render(t, &look, &lines);
        for (size_t i = 0; i < lines.n && r >= 0; i++)
                puts(lines.lines[i]);
        lines_clear(&lines);
        return r < 0 ? ctl_fail(CTL_FAILURE, "out of memory") : CTL_OK;
}
