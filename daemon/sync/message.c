#include "sync/message.h"

#include <string.h>

void sync_message_drop(struct perche_message *m)
{
    if (m->arena != NULL)
        perche_message_free(m);
    memset(m, 0, sizeof *m);
}

void sync_message_move(struct perche_message *to, struct perche_message *from)
{
    sync_message_drop(to);
    *to = *from;
    memset(from, 0, sizeof *from);
}

enum perche_rc sync_message_copy(struct perche_message *to, const struct perche_message *from)
{
    struct perche_buf buf = {0};
    struct perche_message copy = {0};
    enum perche_rc rc = perche_message_encode(from, &buf, NULL);

    if (rc == PERCHE_OK && buf.n > UINT32_MAX)
        rc = PERCHE_TOO_LARGE;
    if (rc == PERCHE_OK)
        rc = perche_message_decode((struct perche_bytes){buf.p, (uint32_t)buf.n}, &copy, NULL);
    perche_buf_free(&buf);
    if (rc == PERCHE_OK)
        sync_message_move(to, &copy);
    return rc;
}

void sync_message_no(struct perche_message *m, uint8_t op, enum perche_refusal why,
                     const char *text)
{
    memset(m, 0, sizeof *m);
    m->op = op;
    m->reply = true;
    m->refused = true;
    m->u.no.why = (uint8_t)why;
    m->u.no.text = text;
}
