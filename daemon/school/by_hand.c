/* `perche add`, `set`, `void` and `delete`: one record by hand. */
#include "school/by_hand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/pack.h"
#include "replica/query.h"
#include "school/called.h"
#include "school/duplicates.h"
#include "school/entry.h"
#include "school/school.h"

#define VOID_REASON_MAX 500u

char *school_reader(struct replica *r, struct table *t, const char *column, const char *text)
{
    struct entry_fault fault = {"", ""};
    struct entry_value value = {0};
    struct entry_table e = {0};
    char *read = NULL, number[32];
    int c;

    if (entry_open(r, t, &e) == PERCHE_OK && (c = entry_column(&e, column, &fault)) >= 0) {
        if (!entry_read(r, &e, (uint32_t)c, text, &value, &fault))
            (void)entry_failed(r, &fault);
        if (value.kind == 'r')
            (void)snprintf(number, sizeof number, "%.17g", value.r);
        else
            (void)snprintf(number, sizeof number, "%lld", (long long)value.i);
        if (r->fail == PERCHE_OK && value.kind != 'n' && (read = strdup(value.kind == 't' ? value.text : number)) == NULL)
            (void)fail(r, PERCHE_NOMEM, "no memory for a value");
    }
    free(value.text);
    entry_close(&e);
    return read;
}

/* The key's values as a JSON array; malloc(). */
static char *key_json(struct replica *r, const struct entry_value *values, uint32_t count)
{
    char query[PERCHE_KEY_COLUMNS_MAX * 5 + 32] = "SELECT json_array(", *json = NULL;
    sqlite3_stmt *s;

    for (uint32_t i = 0; i < count; i++)
        (void)snprintf(query + strlen(query), sizeof query - strlen(query), "%s?%u", i > 0 ? ", " : "", i + 1);
    s = ask(r, strcat(query, ")")); /* it fits */
    for (uint32_t i = 0; s != NULL && i < count; i++)
        entry_bind(s, (int)i + 1, &values[i]);
    if (ask_row(r, s, "write a key") && (json = strdup(ask_text(s, 0))) == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a key");
    sqlite3_finalize(s);
    return json;
}

/* One value of a key, as people say it. False: nothing is called so, and *fault may say more, or r->fail. */
static bool read_key_value(struct replica *r, struct entry_table *e, uint32_t column, const char *text, struct entry_value *out, struct entry_fault *fault)
{
    const struct entry_column *c = &e->columns[column];
    bool several = e->count > 1 && e->columns[1].is_key;
    char refers[2 * PERCHE_NAME_BYTES_MAX];
    struct called who;

    if (c->refers != NULL || c->code_list != NULL || c->kind != ENTRY_TEXT || entry_is_uuid(text))
        return *text != '\0' && entry_read(r, e, column, text, out, fault);
    (void)snprintf(refers, sizeof refers, "%s(%s)", e->t->name, c->name);
    if (called_find(r, refers, text, NULL, &who) != PERCHE_OK)
        return false;
    if (who.count == 0)
        return several && entry_read(r, e, column, text, out, fault);
    if (who.count > 1)
        return entry_fault_is(fault, c->name, "%s%u rows of %s are called \"%.60s\": give the id of one: %s", who.more ? "more than " : "", who.count, e->t->name, text, who.ids);
    out->given = true;
    return entry_set_text(r, out, who.id);
}

static char *school_find(struct replica *r, struct table *t, const char *args, const char *path)
{
    sqlite3_stmt *s = ask(r, "SELECT value FROM json_each(?1, ?2)"); /* of a text there is one, itself */
    struct entry_value values[PERCHE_KEY_COLUMNS_MAX] = {{0}};
    struct entry_fault fault = {"", ""};
    struct entry_table e = {0};
    uint32_t n = 0;
    char *json = NULL;
    bool ok = entry_open(r, t, &e) == PERCHE_OK;

    ask_bind_text(s, 1, args);
    ask_bind_text(s, 2, path);
    while (ok && ask_row(r, s, "read a key")) {
        ok = n < PERCHE_KEY_COLUMNS_MAX && n < e.count && e.columns[n].is_key && read_key_value(r, &e, n, ask_text(s, 0), &values[n], &fault);
        n += ok;
    }
    sqlite3_finalize(s);
    if (ok && r->fail == PERCHE_OK && n > 0 && (n == e.count || !e.columns[n].is_key))
        json = key_json(r, values, n);
    else if (r->fail == PERCHE_OK && *fault.why != '\0')
        (void)fail(r, PERCHE_NOT_FOUND, "%s", fault.why);
    for (uint32_t i = 0; i < PERCHE_KEY_COLUMNS_MAX; i++)
        free(values[i].text);
    entry_close(&e);
    return json;
}

static const char *school_query(struct replica *r, struct table *t, const char *column)
{
    sqlite3_stmt *s = ask(r, "SELECT refers FROM perche_column WHERE tab = ?1 AND col = ?2");
    const char *query;

    ask_bind_text(s, 1, t->name);
    ask_bind_text(s, 2, column);
    query = ask_row(r, s, "read what a column names") ? called_query(ask_text(s, 0)) : NULL;
    sqlite3_finalize(s);
    return query;
}

const struct replica_naming school_naming = {school_find, school_query};

/* The members of the argument "values", as text. */
static bool take_values(struct replica *r, struct args *a, struct entry_table *e, struct entry_value *values, struct entry_fault *fault)
{
    sqlite3_stmt *s = ask(r, "SELECT key, iif(type = 'true', '1', iif(type = 'false', '0', value)) FROM json_each(?1, '$.values')");
    bool ok = true;

    ask_bind_text(s, 1, a->text);
    while (ok && ask_row(r, s, "read the values")) {
        int column = entry_column(e, ask_text(s, 0), fault);

        ok = column >= 0 && entry_read(r, e, (uint32_t)column, ask_text(s, 1), &values[column], fault);
    }
    sqlite3_finalize(s);
    return ok && r->fail == PERCHE_OK && entry_lawful(r, e, values, fault);
}

/* The row as `perche show` has it, harvested, so that it says when and where. @key: a JSON array. */
static enum perche_rc write_back(struct replica *r, const struct table *t, const char *key, struct json *j)
{
    char *text = sqlite3_mprintf("{\"table\":\"%w\",\"id\":%s}", t->name, key); /* a table's name has no control characters */
    struct args show = {0};

    if (text == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a record");
    if (harvest_all(r) == PERCHE_OK && args_parse(r, text, &show) == PERCHE_OK)
        (void)query_show(r, &show, j);
    args_free(&show);
    sqlite3_free(text);
    return r->fail;
}

/* May this site write the row, which is harvested? Else the hub would refuse it, and put it back when nobody is looking any more. @key: a JSON
 * array; @fresh: a new row, which may be given away where any holder may move it. */
static enum perche_rc check_ours(struct replica *r, struct table *t, const char *key, bool fresh)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint8_t encoded[PERCHE_KEY_BYTES_MAX];
    uint32_t n;
    struct meta m;
    bool may = true;

    if (r->hub || t->rule == RULE_ALL || (fresh && t->mover_holder && t->rule != RULE_PARENT) || !ask_key_parse(r, t, key, encoded, &n) ||
        meta_load(r, t, (struct perche_bytes){encoded, n}, &m) != PERCHE_OK)
        return r->fail;
    if (m.stored && row_values(r, &m, values) == PERCHE_OK)
        may = rights_here(r, &m, values);
    meta_clear(&m);
    if (r->fail != PERCHE_OK || may)
        return r->fail;
    return fail(r, PERCHE_REFUSED, t->rule == RULE_HUB      ? "rows of %s are the hub's alone; nothing was written"
                                   : t->rule == RULE_PARENT ? "this row of %s belongs to a record of another site, which this one may only read: it is written there, or at the hub; nothing was written"
                                                            : "this row of %s is another site's: it is written there, or at the hub; nothing was written", t->name);
}

/* What stands on the attendance sheets, also when the learner has left this site. */
static bool name_entry(struct replica *r, const struct entry_table *e, struct entry_value *values)
{
    struct entry_fault fault = {"", ""};
    int learner = strcmp(e->t->name, "enrolment") == 0 ? entry_column(e, "learner_id", &fault) : -1, name = learner < 0 ? -1 : entry_column(e, "name_at_entry", &fault);
    sqlite3_stmt *s;

    if (name < 0 || values[name].given || values[learner].kind != 't')
        return true;
    s = ask(r, "SELECT name FROM learner_name WHERE learner_id = ?1 AND name IS NOT NULL");
    if (s != NULL)
        entry_bind(s, 1, &values[learner]);
    if (ask_row(r, s, "look for a name") && entry_set_text(r, &values[name], ask_text(s, 0)))
        values[name].given = true;
    sqlite3_finalize(s);
    return r->fail == PERCHE_OK;
}

static const char *value_text(const struct entry_table *e, const struct entry_value *values, const char *column)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (strcmp(e->columns[i].name, column) == 0)
            return values[i].given && values[i].kind == 't' ? values[i].text : "";
    return "";
}

/* A line that was put right, typed or taken in once more without its id, would make a second learner without a word. */
static enum perche_rc check_new_person(struct replica *r, const struct entry_table *e, const struct entry_value *values)
{
    const struct duplicates_names who = {value_text(e, values, "birth_family_name"), value_text(e, values, "use_family_name"), value_text(e, values, "given_names"),
                                         value_text(e, values, "call_name"), value_text(e, values, "birth_date")};
    char id[PERCHE_ID_BYTES_MAX];

    if (duplicates_here(r, &who, id) != PERCHE_OK || *id == '\0')
        return r->fail;
    return fail(r, PERCHE_STATE, "somebody of this name, born on %s, is here already: %s; nothing was written. perche set learner changes what is recorded of that person;"
                                 " where this is another one, perche add ... --anyway", who.born, id);
}

enum perche_rc command_add(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    struct table *t = ask_table(r, a);
    struct entry_fault fault = {"", ""};
    struct entry_table e = {0};
    struct entry_value *values = NULL;
    bool anyway = args_true(r, a, "anyway");
    char *key = NULL;

    (void)w;
    if (t == NULL || r->fail != PERCHE_OK || entry_open(r, t, &e) != PERCHE_OK)
        return r->fail;
    values = calloc(e.count, sizeof *values);
    if (values == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a record");
    else if (!take_values(r, a, &e, values, &fault) || !name_entry(r, &e, values) || !entry_complete(r, &e, values, &fault) || !entry_plausible(&e, values, NULL, &fault))
        (void)entry_failed(r, &fault);
    else if (!anyway && strcmp(t->name, "learner") == 0 && check_new_person(r, &e, values) != PERCHE_OK)
        ; /* r->fail says who */
    else if (!entry_insert(r, &e, values, &key, &fault))
        (void)entry_failed(r, &fault);
    else if (harvest_all(r) == PERCHE_OK && check_ours(r, t, key, true) == PERCHE_OK)
        (void)write_back(r, t, key, j);
    sqlite3_free(key);
    entry_values_free(values, e.count);
    entry_close(&e);
    return r->fail;
}

/* The key that "id" names, into the values of the key's columns. */
static bool take_key(struct replica *r, struct args *a, const struct entry_table *e, struct entry_value *values, char **json)
{
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    struct perche_value keys[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    uint32_t key_n, n = 0;

    if (harvest_all(r) != PERCHE_OK || ask_key(r, a, "id", e->t, key, &key_n) != PERCHE_OK || (*json = ask_key_json(r, (struct perche_bytes){key, key_n})) == NULL)
        return false;
    if (perche_key_decode((struct perche_bytes){key, key_n}, keys, &n, scratch) != PERCHE_OK)
        return false;
    for (uint32_t i = 0; i < e->count && i < n; i++) { /* the key's columns come first */
        values[i].given = true;
        values[i].kind = keys[i].type == PERCHE_INTEGER ? 'i' : 't';
        values[i].i = keys[i].i;
        free(values[i].text);
        values[i].text = keys[i].type == PERCHE_TEXT ? strndup((const char *)keys[i].p, keys[i].n) : NULL;
        if (keys[i].type == PERCHE_TEXT && values[i].text == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for a key") == PERCHE_OK;
    }
    return true;
}

static bool put_text(struct replica *r, const struct entry_table *e, struct entry_value *values, const char *column, const char *text)
{
    struct entry_fault fault = {"", ""};
    int i = entry_column(e, column, &fault);

    if (i < 0 || values[i].given)
        return true;
    values[i] = (struct entry_value){.given = true, .kind = 't', .text = strdup(text)};
    return values[i].text != NULL || fail(r, PERCHE_NOMEM, "no memory for a value") == PERCHE_OK;
}

/* A decision that a person changes is that person's: the hub makes only its own anew (decision_own). */
static bool sign_decision(struct replica *r, const struct entry_table *e, struct entry_value *values)
{
    struct entry_fault fault = {"", ""};
    int i;

    if (strcmp(e->t->name, "outcome_decision") != 0 || (i = entry_column(e, "situation", &fault)) < 0 || !values[i].given)
        return true;
    return put_text(r, e, values, "rule", "MANUAL") && put_text(r, e, values, "decided_by", r->node.site) && put_text(r, e, values, "decided_at", e->now);
}

static bool still_plausible(struct replica *r, struct entry_table *e, const struct entry_value *values, struct entry_fault *fault)
{
    sqlite3_stmt *s = entry_present(r, e, values);
    bool yes = ask_row(r, s, "read a record") && entry_plausible(e, values, s, fault);

    entry_done(s);
    return yes;
}

enum perche_rc command_set(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    struct table *t = ask_table(r, a);
    struct entry_fault fault = {"", ""};
    struct entry_table e = {0};
    struct entry_value *values = NULL;
    char *key = NULL;
    bool ok = true;

    (void)w;
    if (t == NULL || entry_open(r, t, &e) != PERCHE_OK)
        return r->fail;
    if (e.append) {
        entry_close(&e);
        return fail(r, PERCHE_USAGE, "a row of %s is never changed: add the right one, with the id of this one as voids; or take it back with perche void", t->name);
    }
    values = calloc(e.count, sizeof *values);
    if (values == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a record");
    ok = values != NULL && take_values(r, a, &e, values, &fault);
    for (uint32_t i = 0; ok && i < e.count; i++)
        if (e.columns[i].is_key && values[i].given) {
            (void)snprintf(fault.column, sizeof fault.column, "%s", e.columns[i].name);
            (void)snprintf(fault.why, sizeof fault.why, "a key is never changed: delete the row and add another");
            ok = false;
        }
    ok = ok && sign_decision(r, &e, values);
    if (!ok)
        (void)entry_failed(r, &fault);
    else if (take_key(r, a, &e, values, &key) && !entry_exists(r, &e, values) && r->fail == PERCHE_OK)
        (void)fail(r, PERCHE_NOT_FOUND, "there is no such row in %s (any more)", t->name);
    else if (r->fail != PERCHE_OK || check_ours(r, t, key, false) != PERCHE_OK)
        ; /* r->fail says why */
    else if (!still_plausible(r, &e, values, &fault) || !entry_update(r, &e, values, &fault))
        (void)entry_failed(r, &fault);
    else
        (void)write_back(r, t, key, j);
    free(key);
    entry_values_free(values, e.count);
    entry_close(&e);
    return r->fail;
}

/* ---- void --------------------------------------------------------------------------- */

static bool has_column(const struct entry_table *e, const char *name)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (strcmp(e->columns[i].name, name) == 0)
            return true;
    return false;
}

/* Does the row with the key of @values still say something? Else r->fail says since when it does not. */
static bool still_counts(struct replica *r, const struct entry_table *e, const struct entry_value *values)
{
    char *text = sqlite3_mprintf("SELECT t.void_reason, v.\"%w\", v.void_reason FROM \"%w\" t LEFT JOIN \"%w\" v ON v.voids = t.\"%w\" WHERE t.\"%w\" = ?1 ORDER BY 2 LIMIT 1",
                                 e->columns[0].name, e->t->name, e->t->name, e->columns[0].name, e->columns[0].name);
    sqlite3_stmt *s = text != NULL ? ask(r, text) : NULL;

    if (text == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a statement");
    ask_bind_text(s, 1, values[0].text);
    if (!ask_row(r, s, "look for what takes a row back") && r->fail == PERCHE_OK)
        (void)fail(r, PERCHE_NOT_FOUND, "there is no such row in %s (any more)", e->t->name);
    else if (r->fail == PERCHE_OK && sqlite3_column_type(s, 0) != SQLITE_NULL)
        (void)fail(r, PERCHE_STATE, "that row itself takes another one back (\"%s\"): add the right row instead", ask_text(s, 0));
    else if (r->fail == PERCHE_OK && sqlite3_column_type(s, 1) != SQLITE_NULL)
        (void)fail(r, PERCHE_STATE, sqlite3_column_type(s, 2) != SQLITE_NULL ? "that row is taken back already, by %s (\"%s\")" : "that row is corrected already, by %s%s",
                   ask_text(s, 1), ask_text(s, 2));
    sqlite3_finalize(s);
    sqlite3_free(text);
    return r->fail == PERCHE_OK;
}

enum perche_rc command_void(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    struct table *t = ask_table(r, a);
    struct entry_fault fault = {"", ""};
    struct entry_table e = {0};
    struct entry_value *values = NULL;
    char *key = NULL, *made = NULL, reason[VOID_REASON_MAX];

    (void)w;
    if (t == NULL || args_need(r, a, "reason", reason, sizeof reason) != PERCHE_OK || entry_open(r, t, &e) != PERCHE_OK)
        return r->fail;
    if (!has_column(&e, "voids") || !has_column(&e, "void_reason") || !e.key_minted || e.columns[1].is_key)
        (void)fail(r, PERCHE_USAGE, "a row of %s is never taken back: %s", t->name, e.append ? "it stays" : "put it right with perche set");
    else if ((values = calloc(e.count, sizeof *values)) == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a record");
    else if (take_key(r, a, &e, values, &key) && still_counts(r, &e, values) && check_ours(r, t, key, false) == PERCHE_OK) {
        if (!entry_void(r, &e, values, reason, &made, &fault))
            (void)entry_failed(r, &fault);
        else
            (void)write_back(r, t, made, j);
    }
    free(key);
    sqlite3_free(made);
    entry_values_free(values, e.count);
    entry_close(&e);
    return r->fail;
}

/* ---- delete ------------------------------------------------------------------------- */

/* What is done instead in a table of which a person deletes nothing; NULL: rows of it may go. */
static const char *instead_of_deleting(const struct entry_table *e)
{
    static const char *const people[][2] = {
        {"learner", "a person is never deleted by hand: who was registered twice is said to be one at the hub (perche duplicates), and who is to be forgotten is erased there"},
        {"enrolment", "an enrolment is ended, not deleted: perche set enrolment ID actual_end=DAY exit_reason=REASON; one that never began:"
                      " perche add enrolment_status_event enrolment_id=ID status=NEVER_STARTED effective_on=DAY"},
    };

    for (size_t i = 0; i < sizeof people / sizeof *people; i++)
        if (strcmp(people[i][0], e->t->name) == 0)
            return people[i][1];
    if (e->append && has_column(e, "void_reason"))
        return "what is recorded there stays: a row that was never right is taken back: perche void TABLE ID --reason TEXT";
    if (e->append)
        return "what is recorded there stays";
    if (e->t->policy == POLICY_HUB)
        return "reference data is closed (valid_to, a state), or put right with perche set, at the hub: rows of other sites name it";
    if (e->t->chained)
        return "what was decided is put right with perche set; a decision that no observation bears out any more the hub takes back by itself";
    if (e->t->policy == POLICY_REVIEW)
        return "it is put right with perche set; where it has a state, that says that it is over";
    return NULL;
}

/* Does a row name the one whose key is @values[0]? Then r->fail says which and what to do. */
static enum perche_rc check_unnamed(struct replica *r, const struct entry_table *e, const struct entry_value *values)
{
    sqlite3_stmt *s = ask(r, "SELECT tab, col FROM perche_column WHERE refers = ?1 || '(' || ?2 || ')' ORDER BY tab, col");

    ask_bind_text(s, 1, e->t->name);
    ask_bind_text(s, 2, e->columns[0].name);
    while (ask_row(r, s, "look for what names a table")) {
        const struct table *by = registry_table(r, ask_text(s, 0));
        char *text = by != NULL && by->present ? sqlite3_mprintf("SELECT count(*) FROM (SELECT 1 FROM \"%w\" WHERE \"%w\" = ?1 LIMIT 1000)", by->name, ask_text(s, 1)) : NULL;
        sqlite3_stmt *count = text != NULL ? ask(r, text) : NULL;

        if (by != NULL && by->present && text == NULL)
            (void)fail(r, PERCHE_NOMEM, "no memory for a statement");
        if (count != NULL)
            entry_bind(count, 1, &values[0]);
        if (ask_row(r, count, "look for what names a row") && sqlite3_column_int(count, 0) > 0)
            (void)fail(r, PERCHE_STATE, "%d row%s of %s name it (%s): %s; nothing was deleted", sqlite3_column_int(count, 0), sqlite3_column_int(count, 0) == 1 ? "" : "s", by->name, ask_text(s, 1),
                       strcmp(e->t->name, "half_day") == 0 ? "it is cancelled, with what was marked: perche plan COHORT --from DAY --half AM|PM --cancel" : "they go first, if they may");
        sqlite3_finalize(count);
        sqlite3_free(text);
        if (r->fail != PERCHE_OK)
            break;
    }
    sqlite3_finalize(s);
    return r->fail;
}

enum perche_rc command_delete(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    struct table *t = ask_table(r, a);
    struct entry_fault fault = {"", ""};
    struct entry_table e = {0};
    struct entry_value *values = NULL;
    const char *instead;
    char *key = NULL;

    (void)w;
    if (t == NULL || entry_open(r, t, &e) != PERCHE_OK)
        return r->fail;
    instead = t->is_system ? "that is the daemon's own" : instead_of_deleting(&e);
    if (instead != NULL)
        (void)fail(r, PERCHE_USAGE, "a row of %s is not deleted: %s", t->name, instead);
    else if ((values = calloc(e.count, sizeof *values)) == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a record");
    else if (take_key(r, a, &e, values, &key) && !entry_exists(r, &e, values) && r->fail == PERCHE_OK)
        (void)fail(r, PERCHE_NOT_FOUND, "there is no such row in %s (any more)", t->name);
    else if (r->fail == PERCHE_OK && check_ours(r, t, key, false) == PERCHE_OK && (t->keys_count > 1 || check_unnamed(r, &e, values) == PERCHE_OK)) {
        out_key(j, "was");
        out_open(j, '{');
        (void)write_back(r, t, key, j);
        out_close(j, '}');
        if (r->fail == PERCHE_OK && !entry_delete(r, &e, values, &fault))
            (void)entry_failed(r, &fault);
        out_key(j, "deleted");
        out_bool(j, r->fail == PERCHE_OK);
    }
    free(key);
    entry_values_free(values, e.count);
    entry_close(&e);
    return r->fail;
}
