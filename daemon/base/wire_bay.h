/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The messages between berthd and a camera's worker: sd-bus peer to peer over a socketpair. The worker serves one
 * object, berthd calls it, one call outstanding at a time. No descriptors cross; they are inherited at spawn.
 *
 * Method            in            out
 *   Open            sasas         ss           model id, plugin options ("key=value"), credentials ("name=value"), which
 *                                              both ends make zero after use -> plugin name, its version
 *   Identify                      sssss        manufacturer, model, serial, firmware, storage id
 *   Health                        a{sv}        see WIRE_HEALTH_*: only what the camera told
 *   SetClock        x                          UTC seconds
 *   GetOwner                      ssss         officer's id and name, unit's id and name
 *   SetOwner        ssss                       the same
 *   EnterStorage                               the camera took the command and leaves the bus; only Close may follow
 *   EnterUpdate                                the same, into the mode in which it takes firmware
 *   List            u             a(ustxu)b    first index -> page of (index, path, size, mtime, flags), more to come?
 *   Pull            ustay         tayayaysstxts
 *                                              clip index, name of the part in the incoming folder, offset (a multiple
 *                                              of the block size), what Block told of the blocks before it: their digests,
 *                                              concatenated
 *                                              -> size, SHA-256 of the whole, of the first and of the last EDGE bytes;
 *                                              its container (base/container.h): format, verdict, offset, recording
 *                                              time (INT64_MIN: unknown), duration in ms (0: unknown), reason
 *   Salvage         us            like Pull, and a(tt)
 *                                              clip index, name of the part: reads around what the medium does not give, from 0 on;
 *                                              those bytes are zeros in the part, and their ranges come last
 *   Verify          uu                         clip index, how many blocks to read again from the camera, from its start (digest only)
 *   Sample          usa(tt)       a(ayay)      clip index, name of a part or "", offset and length of each of up to WIRE_SAMPLES_MAX
 *                                              places -> of each the SHA-256 of what the camera has there, and of what the part has,
 *                                              read from the disk (zeros without one)
 *   Erase           stxayayay                  path, size, mtime, SHA-256 of the whole, head and tail: finds the clip
 *                                              in this session, compares, deletes, checks that it is gone
 *   Format                                     all storages are empty afterwards
 *   Eject                                      lets go of the storage; only Close may follow
 *   Close                                      plugin close(); the worker exits after the answer
 *
 * Signal
 *   Block           uuuay         clip index, block number, its length, the SHA-256 of the clip from its start to the block's end. While
 *                                 pulling it is sent after the fdatasync that made the block durable; while verifying, after reading it.
 *   Progress        ut            clip index, bytes moved of this call; at most four a second
 *   Alive                         the plugin says that it is busy (berth_host_alive)
 *
 * An mtime of INT64_MIN is "the camera does not say". Sizes are bytes. flags are BERTH_CLIP_*.
 */

/* What the transfers of one worker that pulls want of the kernel's memory for usbfs, in bytes. */
#define WIRE_BAY_USB_MEMORY UINT64_C(1048576)

#define WIRE_BAY_PATH "/org/berth/Bay1"
#define WIRE_BAY_INTERFACE "org.berth.Bay1"

#define WIRE_BAY_FD_BUS 0      /* the socketpair */
#define WIRE_BAY_FD_USB 3      /* the USB device node, opened for this worker alone */
#define WIRE_BAY_FD_INCOMING 4 /* this docking's folder */

#define WIRE_PAGE_CLIPS 64u
#define WIRE_BLOCK_SIZE (UINT64_C(8) * 1024 * 1024)
#define WIRE_EDGE_SIZE (UINT64_C(64) * 1024) /* head and tail: the first and last min(size, this) bytes */
/* A clip of more blocks than this (1 TiB) is refused. */
#define WIRE_BLOCKS_MAX 131072u
#define WIRE_SAMPLES_MAX 6u

#define WIRE_HEALTH_BATTERY "battery-percent"    /* y */
#define WIRE_HEALTH_CHARGING "charging"          /* b */
#define WIRE_HEALTH_READ_ONLY "read-only"        /* b */
#define WIRE_HEALTH_TOTAL "storage-total-bytes"  /* t */
#define WIRE_HEALTH_FREE "storage-free-bytes"    /* t */
#define WIRE_HEALTH_CLOCK "clock-unix-sec"       /* x */
#define WIRE_HEALTH_CLOCK_AT "clock-boottime-usec" /* t */
#define WIRE_HEALTH_DIRTY "volume-dirty"         /* b */
#define WIRE_HEALTH_TEMPERATURE "temperature-decidegrees" /* i: tenths of a degree Celsius, within WIRE_TEMPERATURE_* */
#define WIRE_HEALTH_RESTARTS "restarts"          /* u */
/* What lies outside of these a thermometer in a camera does not say. */
#define WIRE_TEMPERATURE_MIN (-600)
#define WIRE_TEMPERATURE_MAX 1500

/* Error names; the text is one sentence for a person. Any other name is a fault of the worker. */
#define WIRE_BAY_E "org.berth.Bay1.Error."
#define WIRE_BAY_E_GONE WIRE_BAY_E "Gone"               /* the clip is not there any more */
#define WIRE_BAY_E_DENIED WIRE_BAY_E "Denied"           /* the camera refuses */
#define WIRE_BAY_E_UNSUPPORTED WIRE_BAY_E "Unsupported" /* this camera cannot */
#define WIRE_BAY_E_CAMERA WIRE_BAY_E "Camera"           /* it answered wrongly, stalled, or broke the protocol */
#define WIRE_BAY_E_UNPLUGGED WIRE_BAY_E "Unplugged"
/*
 * Bytes of the clip cannot be read from the medium; the camera is well otherwise. The error's body is sa(tt): behind the sentence,
 * offset and length of each range, ascending, apart, within the clip, 1 to BERTH_UNREADABLE_MAX. Answers Pull, Verify, Sample and Erase.
 */
#define WIRE_BAY_E_UNREADABLE WIRE_BAY_E "Unreadable"
#define WIRE_BAY_E_CHANGED WIRE_BAY_E "Changed"         /* not the clip that was listed: size, head or tail differ */
#define WIRE_BAY_E_PREFIX WIRE_BAY_E "Prefix"           /* the kept part on disk does not have the recorded digests */
#define WIRE_BAY_E_SPACE WIRE_BAY_E "Space"             /* the spool's disk is full */
#define WIRE_BAY_E_DISK WIRE_BAY_E "Disk"               /* the spool's disk failed: write or sync */
#define WIRE_BAY_E_PLUGIN WIRE_BAY_E "Plugin"           /* cannot be loaded, wrong ABI, or broke the ABI's rules */
#define WIRE_BAY_E_LIMIT WIRE_BAY_E "Limit"             /* more clips, longer names, … than Berth accepts */

/* What berthd accepts from one worker (service/peer.c). A breach is a FAULT of the bay. */
#define WIRE_MESSAGE_MAX (512u * 1024u)
#define WIRE_BURST_BYTES (16u * 1024u * 1024u)
#define WIRE_BYTES_PER_SEC (4u * 1024u * 1024u)
#define WIRE_BURST_MESSAGES 8192u
#define WIRE_MESSAGES_PER_SEC 2048u
