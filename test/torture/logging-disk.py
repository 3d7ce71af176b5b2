"""
A disk for nbdkit(1) that writes down each write and flush before it answers, one at a time, so that what is written down is an order in
which they really were done. Keys: disk=FILE, which it is; log=FILE, records of "<BBxxIQ": 1 and whether it is FUA, length, offset, and the
bytes; or 2, a flush.
"""

import os
import struct

import nbdkit

API_VERSION = 2
files = {}
handles = {}


def config(key, value):
    files[key] = value


def get_ready():
    handles["disk"] = os.open(files["disk"], os.O_RDWR)
    handles["log"] = os.open(files["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


def open(readonly):
    return 1


def get_size(_):
    return os.fstat(handles["disk"]).st_size


def can_fua(_):
    return nbdkit.FUA_NATIVE


def pread(_, buffer, offset, flags):
    done = 0
    while done < len(buffer):
        done += os.preadv(handles["disk"], [memoryview(buffer)[done:]], offset + done)


def pwrite(_, buffer, offset, flags):
    is_fua = 1 if flags & nbdkit.FLAG_FUA else 0
    os.writev(handles["log"], [struct.pack("<BBxxIQ", 1, is_fua, len(buffer), offset), buffer])
    os.pwrite(handles["disk"], buffer, offset)


def flush(_, flags):
    os.write(handles["log"], struct.pack("<BBxxIQ", 2, 0, 0, 0))
