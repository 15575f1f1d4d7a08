"""A joined site that says what it likes: the protocol by hand, with the key of a site whose daemon is stopped.

It is written from proto/PROTOCOL.md alone, so it is a second encoder of batches too: plain sections, numbers as varints."""
import ctypes
import json
import os
import struct

import perche_net
from perche_net import Failure, expect, pack, unpack

HELLO, PROVE, PUSH, PULL, ROWS, DIGEST, WATCH, ENROL = range(1, 9)
WHOLE, GEN, PAIR = 1, 2, 16
sodium = ctypes.CDLL("libsodium.so.23")
zstd = ctypes.CDLL("libzstd.so.1")
zstd.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
zstd.ZSTD_decompress.restype = ctypes.c_size_t


def sign(seed, text):
    public, secret, signature = (ctypes.create_string_buffer(n) for n in (32, 64, 64))
    sodium.crypto_sign_seed_keypair(public, secret, seed)
    sodium.crypto_sign_detached(signature, None, text, ctypes.c_ulonglong(len(text)), secret)
    return signature.raw


def public_key(seed):
    public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
    sodium.crypto_sign_seed_keypair(public, secret, seed)
    return public.raw


# ------------------------------------------------------------------- batches


def varint(v):
    out = b""
    while v >= 128:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


def zigzag(v):
    return varint((v << 1 ^ v >> 63) & (1 << 64) - 1)


def numbers(values, signed=False):
    return b"\1" + b"".join(map(zigzag if signed else varint, values)) if values else b""


def texts(values):
    return b"\0" + b"".join(v.encode() + b"\0" for v in values) if values else b""


def bin_(data):
    n = len(data)
    return (b"\xc4" + bytes([n]) if n < 256 else b"\xc5" + struct.pack(">H", n) if n < 65536 else b"\xc6" + struct.pack(">I", n)) + data


def uuid(text):
    return bytes.fromhex(text.replace("-", ""))


class Row:
    """A row of @table: cells {column: text, int or None}. A stamp is milliseconds << 16 | counter."""

    def __init__(self, table, key, cells, stamp, origin, scope=None, gen=1, flags=GEN, fixed=False, pair=(0, 0)):
        self.table, self.key, self.cells, self.stamp, self.origin = table, uuid(key) if isinstance(key, str) else key, cells, stamp, origin
        self.scope, self.gen, self.flags, self.fixed, self.pair = scope, gen, flags, fixed, pair


def batch(rows):
    """Rows of one table have the same columns, all of them with a cell."""
    names, tables = [], {}
    for r in rows:
        for name in (r.origin, r.scope):
            if name is not None and name not in names:
                names.append(name)
        tables.setdefault(r.table, []).append(r)
    directory = varint(len(names)) + b"".join(n.encode() + b"\0" for n in names) + varint(len(tables))
    sections = b""
    for table, of in tables.items():
        columns = list(of[0].cells)
        directory += table.encode() + b"\0" + varint(len(of)) + varint(len(columns)) + b"".join(c.encode() + b"\0" for c in columns)
        sections += bin_(b"\2" + numbers([len(r.key) for r in of]) + b"".join(r.key for r in of))
        gen, pairs = [r for r in of if r.flags & GEN], [r for r in of if r.flags & PAIR]
        sections += bin_(numbers([r.gen for r in of]) + numbers([r.flags for r in of]) +
                         numbers([0 if r.scope is None else 1 + names.index(r.scope) for r in of]) +
                         numbers([r.stamp >> 16 for r in of]) + numbers([r.stamp & 0xFFFF for r in of]) +
                         numbers([names.index(r.origin) for r in of]) + 3 * numbers([0] * len(gen), True) +
                         numbers([r.pair[0] for r in pairs]) + numbers([r.pair[1] for r in pairs]))
        sections += bin_(b"\0" * len(columns))
        fixed = [i for r in of for i in [r.fixed] * len(columns)]
        gaps, last = [], -1
        for i, is_fixed in enumerate(fixed):
            if is_fixed:
                gaps.append(i - last - 1)
                last = i
        sections += bin_(varint(0) + varint(len(gaps)) + numbers(gaps) + varint(0))
        for c in columns:
            values = [r.cells[c] for r in of]
            types = [0 if v is None else 1 if isinstance(v, int) else 3 for v in values]
            sections += bin_(b"\6" + bytes(types) + numbers([v for v in values if isinstance(v, int)], True) +
                             texts([v for v in values if isinstance(v, str)]))
    return b"\1" + bin_(directory + varint(0)) + sections


def opened(body):
    """The bytes of a batch as they are without zstd."""
    if not body or body[0] == 1:
        return body
    n = zstd.ZSTD_getFrameContentSize(body[1:], ctypes.c_size_t(len(body) - 1))
    out = ctypes.create_string_buffer(n)
    expect("what zstd gives", zstd.ZSTD_decompress(out, ctypes.c_size_t(n), body[1:], ctypes.c_size_t(len(body) - 1)), n)
    return out.raw


# ---------------------------------------------------------------------- lines


class Liar(perche_net.RawLine):
    """A line on which @node's key is spoken with; its daemon has to be stopped."""

    def __init__(self, net, node, seed=None):
        super().__init__(net)
        self.node = node
        self.said = []  # every request, to be said again
        node.pushed, node.scan, node.asof = getattr(node, "pushed", 0), getattr(node, "scan", 0), getattr(node, "asof", (0, 0))
        with open(os.path.join(node.data, "keys", "node.key"), encoding="ascii") as f:
            self.seed = seed or bytes.fromhex(f.read().split()[1])
        row = node.sql("SELECT json_object('epoch', epoch, 'prev', prev_epoch, 'lsn', lsn, 'full', full, 'scan', scan, 'done', done,"
                       " 'asof_lsn', asof_lsn, 'asof_mark', asof_mark, 'schema', schema, 'acked', acked, 'epoch_acked', epoch_acked)"
                       " FROM perche_node")
        self.state = json.loads(row)
        self.marks = [[int(lsn), int(mark) % (1 << 64)] for lsn, mark in
                      (m.split("|") for m in node.sql("SELECT lsn, mark FROM perche_mark ORDER BY lsn DESC LIMIT 64").splitlines())]
        self.session = None
        self.greet()

    def send(self, body, claim=None):
        self.said.append(body)
        super().send(body, claim)

    def ask(self, op, fields):
        what, answer = super().ask(op, fields)
        if what == 1 and op in (PUSH, PULL, DIGEST, WATCH):
            self.node.scan = max(self.node.scan, fields[{PUSH: 6, PULL: 2, DIGEST: 1, WATCH: 2}[op]])
        if what == 1 and op == PULL:
            self.node.asof = (answer[5], answer[6])
        return what, answer

    def hello(self, site=None):
        what, fields = self.ask(HELLO, [site or self.node.id, 1, 1, 0])
        expect("the answer to hello", what, 1)
        self.challenge, self.hub = fields[0], fields[2]
        return self

    def prove(self, site=None, **wrong):
        """The answer; with a session it is kept."""
        s = dict(self.state, **{k: v for k, v in wrong.items() if k in self.state})
        marks = wrong.get("marks", self.marks)
        if self.node.scan > s["scan"]:  # what it said to have pulled since, which the hub has noted
            s["full"] = wrong.get("full", self.node.scan)
            s["scan"] = wrong.get("scan", self.node.scan)
            s["asof_lsn"] = wrong.get("asof_lsn", self.node.asof[0])
            s["asof_mark"] = self.node.asof[1]
        if self.node.pushed:  # what the liar made up since: the hub asks for the mark of it
            marks = wrong.get("marks", [[self.node.pushed, 1]] + self.marks[:63])
            s["lsn"] = wrong.get("lsn", self.node.pushed)
        fields = [site or self.node.id, s["epoch"], s["prev"], s["lsn"], s["full"], s["scan"], s["done"], s["asof_lsn"],
                  s["asof_mark"] % (1 << 64), s["schema"], s["acked"], s["epoch_acked"], wrong.get("relays", False), marks, wrong.get("list", [])]
        signed = pack_long(["perche-prove-1", self.challenge, self.hub] + fields)
        what, answer = self.ask(PROVE, fields + [sign(self.seed, signed)])
        if what == 1 and answer[0] in (1, 3):
            self.session, self.have = answer[1], answer[3]
            self.hub_lsn = answer[8]
        return what, answer

    def proven(self):
        self.hello()
        what, answer = self.prove()
        if what != 1 or answer[0] != 1:
            raise Failure(f"the liar is not let in: {what} {answer}")
        return self

    def push(self, rows=(), begin=None, end=None, body=None, **wrong):
        """The answer to one batch; the positions are right unless they are said."""
        begin = self.have if begin is None else begin
        end = begin + 1 if end is None else end
        s = dict(self.state, **wrong)
        asof = s.get("asof", max(end, begin))
        what, answer = self.ask(PUSH, [wrong.get("session", self.session), begin, end, asof, 1, s["full"], s["scan"], s["done"], len(rows),
                                       body if body is not None else batch(rows) if rows else b""])
        if what == 1:
            self.have = answer[0]
            self.node.pushed = max(self.node.pushed, asof if begin <= self.have else 0)
        return what, answer

    def pull(self, full=0, scan=0, wants=(), session=None):
        return self.ask(PULL, [session or self.session, full, scan, 0, 1 << 20, False, 0, [list(w) for w in wants]])


def pack_long(items):
    """As pack(), for a list of any length."""
    return (bytes([0x90 | len(items)]) if len(items) < 16 else b"\xdc" + struct.pack(">H", len(items))) + b"".join(map(pack, items))
