/* Any line to the invitation's parser. What parses must give the same line again, but for
 * blanks. Bytes behind a '!' are wrapped with a right checksum first, or nothing would
 * ever get past it. */
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perche/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *line_of(const uint8_t *data, size_t size)
{
    const int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    uint8_t *body, sum[16];
    size_t length;
    char *line;

    if (size < 1 || data[0] != '!') {
        line = malloc(size + 1);
        memcpy(line, data, size);
        line[size] = '\0';
        return line;
    }
    body = malloc(size - 1 + 8);
    memcpy(body, data + 1, size - 1);
    crypto_generichash(sum, sizeof(sum), data + 1, size - 1, NULL, 0);
    memcpy(body + size - 1, sum, 8);
    length = sodium_base64_encoded_len(size - 1 + 8, variant);
    line = malloc(8 + length);
    memcpy(line, "perche1:", 8);
    sodium_bin2base64(line + 8, length, body, size - 1 + 8, variant);
    free(body);
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct perche_invitation i, back;
    struct perche_arena *arena, *back_arena;
    struct perche_buf once = {0}, twice = {0};
    char *line = line_of(data, size);

    if (perche_invitation_parse(line, &i, &arena, NULL) == PERCHE_OK) {
        if (perche_invitation_format(&i, &once, NULL) != PERCHE_OK ||
            perche_invitation_parse((const char *)once.p, &back, &back_arena, NULL) != PERCHE_OK ||
            perche_invitation_format(&back, &twice, NULL) != PERCHE_OK)
            abort();
        if (once.n != twice.n || memcmp(once.p, twice.p, once.n) != 0 ||
            strcmp(i.url, back.url) != 0)
            abort();
        perche_arena_free(back_arena);
        perche_arena_free(arena);
    }
    perche_buf_free(&once);
    perche_buf_free(&twice);
    free(line);
    return 0;
}
