/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The messages between berthd and berth-uplink: sd-bus peer to peer over a Unix stream socket on which the uplink
 * listens. The uplink serves one object; berthd calls it, several calls may be outstanding. Descriptors go from berthd to the
 * uplink only: the uplink needs no path of the spool.
 *
 * Method        in             out
 *   Put         thsxsxtays     ssstaysxb
 *                              clip id, spool file (read-only), camera serial, docking's wall time (UTC seconds; for
 *                              the day when the clip has none), clip path, clip mtime, size, SHA-256, manifest facts (a
 *                              JSON object that goes into the manifest unchanged under "facts")
 *                              -> object key, manifest key, version ("" when the store has none), size, SHA-256, strength
 *                              (WIRE_STRENGTH_*), time (UTC seconds), was it already there?
 *   Grow        thsxsxttb      as Put
 *                              a clip that is still being pulled: clip id, the file that grows (read-only), serial, docking's wall
 *                              time, clip path, clip mtime, size that the camera tells, bytes of it that are durable, begin afresh?
 *                              (else what an earlier upload of this clip left is gone on with, as far as the bytes are the same).
 *                              Sent are durable bytes only, and nothing is made of them before Seal. Answered with Whole where
 *                              there is nothing to be gained.
 *   Grown       tt                        clip id, bytes that are durable by now. Never fewer than before.
 *   Seal        ttays                     clip id, size, SHA-256, manifest facts: the pull is over, all of it is durable. From here on
 *                                         it is a Put. Conflict, when what was sent is something else.
 *   Stop        tb                        clip id, at once? (else once the part is stored that is under way, if it still grows then).
 *                                         What is stored stays: the Put or Grow is answered with Stopped, and may be asked again.
 *   Hold        b                         send nothing, until the connection ends or it is called again. Puts are answered with Stopped;
 *                                         where the store cannot go on with one, it stands still instead. Confirm goes on.
 *   Confirm     sstay          s
 *                              object key, manifest key, size, SHA-256 -> strength. The manifest is read again and must
 *                              name this object, size and digest, and the object must be there with that size.
 *   Keep        ss             b
 *                              key, text -> did it lie there already? A small text that is kept for good: put so that it never
 *                              replaces anything, synced, read back. Conflict when another text has the key
 *   Replace     ss                        key, text: a small statement (base/statement.h) takes the place of the one before it. What
 *                                         lies there must be of the same type and dock and of a lower number, and be what was put
 *                                         there last; else Conflict, for somebody else writes there, too. Keys begin with "docks/"
 *   Fetch       s              s
 *                              key of what was kept, or of a manifest -> its text; Gone when there is none
 *   List        ssu            asb
 *                              prefix "folder/folder/…" of small texts, key to begin after ("": with the first), how many at most ->
 *                              keys in the order of their bytes, are there more? What was put before the call began is in it.
 *   PutImage    htay           b
 *                              file (read-only), size, SHA-256 -> did it lie there already? A firmware image is put under its
 *                              SHA-256, which is looked at before and, of what the store then has, after. Source, Conflict
 *   GetImage    htay                      file (writable, empty), size, SHA-256: is filled with that image; Gone when there is none,
 *                                         Conflict when the store has something else under its name
 *   Verify      sstay          s
 *                              as Confirm, and the object is read whole and must have this SHA-256
 *   GetClip     thsstay        s
 *                              clip id, file (writable, empty), object key, manifest key, size, SHA-256 -> strength. As Verify, and what is
 *                              read is written to the file from its beginning. Source, when the file cannot be written
 *   StopGet       t                       clip id: its GetClip is answered with Stopped
 *   Lock          sssb         ss
 *                              object key, manifest key, version of the object ("": none), held? -> WIRE_LOCK_*, and a sentence unless
 *                              it is as asked for. A legal hold is put on both in the store, or taken from both, and read back.
 *   GetState                   ss         WIRE_STORE_*, and a sentence (when ready: "", or what is not as it should be all the same)
 *   Examine     h              sa(sss)
 *                              the dock's spool (a folder) -> the strength that receipts will have ("" while nobody knows), and
 *                              point by point what the looks at the store found out: WIRE_POINT_*, WIRE_VERDICT_*, a sentence
 *                              that says what to do unless it is "ok"
 *
 * Keys of Keep begin with "checkpoints/", "custody/", "keys/", "receipts/", "holds/", "roster/", "fleet/", "rollouts/" or
 * "firmware/catalog/" (WIRE_KEEP_*).
 *
 * Signal
 *   Progress      tt           clip id, bytes of it that the store has; of GetClip: that were read
 *   StateChanged  ss           as GetState
 */

#define WIRE_UPLINK_PATH "/org/berth/Uplink1"
#define WIRE_UPLINK_INTERFACE "org.berth.Uplink1"

#define WIRE_KEEP_CHECKPOINTS "checkpoints"
#define WIRE_KEEP_KEYS "keys"
#define WIRE_KEEP_CUSTODY "custody"
#define WIRE_KEEP_RECEIPTS "receipts"
#define WIRE_KEEP_HOLDS "holds"
#define WIRE_KEEP_ROSTER "roster"
#define WIRE_KEEP_FLEET "fleet"
#define WIRE_KEEP_ROLLOUTS "rollouts"
#define WIRE_KEEP_FIRMWARE "firmware"
#define WIRE_FIRMWARE_CATALOG "catalog"
#define WIRE_REPLACE_DOCKS "docks"
#define WIRE_KEEP_MAX (64u * 1024u) /* bytes of a text to be kept */

#define WIRE_LIST_MAX 1000u                    /* keys of one answer */
#define WIRE_IMAGE_MAX (1024u * 1024u * 1024u) /* bytes of a firmware image */

#define WIRE_STRENGTH_DIGEST "digest" /* the store checked the digest, or the object was read back and hashed */
#define WIRE_STRENGTH_SIZE "size"     /* the store only counts bytes */
#define WIRE_STRENGTH_LOCAL "local"   /* a folder on the spool's own disk */

#define WIRE_LOCK_ON "on"
#define WIRE_LOCK_OFF "off"
#define WIRE_LOCK_STAYS "stays" /* it was to be taken away, and the site's settings want it to stay */
#define WIRE_LOCK_NONE "none"   /* the store has no such thing */

#define WIRE_STORE_READY "ready"
#define WIRE_STORE_MISSING "missing"
#define WIRE_STORE_READ_ONLY "read-only"
#define WIRE_STORE_FULL "full"
#define WIRE_STORE_ERROR "error"
#define WIRE_STORE_PAUSED "paused" /* ready, but the schedule allows no uploads now; Confirm is served */

#define WIRE_POINT_STORE "store"                     /* it can be reached with these credentials, and is ready */
#define WIRE_POINT_STORE_CLOCK "store-clock"         /* its clock and the dock's */
#define WIRE_POINT_STORE_DELETE "store-delete"       /* the dock's credentials cannot delete */
#define WIRE_POINT_STORE_REPLACE "store-replace"     /* … nor replace */
#define WIRE_POINT_STORE_CHECKSUMS "store-checksums" /* it checks digests, or what it has is read back */
#define WIRE_POINT_STORE_LOCK "store-lock"           /* retention and legal hold, where they are asked for */
#define WIRE_POINT_STORE_FLEET "store-fleet"         /* what docks share cannot lie there; of a tus server */
#define WIRE_POINTS_MAX 16u

#define WIRE_VERDICT_OK "ok"
#define WIRE_VERDICT_NOTE "note"       /* as it is by its nature, and good to know */
#define WIRE_VERDICT_WARNING "warning" /* it works, and had better be otherwise */
#define WIRE_VERDICT_FAILED "failed"

#define WIRE_UPLINK_E "org.berth.Uplink1.Error."
#define WIRE_UPLINK_E_UNAVAILABLE WIRE_UPLINK_E "Unavailable" /* try again when the state says ready */
/*
 * The store asks for less at once (503, SlowDown, 429). The error carries a second argument, t: the seconds after which it
 * wants to be asked again, 0 when it named none.
 */
#define WIRE_UPLINK_E_BUSY WIRE_UPLINK_E "Busy"
#define WIRE_UPLINK_E_FULL WIRE_UPLINK_E "Full"
#define WIRE_UPLINK_E_SOURCE WIRE_UPLINK_E "Source"     /* the spool file does not have the promised size or digest */
#define WIRE_UPLINK_E_CONFLICT WIRE_UPLINK_E "Conflict" /* the store holds something else under this clip's name */
#define WIRE_UPLINK_E_GONE WIRE_UPLINK_E "Gone"         /* Confirm: the store does not hold it (any more) */
#define WIRE_UPLINK_E_STOPPED WIRE_UPLINK_E "Stopped"   /* by Stop */
#define WIRE_UPLINK_E_WHOLE WIRE_UPLINK_E "Whole"       /* Grow: this clip is only put whole */
#define WIRE_UPLINK_E_INVALID WIRE_UPLINK_E "Invalid"   /* the arguments */
