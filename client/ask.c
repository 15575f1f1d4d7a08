#include "ask.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "perche/control.h"
#include "text.h"

int ask_failed(struct client *c, bool refused, const struct perche_err *err)
{
    static const char *const names[] = {
#define X(n, value, text) [-(value)] = #n,
        PERCHE_RC_MAP(X)
#undef X
    };
    char code[32];
    size_t i = 0;

    text_say(c->err, "perche: %s", err->text);
    if (c->json) {
        for (const char *p = names[-err->rc]; *p && i + 1 < sizeof(code); p++)
            code[i++] = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
        code[i] = '\0';
        json_t *doc = must_have(json_pack("{s:{s:s, s:s}}", "error", "code",
                                          refused ? code : "unreachable", "text", err->text));

        ask_print(c, doc);
        json_decref(doc);
    }
    if (!refused)
        return CLIENT_UNREACHABLE;
    return err->rc == PERCHE_USAGE ? CLIENT_USAGE : CLIENT_NO;
}

int ask_open(struct client *c, const char *command, struct json_t *args,
             struct perche_control **out)
{
    struct perche_control *control = NULL;
    struct perche_err err;
    enum perche_rc rc = perche_control_connect(c->socket, &control, &err);

    if (rc == PERCHE_OK)
        rc = perche_control_ask(control, command, args, &err);
    json_decref(args);
    if (rc == PERCHE_OK) {
        *out = control;
        return CLIENT_DONE;
    }
    perche_control_free(control);
    return ask_failed(c, rc == PERCHE_TOO_LARGE, &err); /* too large: nobody was asked, no */
}

int ask(struct client *c, const char *command, struct json_t *args, int timeout_ms,
        struct json_t **result)
{
    struct perche_control *control;
    struct perche_control_answer answer;
    struct perche_err err;
    int status = ask_open(c, command, args, &control);

    if (status != CLIENT_DONE)
        return status;
    for (;;) {
        if (perche_control_next(control, timeout_ms, &answer, &err) != PERCHE_OK) {
            status = ask_failed(c, false, &err);
            break;
        }
        if (answer.kind == PERCHE_CONTROL_DONE) {
            *result = json_incref(answer.value);
            perche_control_answer_clear(&answer);
            break;
        }
        if (answer.kind == PERCHE_CONTROL_REFUSED) {
            status = ask_failed(c, true, &answer.no);
            break;
        }
        perche_control_answer_clear(&answer); /* an event that nobody asked for */
    }
    perche_control_free(control);
    return status;
}

void ask_print(struct client *c, const struct json_t *doc)
{
    size_t layout = c->stream ? JSON_COMPACT : JSON_INDENT(2);
    char *text = must_have(json_dumps(doc, layout | JSON_ENCODE_ANY));

    fprintf(c->out, "%s\n", text);
    free(text);
}

/* --------------------------------------------------------------- arguments */

void ask_set_text(struct json_t *args, const char *name, const char *text)
{
    if (text)
        json_object_set_new(args, name, must_have(json_string(text)));
}

void ask_set_number(struct json_t *args, const char *name, uint64_t n)
{
    json_object_set_new(args, name, must_have(json_integer((json_int_t)n)));
}

void ask_set_flag(struct json_t *args, const char *name)
{
    json_object_set_new(args, name, json_true());
}

/* --------------------------------------------------------------- documents */

const char *get_text(const struct json_t *doc, const char *name)
{
    const char *text = json_string_value(json_object_get(doc, name));

    return text ? text : "";
}

uint64_t get_number(const struct json_t *doc, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(doc, name));

    return n > 0 ? (uint64_t)n : 0;
}

bool get_time(const struct json_t *doc, const char *name, uint64_t *ms)
{
    return text_iso(get_text(doc, name), ms);
}

struct json_t *get_array(const struct json_t *doc, const char *name)
{
    json_t *array = json_object_get(doc, name);

    return json_is_array(array) ? array : NULL;
}

char *get_member_shown(const struct json_t *doc, const char *name)
{
    char bytes[64];

    (void)snprintf(bytes, sizeof bytes, "%s_bytes", name);
    if (!json_is_integer(json_object_get(doc, bytes)))
        return get_shown(json_object_get(doc, name));
    return text_print("(%.1f MB, too much to be shown)", (double)get_number(doc, bytes) / 1e6);
}

char *get_shown(const struct json_t *value)
{
    if (!value || json_is_null(value))
        return text_copy("", 0);
    if (json_is_string(value))
        return text_clean(json_string_value(value), json_string_length(value));
    return must_have(json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15)));
}

char *get_exact(const struct json_t *value)
{
    char text[40];

    if (!json_is_real(value))
        return must_have(json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT));
    (void)snprintf(text, sizeof text, "%.15g", json_real_value(value));
    if (strtod(text, NULL) != json_real_value(value))
        (void)snprintf(text, sizeof text, "%.17g", json_real_value(value));
    return text_copy(text, strlen(text));
}
