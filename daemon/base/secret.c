/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/text.h"

#define REDACTED_MIN 4u

struct Secrets {
        size_t n, used;
        char *list[SECRETS_MAX + 1];
        char text[SECRETS_MAX * (SECRET_NAME_MAX + SECRET_VALUE_MAX + 2)];
};

int secrets_new(Secrets **ret) {
        void *pages = mmap(NULL, sizeof(Secrets), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (pages == MAP_FAILED)
                return -errno;
        /* Without this they are still only where a core dump is: the units and the worker allow none. */
        (void) madvise(pages, sizeof(Secrets), MADV_DONTDUMP);
        *ret = pages;
        return 0;
}

Secrets *secrets_free(Secrets *s) {
        if (!s)
                return NULL;
        explicit_bzero(s, sizeof(*s));
        (void) munmap(s, sizeof(*s));
        return NULL;
}

int secrets_add(Secrets *s, const char *name_value) {
        size_t length = strcspn(name_value, "="), size = strlen(name_value) + 1;
        char name[SECRET_NAME_MAX + 1];

        if (length == 0 || name_value[length] == 0 || !text_is_printable(name_value))
                return -EINVAL;
        if (length > SECRET_NAME_MAX || size - length - 2 > SECRET_VALUE_MAX || s->n == SECRETS_MAX)
                return -E2BIG;
        memcpy(name, name_value, length);
        name[length] = 0;
        if (secrets_find(s, name))
                return -EEXIST;
        s->list[s->n++] = memcpy(s->text + s->used, name_value, size);
        s->used += size;
        return 0;
}

static const char *value_of(const char *name_value, const char *name) {
        size_t length = strlen(name);

        return strncmp(name_value, name, length) == 0 && name_value[length] == '=' ? name_value + length + 1 : NULL;
}

const char *secrets_find(const Secrets *s, const char *name) {
        for (size_t i = 0; s && i < s->n; i++) {
                const char *value = value_of(s->list[i], name);

                if (value)
                        return value;
        }
        return NULL;
}

const char *const *secrets_list(const Secrets *s) {
        static const char *const none[] = { NULL };

        return s ? (const char *const *) s->list : none;
}

void secrets_redact(const char *const *list, char *text) {
        for (; list && *list; list++) {
                const char *value = strchr(*list, '=');
                size_t length = value ? strlen(++value) : 0;

                if (length < REDACTED_MIN)
                        continue;
                for (char *at = text; (at = strstr(at, value)); at += length)
                        memset(at, '*', length);
        }
}
