/* SPDX-License-Identifier: Apache-2.0 */
#include "core/return.h"

#include "base/text.h"
#include "core/serial.h"

bool return_is_in_time(const ReturnTiming *t) {
        return t->same_boot && t->model_expected && t->appeared_usec >= t->begun_usec && t->appeared_usec <= t->until_usec;
}

bool return_id_is_telling(const char *id) {
        return !serial_problem(id);
}

/*
 * The first time there is nothing to compare with, and whoever put another camera in while the first was away would be believed.
 * The second time the same storage follows the same camera's command mode again, which is a witness of its own: it confirms
 * itself. A storage id that two cameras show tells neither from the other, so it never does.
 */
ReturnVerdict return_verdict(const ReturnFacts *f) {
        if (!return_id_is_telling(f->found))
                return RETURN_BY_PORT;
        if (!f->recorded || !f->recorded[0])
                return f->of_another ? RETURN_OTHER : RETURN_BY_PORT;
        if (!text_equal(f->found, f->recorded))
                return RETURN_OTHER;
        if (f->of_another)
                return RETURN_BY_PORT;
        return f->confirmed || !f->this_change ? RETURN_RECOGNISED : RETURN_BY_PORT;
}
