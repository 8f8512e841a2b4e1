/* SPDX-License-Identifier: Apache-2.0 */

/* uplink.conf: what is wrong is said with its line. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/macro.h"
#include "base/text.h"
#include "uplink/settings.h"

#define TUS "[store]\ntype = tus\nurl = https://tus.example/files/\n"
#define S3 "[store]\ntype = s3\nendpoint = https://s3.example\nbucket = clips\n"

static int load(const char *text, UplinkSettings **ret, ConfError *error) {
        FILE *f = fopen("uplink.conf", "w");

        assert_non_null(f);
        (void) fputs(text, f);
        assert_int_equal(fclose(f), 0);
        return uplink_settings_load("uplink.conf", ret, error);
}

static void test_s3_has_defaults_for_all_but_endpoint_and_bucket(void **state) {
        _cleanup_(uplink_settings_freep) UplinkSettings *s = NULL;
        ConfError error = { "" };

        (void) state;
        assert_int_equal(load(S3, &s, &error), 0);
        assert_int_equal(s->type, STORE_S3);
        assert_string_equal(s->endpoint, "https://s3.example");
        assert_string_equal(s->region, "us-east-1");
        assert_string_equal(s->prefix, "");
        assert_int_equal(s->part_size_bytes, 0);
        assert_false(s->virtual_host || s->read_back || s->sole_writer || s->legal_hold);
        assert_null(s->lock_mode);
        assert_null(s->credentials);
}

static void test_s3_keys_are_read(void **state) {
        _cleanup_(uplink_settings_freep) UplinkSettings *s = NULL;
        ConfError error = { "" };

        (void) state;
        assert_int_equal(
                load(S3 "region = eu-1\nprefix = docks/a\nstyle = virtual-host\nread_back = yes\npart_size = 64M\n"
                        "retention_mode = compliance\nretention = 365d\nlegal_hold = yes\nencryption = aws:kms\nkms_key = k\n"
                        "tags = a=1&b=2\nstorage_class = STANDARD_IA\nca_file = /ca.pem\nclient_certificate = /c.pem\n"
                        "client_key = /k.pem\nproxy = http://proxy:3128\ncredentials = /etc/berth/s3\nsole_writer = yes\n"
                        "content_md5 = yes\n",
                     &s, &error),
                0);
        assert_string_equal(s->prefix, "docks/a/");
        assert_true(s->virtual_host && s->read_back && s->legal_hold && s->sole_writer && s->content_md5);
        assert_int_equal(s->part_size_bytes, 64 * MIB);
        assert_string_equal(s->lock_mode, "COMPLIANCE");
        assert_int_equal(s->retention_sec, 365 * 86400);
        assert_string_equal(s->kms_key, "k");
        assert_string_equal(s->proxy, "http://proxy:3128");
        assert_string_equal(s->credentials, "/etc/berth/s3");
}

static void test_tus_keys_are_read(void **state) {
        _cleanup_(uplink_settings_freep) UplinkSettings *s = NULL;
        ConfError error = { "" };

        (void) state;
        assert_int_equal(load(TUS "credentials = /etc/berth/token\npart_size = 1M\nread_back = yes\nca_file = /ca.pem\n"
                                  "client_certificate = /c.pem\nclient_key = /k.pem\nproxy = http://proxy:3128\n",
                              &s, &error),
                         0);
        assert_int_equal(s->type, STORE_TUS);
        assert_string_equal(s->url, "https://tus.example/files/");
        assert_string_equal(s->credentials, "/etc/berth/token");
        assert_string_equal(s->ca_file, "/ca.pem");
        assert_string_equal(s->proxy, "http://proxy:3128");
        assert_int_equal(s->part_size_bytes, MIB);
        assert_true(s->read_back);
}

static void test_folder_is_read_back_unless_told_otherwise(void **state) {
        _cleanup_(uplink_settings_freep) UplinkSettings *s = NULL;
        ConfError error = { "" };

        (void) state;
        assert_int_equal(load("[store]\ntype = dir\npath = /srv/berth\n", &s, &error), 0);
        assert_int_equal(s->type, STORE_DIR);
        assert_true(s->read_back && s->create);
}

static void test_what_is_wrong_is_said_with_its_line(void **state) {
        static const struct {
                const char *text, *where, *what;
        } cases[] = {
                { "[store]\ntype = ftp\n", ":2:", "it has: dir, s3, tus" },
                { "[store]\nbucket = x\n", "", "lacks type" },
                { "[store]\ntype = s3\nbucket = clips\n", "", "lacks endpoint" },
                { "[store]\ntype = s3\nendpoint = https://s3.example\n", "", "lacks bucket" },
                { "[store]\ntype = s3\nendpoint = s3.example\n", ":3:", "is not https://HOST" },
                { "[uplink]\nlimit = Mon 20\n", ":2:", "'20' is not understood" },
                { "[uplink]\nlimit = tomorrow 20 Mbit/s\n", ":2:", "'tomorrow 20 Mbit/s' is not understood" },
                { S3 "path = /srv\n", ":5:", "[store] path: is of type = dir only" },
                { "[store]\ntype = dir\npath = /srv\nregion = x\n", ":4:", "[store] region: is of type = s3 only" },
                { "[store]\ntype = s3\nendpoint = http://s3.example\nbucket = clips\n", ":3:", "unencrypted" },
                { S3 "style = v\n", ":5:", "neither path nor virtual-host" },
                { "[store]\ntype = s3\nendpoint = https://s3.example\nbucket = a.b\nstyle = virtual-host\n",
                  ":4:", "part of a host's name" },
                { S3 "prefix = a//b\n", ":5:", "is not a prefix" },
                { S3 "part_size = 1M\n", ":5:", "part_size" },
                { S3 "part_size = 1k\n", ":5:", "part_size" },
                { S3 "url = https://tus.example/\n", ":5:", "is of type = tus only" },
                { "[store]\ntype = tus\n", "", "lacks url" },
                { "[store]\ntype = tus\nurl = tus.example/files\n", ":3:", "is not https://HOST/PATH/" },
                { "[store]\ntype = tus\nurl = http://tus.example/files/\n", ":3:", "unencrypted" },
                { TUS "path = /srv\n", ":4:", "is of type = dir only" },
                { "[store]\ntype = dir\npath = /srv\nproxy = http://p:1\n", ":4:", "is not for type = dir" },
                /* What tus cannot do is refused with that sentence. */
                { TUS "prefix = a\n", ":4:", "names its uploads itself" },
                { TUS "sole_writer = yes\n", ":4:", "a clip that another dock stored is not recognised" },
                { TUS "sole_writer = yes\n", ":4:", "no manifests that only one can put, no status objects and no rollouts" },
                { TUS "retention_mode = governance\nretention = 1d\n", ":4:", "cannot be told how long to keep" },
                { TUS "legal_hold = yes\n", ":4:", "cannot be told to hold" },
                { TUS "client_key = /k\n", ":4:", "goes with client_certificate" },
                { S3 "part_size = 6G\n", ":5:", "part_size" },
                { S3 "retention_mode = forever\n", ":5:", "neither governance nor compliance" },
                { S3 "retention_mode = governance\n", ":5:", "go together" },
                { S3 "\nretention = 1d\n", ":6:", "go together" },
                { S3 "kms_key = k\n", ":5:", "goes with encryption" },
                { S3 "client_key = /k\n", ":5:", "goes with client_certificate" },
                { S3 "encryption = rot13\n", ":5:", "neither AES256 nor aws:kms" },
                { S3 "encryption_key = /k\n", ":5:", "goes with encryption = sse-c only" },
                { S3 "encryption = AES256\nencryption_key = /k\n", ":6:", "goes with encryption = sse-c only" },
                { "[store]\ntype = s3\nendpoint = http://s3.example\nbucket = clips\nplain_http = yes\nencryption = sse-c\n", ":6:",
                  "it takes an https:// endpoint" },
                { TUS "encryption_key = /k\n", ":4:", "cannot be told how to encrypt" },
                { S3 "colour = red\n", ":5:", "unknown key" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                UplinkSettings *s = NULL;
                ConfError error = { "" };

                assert_true(load(cases[i].text, &s, &error) < 0);
                assert_null(s);
                if (!strstr(error.text, "uplink.conf") || !strstr(error.text, cases[i].where) ||
                    !strstr(error.text, cases[i].what))
                        fail_msg("%s\nsays: %s", cases[i].text, error.text);
        }
}

static void test_plain_http_is_for_this_machine_or_for_who_says_so(void **state) {
        static const char *const texts[] = {
                "[store]\ntype = s3\nendpoint = http://127.0.0.1:7480\nbucket = clips\n",
                "[store]\ntype = s3\nendpoint = http://s3.example\nbucket = clips\nplain_http = yes\n",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_(uplink_settings_freep) UplinkSettings *s = NULL;
                ConfError error = { "" };

                assert_int_equal(load(texts[i], &s, &error), 0);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_s3_has_defaults_for_all_but_endpoint_and_bucket),
                cmocka_unit_test(test_s3_keys_are_read),
                cmocka_unit_test(test_tus_keys_are_read),
                cmocka_unit_test(test_folder_is_read_back_unless_told_otherwise),
                cmocka_unit_test(test_what_is_wrong_is_said_with_its_line),
                cmocka_unit_test(test_plain_http_is_for_this_machine_or_for_who_says_so),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
