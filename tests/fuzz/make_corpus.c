/* Writes the seeds of the fuzz targets of the wire: valid messages, batches, keys, entries of
 * the chain and invitations. Run it again when the format changes:
 *
 *   cmake --build build --target make_corpus && build/make_corpus tests/fuzz/corpus */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "unit/wire_batches.h"
#include "unit/wire_messages.h"

static const char *root;

static void write_seed(const char *target, const char *name, const void *p, size_t n)
{
    char path[512];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", root, target);
    (void)mkdir(path, 0777); /* there already, or the open below says why not */
    snprintf(path, sizeof(path), "%s/%s/%s", root, target, name);
    file = fopen(path, "wb");
    if (file == NULL || fwrite(p, 1, n, file) != n || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    struct perche_batch *b = perche_batch_new();
    struct perche_buf out = {0};
    char name[64];

    if (argc != 2) {
        fprintf(stderr, "usage: make_corpus FOLDER\n");
        return 2;
    }
    root = argv[1];
    for (uint8_t op = PERCHE_OP_HELLO; op <= PERCHE_OP_LEAVE; op++)
        for (int what = 0; what < MESSAGE_WHATS; what++) {
            struct perche_message m = sample_message(op, what);

            out.n = 0;
            if (perche_message_encode(&m, &out, NULL) != PERCHE_OK)
                return 1;
            snprintf(name, sizeof(name), "%s%s", message_name(op),
                     what == 0   ? ""
                     : what == 1 ? "_reply"
                                 : "_no");
            write_seed("fuzz_wire_message", name, out.p, out.n);
        }
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct dice dice = {seed};

        perche_batch_clear(b);
        out.n = 0;
        if (!random_batch(&dice, b, seed % 10 == 0 ? 300 : 5) ||
            perche_batch_encode(b, seed % 10 == 0 ? 3 : 0, &out, NULL) != PERCHE_OK)
            return 1;
        snprintf(name, sizeof(name), "random_%02u", (unsigned)seed);
        write_seed("fuzz_wire_batch", name, out.p, out.n);
    }
    for (int kind = 0; kind < COLUMN_KINDS; kind++) { /* one column of each kind */
        struct dice dice = {(uint64_t)kind};
        const char *column = "c";
        uint32_t part;
        char room[600];

        perche_batch_clear(b);
        out.n = 0;
        perche_batch_name(b, "origin");
        part = perche_batch_part(b, "t", &column, 1);
        for (uint8_t r = 0; r < (kind == COLUMN_CODES ? 200 : 6); r++) {
            uint8_t key[16] = {r};
            struct perche_value v = random_value(&dice, (enum column_kind)kind, room);

            perche_batch_row(b, part, (struct perche_bytes){key, 16})->gen = 1;
            perche_batch_cell(b, part, 0, &v);
        }
        if (perche_batch_encode(b, 0, &out, NULL) != PERCHE_OK)
            return 1;
        snprintf(name, sizeof(name), "column_%02d", kind);
        write_seed("fuzz_wire_batch", name, out.p, out.n);
    }
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        struct dice dice = {seed};
        uint32_t n = random_key(&dice, seed < 3 ? 0 : 2, key);

        snprintf(name, sizeof(name), "random_%02u", (unsigned)seed);
        write_seed("fuzz_wire_key", name, key, n);
    }
    write_seed("fuzz_wire_key", "padded",
               "\x03\x0e"
               "fourteen bytes\x00",
               17);
    for (uint32_t cells = 0; cells < 3; cells++) {
        struct perche_chain_cell some[3] = {{.column = "", .stamp = 7}, {.column = "situation", .stamp = UINT64_C(0x199c82cbc180002)}, {.column = "rule"}};
        const uint8_t key[16] = {1, 2, 3};
        struct perche_chain_entry e = {.table = "outcome_decision", .key = {key, 16}, .origin = SAMPLE_SITE, .epoch = 5, .n = 1 + cells, .prev_epoch = cells,
                                       .prev_n = cells, .unseen = cells == 2, .gen = 1, .cells = some, .cells_count = cells};

        out.n = 0;
        if (perche_chain_encode(&e, &out) != PERCHE_OK)
            return 1;
        snprintf(name, sizeof(name), "cells_%u", (unsigned)cells);
        write_seed("fuzz_wire_chain", name, out.p, out.n);
    }
    {
        struct perche_invitation i = sample_invitation();
        uint8_t body[1024];
        size_t n;

        out.n = 0;
        if (perche_invitation_format(&i, &out, NULL) != PERCHE_OK)
            return 1;
        write_seed("fuzz_wire_invitation", "line", out.p, out.n);
        write_seed("fuzz_wire_invitation", "newer", "perche2:AAAA", 12);
        /* Without its checksum, which the fuzzer adds: so it can alter what is inside. */
        if (sodium_base642bin(body + 1, sizeof(body) - 1, (const char *)out.p + 8, out.n - 8, NULL,
                              &n, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
            return 1;
        body[0] = '!';
        write_seed("fuzz_wire_invitation", "body", body, n + 1 - 8);
    }
    perche_buf_free(&out);
    perche_batch_free(b);
    perche_wire_thread_end();
    return 0;
}
