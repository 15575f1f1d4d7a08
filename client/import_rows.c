#include "import.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ask.h"
#include "text.h"

#define BATCH_ROWS 500         /* go in one transaction */
#define BATCH_BYTES 400000     /* of a request, of which the daemon takes a megabyte */
#define ROW_BYTES_MAX 900000   /* of one row as a request holds it */

void import_begin(struct import *m, struct client *c, bool dry)
{
    *m = (struct import){.c = c, .dry = dry, .columns = json_array(), .rows = json_array(), .faults = json_array()};
}

void import_end(struct import *m)
{
    json_decref(m->columns);
    json_decref(m->by);
    json_decref(m->rows);
    json_decref(m->faults);
}

static void count(struct import *m, const json_t *result)
{
    json_t *fault;
    size_t i;

    m->added += get_number(result, "new");
    m->changed += get_number(result, "changed");
    m->same += get_number(result, "same");
    m->asked += get_number(result, "asked");
    json_array_foreach(get_array(result, "refused"), i, fault)
    {
        m->refused++;
        if (m->on_fault)
            m->on_fault(m->ctx, fault);
        json_array_append(m->faults, fault);
    }
}

int import_send(struct import *m)
{
    json_t *args, *result = NULL, *before = NULL;
    int status;

    if (json_array_size(m->rows) == 0)
        return CLIENT_DONE;
    args = json_object();
    ask_set_text(args, "table", m->table);
    ask_set_text(args, "source", m->source);
    if (m->dry)
        ask_set_flag(args, "dry");
    if (m->dry && m->before)
        before = m->before(m->ctx, m->rows);
    if (before)
        json_object_set_new(args, "before", before);
    if (m->by)
        json_object_set(args, "by", m->by);
    json_object_set(args, "columns", m->columns);
    json_object_set_new(args, "rows", m->rows);
    m->rows = json_array();
    m->bytes = 0;
    status = ask(m->c, "import", args, ASK_LONG_MS, &result);
    if (status == CLIENT_DONE)
        count(m, result);
    json_decref(result);
    return status;
}

/* Bytes of a text in a request. */
static size_t text_bytes(const char *text)
{
    size_t n = 3;

    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        n += *p < 0x20 || *p == 0x7f ? 6 : *p == '"' || *p == '\\' ? 2 : 1;
    return n;
}

static size_t row_bytes(const json_t *row)
{
    const json_t *cell, *inner;
    const char *key;
    size_t i, n = 16;

    json_array_foreach(row, i, cell)
    {
        n += json_is_string(cell) ? text_bytes(json_string_value(cell)) : 12;
        json_object_foreach((json_t *)(uintptr_t)cell, key, inner) n += text_bytes(key) + text_bytes(json_string_value(inner) ? json_string_value(inner) : "");
    }
    return n;
}

int import_row(struct import *m, json_t *row)
{
    size_t bytes = row_bytes(row), most = m->rows_max > 0 ? m->rows_max : BATCH_ROWS;
    int status = CLIENT_DONE;

    if (bytes > ROW_BYTES_MAX) {
        import_refuse(m, NULL, (int)json_integer_value(json_array_get(row, 0)), NULL, NULL, "the row has %zu bytes; %d are the most", bytes, ROW_BYTES_MAX);
        json_decref(row);
        return CLIENT_DONE;
    }
    if (json_array_size(m->rows) == most || (m->bytes + bytes > BATCH_BYTES && json_array_size(m->rows) > 0))
        status = import_send(m);
    if (status != CLIENT_DONE) {
        json_decref(row);
        return status;
    }
    m->bytes += bytes;
    json_array_append_new(m->rows, row);
    return CLIENT_DONE;
}

void import_refuse(struct import *m, const char *file, int line, const char *column, const char *value, const char *why, ...)
{
    char text[300];
    json_t *fault;
    va_list ap;

    va_start(ap, why);
    (void)vsnprintf(text, sizeof text, why, ap); /* cut short it still says why */
    va_end(ap);
    for (size_t n = strlen(text); n > 0 && !text_valid(text);) /* cut in a character */
        text[--n] = '\0';
    fault = must_have(json_pack("{s:i, s:s?, s:s, s:s?}", "line", line, "column", column, "why", text, "value", value));
    if (file)
        ask_set_text(fault, "file", file);
    m->refused++;
    json_array_append_new(m->faults, fault);
}

char *import_read_file(struct client *c, const char *path, size_t bytes_max, size_t *n)
{
    FILE *f = strcmp(path, "-") == 0 ? c->in : fopen(path, "rb");
    char *bytes = NULL;
    size_t cap = 0;

    *n = 0;
    if (!f) {
        text_say(c->err, "perche: %s: %s", path, strerror(errno));
        return NULL;
    }
    do {
        if (cap - *n < 65536)
            bytes = must_have(realloc(bytes, cap = cap * 2 + 131072));
        *n += fread(bytes + *n, 1, cap - *n - 1, f);
    } while (!feof(f) && !ferror(f) && *n <= bytes_max);
    if (ferror(f) || *n > bytes_max) {
        if (ferror(f))
            text_say(c->err, "perche: %s: it cannot be read", path);
        else
            text_say(c->err, "perche: %s: it has more than %zu MB: cut it in parts", path, bytes_max >> 20);
        free(bytes);
        bytes = NULL;
    }
    if (f != c->in)
        (void)fclose(f); /* read only: nothing can be lost */
    return bytes;
}
