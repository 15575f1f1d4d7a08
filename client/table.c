#include "table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define GAP         2 /* spaces between two columns */
#define NARROW      6  /* a column is not cut below this ... */
#define KEPT_NARROW 8  /* ... and one to be kept not below that */
#define HEAD_NARROW 10 /* what is left of the head of a whole column */

struct table {
    int columns;
    char **heads;
    bool *keep, *right, *whole;
    char **cells; /* rows * columns; NULL = empty */
    int rows, cap;
    int at;    /* next column of the last row */
    int least; /* columns that are neither kept nor whole are not cut below */
};

struct table *table_new(const char *const *heads, int columns)
{
    struct table *t = must_have(calloc(1, sizeof(*t)));
    size_t n = (size_t)(columns > 0 ? columns : 1);

    t->columns = columns;
    t->least = NARROW;
    t->heads = must_have(calloc(n, sizeof(*t->heads)));
    t->keep = must_have(calloc(n, sizeof(*t->keep)));
    t->whole = must_have(calloc(n, sizeof(*t->whole)));
    t->right = must_have(calloc(n, sizeof(*t->right)));
    for (int i = 0; i < columns; i++)
        t->heads[i] = text_clean(heads[i], strlen(heads[i]));
    return t;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    for (int i = 0; i < t->columns; i++)
        free(t->heads[i]);
    for (int i = 0; i < t->rows * t->columns; i++)
        free(t->cells[i]);
    free(t->heads);
    free(t->keep);
    free(t->whole);
    free(t->right);
    free(t->cells);
    free(t);
}

void table_whole(struct table *t, int column)
{
    t->whole[column] = t->keep[column] = true;
}

void table_keep(struct table *t, int column)
{
    t->keep[column] = true;
}

void table_right(struct table *t, int column)
{
    t->right[column] = true;
}

int table_columns(const struct table *t)
{
    return t->columns;
}

const char *table_head(const struct table *t, int column)
{
    return t->heads[column];
}

void table_row(struct table *t)
{
    size_t columns = (size_t)t->columns;

    if (t->rows == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        t->cells = must_have(realloc(t->cells, ((size_t)t->cap * columns + 1) * sizeof(*t->cells)));
    }
    memset(t->cells + (size_t)t->rows * columns, 0, columns * sizeof(*t->cells));
    t->rows++;
    t->at = 0;
}

void table_cell_n(struct table *t, const char *p, size_t n)
{
    assert(t->rows > 0);
    if (t->at < t->columns) /* a row with more values than columns: not ours to believe */
        t->cells[(t->rows - 1) * t->columns + t->at++] = text_clean(p, n);
}

void table_cell(struct table *t, const char *text)
{
    table_cell_n(t, text, strlen(text));
}

void table_cell_take(struct table *t, char *text)
{
    table_cell(t, text);
    free(text);
}

/* What the widest cell of a column takes, from @at_least on. */
static int cells_width(const struct table *t, int column, int at_least)
{
    int widest_cell = at_least;

    for (int r = 0; r < t->rows; r++) {
        const char *cell = t->cells[r * t->columns + column];
        int w = cell ? text_width(cell) : 0;

        if (w > widest_cell)
            widest_cell = w;
    }
    return widest_cell;
}

static int needed(const struct table *t, int column)
{
    return cells_width(t, column, text_width(t->heads[column]));
}

/* How narrow a column may get on a page of @width. */
static int least(const struct table *t, int column, int width)
{
    int head = text_width(t->heads[column]);

    if (t->whole[column] && width >= TABLE_WHOLE_FROM)
        return cells_width(t, column, head < HEAD_NARROW ? head : HEAD_NARROW);
    return t->keep[column] ? KEPT_NARROW : width >= TABLE_WHOLE_FROM ? t->least : NARROW;
}

/* The column to make one narrower: the widest of its kind that is above its least width; cells go first, then heads of whole
 * columns, then what is to be kept. -1: there is none. */
static int widest(const struct table *t, const int *widths, int shown, int width)
{
    for (int kind = 0; kind < 3; kind++) {
        int found = -1;

        for (int i = 0; i < shown; i++) {
            int of = t->whole[i] && width >= TABLE_WHOLE_FROM ? 1 : t->keep[i] ? 2 : 0;

            if (of == kind && widths[i] > least(t, i, width) && (found < 0 || widths[i] > widths[found]))
                found = i;
        }
        if (found >= 0)
            return found;
    }
    return -1;
}

void table_least(struct table *t, int columns)
{
    t->least = columns;
}

bool table_fits(const struct table *t, int width)
{
    int total = 0;

    for (int i = 0; i < t->columns; i++)
        total += needed(t, i) + (i > 0 ? GAP : 0);
    return total <= width;
}

/* Sets widths[]; returns how many columns are shown. */
static int lay_out(const struct table *t, int *widths, int width)
{
    int shown = t->columns;
    int total = 0;

    for (int i = 0; i < t->columns; i++) {
        widths[i] = needed(t, i);
        if (widths[i] > width)
            widths[i] = width;
        total += widths[i] + (i > 0 ? GAP : 0);
    }
    while (total > width) {
        int i = widest(t, widths, shown, width);

        if (i >= 0) {
            widths[i]--;
            total--;
        } else { /* one column never comes here: it is no wider than the page */
            shown--;
            total -= widths[shown] + GAP;
        }
    }
    return shown;
}

static void spaces(FILE *out, int n)
{
    if (n > 0)
        fprintf(out, "%*s", n, "");
}

/* A cell and the spaces around it. *owed are spaces not yet written, so that none ends a line. */
static void print_cell(FILE *out, const char *text, int width, bool right, int *owed)
{
    int took;
    int whole = text_width(text);
    size_t n;

    if (whole == 0) {
        *owed += width;
        return;
    }
    if (whole <= width)
        n = text_fit(text, width, &took);
    else
        n = text_fit(text, width - 1, &took);
    spaces(out, *owed + (right && whole <= width ? width - took : 0));
    fwrite(text, 1, n, out);
    if (whole > width) {
        fputs("…", out);
        took++;
    }
    *owed = right && whole <= width ? 0 : width - took;
}

int table_print(struct table *t, FILE *out, int width, bool bold)
{
    int *widths = must_have(calloc((size_t)t->columns + 1, sizeof(*widths)));
    int shown = lay_out(t, widths, width);

    for (int r = -1; r < t->rows; r++) {
        int owed = 0;

        if (r < 0 && bold)
            fputs("\033[1m", out);
        for (int i = 0; i < shown; i++) {
            const char *cell = r < 0 ? t->heads[i] : t->cells[r * t->columns + i];

            if (i > 0)
                owed += GAP;
            print_cell(out, cell ? cell : "", widths[i], t->right[i], &owed);
        }
        fputs(r < 0 && bold ? "\033[0m\n" : "\n", out);
    }
    free(widths);
    return t->columns - shown;
}

/* ------------------------------------------------------------------ fields */

#define HINT_AT 32 /* column of a hint, counted from the values' */

struct field {
    char *label, *value, *hint;
};
struct fields {
    struct field *items;
    int count;
};

struct fields *fields_new(void)
{
    return must_have(calloc(1, sizeof(struct fields)));
}

void fields_free(struct fields *f)
{
    if (!f)
        return;
    for (int i = 0; i < f->count; i++) {
        free(f->items[i].label);
        free(f->items[i].value);
        free(f->items[i].hint);
    }
    free(f->items);
    free(f);
}

void fields_add(struct fields *f, const char *label, const char *fmt, ...)
{
    struct field *item;
    char *value = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&value, fmt, ap);
    va_end(ap);
    if (n < 0)
        value = must_have(NULL);
    f->items = must_have(realloc(f->items, ((size_t)f->count + 1) * sizeof(*f->items)));
    item = &f->items[f->count++];
    item->label = text_clean(label, strlen(label));
    item->value = text_clean(value, strlen(value));
    item->hint = NULL;
    free(value);
}

void fields_hint(struct fields *f, const char *hint)
{
    struct field *item = &f->items[f->count - 1];

    free(item->hint);
    item->hint = text_copy(hint, strlen(hint));
}

/* Writes @text in lines of at most @room columns, broken at spaces where there are any; every
 * line but the first is indented by @indent. */
static void wrap(FILE *out, const char *text, int indent, int room)
{
    while (*text) {
        int took;
        size_t n = text_fit(text, room, &took);
        size_t cut = n;

        if (text[n]) {
            while (cut > 0 && text[cut] != ' ')
                cut--;
            if (cut == 0)
                cut = n > 0 ? n : 1;
        }
        fwrite(text, 1, cut, out);
        text += cut;
        while (*text == ' ')
            text++;
        if (*text) {
            fputc('\n', out);
            spaces(out, indent);
        }
    }
}

void fields_print(const struct fields *f, FILE *out, int width)
{
    int indent = 0;
    int room;

    for (int i = 0; i < f->count; i++) {
        int w = text_width(f->items[i].label);

        if (w > indent)
            indent = w;
    }
    indent += 3;
    if (indent > width / 2) /* a long label: values begin at half the width, or below it */
        indent = width / 2;
    room = width - indent > 10 ? width - indent : 10;

    for (int i = 0; i < f->count; i++) {
        const struct field *item = &f->items[i];
        int w = text_width(item->label);
        int value = text_width(item->value);

        fputs(item->label, out);
        if (w + 1 > indent) {
            fputc('\n', out);
            w = 0;
        }
        if (*item->value)
            spaces(out, indent - w);
        wrap(out, item->value, indent, room);
        if (item->hint) {
            int hint = text_width(item->hint);

            if (value < HINT_AT - 1 && HINT_AT + hint <= room) {
                spaces(out, HINT_AT - value);
            } else {
                fputc('\n', out);
                spaces(out, indent);
            }
            fputs(item->hint, out);
        }
        fputc('\n', out);
    }
}
