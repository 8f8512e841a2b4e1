/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file systems of plugins/msc on an image file, for tests that let other programs judge them:
 *
 *     fs_image [--sector BYTES] [--utc MINUTES] [--erase-dirty] [--read-only] [--bad SECTOR]... [--fail-write N] [--log FILE] IMAGE
 *
 * reads commands from standard input, one a line, all within one fs_open(), and answers each with lines of JSON:
 *
 *     info | walk | extents HANDLE | erase HANDLE | create SIZE PATH | counts
 *
 * A file that is made holds (offset * 7 + offset / 251) & 255.
 *
 * The log holds what the medium was asked to do: "w SECTOR N" with the bytes, in hexadecimal, and "f" for a flush.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../plugins/msc/fs.h"

#define BAD_MAX 64u

typedef struct Image {
        int fd;
        uint32_t sector_bytes;
        uint64_t bad[BAD_MAX];
        size_t n_bad;
        uint64_t reads, sectors_read, writes, sectors_written, flushes;
        uint64_t fail_write; /* the number of the first write that fails; 0: none */
        FILE *log;
} Image;

static int image_read(void *userdata, uint64_t sector, uint32_t n, void *ret) {
        Image *image = userdata;
        size_t size = (size_t) n * image->sector_bytes;

        image->reads++;
        image->sectors_read += n;
        for (size_t i = 0; i < image->n_bad; i++)
                if (image->bad[i] >= sector && image->bad[i] - sector < n)
                        return -EIO;
        return pread(image->fd, ret, size, (off_t) (sector * image->sector_bytes)) == (ssize_t) size ? 0 : -EINVAL;
}

static int image_write(void *userdata, uint64_t sector, uint32_t n, const void *data) {
        Image *image = userdata;
        size_t size = (size_t) n * image->sector_bytes;

        image->writes++;
        image->sectors_written += n;
        if (image->fail_write != 0 && image->writes >= image->fail_write)
                return -EIO;
        if (image->log) {
                fprintf(image->log, "w %" PRIu64 " %" PRIu32 " ", sector, n);
                for (size_t i = 0; i < size; i++)
                        fprintf(image->log, "%02x", ((const uint8_t *) data)[i]);
                fputc('\n', image->log);
        }
        return pwrite(image->fd, data, size, (off_t) (sector * image->sector_bytes)) == (ssize_t) size ? 0 : -EIO;
}

static int image_flush(void *userdata) {
        Image *image = userdata;

        image->flushes++;
        if (image->log)
                fputs("f\n", image->log);
        return 0;
}

/* Bytes in hexadecimal: names may be anything. */
static void print_hex(const char *text, size_t size) {
        for (size_t i = 0; i < size; i++)
                printf("%02x", (uint8_t) text[i]);
}

/* Sentences of ours are UTF-8 without control characters, and json.loads() refuses them when they are not. */
static void print_text(const char *key, const char *text) {
        printf("\"%s\": \"", key);
        for (const char *s = text; *s; s++)
                printf(*s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
        printf("\"");
}

static int on_file(void *userdata, const FsFile *file) {
        (void) userdata;
        printf("{\"handle\": %" PRIu64 ", \"size\": %" PRIu64 ", \"mtime\": ", file->handle, file->size_bytes);
        if (file->mtime_unix_sec == FS_TIME_UNKNOWN)
                printf("null");
        else
                printf("%" PRId64, file->mtime_unix_sec);
        printf(", \"read_only\": %s, \"hidden\": %s, \"system\": %s, \"names\": [", file->read_only ? "true" : "false",
               file->hidden ? "true" : "false", file->system ? "true" : "false");
        for (size_t i = 0; i < file->n_names; i++) {
                printf("%s\"", i > 0 ? ", " : "");
                print_hex(file->names[i].text, file->names[i].size);
                printf("\"");
        }
        printf("]}\n");
        return 0;
}

static void do_walk(Fs *fs) {
        const char *problem;
        int r = fs_walk(fs, on_file, NULL);

        printf("{\"answer\": %d, ", r);
        print_text("why", fs_why(fs));
        printf(", \"problems\": [");
        for (size_t i = 0; (problem = fs_problem(fs, i)) != NULL; i++) {
                printf("%s{", i > 0 ? ", " : "");
                print_text("problem", problem);
                printf("}");
        }
        printf("]}\n");
}

static void do_info(Fs *fs) {
        FsInfo info;
        int r = fs_info(fs, &info);

        if (r < 0) {
                printf("{\"answer\": %d}\n", r);
                return;
        }
        printf("{\"answer\": 0, \"kind\": \"%s\", \"volume_id\": %" PRIu32 ", \"cluster\": %" PRIu32 ", \"total\": %" PRIu64 ", ",
               fs_kind_name(info.kind), info.volume_id, info.cluster_bytes, info.total_bytes);
        printf("\"dirty\": %s, \"by_erase\": %s, \"failing\": %s, \"free\": ", info.dirty ? "true" : "false",
               info.dirty_by_erase ? "true" : "false", info.failing ? "true" : "false");
        printf(info.free_bytes == FS_BYTES_UNKNOWN ? "null, " : "%" PRIu64 ", ", info.free_bytes);
        print_text("label", info.label);
        printf("}\n");
}

static void do_extents(Fs *fs, uint64_t handle) {
        static const char *const kinds[] = { "data", "zeros", "lost" };
        FsExtents extents;
        int r = fs_extents(fs, handle, &extents);

        printf("{\"answer\": %d, ", r);
        print_text("why", fs_why(fs));
        printf(", \"extents\": [");
        for (size_t i = 0; r == 0 && i < extents.n; i++)
                printf("%s[%" PRIu64 ", %" PRIu64 ", %" PRIu64 ", \"%s\"]", i > 0 ? ", " : "", extents.items[i].offset_bytes,
                       extents.items[i].length_bytes, extents.items[i].sector, kinds[extents.items[i].kind]);
        printf("]}\n");
        if (r == 0)
                fs_extents_clear(&extents);
}

static int read_content(void *userdata, uint64_t offset, void *ret, size_t length) {
        (void) userdata;
        for (size_t i = 0; i < length; i++)
                ((uint8_t *) ret)[i] = (uint8_t) ((offset + i) * 7 + (offset + i) / 251);
        return 0;
}

static void do_create(Fs *fs, uint64_t size, char *path) {
        const FsSource source = { .size_bytes = size, .read = read_content };

        path[strcspn(path, "\n")] = 0;
        printf("{\"answer\": %d, ", fs_create(fs, path, &source));
        print_text("why", fs_why(fs));
        printf("}\n");
}

static void do_command(Fs *fs, Image *image, char *line) {
        uint64_t handle = 0;
        int at = 0;

        if (strcmp(line, "info\n") == 0) {
                do_info(fs);
        } else if (strcmp(line, "walk\n") == 0) {
                do_walk(fs);
        } else if (sscanf(line, "extents %" SCNu64, &handle) == 1) {
                do_extents(fs, handle);
        } else if (sscanf(line, "erase %" SCNu64, &handle) == 1) {
                printf("{\"answer\": %d, ", fs_erase(fs, handle));
                print_text("why", fs_why(fs));
                printf("}\n");
        } else if (sscanf(line, "create %" SCNu64 " %n", &handle, &at) == 1 && at > 0) {
                do_create(fs, handle, line + at);
        } else if (strcmp(line, "counts\n") == 0) {
                printf("{\"reads\": %" PRIu64 ", \"sectors_read\": %" PRIu64 ", \"writes\": %" PRIu64 ", \"sectors_written\": %" PRIu64
                       ", \"flushes\": %" PRIu64 "}\n", image->reads, image->sectors_read, image->writes, image->sectors_written,
                       image->flushes);
        } else {
                fprintf(stderr, "unknown command: %s", line);
                exit(2);
        }
        fflush(stdout);
}

int main(int argc, char **argv) {
        Image image = { .fd = -1, .sector_bytes = 512 };
        Disk disk = { .userdata = &image, .read = image_read, .write = image_write, .flush = image_flush };
        FsOptions options = { 0 };
        char why[FS_WHY_MAX], line[8192];
        Fs *fs = NULL;
        int i, r;

        for (i = 1; i + 1 < argc; i++) {
                if (strcmp(argv[i], "--erase-dirty") == 0)
                        options.erase_dirty = true;
                else if (strcmp(argv[i], "--read-only") == 0)
                        disk.read_only = true;
                else if (strcmp(argv[i], "--sector") == 0)
                        image.sector_bytes = (uint32_t) strtoul(argv[++i], NULL, 10);
                else if (strcmp(argv[i], "--utc") == 0)
                        options.utc_offset_minutes = (int) strtol(argv[++i], NULL, 10);
                else if (strcmp(argv[i], "--bad") == 0 && image.n_bad < BAD_MAX)
                        image.bad[image.n_bad++] = strtoull(argv[++i], NULL, 10);
                else if (strcmp(argv[i], "--fail-write") == 0)
                        image.fail_write = strtoull(argv[++i], NULL, 10);
                else if (strcmp(argv[i], "--log") == 0)
                        image.log = fopen(argv[++i], "we");
                else
                        return 2;
        }
        image.fd = i < argc ? open(argv[i], O_RDWR | O_CLOEXEC) : -1;
        if (image.fd < 0) {
                perror(i < argc ? argv[i] : "fs_image");
                return 2;
        }
        disk.sector_bytes = image.sector_bytes;
        disk.n_sectors = (uint64_t) lseek(image.fd, 0, SEEK_END) / image.sector_bytes;
        r = fs_open(&disk, &options, &fs, why);
        printf("{\"answer\": %d, ", r);
        print_text("why", r < 0 ? why : "");
        printf("}\n");
        fflush(stdout);
        while (r == 0 && fgets(line, sizeof(line), stdin))
                do_command(fs, &image, line);
        (void) fs_close(fs);
        if (image.log)
                fclose(image.log);
        return ferror(stdout) ? 1 : 0;
}
