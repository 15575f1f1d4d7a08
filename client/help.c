#include "help.h"

#include <string.h>

#include "args.h"

void help_all(FILE *out)
{
    fputs("usage: perche [--socket PATH] [--json] COMMAND [ARGUMENT ...]\n\n", out);
    for (const struct command *const *cmd = commands; *cmd; cmd++)
        fprintf(out, "  %-10s %s\n", (*cmd)->name, (*cmd)->summary);
    fputs("\n"
          "  --socket PATH   the daemon's socket; else $PERCHE_SOCKET, else\n"
          "                  /run/perche/perched.sock\n"
          "  --json          one JSON document, its names stay the same\n"
          "\n"
          "Exit status: 0 done, 1 the answer is no, 2 usage, 3 perched cannot be reached.\n"
          "\"perche help COMMAND\" has examples, perche(1) has everything.\n",
          out);
}

void help_command(struct client *c, const struct command *cmd)
{
    fprintf(c->out, "usage: perche %s\n\n%s", cmd->usage, cmd->help);
}

static int run(struct client *c, int argc, char **argv)
{
    static const struct args_option options[] = {{0}};
    const struct command *cmd;
    struct args args;
    int status = args_take(c, &command_help, argc, argv, options, 0, 1, &args);

    if (status != ARGS_GO_ON)
        return status;
    if (args.count == 0) {
        help_all(c->out);
        return CLIENT_DONE;
    }
    cmd = command_find(args.words[0]);
    if (!cmd)
        return args_wrong(c, NULL, "there is no command \"%s\".", args.words[0]);
    help_command(c, cmd);
    return CLIENT_DONE;
}

const struct command command_help = {
    .name = "help",
    .summary = "what perche can do, and how",
    .usage = "help [COMMAND]",
    .help = "Lists the commands, or says how one is used.\n"
            "\n"
            "  perche help\n"
            "  perche help conflicts\n",
    .run = run,
};
