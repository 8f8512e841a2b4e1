/* SPDX-License-Identifier: Apache-2.0 */
#include "service/lamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"

#define LED_DIR "/sys/class/leds"
/* A blinking lamp changes every second tick, a fast one every tick. */
#define TICK_USEC (250 * USEC_PER_MSEC)
#define COLOURS_MAX 8u

typedef struct Lamp {
        char name[LAMP_NAME_MAX + 1];
        int dir_fd; /* negative: it is not there */
        unsigned max;
        char colours[COLOURS_MAX]; /* of a multicolour lamp, in the order of multi_index: 'r', 'g', 'b', or '-' */
        size_t n_colours;          /* 0: of one colour, which its name tells */
        bool said;
} Lamp;

typedef struct LampBay {
        struct LampBay *next;
        unsigned bay;
        char bay_name[16];
        Lamp lamps[LAMPS_PER_BAY_MAX];
        size_t n;
        Light light;
        bool lit; /* as written last */
} LampBay;

struct Lamps {
        sd_event *event;
        const LampLook *looks;
        LampBay *bays;
        sd_event_source *timer;
        unsigned tick;
};

/* ---- Looks -------------------------------------------------------------------------------------------------------- */

static const struct {
        const char *name;
        uint8_t red, green, blue;
} colours[] = {
        { "off", 0, 0, 0 },     { "red", 255, 0, 0 },    { "green", 0, 255, 0 },     { "blue", 0, 0, 255 },
        { "amber", 255, 96, 0 }, { "yellow", 255, 255, 0 }, { "white", 255, 255, 255 }, { "violet", 160, 0, 255 },
};

static int parse_colour(const char *word, LampLook *ret) {
        unsigned rgb;

        for (size_t i = 0; i < ELEMENTSOF(colours); i++)
                if (text_equal(word, colours[i].name)) {
                        *ret = (LampLook){ .red = colours[i].red, .green = colours[i].green, .blue = colours[i].blue };
                        return 0;
                }
        if (word[0] != '#' || strlen(word) != 7 || strspn(word + 1, "0123456789abcdefABCDEF") != 6)
                return -EINVAL;
        rgb = (unsigned) strtoul(word + 1, NULL, 16);
        *ret = (LampLook){ .red = (uint8_t) (rgb >> 16), .green = (uint8_t) (rgb >> 8), .blue = (uint8_t) rgb };
        return 0;
}

int lamp_look_parse(const char *text, LampLook *ret) {
        static const char *const patterns[_LAMP_PATTERN_MAX] = { [LAMP_STEADY] = "steady", [LAMP_BLINK] = "blink", [LAMP_FAST] = "fast" };
        char word[16];
        size_t n = strcspn(text, " ");
        LampLook look;
        int r;

        if (n == 0 || n >= sizeof(word))
                return -EINVAL;
        memcpy(word, text, n);
        word[n] = 0;
        r = parse_colour(word, &look);
        if (r < 0)
                return r;
        text += n + strspn(text + n, " ");
        for (LampPattern p = 0; *text && p < _LAMP_PATTERN_MAX; p++)
                if (text_equal(text, patterns[p])) {
                        look.pattern = p;
                        text = "";
                }
        if (*text)
                return -EINVAL;
        *ret = look;
        return 0;
}

/* ---- One lamp ----------------------------------------------------------------------------------------------------- */

/* A driver's file takes the whole text in one write, or none of it. */
static int write_word(int dir_fd, const char *file, const char *text) {
        _cleanup_(fd_closep) int fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC | O_NOCTTY);

        if (fd < 0)
                return -errno;
        return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static void lamp_lost(Lamp *lamp, const char *bay_name, int r) {
        lamp->dir_fd = fd_close(lamp->dir_fd);
        if (!lamp->said)
                log_warning(&(LogAbout){ .bay = bay_name }, "The lamp '%s' cannot be used (%s): look at led in berthd.conf, at %s, and at "
                            "71-berth-leds.rules", lamp->name, strerror(-r), LED_DIR);
        lamp->said = true;
}

static void read_colours(Lamp *lamp) {
        char text[128], *save = NULL;

        lamp->n_colours = 0;
        if (fd_read_line(lamp->dir_fd, "multi_index", text, sizeof(text)) < 0)
                return;
        for (char *word = strtok_r(text, " ", &save); word && lamp->n_colours < COLOURS_MAX; word = strtok_r(NULL, " ", &save))
                lamp->colours[lamp->n_colours++] = text_equal(word, "red") || text_equal(word, "green") || text_equal(word, "blue") ?
                                                           word[0] : '-';
}

static int lamp_open(Lamp *lamp) {
        _cleanup_(freep) char *path = text_format("%s/%s", LED_DIR, lamp->name);
        char text[32];
        int r;

        if (!path)
                return -ENOMEM;
        lamp->dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (lamp->dir_fd < 0)
                return -errno;
        r = fd_read_line(lamp->dir_fd, "max_brightness", text, sizeof(text));
        if (r < 0)
                return r;
        lamp->max = (unsigned) strtoul(text, NULL, 10);
        if (lamp->max == 0)
                return -ERANGE;
        read_colours(lamp);
        return 0;
}

static uint8_t part_of(const LampLook *look, char colour) {
        return colour == 'r' ? look->red : colour == 'g' ? look->green : colour == 'b' ? look->blue : 0;
}

/* A lamp of one colour is called device:colour:function (leds-class.rst); one that says no colour is lit for any. */
static unsigned share_of(const Lamp *lamp, const LampLook *look) {
        const char *colon = strchr(lamp->name, ':'), *colour = colon ? colon + 1 : "";
        size_t n = strcspn(colour, ":");

        for (size_t i = 0; i < ELEMENTSOF(colours); i++)
                if (strlen(colours[i].name) == n && strncmp(colour, colours[i].name, n) == 0) {
                        if (text_equal(colours[i].name, "white"))
                                break;
                        if (colours[i].red && colours[i].green)
                                return MIN2(look->red, look->green);
                        return part_of(look, colours[i].name[0]);
                }
        return MAX2(look->red, MAX2(look->green, look->blue));
}

static int lamp_write(Lamp *lamp, const LampLook *look, bool lit) {
        char text[128] = "";
        size_t at = 0;
        unsigned share = 255;
        int r;

        if (lamp->n_colours == 0)
                share = share_of(lamp, look);
        else if (lit) {
                for (size_t i = 0; i < lamp->n_colours; i++)
                        at += (size_t) snprintf(text + at, sizeof(text) - at, "%u%s",
                                                part_of(look, lamp->colours[i]) * lamp->max / 255,
                                                i + 1 < lamp->n_colours ? " " : "\n");
                r = write_word(lamp->dir_fd, "multi_intensity", text);
                if (r < 0)
                        return r;
        }
        (void) snprintf(text, sizeof(text), "%u\n", lit ? (share * lamp->max + 254) / 255 : 0);
        return write_word(lamp->dir_fd, "brightness", text);
}

/* ---- Bays --------------------------------------------------------------------------------------------------------- */

static bool is_dark(const LampLook *look) {
        return !look->red && !look->green && !look->blue;
}

static bool is_lit(const Lamps *l, const LampLook *look) {
        if (is_dark(look))
                return false;
        return look->pattern == LAMP_STEADY || (look->pattern == LAMP_FAST ? l->tick % 2 == 0 : l->tick % 4 < 2);
}

static void write_bay(LampBay *b, const LampLook *look, bool lit) {
        for (size_t i = 0; i < b->n; i++) {
                Lamp *lamp = &b->lamps[i];
                int r = lamp->dir_fd < 0 ? lamp_open(lamp) : 0;

                if (r >= 0)
                        r = lamp_write(lamp, look, lit);
                if (r < 0)
                        lamp_lost(lamp, b->bay_name, r);
                else
                        lamp->said = false;
        }
        b->lit = lit;
}

/* Wakes up only while something blinks. */
static void set_timer(Lamps *l) {
        bool blinks = false;

        for (const LampBay *b = l->bays; b; b = b->next)
                blinks = blinks || (l->looks[b->light].pattern != LAMP_STEADY && !is_dark(&l->looks[b->light]));
        if (blinks)
                (void) sd_event_source_set_time_relative(l->timer, TICK_USEC);
        (void) sd_event_source_set_enabled(l->timer, blinks ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        Lamps *l = userdata;

        (void) source;
        (void) usec;
        l->tick++;
        for (LampBay *b = l->bays; b; b = b->next) {
                const LampLook *look = &l->looks[b->light];

                if (b->lit != is_lit(l, look))
                        write_bay(b, look, !b->lit);
        }
        set_timer(l);
        return 0;
}

void lamps_show(Lamps *l, unsigned bay, Light light) {
        for (LampBay *b = l->bays; b; b = b->next)
                if (b->bay == bay && b->light != light) {
                        b->light = light;
                        write_bay(b, &l->looks[light], is_lit(l, &l->looks[light]));
                        set_timer(l);
                        return;
                }
}

void lamps_look_changed(Lamps *l) {
        for (LampBay *b = l->bays; b; b = b->next)
                write_bay(b, &l->looks[b->light], is_lit(l, &l->looks[b->light]));
        set_timer(l);
}

int lamps_add(Lamps *l, unsigned bay, const char *bay_name, const char *names) {
        LampBay *b = calloc(1, sizeof(*b));

        if (!b)
                return -ENOMEM;
        b->bay = bay;
        (void) snprintf(b->bay_name, sizeof(b->bay_name), "%s", bay_name);
        for (const char *s = names + strspn(names, " "); *s && b->n < LAMPS_PER_BAY_MAX; s += strspn(s, " ")) {
                Lamp *lamp = &b->lamps[b->n++];
                size_t n = strcspn(s, " ");

                lamp->dir_fd = -EBADF;
                (void) snprintf(lamp->name, sizeof(lamp->name), "%.*s", (int) n, s);
                s += n;
        }
        b->light = LIGHT_EMPTY;
        b->next = l->bays;
        l->bays = b;
        write_bay(b, &l->looks[LIGHT_EMPTY], is_lit(l, &l->looks[LIGHT_EMPTY]));
        set_timer(l);
        return 0;
}

int lamps_new(sd_event *event, const LampLook *looks, Lamps **ret) {
        _cleanup_(lamps_freep) Lamps *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->event = sd_event_ref(event);
        l->looks = looks;
        r = sd_event_add_time(event, &l->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC * 10, on_tick, l);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

Lamps *lamps_free(Lamps *l) {
        LampBay *next;

        if (!l)
                return NULL;
        for (LampBay *b = l->bays; b; b = next) {
                next = b->next;
                write_bay(b, &(LampLook){}, false);
                for (size_t i = 0; i < b->n; i++)
                        fd_close(b->lamps[i].dir_fd);
                free(b);
        }
        sd_event_source_disable_unref(l->timer);
        sd_event_unref(l->event);
        free(l);
        return NULL;
}
