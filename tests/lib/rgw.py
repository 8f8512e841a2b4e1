# SPDX-License-Identifier: Apache-2.0
"""A real S3 store for tests: one node of Ceph with its RADOS gateway, from Debian's packages, in one folder, on loopback alone.

Everything is started here and ended by its pid file. Nothing of a Ceph that the machine may have is touched.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import uuid

ACCESS_KEY, SECRET_KEY = "BERTHTEST", "berth/test+secret"
KMS_KEY = "berth-test-key"
NEEDED = ["ceph", "ceph-authtool", "ceph-mgr", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin"]

CONFIG = """[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon},v1:127.0.0.1:{mon1}]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_port_min = {first}
ms_bind_port_max = {last}
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_warn_on_insecure_global_id_reclaim = false
mon_warn_on_insecure_global_id_reclaim_allowed = false
mon_osd_full_ratio = .98
mon_osd_nearfull_ratio = .97
mon_osd_backfillfull_ratio = .975
mon_data_avail_crit = 1
mon_data_avail_warn = 1
run_dir = {folder}/run
admin_socket = {folder}/run/$name.asok
pid_file = {folder}/run/$name.pid
log_file = {folder}/log/$name.log
mon_cluster_log_file = {folder}/log/cluster.log
crash_dir = {folder}/crash
[mon]
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_tick_interval = 1
mon_data = {folder}/mon/$id
mgr_initial_modules =
[mgr]
mgr_data = {folder}/mgr/$id
keyring = {folder}/mgr/$id/keyring
[osd]
osd_data = {folder}/osd$id
keyring = {folder}/osd$id/keyring
osd_objectstore = {objectstore}
memstore_device_bytes = {size}
bluestore_block_size = {size}
bluestore_block_create = true
osd_memory_target = 939524096
osd_op_num_shards = 2
osd_class_load_list = *
osd_class_default_list = *
[client]
keyring = {folder}/keyring
rgw_frontends = beast endpoint=127.0.0.1:{port}
rgw_data = {folder}/rgw
rgw_thread_pool_size = 32
rgw_enable_usage_log = false
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 5
rgw_dns_name = localhost
rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = {kms_key}=dGhpcnR5LXR3byBieXRlcyBvZiBhIHRlc3Qga2V5ISE=
"""


def missing():
    """The first program of Ceph's that is not there, or None."""
    return next((name for name in NEEDED if not shutil.which(name)), None)


# A Ceph that starts beside other tests on two processors takes its time.
PATIENCE_SEC = 300

TAKEN = []  # names of rows of ports, held as long as this program runs


def take_row(first):
    """Is the row ours among the tests of this network namespace? A port that is free now may be another's that is about to listen."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0berth-test-ports-{first}")
    except OSError:
        name.close()
        return False
    TAKEN.append(name)
    return True


def free_ports(n):
    """A row of ports of which the first and every other that is tried is free."""
    for first in range(21000, 29000, 400):
        if not take_row(first):
            continue
        try:
            for port in [first, first + 100, first + 101, first + 200, first + 201, first + 202]:
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise RuntimeError(f"no row of {n} free ports")


class Rgw:
    def __init__(self, folder, objectstore="memstore", size=3 << 30):
        self.folder = folder
        self.port = free_ports(300)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        for name in ["mon", "mgr/a", "run", "log", "rgw", "osd0", "crash/posted"]:
            os.makedirs(os.path.join(folder, name))
        self.fsid = str(uuid.uuid4())
        with open(self.path("ceph.conf"), "w", encoding="ascii") as f:
            f.write(CONFIG.format(folder=folder, fsid=self.fsid, port=self.port, mon=self.port + 100, mon1=self.port + 101,
                                  first=self.port + 200, last=self.port + 299, objectstore=objectstore, size=size, kms_key=KMS_KEY))
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def run(self, program, *arguments, to=None):
        """A program of Ceph's; its output goes to the file `to`, or is returned."""
        config = [] if program in ("ceph-authtool", "monmaptool") else ["-c", self.path("ceph.conf")]
        done = subprocess.run([program, *config, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, check=False, timeout=PATIENCE_SEC)
        if done.returncode != 0:
            raise RuntimeError(f"{program} {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
        if to:
            with open(to, "w", encoding="ascii") as f:
                f.write(done.stdout)
        return done.stdout

    def _start(self):
        keyring, mon_keyring = self.path("keyring"), self.path("mon.keyring")
        self.run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "client.admin", "--cap", "mon", "allow *",
                 "--cap", "osd", "allow *", "--cap", "mgr", "allow *")
        self.run("ceph-authtool", "--create-keyring", mon_keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        self.run("ceph-authtool", mon_keyring, "--import-keyring", keyring)
        self.run("monmaptool", "--create", "--clobber", "--fsid", self.fsid, "--addv", "a",
                 f"[v2:127.0.0.1:{self.port + 100},v1:127.0.0.1:{self.port + 101}]", self.path("monmap"))
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", self.path("monmap"), "--keyring", mon_keyring)
        self.run("ceph-mon", "-i", "a")
        self.run("ceph", "auth", "get-or-create", "mgr.a", "mon", "allow profile mgr", "osd", "allow *",
                 to=self.path("mgr/a/keyring"))
        self.run("ceph-mgr", "-i", "a")
        osd = str(uuid.uuid4())
        self.run("ceph", "osd", "new", osd, "0")
        self.run("ceph", "auth", "get-or-create", "osd.0", "mon", "allow profile osd", "mgr", "allow profile osd", "osd", "allow *",
                 to=self.path("osd0/keyring"))
        self.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self.run("ceph-osd", "-i", "0")
        self.wait(lambda: "1 up" in self.run("ceph", "osd", "stat"), "the OSD to be up")
        self.run("ceph", "auth", "get-or-create", "client.rgw", "mon", "allow rw", "osd", "allow rwx", "mgr", "allow rw",
                 to=self.path("rgw/keyring"))
        self.run("radosgw", "-n", "client.rgw", "--keyring", self.path("rgw/keyring"))
        self.wait(self._answers, "the gateway to answer")
        self.add_user("dock", ACCESS_KEY, SECRET_KEY)

    def _answers(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def wait(self, predicate, what, deadline=PATIENCE_SEC):
        end = time.monotonic() + deadline
        pause = subprocess.Popen(["tail", "-f", "/dev/null"], stdin=subprocess.DEVNULL)
        try:
            while not predicate():
                if time.monotonic() > end:
                    raise AssertionError(f"waited {deadline} s in vain for {what}")
                try:
                    pause.wait(0.1)
                except subprocess.TimeoutExpired:
                    pass
        finally:
            pause.kill()
            pause.wait()

    def add_user(self, name, access_key, secret_key):
        self.run("radosgw-admin", "user", "create", f"--uid={name}", f"--display-name={name}", f"--access-key={access_key}",
                 f"--secret={secret_key}")

    def credentials(self):
        return f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"

    # ---- the foreign client: curl, which signs by itself

    def curl(self, *arguments, keys=(ACCESS_KEY, SECRET_KEY), check=True):
        """What curl says and the status, for one request whose path begins the arguments: curl("/bucket/key", "-X", "PUT")."""
        path, *rest = arguments
        done = subprocess.run(["curl", "-sS", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", ":".join(keys),
                               "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "-w", "\n%{http_code}",
                               *rest, self.endpoint + path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True,
                              timeout=PATIENCE_SEC)
        body, _, status = done.stdout.rpartition(b"\n")
        if check and not 200 <= int(status) < 300:
            raise RuntimeError(f"curl {arguments}: {status.decode()} {body!r}")
        return body, int(status)

    def make_bucket(self, name, lock=False):
        self.curl(f"/{name}", "-X", "PUT", *(["-H", "x-amz-bucket-object-lock-enabled: true"] if lock else []))

    def get(self, bucket, key, keys=(ACCESS_KEY, SECRET_KEY)):
        return self.curl(f"/{bucket}/{key}", keys=keys)[0]

    def _listing(self, bucket, query, tag):
        text = self.curl(f"/{bucket}?{query}")[0].decode()
        assert "<IsTruncated>true" not in text, "more than one page"
        return [piece.split(f"</{tag}>")[0] for piece in text.split(f"<{tag}>")[1:]]

    def keys(self, bucket, prefix=""):
        return self._listing(bucket, f"list-type=2&prefix={urllib.parse.quote(prefix, safe='')}", "Key")

    def uploads(self, bucket, prefix=""):
        """Keys of unfinished uploads."""
        return self._listing(bucket, f"prefix={urllib.parse.quote(prefix, safe='')}&uploads=", "Key")

    def close(self):
        """Ends what the pid files name."""
        pids = []
        for name in os.listdir(self.path("run")):
            if name.endswith(".pid"):
                with open(self.path("run", name), encoding="ascii") as f:
                    pids.append(int(f.read()))
        for sig in [signal.SIGTERM, signal.SIGKILL]:
            for pid in pids:
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
            try:
                self.wait(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "Ceph to end", 10)
                break
            except AssertionError:
                continue
        shutil.rmtree(self.folder, ignore_errors=True)
