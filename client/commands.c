/* The table of commands, and the run from the command line to one of them. */
#include "client.h"

#include <string.h>
#include <time.h>

#include "args.h"
#include "help.h"

const struct command *const commands[] = {
    &command_status,
    &command_sync,
    &command_sites,
    &command_watch,
    &command_list,
    &command_show,
    &command_history,
    &command_conflicts,
    &command_refused,
    &command_held,
    &command_duplicates,
    &command_report,
    &command_add,
    &command_set,
    &command_void,
    &command_delete,
    &command_plan,
    &command_mark,
    &command_import,
    &command_export,
    &command_invite,
    &command_join,
    &command_revoke,
    &command_retire,
    &command_recover,
    &command_leave,
    &command_verify,
    &command_replicate,
    &command_help,
    &command_version,
    NULL,
};

const struct command *command_find(const char *name)
{
    for (const struct command *const *cmd = commands; *cmd; cmd++)
        if (strcmp((*cmd)->name, name) == 0)
            return *cmd;
    return NULL;
}

uint64_t client_now(const struct client *c)
{
    struct timespec ts;

    if (c->now_ms)
        return c->now_ms;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int client_main(struct client *c, int argc, char **argv)
{
    const struct command *cmd;
    int i = 1;

    while (i < argc && argv[i][0] == '-') {
        int before = i;
        int status = args_global(c, argc, argv, &i);

        if (status != ARGS_GO_ON)
            return status;
        if (i != before)
            continue;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            help_all(c->out);
            return CLIENT_DONE;
        }
        if (strcmp(argv[i], "--version") == 0) {
            fputs("perche " PERCHE_VERSION "\n", c->out);
            return CLIENT_DONE;
        }
        return args_wrong(c, NULL, "there is no option %s here.", argv[i]);
    }
    if (i >= argc) {
        help_all(c->err);
        return CLIENT_USAGE;
    }
    cmd = command_find(argv[i]);
    if (!cmd)
        return args_wrong(c, NULL, "there is no command \"%s\".", argv[i]);
    return cmd->run(c, argc - i, argv + i);
}
