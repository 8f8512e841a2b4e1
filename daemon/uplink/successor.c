/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/successor.h"

#include <stdlib.h>
#include <string.h>

#include "base/statement.h"
#include "base/text.h"

void successor_end(Successor *s) {
        free(s->key);
        *s = (Successor){};
}

static int conflict(Task *task, const char *why) {
        return answer_fail(&task->answer, WIRE_UPLINK_E_CONFLICT, NULL, "what lies in the store as %s is not this dock's to replace: %s",
                           task->keep.key, why);
}

int successor_check(Successor *s, Task *task, const char *there, size_t size) {
        Statement ours = {}, theirs = {};
        const char *why = NULL;
        Digest digest;

        if (s->key && text_equal(s->key, task->keep.key) && digest_of(there, size, &digest) >= 0 && !digest_equal(&digest, &s->digest)) {
                /* Told once; then whoever has the higher number goes on. */
                successor_end(s);
                return conflict(task, "another dock wrote it as this one; was this dock's state folder copied?");
        }
        if (statement_parse(task->keep.text, strlen(task->keep.text), &ours) < 0 || !text_equal(ours.about.key, task->keep.key))
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "what is to replace %s is no statement of that key",
                                   task->keep.key);
        else if (statement_parse(there, size, &theirs) < 0)
                (void) conflict(task, "it is no signed statement");
        else {
                /* Of whichever key: it may have been exchanged since, and who believes it asks for more than this. */
                why = statement_mismatch(&ours, &(StatementAbout){ .type = theirs.about.type, .key = theirs.about.key,
                                                                   .dock = theirs.about.dock, .seq = theirs.about.seq }, NULL);
                if (why)
                        (void) conflict(task, why);
        }
        statement_done(&ours);
        statement_done(&theirs);
        return task->answer.error ? -1 : 0;
}

void successor_note(Successor *s, const Task *task) {
        char *key = strdup(task->keep.key);

        successor_end(s);
        if (!key)
                return;
        s->key = key;
        if (digest_of(task->keep.text, strlen(task->keep.text), &s->digest) < 0)
                successor_end(s);
}
