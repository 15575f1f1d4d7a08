/* Any bytes to the message decoder. What decodes must encode, and what that gives must
 * decode to the same message again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perche/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct perche_buf once = {0}, twice = {0};
    struct perche_message m, back;

    if (size > UINT32_MAX ||
        perche_message_decode((struct perche_bytes){data, (uint32_t)size}, &m, NULL) != PERCHE_OK)
        return 0;
    if (perche_message_encode(&m, &once, NULL) != PERCHE_OK ||
        perche_message_decode((struct perche_bytes){once.p, (uint32_t)once.n}, &back, NULL) !=
            PERCHE_OK ||
        perche_message_encode(&back, &twice, NULL) != PERCHE_OK)
        abort();
    if (back.op != m.op || back.reply != m.reply || back.refused != m.refused || once.n > size ||
        once.n != twice.n || memcmp(once.p, twice.p, once.n) != 0)
        abort();
    if (m.op == PERCHE_OP_PROVE && !m.reply) {
        static const uint8_t challenge[32];
        struct perche_buf text = {0};

        if (perche_prove_signed(&m.u.prove, challenge, "hub", &text) != PERCHE_OK)
            abort();
        perche_buf_free(&text);
    }
    perche_buf_free(&once);
    perche_buf_free(&twice);
    perche_message_free(&back);
    perche_message_free(&m);
    return 0;
}
