#include "replica/merge.h"

#include <assert.h>
#include <string.h>

bool merge_clean(const struct merge_peer *p, const struct clock_cell *c)
{
    return p->at_hub || c->via == VIA_HUB || c->lsn <= p->acked;
}

bool merge_dirty(const struct merge_peer *p, const struct meta *m)
{
    for (uint32_t num = 0; num < m->count; num++)
        if (m->cells[num].written && !merge_clean(p, &m->cells[num]))
            return true;
    return false;
}

/* Did it come over the peer's link, in its present epoch? */
static bool own(const struct merge_peer *p, const struct clock_cell *c)
{
    return c->via == p->via && (c->lsn > p->eplsn || WITHOUT(A13_PRESENT_EPOCH));
}

/* Had the author of what came read this stored value? @position is the row's, all of it: what came over his own link moved the
 * row as well, and a pull that was not there yet has to go further to meet it. */
static bool seen(const struct merge_peer *p, uint64_t position, const struct clock_cell *c)
{
    if (!p->at_hub)
        return !WITHOUT(A3_SITE_CLEAN) && merge_clean(p, c);
    return (!WITHOUT(A4_OWN_LINK) && own(p, c)) || (!WITHOUT(A8_SEEN_FULL) && c->lsn <= p->full) ||
           (!WITHOUT(A8_SEEN_SCAN) && position <= p->scan);
}

static int ident_order(const struct merge_ask *ask, uint64_t stamp_a, uint32_t origin_a, uint64_t stamp_b,
                       uint32_t origin_b)
{
    if (stamp_a != stamp_b)
        return stamp_a < stamp_b ? -1 : 1;
    return origin_a == origin_b || WITHOUT(D1_STAMP_ALONE) ? 0 : ask->order(ask->ctx, origin_a, origin_b);
}

static void lose(struct merge_out *out, enum merge_loss what, uint16_t num, uint32_t cell,
                 const struct clock_cell *stored)
{
    out->lost[out->lost_count++] = (struct merge_lost){what, num, cell, *stored};
}

static struct clock_cell incoming_gen(const struct merge_peer *p, const struct merge_in *in)
{
    return (struct clock_cell){.stamp = in->gen_stamp, .origin = in->gen_origin, .via = p->via, .written = true,
                               .fixed = in->gen_fixed};
}

/* The generation goes up: what the deleter or the new author had not seen is lost by him, hence kept. */
static void raise_generation(const struct merge_peer *p, const struct merge_ask *ask, uint64_t position, struct meta *m,
                             const struct merge_in *in, struct merge_out *out)
{
    for (uint32_t num = 1; meta_alive(m) && num < m->count; num++) {
        const struct clock_cell *c = &m->cells[num];
        bool comes_back = false;

        if (!c->written || seen(p, position, c))
            continue;
        for (uint32_t i = 0; i < in->cells_count; i++)
            comes_back |= in->cells[i].num == num &&
                          (ident_order(ask, in->cells[i].stamp, in->cells[i].origin, c->stamp, c->origin) == 0 ||
                           ask->compare(ask->ctx, (uint16_t)num, in->cells[i].value) == 0);
        if (!comes_back && !WITHOUT(A7_UNSEEN_BY_DELETE))
            lose(out, LOSS_STORED, (uint16_t)num, 0, c);
    }
    m->gen = in->gen;
    m->cells[0] = incoming_gen(p, in);
    for (uint32_t num = 1; num < m->count; num++)
        if (meta_alive(m) || !m->table->columns[num - 1].scope_cell || WITHOUT(B20_SCOPE_CELL))
            memset(&m->cells[num], 0, sizeof m->cells[num]);
    out->gen_taken = out->raised = out->changed = true;
}

/* Both have the same generation: the higher event names it. An equal one keeps its way and its position. */
static void same_generation(const struct merge_peer *p, const struct merge_ask *ask, struct meta *m,
                            const struct merge_in *in, struct merge_out *out)
{
    if (!in->has_gen ||
        ident_order(ask, in->gen_stamp, in->gen_origin, m->cells[0].stamp, m->cells[0].origin) <= 0)
        return;
    m->cells[0] = incoming_gen(p, in);
    out->gen_taken = out->changed = true;
}

static void merge_one(const struct merge_peer *p, const struct merge_ask *ask, uint64_t position, struct meta *m,
                      const struct merge_in *in, uint32_t i, struct merge_out *out)
{
    const struct merge_cell *new = &in->cells[i];
    struct clock_cell *cur = &m->cells[new->num];
    int order = 1;

    if (cur->written)
        order = ident_order(ask, new->stamp, new->origin, cur->stamp, cur->origin);
    if (order == 0) { /* the same identity: another value only after a restore or a clone with a clock set back */
        order = WITHOUT(A23_VALUE_TIE) ? 0 : ask->compare(ask->ctx, new->num, new->value);
        if (order == 0 && WITHOUT(C6_KEEP_VIA))
            cur->via = p->via;
        if (order == 0)
            return;
        lose(out, LOSS_CELLS, new->num, i, cur); /* who knows one of them knows nothing of the other */
    } else if (cur->written) {
        bool concurrent = !seen(p, position, cur);

        /* Its position was read before the row moved up, or after: a pull that is not finished cannot tell, but what it replaced does. */
        if (!concurrent && p->at_hub && new->based && cur->lsn > p->full && !own(p, cur))
            concurrent = true;
        if (concurrent && !WITHOUT(C3_WIRE_BASE) && new->based && ident_order(ask, new->base_stamp, new->base_origin, cur->stamp, cur->origin) == 0)
            concurrent = false; /* its author says that it replaced this very value */
        if (concurrent && !WITHOUT(A8_OWN_BASE) && cur->based && ident_order(ask, cur->base_stamp, cur->base_origin, new->stamp, new->origin) == 0)
            concurrent = false; /* an unfinished pull repeats what ours replaced */
        if (concurrent && (ask->compare(ask->ctx, new->num, new->value) != 0 || WITHOUT(A23_EQUAL_VALUES)) &&
            !ask->knows(ask->ctx, new))
            lose(out, LOSS_CELLS, new->num, i, cur);
    }
    if (order <= 0 && !WITHOUT(D14_LAST_COMES_WINS))
        return;
    *cur = (struct clock_cell){.stamp = new->stamp, .origin = new->origin, .via = p->via, .written = true, .fixed = new->fixed};
    out->write |= UINT64_C(1) << (new->num - 1);
    out->changed = true;
}

/* A row with nothing unpushed takes the hub's row as it is; values that come back equal keep via and lsn. */
static void replace_row(const struct merge_peer *p, const struct merge_ask *ask, struct meta *m,
                        const struct merge_in *in, struct merge_out *out)
{
    uint64_t there = 0;

    if (m->gen != in->gen) {
        out->raised = out->gen_taken = out->changed = true;
        m->gen = in->gen;
        m->cells[0] = incoming_gen(p, in);
    } else if (ident_order(ask, in->gen_stamp, in->gen_origin, m->cells[0].stamp, m->cells[0].origin) != 0) {
        out->gen_taken = out->changed = true;
        m->cells[0] = incoming_gen(p, in);
    }
    for (uint32_t i = 0; i < in->cells_count; i++) {
        const struct merge_cell *new = &in->cells[i];
        struct clock_cell *cur = &m->cells[new->num];

        there |= UINT64_C(1) << (new->num - 1);
        if (!out->raised && cur->written && cur->stamp == new->stamp && cur->origin == new->origin &&
            ask->compare(ask->ctx, new->num, new->value) == 0) {
            if (WITHOUT(C6_KEEP_VIA))
                cur->via = p->via;
            continue;
        }
        *cur = (struct clock_cell){.stamp = new->stamp, .origin = new->origin, .via = p->via, .written = true, .fixed = new->fixed};
        out->write |= UINT64_C(1) << (new->num - 1);
        out->changed = true;
    }
    for (uint32_t num = 1; num < m->count; num++) {
        if (!m->cells[num].written || there >> (num - 1) & 1)
            continue;
        memset(&m->cells[num], 0, sizeof m->cells[num]);
        out->replaced = out->changed = true;
    }
}

void merge_row(const struct merge_peer *p, const struct merge_ask *ask, struct meta *m,
               const struct merge_in *in, struct merge_out *out)
{
    uint64_t position = m->lsn;

    memset(out, 0, offsetof(struct merge_out, lost));
    if (!WITHOUT(A0_CLEAN_ROW) && !WITHOUT(B9_IMAGE) && !p->at_hub && in->whole && in->has_gen && m->gen != 0 && !merge_dirty(p, m)) {
        replace_row(p, ask, m, in, out);
        return;
    }
    if (in->gen > m->gen) {
        assert(in->has_gen);
        raise_generation(p, ask, position, m, in, out);
    } else if (in->gen < m->gen) {
        for (uint32_t i = 0; i < in->cells_count; i++)
            if (!WITHOUT(A7_EDIT_OF_DELETED) && (p->at_hub || !merge_clean(p, &m->cells[0])) &&
                !ask->knows(ask->ctx, &in->cells[i]))
                lose(out, LOSS_INCOMING, in->cells[i].num, i, &m->cells[0]);
        return;
    } else {
        same_generation(p, ask, m, in, out);
    }
    for (uint32_t i = 0; i < in->cells_count; i++)
        if (meta_alive(m) || m->table->columns[in->cells[i].num - 1].scope_cell)
            merge_one(p, ask, position, m, in, i, out);
}

void merge_number(const struct merge_peer *p, struct meta *m, uint64_t lsn, bool touched)
{
    for (uint32_t num = 0; num < m->count; num++) {
        struct clock_cell *c = &m->cells[num];

        if (c->written && (c->lsn == 0 || (touched && !WITHOUT(A9_RENUMBER) && !merge_clean(p, c))))
            c->lsn = lsn;
    }
}
