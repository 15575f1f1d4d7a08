#include "replica/rule.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct lexer {
    const char *p;
    char word[PERCHE_SCOPE_BYTES_MAX]; /* of the last word() */
    bool quoted;
    enum perche_rc rc;
};

static void skip(struct lexer *l)
{
    while (*l->p == ' ' || *l->p == '\t' || *l->p == '\n' || *l->p == '\r')
        l->p++;
}

static bool refuse(struct lexer *l)
{
    if (l->rc == PERCHE_OK)
        l->rc = PERCHE_REFUSED;
    return false;
}

/* Takes @c if it is next. */
static bool mark(struct lexer *l, char c)
{
    skip(l);
    if (*l->p != c)
        return false;
    l->p++;
    return true;
}

/* Takes a name or constant into l->word. */
static bool word(struct lexer *l)
{
    size_t n = 0;
    char quote;

    skip(l);
    quote = *l->p == '"' || *l->p == '\'' ? *l->p++ : '\0';
    l->quoted = quote != '\0';
    for (;; l->p++) {
        if (quote != '\0') {
            if (*l->p == '\0')
                return refuse(l);
            if (*l->p == quote && *++l->p != quote) /* a doubled one stands for itself */
                break;
        } else if (*l->p == '\0' || strchr(" \t\r\n,;().\"'", *l->p) != NULL) {
            break;
        }
        if (n == sizeof l->word - 1)
            return refuse(l);
        l->word[n++] = *l->p;
    }
    l->word[n] = '\0';
    return n > 0 || quote == '\'' || refuse(l);
}

/* Takes @keyword if it is next. */
static bool keyword(struct lexer *l, const char *keyword)
{
    struct lexer ahead;
    size_t n = strlen(keyword);

    skip(l);
    if (strncasecmp(l->p, keyword, n) != 0)
        return false;
    ahead.p = l->p + n;
    if (*ahead.p != '\0' && strchr(" \t\r\n,;(", *ahead.p) == NULL)
        return false;
    l->p = ahead.p;
    return true;
}

static char *copy(struct lexer *l)
{
    char *text = strdup(l->word);

    if (text == NULL)
        l->rc = PERCHE_NOMEM;
    return text;
}

static struct rule_part *add_part(struct table *t, struct lexer *l)
{
    struct rule_part *parts = realloc(t->parts, (t->parts_count + 1) * sizeof *parts);

    if (parts == NULL) {
        l->rc = PERCHE_NOMEM;
        return NULL;
    }
    t->parts = parts;
    parts += t->parts_count++;
    memset(parts, 0, sizeof *parts);
    parts->key_index = -1;
    return parts;
}

/* The word is a column of @t. */
static bool own_column(const struct table *t, struct lexer *l, struct rule_part *part)
{
    for (uint32_t i = 0; i < t->keys_count; i++)
        if (t->keys[i].name != NULL && strcmp(t->keys[i].name, l->word) == 0) {
            part->key_index = (int)i;
            return true;
        }
    for (uint32_t i = 0; i < t->columns_count; i++)
        if (strcmp(t->columns[i].name, l->word) == 0 && l->word[0] != '\0') {
            part->num = t->columns[i].num;
            return true;
        }
    if (!t->present) { /* one of its key then, which only the file knows; no key has so many columns, so nobody finds a value there */
        part->key_index = PERCHE_KEY_COLUMNS_MAX;
        return true;
    }
    return refuse(l);
}

static bool own(struct table *t, struct lexer *l)
{
    struct rule_part *part;

    do {
        part = add_part(t, l);
        if (part == NULL || !word(l) || !own_column(t, l, part))
            return false;
    } while (mark(l, ','));
    return true;
}

static bool parent(struct table *t, struct lexer *l)
{
    struct rule_part *part;

    do {
        part = add_part(t, l);
        if (part == NULL || !word(l) || (part->table = copy(l)) == NULL)
            return false;
        if (!mark(l, '(') || !word(l) || !own_column(t, l, part) || !mark(l, ')'))
            return refuse(l);
    } while (mark(l, ','));
    return true;
}

static bool condition(struct lexer *l, struct rule_part *part)
{
    if (!word(l) || (part->cond_column = copy(l)) == NULL)
        return false;
    part->cond_not = keyword(l, "NOT");
    if (!keyword(l, "IN") || !mark(l, '('))
        return refuse(l);
    do {
        char **values = realloc(part->cond_values, (part->cond_values_count + 1) * sizeof *values);

        if (values == NULL) {
            l->rc = PERCHE_NOMEM;
            return false;
        }
        part->cond_values = values;
        if (!word(l) || (values[part->cond_values_count] = copy(l)) == NULL)
            return false;
        part->cond_values_count++;
    } while (mark(l, ','));
    return mark(l, ')') || refuse(l);
}

static bool members(struct table *t, struct lexer *l)
{
    struct rule_part *part = add_part(t, l);

    if (part == NULL || !word(l) || !own_column(t, l, part))
        return false;
    while (mark(l, ';')) {
        part = add_part(t, l);
        if (part == NULL || !word(l) || (part->table = copy(l)) == NULL)
            return false;
        if (!mark(l, '.') || !word(l) || (part->child_site = copy(l)) == NULL)
            return refuse(l);
        if (!keyword(l, "via") || !word(l) || (part->child_via = copy(l)) == NULL)
            return refuse(l);
        if (keyword(l, "where") && !condition(l, part))
            return false;
    }
    return true;
}

enum perche_rc rule_parse(struct table *t, const char *text)
{
    struct lexer l = {.p = text, .rc = PERCHE_OK};
    bool ok;

    if (mark(&l, '*')) {
        t->rule = RULE_ALL;
        ok = true;
    } else if (keyword(&l, "hub")) {
        t->rule = RULE_HUB;
        ok = true;
    } else if (keyword(&l, "own")) {
        t->rule = RULE_OWN;
        ok = own(t, &l);
    } else if (keyword(&l, "parent")) {
        t->rule = RULE_PARENT;
        ok = parent(t, &l);
    } else if (keyword(&l, "members")) {
        t->rule = RULE_MEMBERS;
        ok = members(t, &l);
    } else {
        ok = false;
    }
    skip(&l);
    if (!ok || *l.p != '\0')
        (void)refuse(&l);
    return l.rc;
}

void rule_free(struct table *t)
{
    for (uint32_t i = 0; i < t->parts_count; i++) {
        struct rule_part *part = &t->parts[i];

        free(part->table);
        free(part->child_site);
        free(part->child_via);
        free(part->cond_column);
        for (uint32_t k = 0; k < part->cond_values_count; k++)
            free(part->cond_values[k]);
        free(part->cond_values);
    }
    free(t->parts);
    t->parts = NULL;
    t->parts_count = 0;
}
