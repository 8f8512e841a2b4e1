/* SPDX-License-Identifier: Apache-2.0 */

/*
 * redir SOCKET JSON…: serves cameras of the simulated rack to QEMU's usb-redir device, whose chardev listens on SOCKET.
 *
 * The first camera is plugged in; it may become another one of them (sim_device_become()). Each JSON is that of the `camera`
 * command of berth-sim. It ends when QEMU closes the connection. Commands to the cameras are lines on stdin (device_command()).
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <usbredirparser.h>

#include "base/macro.h"
#include "sim/timer.h"
#include "vm/redir_device.h"

#define PACKETS_MAX 256u
#define TRANSFER_MAX (1u << 20)
#define IDLE_MSEC 1000

/* A request that the device has not answered yet. */
typedef struct Packet {
        uint64_t id;
        bool is_control;
        struct usb_redir_control_packet_header control;
        struct usb_redir_bulk_packet_header bulk;
        uint8_t *data;
} Packet;

static struct usbredirparser *parser;
static int sock;
static SimDevice *there, *away; /* at the port, or about to come back */
static Packet packets[PACKETS_MAX];
static size_t n_packets;
static uint8_t buffer[TRANSFER_MAX];

/* ---- Plugging ---- */

static void drop_packet(size_t i) {
        if (packets[i].data)
                usbredirparser_free_packet_data(parser, packets[i].data);
        memmove(packets + i, packets + i + 1, (--n_packets - i) * sizeof(Packet));
}

static void tell_interfaces(const Descriptors *d) {
        struct usb_redir_interface_info_header info = { 0 };

        for (size_t i = 0; i < d->n_interfaces; i++) {
                const UsbInterface *u = &d->interfaces[i];
                uint32_t n = info.interface_count;

                if (u->alternate != 0)
                        continue;
                info.interface[n] = u->number;
                info.interface_class[n] = u->class_code;
                info.interface_subclass[n] = u->subclass;
                info.interface_protocol[n] = u->protocol;
                info.interface_count++;
        }
        usbredirparser_send_interface_info(parser, &info);
}

static void tell_endpoints(const Descriptors *d) {
        struct usb_redir_ep_info_header info = { .type = { [0] = usb_redir_type_control, [16] = usb_redir_type_control } };

        for (size_t i = 0; i < ELEMENTSOF(info.type); i++)
                if (i % 16 != 0)
                        info.type[i] = usb_redir_type_invalid;
                else
                        info.max_packet_size[i] = d->packet_size0;
        for (size_t i = 0; i < d->n_endpoints; i++) {
                const UsbEndpoint *e = &d->endpoints[i];
                size_t slot = (e->address & 0x0fu) | (e->address & ENDPOINT_IN ? 16u : 0u);

                info.type[slot] = e->type;
                info.interface[slot] = e->interface;
                info.max_packet_size[slot] = e->packet_size;
                info.interval[slot] = e->interval;
        }
        usbredirparser_send_ep_info(parser, &info);
}

static void connect_device(SimDevice *device) {
        const Descriptors *d = &device->descriptors;
        int r = device_power_up(device);
        struct usb_redir_device_connect_header header = {
                .speed = usb_redir_speed_high,
                .device_class = d->class_code,
                .device_subclass = d->subclass,
                .device_protocol = d->protocol,
                .vendor_id = d->vid,
                .product_id = d->pid,
                .device_version_bcd = d->version,
        };

        if (r < 0) {
                fprintf(stderr, "%s has no descriptors: %s\n", device->name, strerror(-r));
                return;
        }
        there = device;
        tell_interfaces(d);
        tell_endpoints(d);
        usbredirparser_send_device_connect(parser, &header);
}

static void disconnect_device(void) {
        if (there->model->power)
                there->model->power(there->state, 0);
        while (n_packets > 0)
                drop_packet(n_packets - 1);
        there = NULL;
        usbredirparser_send_device_disconnect(parser);
}

/* Leaving and coming back, when it is time. Returns how long until the next time, in milliseconds. */
static int change(void) {
        uint64_t now = sim_now_usec(), next;

        if (there && there->leaving && now >= there->leave_usec) {
                away = there;
                disconnect_device();
        }
        if (away && now >= away->return_usec) {
                SimDevice *gone = away, *as = device_by_name(gone->become);

                away = NULL;
                gone->leaving = false;
                if (as) {
                        as->home = gone->home == as ? NULL : gone->home ?: gone;
                        connect_device(as);
                }
        }
        next = away ? away->return_usec : there && there->leaving ? there->leave_usec : UINT64_MAX;
        if (next == UINT64_MAX)
                return IDLE_MSEC;
        return next <= now ? 0 : (int) MIN2((next - now) / USEC_PER_MSEC + 1, (uint64_t) IDLE_MSEC);
}

/* ---- Packets ---- */

static uint8_t status_of(int r) {
        return r >= 0 ? usb_redir_success : r == -EPIPE ? usb_redir_stall : usb_redir_ioerror;
}

static void answer_control(Packet *p, int r) {
        bool in = p->control.requesttype & ENDPOINT_IN;

        p->control.status = status_of(r);
        p->control.length = (uint16_t) MAX2(r, 0);
        usbredirparser_send_control_packet(parser, p->id, &p->control, in && r > 0 ? buffer : NULL, in ? MAX2(r, 0) : 0);
}

static void answer_bulk(Packet *p, int r) {
        bool in = p->bulk.endpoint & ENDPOINT_IN;

        p->bulk.status = status_of(r);
        p->bulk.length = (uint16_t) MAX2(r, 0);
        p->bulk.length_high = (uint16_t) (MAX2(r, 0) >> 16);
        usbredirparser_send_bulk_packet(parser, p->id, &p->bulk, in && r > 0 ? buffer : NULL, in ? MAX2(r, 0) : 0);
}

static int try_control(Packet *p) {
        const struct usb_redir_control_packet_header *c = &p->control;
        const uint8_t setup[8] = { c->requesttype,     c->request,         (uint8_t) c->value,  (uint8_t) (c->value >> 8),
                                   (uint8_t) c->index, (uint8_t) (c->index >> 8), (uint8_t) c->length, (uint8_t) (c->length >> 8) };
        bool in = c->requesttype & ENDPOINT_IN;

        if (!in && c->length > 0)
                memcpy(buffer, p->data, c->length);
        return device_control(there, setup, buffer, c->length);
}

static int try_bulk(Packet *p) {
        size_t length = p->bulk.length | (size_t) p->bulk.length_high << 16;
        int r;

        if (there->halted[p->bulk.endpoint])
                return -EPIPE;
        if (length > sizeof(buffer))
                return -EIO;
        if (p->bulk.endpoint & ENDPOINT_IN)
                r = there->model->in(there->state, p->bulk.endpoint, buffer, length);
        else
                r = there->model->out(there->state, p->bulk.endpoint, p->data, length);
        if (r == -EPIPE)
                there->halted[p->bulk.endpoint] = true;
        return r;
}

/* Asks the model once for each packet that is first in its endpoint's queue. Was any answered? */
static bool pump_once(void) {
        bool waits[ENDPOINT_IN * 2] = { false }, progress = false;

        for (size_t i = 0; there && i < n_packets;) {
                Packet *p = &packets[i];
                uint8_t endpoint = p->is_control ? 0 : p->bulk.endpoint;
                int r = waits[endpoint] ? SIM_NAK : p->is_control ? try_control(p) : try_bulk(p);

                if (r == SIM_NAK) {
                        waits[endpoint] = true;
                        i++;
                        continue;
                }
                if (p->is_control)
                        answer_control(p, r);
                else
                        answer_bulk(p, r);
                drop_packet(i);
                progress = true;
        }
        return progress;
}

static void pump(void) {
        while (pump_once())
                ;
}

static void add_packet(Packet packet) {
        if (!there || n_packets == PACKETS_MAX) {
                if (packet.is_control)
                        answer_control(&packet, -EIO);
                else
                        answer_bulk(&packet, -EIO);
                if (packet.data)
                        usbredirparser_free_packet_data(parser, packet.data);
                return;
        }
        packets[n_packets++] = packet;
        pump();
}

/* ---- What QEMU says ---- */

static void on_hello(void *priv, struct usb_redir_hello_header *hello) {
        (void) hello;
        connect_device(priv);
}

static void on_reset(void *priv) {
        (void) priv;
        while (n_packets > 0)
                drop_packet(n_packets - 1);
        /* The resets of its enumeration are none that a camera makes something of. */
        if (there && there->configuration != 0)
                device_reset(there);
}

static void tell_configuration(uint64_t id) {
        struct usb_redir_configuration_status_header status = { .configuration = there ? there->configuration : 0 };

        usbredirparser_send_configuration_status(parser, id, &status);
}

static void on_set_configuration(void *priv, uint64_t id, struct usb_redir_set_configuration_header *h) {
        (void) priv;
        if (there)
                device_set_configuration(there, h->configuration);
        tell_configuration(id);
}

static void on_get_configuration(void *priv, uint64_t id) {
        (void) priv;
        tell_configuration(id);
}

static void tell_alternate(uint64_t id, uint8_t interface) {
        struct usb_redir_alt_setting_status_header status = { .interface = interface };

        status.alt = there && interface < INTERFACES_MAX ? there->alternates[interface] : 0;
        usbredirparser_send_alt_setting_status(parser, id, &status);
}

static void on_set_alternate(void *priv, uint64_t id, struct usb_redir_set_alt_setting_header *h) {
        (void) priv;
        if (there)
                device_set_alternate(there, h->interface, h->alt);
        tell_alternate(id, h->interface);
}

static void on_get_alternate(void *priv, uint64_t id, struct usb_redir_get_alt_setting_header *h) {
        (void) priv;
        tell_alternate(id, h->interface);
}

/* No model of these tests has anything to say there. */
static void on_start_interrupts(void *priv, uint64_t id, struct usb_redir_start_interrupt_receiving_header *h) {
        struct usb_redir_interrupt_receiving_status_header status = { .status = usb_redir_success, .endpoint = h->endpoint };

        (void) priv;
        usbredirparser_send_interrupt_receiving_status(parser, id, &status);
}

static void on_stop_interrupts(void *priv, uint64_t id, struct usb_redir_stop_interrupt_receiving_header *h) {
        struct usb_redir_interrupt_receiving_status_header status = { .status = usb_redir_success, .endpoint = h->endpoint };

        (void) priv;
        usbredirparser_send_interrupt_receiving_status(parser, id, &status);
}

static void on_control(void *priv, uint64_t id, struct usb_redir_control_packet_header *h, uint8_t *data, int size) {
        (void) priv;
        (void) size;
        add_packet((Packet) { .id = id, .is_control = true, .control = *h, .data = data });
}

static void on_bulk(void *priv, uint64_t id, struct usb_redir_bulk_packet_header *h, uint8_t *data, int size) {
        (void) priv;
        (void) size;
        add_packet((Packet) { .id = id, .bulk = *h, .data = data });
}

static void on_cancel(void *priv, uint64_t id) {
        (void) priv;
        for (size_t i = 0; i < n_packets; i++) {
                if (packets[i].id != id)
                        continue;
                if (packets[i].is_control) {
                        packets[i].control.status = usb_redir_cancelled;
                        packets[i].control.length = 0;
                        usbredirparser_send_control_packet(parser, id, &packets[i].control, NULL, 0);
                } else {
                        packets[i].bulk.status = usb_redir_cancelled;
                        packets[i].bulk.length = packets[i].bulk.length_high = 0;
                        usbredirparser_send_bulk_packet(parser, id, &packets[i].bulk, NULL, 0);
                }
                return drop_packet(i);
        }
}

static void on_filter(void *priv, struct usbredirfilter_rule *rules, int n) {
        (void) priv;
        (void) n;
        free(rules);
}

static void on_disconnect_ack(void *priv) {
        (void) priv;
}

/* ---- The connection ---- */

static void log_line(void *priv, int level, const char *message) {
        (void) priv;
        if (level <= usbredirparser_warning)
                fprintf(stderr, "%s\n", message);
}

static int read_some(void *priv, uint8_t *data, int count) {
        ssize_t n = read(sock, data, (size_t) count);

        (void) priv;
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -1;
        return n == 0 ? -1 : (int) n;
}

static int write_some(void *priv, uint8_t *data, int count) {
        ssize_t n = write(sock, data, (size_t) count);

        (void) priv;
        return n >= 0 ? (int) n : errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static int open_parser(SimDevice *first) {
        static const int capabilities[] = { usb_redir_cap_connect_device_version, usb_redir_cap_filter,
                                            usb_redir_cap_device_disconnect_ack,  usb_redir_cap_ep_info_max_packet_size,
                                            usb_redir_cap_64bits_ids,             usb_redir_cap_32bits_bulk_length };
        uint32_t caps[USB_REDIR_CAPS_SIZE] = { 0 };

        parser = usbredirparser_create();
        if (!parser)
                return -ENOMEM;
        parser->priv = first;
        parser->log_func = log_line;
        parser->read_func = read_some;
        parser->write_func = write_some;
        parser->hello_func = on_hello;
        parser->reset_func = on_reset;
        parser->set_configuration_func = on_set_configuration;
        parser->get_configuration_func = on_get_configuration;
        parser->set_alt_setting_func = on_set_alternate;
        parser->get_alt_setting_func = on_get_alternate;
        parser->start_interrupt_receiving_func = on_start_interrupts;
        parser->stop_interrupt_receiving_func = on_stop_interrupts;
        parser->control_packet_func = on_control;
        parser->bulk_packet_func = on_bulk;
        parser->cancel_data_packet_func = on_cancel;
        parser->filter_filter_func = on_filter;
        parser->device_disconnect_ack_func = on_disconnect_ack;
        for (size_t i = 0; i < ELEMENTSOF(capabilities); i++)
                usbredirparser_caps_set_cap(caps, capabilities[i]);
        usbredirparser_init(parser, "berth's simulated cameras", caps, USB_REDIR_CAPS_SIZE, usbredirparser_fl_usb_host);
        return 0;
}

static int open_socket(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (sock < 0 || connect(sock, (struct sockaddr *) &address, sizeof(address)) < 0 || fcntl(sock, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        return 0;
}

/* Whole lines: whoever writes them writes each at once. False: nobody will say any more. */
static bool take_commands(void) {
        char text[4096], *line, *rest = text;
        ssize_t n = read(STDIN_FILENO, text, sizeof(text) - 1);

        if (n <= 0)
                return false;
        text[n] = 0;
        while ((line = strsep(&rest, "\n")))
                if (*line)
                        device_command(line);
        return true;
}

static void serve(void) {
        bool commanded = true;

        for (;;) {
                struct pollfd p[] = { { .fd = sock, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };
                int wait_msec = change();

                pump();
                if (usbredirparser_has_data_to_write(parser) > 0)
                        p[0].events |= POLLOUT;
                if (poll(p, commanded ? 2 : 1, wait_msec) < 0 && errno != EINTR)
                        return;
                if ((p[0].revents & POLLOUT) && usbredirparser_do_write(parser) < 0)
                        return;
                if ((p[0].revents & (POLLIN | POLLHUP)) && usbredirparser_do_read(parser) < 0)
                        return;
                if (commanded && p[1].revents)
                        commanded = take_commands();
        }
}

int main(int argc, char **argv) {
        SimDevice *first = NULL;
        int r;

        if (argc < 3) {
                fprintf(stderr, "Usage: redir SOCKET JSON...\n");
                return 2;
        }
        for (int i = 2; i < argc; i++) {
                SimDevice *device = device_from_json(argv[i]);

                if (!device)
                        return 1;
                first = first ?: device;
        }
        r = open_socket(argv[1]);
        if (r >= 0)
                r = open_parser(first);
        if (r < 0) {
                fprintf(stderr, "%s: %s\n", argv[1], strerror(-r));
                return 1;
        }
        serve();
        return 0;
}
