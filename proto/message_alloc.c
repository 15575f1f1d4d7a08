#include "perche/wire.h"

#include "arena.h"

void *perche_message_alloc(struct perche_message *m, size_t n)
{
    if (m->arena == NULL)
        m->arena = arena_new();
    return m->arena == NULL ? NULL : arena_alloc(m->arena, n);
}
