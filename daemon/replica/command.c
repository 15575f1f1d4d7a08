#include "replica/command.h"

#include <string.h>

enum { HUB = 1, SITE = 2 };

static const struct {
    const char *name;
    int where;
    command_cb run;
} commands[] = {
    {"invite", HUB, command_invite},
    {"revoke", HUB, command_revoke},
    {"revocations", HUB, command_revocations},
    {"retire", HUB, command_retire},
    {"joined", SITE, command_joined},
    {"leave", SITE, command_leave},
    {"left", SITE, command_leave}, /* what the conversation calls it: the line is down already */
    {"recover", HUB, command_recover},
    {"audit", HUB | SITE, command_audit},
    {"replicate", HUB, command_replicate},
    {"migration_signature", HUB, command_migration_signature},
    {"migration_unsigned", HUB, command_migration_unsigned},
    {"release", HUB | SITE, command_release},
    {"undo", HUB | SITE, command_undo},
};

bool hex_parse(const char *text, uint8_t *out, size_t n)
{
    if (strlen(text) != 2 * n)
        return false;
    for (size_t i = 0; i < 2 * n; i++) {
        const char *digits = "0123456789abcdef",
                   *at = strchr(digits, text[i] >= 'A' && text[i] <= 'F' ? text[i] + 32 : text[i]);

        if (at == NULL)
            return false;
        out[i / 2] = (uint8_t)(i % 2 == 0 ? (at - digits) << 4 : out[i / 2] | (at - digits));
    }
    return true;
}

static command_cb find(const struct replica *r, const char *name, int *where)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0) {
            *where = commands[i].where;
            return commands[i].run;
        }
    for (size_t i = 0; i < r->config.commands_count; i++)
        if (strcmp(r->config.commands[i].name, name) == 0) {
            *where = r->config.commands[i].hub_alone ? HUB : HUB | SITE;
            return r->config.commands[i].run;
        }
    return NULL;
}

enum perche_rc command(struct replica *r, const struct work *w, struct outcome *o)
{
    struct args a = {0};
    struct json j = {0};
    int where = 0;
    command_cb run = find(r, w->name, &where);
    enum perche_rc rc;

    if (strcmp(w->name, "resolve") == 0)
        return conflict_resolve(r, w, o);
    if (run == NULL)
        return fail(r, PERCHE_USAGE, "there is no command %s", w->name);
    if (!(where & (r->hub ? HUB : SITE)))
        return fail(r, PERCHE_STATE,
                    r->hub ? "%s is a command of sites; this is the hub"
                           : "%s is a command of the hub; this is a site",
                    w->name);
    rc = args_parse(r, w->args, &a);
    out_open(&j, '{');
    if (rc == PERCHE_OK)
        rc = run(r, w, &a, &j);
    out_close(&j, '}');
    if (rc == PERCHE_OK)
        rc = json_done(r, &j, o);
    out_free(&j);
    args_free(&a);
    return rc;
}
