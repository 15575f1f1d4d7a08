/* The views are left out but for the names that labels are made of. */
#include "tables.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "schema/schema.h"

static const char *const used[] = {
    "code_list", "organisation", "network", "site", "site_reader", "site_key", "training", /* the hub's */
    "learner", "learner_contact", "enrolment", "application", "transfer", "referral",      /* and who is a member of a learner */
    "cohort", "enrolment_status_event", "half_day", "attendance", "project", "housing_unit", "housing_lease",
    "outcome_observation", "outcome_decision",
    "indicator_definition", "outcome_mapping", /* seeds */
};

static bool is_used(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        if (strlen(used[i]) == n && memcmp(used[i], name, n) == 0)
            return true;
    return false;
}

/* Behind white space and comments. */
static const char *past_comments(const char *s)
{
    for (;;) {
        s += strspn(s, " \t\r\n");
        if (strncmp(s, "--", 2) != 0)
            return s;
        s += strcspn(s, "\n");
    }
}

/* Behind the ; that ends the statement at @s. */
static const char *statement_end(const char *s)
{
    for (; *s != '\0' && *s != ';'; s++) {
        if (*s == '\'')
            s += 1 + strcspn(s + 1, "'"); /* a doubled one begins the next */
        else if (strncmp(s, "--", 2) == 0)
            s += strcspn(s, "\n");
        if (*s == '\0')
            return s;
    }
    return s + (*s == ';');
}

/* The table that the statement makes, gives an index or registers; *n = 0: none. */
static const char *subject(const char *s, size_t *n)
{
    static const char create[] = "CREATE TABLE ", index[] = "CREATE INDEX ", insert[] = "INSERT INTO perche_";
    const char *end = statement_end(s), *name = s;

    *n = 0;
    if (strncmp(s, create, sizeof create - 1) == 0) {
        name += sizeof create - 1;
    } else if (strncmp(s, index, sizeof index - 1) == 0) {
        name = strstr(s, " ON ");
        if (name == NULL || name > end)
            return s;
        name += 4;
    } else if (strncmp(s, insert, sizeof insert - 1) == 0) {
        name = strchr(s, '\'');
        if (name == NULL || name > end)
            return s;
        name++;
    } else {
        return s;
    }
    while (isalnum((unsigned char)name[*n]) || name[*n] == '_')
        ++*n;
    return name;
}

static char *filtered(const char *text)
{
    char *out = malloc(strlen(text) + 1);
    size_t len = 0;

    if (out == NULL)
        abort();
    for (const char *s = past_comments(text), *end; *s != '\0'; s = past_comments(end)) {
        size_t n;
        const char *name = subject(s, &n);

        end = statement_end(s);
        if (n > 0 && strncmp(name, "perche_", 7) != 0 && !is_used(name, n))
            continue;
        memcpy(out + len, s, (size_t)(end - s));
        len += (size_t)(end - s);
    }
    out[len] = '\0';
    return out;
}

const struct schema_file *tables_of_tests(size_t *count)
{
    static struct schema_file *files;
    static size_t n;

    if (files == NULL) {
        files = calloc(schema_files_count, sizeof *files);
        if (files == NULL)
            abort();
        for (size_t i = 0; i < schema_files_count; i++) {
            const struct schema_file *f = &schema_files[i];

            if (f->number >= SCHEMA_VIEWS_FROM && strcmp(f->name, "091_names") != 0)
                continue;
            files[n] = *f;
            if (f->number < SCHEMA_VIEWS_FROM)
                files[n].sql = filtered(f->sql);
            n++;
        }
    }
    *count = n;
    return files;
}
