#include "pages.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ask.h"
#include "text.h"

#define PAGE_ROWS 5000

int pages_next(struct pages *p, struct json_t **page)
{
    json_t *args = json_object(), *result = NULL;
    const char *next;
    int status;

    *page = NULL;
    if (p->ended) {
        json_decref(args);
        return CLIENT_DONE;
    }
    ask_set_text(args, "table", p->table);
    ask_set_text(args, "where", p->where);
    ask_set_number(args, "limit", PAGE_ROWS);
    ask_set_text(args, "after", p->after);
    if (p->offset > 0)
        ask_set_number(args, "offset", p->offset);
    status = ask(p->c, "list", args, ASK_LONG_MS, &result);
    if (status != CLIENT_DONE)
        return status;
    next = get_text(result, "next");
    p->offset += json_array_size(get_array(result, "rows"));
    p->ended = !json_is_true(json_object_get(result, "more"));
    if (*next) {
        free(p->after);
        p->after = text_copy(next, strlen(next));
        p->offset = 0;
    }
    *page = result;
    return CLIENT_DONE;
}

void pages_end(struct pages *p)
{
    free(p->after);
    p->after = NULL;
}

int pages_load(struct client *c, const char *table, json_t **out)
{
    struct pages pages = {.c = c, .table = table};
    json_t *page, *row;
    int status;
    size_t i;

    *out = json_array();
    while ((status = pages_next(&pages, &page)) == CLIENT_DONE && page) {
        json_array_foreach(get_array(page, "rows"), i, row)
        {
            json_t *doc = json_object();

            for (size_t k = 0; k < json_array_size(row); k++)
                json_object_set(doc, json_string_value(json_array_get(get_array(page, "columns"), k)), json_array_get(row, k));
            json_array_append_new(*out, doc);
        }
        json_decref(page);
    }
    pages_end(&pages);
    return status;
}
