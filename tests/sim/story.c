/* The trace: one line a thing that happened, with the virtual time. */
#include "sim.h"

#include <string.h>

const char *const count_names[COUNTS] = {
#define X(name, text, must) [COUNT_##name] = text,
    COUNT_MAP(X)
#undef X
};
const bool count_musts[COUNTS] = {
#define X(name, text, must) [COUNT_##name] = must,
    COUNT_MAP(X)
#undef X
};

void story(struct world *w, const struct node *n, const char *fmt, ...)
{
    va_list args;

    if (!w->verbose)
        return;
    (void)printf("[%9.3f] %-3s ", (double)w->now_ms / 1000.0, n != NULL ? n->name : "");
    va_start(args, fmt);
    (void)vprintf(fmt, args);
    va_end(args);
    (void)putchar('\n');
}

static void say_batch(struct perche_bytes bytes)
{
    struct perche_batch *b = perche_batch_new();
    struct perche_err err;
    uint32_t said = 0;

    if (b == NULL || bytes.n == 0 || perche_batch_decode(bytes, b, &err) != PERCHE_OK) {
        perche_batch_free(b);
        return;
    }
    for (uint32_t p = 0; p < b->parts_count; p++) {
        const struct perche_part *part = &b->parts[p];

        for (uint32_t i = 0; i < part->rows_count; i++) {
            const struct perche_row *row = &part->rows[i];
            struct perche_value keys[PERCHE_KEY_COLUMNS_MAX];
            char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
            uint32_t n = 0;

            if (++said > 24) {
                (void)printf("                  ...\n");
                perche_batch_free(b);
                return;
            }
            (void)printf("                  %s", part->table);
            if (perche_key_decode(row->key, keys, &n, scratch) == PERCHE_OK)
                for (uint32_t k = 0; k < n; k++)
                    (void)printf(" %.*s", keys[k].type == PERCHE_TEXT ? (int)keys[k].n : 0, (const char *)keys[k].p);
            (void)printf(" gen %u%s%s%s%s", row->gen, row->flags & PERCHE_ROW_WHOLE ? " whole" : "",
                         row->flags & PERCHE_ROW_GEN ? " event" : "", row->flags & PERCHE_ROW_IMAGE ? " image" : "",
                         row->scope == PERCHE_NO_SCOPE ? " noscope" : "");
            if (row->scope != PERCHE_NO_SCOPE) {
                const char *s = b->names[row->scope];

                (void)printf(" scope(");
                for (size_t k = 0; s[k] != '\0'; k++) /* the last four letters of each id */
                    if (strcspn(s + k, ",") <= 4)
                        (void)putchar(s[k]);
                (void)printf(")");
            }
            if (row->flags & PERCHE_ROW_PAIR)
                (void)printf(" pair(%llu,%llu)", (unsigned long long)row->full, (unsigned long long)row->scan);
            if (row->flags & PERCHE_ROW_GEN)
                (void)printf(" @%llx", (unsigned long long)row->gen_stamp);
            for (uint32_t c = 0; c < row->cells_count; c++) {
                const struct perche_cell *cell = &part->cells[row->cells_first + c];

                (void)printf(" %s=", part->columns[cell->col]);
                switch (cell->value.type) {
                case PERCHE_TEXT: (void)printf("%.*s", cell->value.n > 40 ? 40 : (int)cell->value.n, (const char *)cell->value.p); break;
                case PERCHE_INTEGER: (void)printf("%lld", (long long)cell->value.i); break;
                case PERCHE_NULL: (void)printf("NULL"); break;
                default: (void)printf("?"); break;
                }
                if (cell->flags & PERCHE_CELL_BASE)
                    (void)printf("(base)");
                (void)printf("@%llx", (unsigned long long)cell->stamp);
            }
            (void)putchar('\n');
        }
    }
    for (uint32_t i = 0; i < b->notices_count; i++) {
        const struct perche_notice *n = &b->notices[i];
        struct perche_value keys[PERCHE_KEY_COLUMNS_MAX];
        char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
        uint32_t count = 0;

        (void)printf("                  %s %s", n->kind == PERCHE_LEFT ? "left:" : n->kind == PERCHE_REFUSAL ? "refused:" : "absent:",
                     n->table);
        if (perche_key_decode(n->key, keys, &count, scratch) == PERCHE_OK)
            for (uint32_t k = 0; k < count; k++)
                (void)printf(" %.*s", keys[k].type == PERCHE_TEXT ? (int)keys[k].n : 0, (const char *)keys[k].p);
        (void)printf(" %s %s lsn %llu\n", n->reason != NULL ? n->reason : "", n->columns != NULL ? n->columns : "",
                     (unsigned long long)n->lsn);
    }
    perche_batch_free(b);
}

void story_message(struct world *w, const struct node *n, const char *word, const struct perche_message *m, size_t bytes)
{
    static const char *const ops[] = {"?", "hello", "prove", "push", "pull", "rows", "digest", "watch", "enrol", "leave"};
    const char *op = m->op < sizeof ops / sizeof *ops ? ops[m->op] : "?";

    if (!w->verbose)
        return;
    if (m->reply && m->refused) {
        story(w, n, "%s %s: no, %s%s%s", word, op, perche_refusal_name((enum perche_refusal)m->u.no.why),
              m->u.no.text != NULL ? ", " : "", m->u.no.text != NULL ? m->u.no.text : "");
        return;
    }
    if (m->op == PERCHE_OP_PUSH && !m->reply) {
        const struct perche_push *p = &m->u.push;

        story(w, n, "%s push %llu..%llu as of %llu, pulled (%llu, %llu) done %llu, %zu bytes", word, (unsigned long long)p->from,
              (unsigned long long)p->to, (unsigned long long)p->asof.lsn, (unsigned long long)p->full,
              (unsigned long long)p->scan, (unsigned long long)p->done, bytes);
        say_batch(p->batch);
    } else if (m->op == PERCHE_OP_PUSH) {
        story(w, n, "%s push: have %llu%s", word, (unsigned long long)m->u.push_reply.have,
              m->u.push_reply.wants_count > 0 ? ", wants rows" : "");
    } else if (m->op == PERCHE_OP_PULL && !m->reply) {
        story(w, n, "%s pull from (%llu, %llu) done %llu, %u images wanted", word, (unsigned long long)m->u.pull.full,
              (unsigned long long)m->u.pull.scan, (unsigned long long)m->u.pull.done, m->u.pull.wants_count);
    } else if (m->op == PERCHE_OP_PULL) {
        const struct perche_pull_reply *p = &m->u.pull_reply;

        story(w, n, "%s pull: to (%llu, %llu)%s, have %llu, %zu bytes", word, (unsigned long long)p->full,
              (unsigned long long)p->scan, p->more ? " and more" : "", (unsigned long long)p->have, bytes);
        say_batch(p->batch);
    } else if (m->op == PERCHE_OP_ROWS && m->reply) {
        story(w, n, "%s rows: %zu bytes", word, bytes);
        say_batch(m->u.rows_reply.batch);
    } else if (m->op == PERCHE_OP_DIGEST && m->reply) {
        uint8_t a = m->u.digest_reply.answer;

        story(w, n, "%s digest: %s", word, a == PERCHE_EQUAL ? "equal" : a == PERCHE_LATER ? "later" : "differs");
        for (uint32_t i = 0; i < m->u.digest_reply.sums_count && i < 30; i++) {
            const struct perche_sum *s = &m->u.digest_reply.sums[i];

            if (s->key.n == 0)
                (void)printf("                  %s bucket %u rows %llu\n", s->table, s->bucket, (unsigned long long)s->rows);
            else
                (void)printf("                  %s a row of bucket %u\n", s->table, s->bucket);
        }
    } else if (m->op == PERCHE_OP_DIGEST) {
        story(w, n, "%s digest level %u at (%llu, %llu)", word, m->u.digest.level, (unsigned long long)m->u.digest.scan,
              (unsigned long long)m->u.digest.acked);
    } else if (m->op == PERCHE_OP_PROVE && m->reply) {
        const struct perche_prove_reply *p = &m->u.prove_reply;
        static const char *const verdicts[] = {"?", "proven", "restored", "go back", "two machines"};

        story(w, n, "%s prove: %s, have %llu, position (%llu, %llu)", word, p->verdict < 5 ? verdicts[p->verdict] : "?",
              (unsigned long long)p->have, (unsigned long long)p->full, (unsigned long long)p->scan);
    } else if (m->op == PERCHE_OP_WATCH && m->reply) {
        story(w, n, "%s watch: %s", word, m->u.watch_reply.news ? "news" : "nothing new");
    } else {
        story(w, n, "%s %s", word, op);
    }
}
