/* SPDX-License-Identifier: Apache-2.0 */
#include "proof/mhl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

/* Text as XML has it. Names in a bundle are harmless; a host's name may be anything. */
static void put_xml(FILE *f, const char *text) {
        for (; *text; text++)
                switch (*text) {
                case '&':
                        fputs("&amp;", f);
                        break;
                case '<':
                        fputs("&lt;", f);
                        break;
                case '>':
                        fputs("&gt;", f);
                        break;
                case '"':
                        fputs("&quot;", f);
                        break;
                default:
                        fputc((unsigned char) *text < 0x20 || (unsigned char) *text >= 0x7f ? '?' : *text, f);
                        break;
                }
}

/* An xsd:dateTime without fractions. */
static const char *date_time(int64_t unix_sec, char ret[static UTC_TEXT_SIZE]) {
        (void) utc_text(unix_sec * (int64_t) USEC_PER_SEC, ret);
        memcpy(ret + 19, "Z", 2);
        return ret;
}

static void put_hash(FILE *f, const BundleFile *file, const char *when) {
        char modified[UTC_TEXT_SIZE];

        fprintf(f, "    <hash>\n      <path size=\"%" PRIu64 "\" lastmodificationdate=\"%s\">", file->size,
                date_time(file->mtime_unix_sec, modified));
        put_xml(f, file->name);
        fprintf(f, "</path>\n      <c4 action=\"original\" hashdate=\"%s\">%s</c4>\n", when, file->c4);
        fprintf(f, "      <md5 action=\"original\" hashdate=\"%s\">%s</md5>\n    </hash>\n", when, file->md5);
}

static void put_list(FILE *f, const Bundle *b) {
        char when[UTC_TEXT_SIZE], host[256] = "dock";

        (void) gethostname(host, sizeof(host) - 1);
        (void) date_time(b->now_unix_sec, when);
        fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<hashlist version=\"2.0\" xmlns=\"urn:ASC:MHL:v2.0\">\n", f);
        fprintf(f, "  <creatorinfo>\n    <creationdate>%s</creationdate>\n    <hostname>", when);
        put_xml(f, host);
        fputs("</hostname>\n    <tool version=\"" BERTH_VERSION "\">Berth</tool>\n  </creatorinfo>\n", f);
        fputs("  <processinfo>\n    <process>transfer</process>\n    <ignore>\n      <pattern>ascmhl</pattern>\n"
              "      <pattern>ascmhl/</pattern>\n    </ignore>\n  </processinfo>\n  <hashes>\n", f);
        for (size_t i = 0; i < b->n_files; i++)
                put_hash(f, &b->files[i], when);
        fputs("  </hashes>\n</hashlist>\n", f);
}

static int write_list(Bundle *b, const char *name) {
        _cleanup_(freep) char *path = text_format("ascmhl/%s", name), *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return -ENOMEM;
        put_list(f, b);
        if (fclose(f) != 0 || !path)
                return -ENOMEM;
        return bundle_text(b, path, text, size);
}

/* The list's own C4 is in the chain file. */
static int write_chain(Bundle *b, const char *name) {
        const BundleFile *list = &b->files[b->n_files - 1];
        _cleanup_(freep) char *text = NULL;

        text = text_format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ascmhldirectory xmlns=\"urn:ASC:MHL:DIRECTORY:v2.0\">\n"
                           "  <hashlist sequencenr=\"1\">\n    <path>%s</path>\n    <c4>%s</c4>\n  </hashlist>\n</ascmhldirectory>\n",
                           name, list->c4);
        return text ? bundle_text(b, "ascmhl/ascmhl_chain.xml", text, strlen(text)) : -ENOMEM;
}

int mhl_write(Bundle *b, const char *root) {
        _cleanup_(freep) char *name = NULL;
        char when[UTC_TEXT_SIZE];
        int r;

        (void) utc_text(b->now_unix_sec * (int64_t) USEC_PER_SEC, when);
        /* 0001_<root>_2026-11-25_091500Z.mhl */
        name = text_format("0001_%.40s_%.10s_%.2s%.2s%.2sZ.mhl", root, when, when + 11, when + 14, when + 17);
        if (!name)
                return -ENOMEM;
        r = write_list(b, name);
        return r < 0 ? r : write_chain(b, name);
}
