/* SPDX-License-Identifier: Apache-2.0 */
/* A medium with FAT on it, as a camera could present it: see fs_subject.h, and seeds_fs.py for where the seeds come from. */
#include "fs_subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        fs_subject_run(data, size);
        return 0;
}
