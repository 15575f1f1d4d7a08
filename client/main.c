#include "client.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "perche/control.h"
#include "text.h"

/* What a page takes where nobody has said how wide it is. */
#define WIDTH     100
#define WIDTH_MIN 20

static int terminal_width(void)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    uint64_t n;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
    if (columns && text_number(columns, &n) && n >= WIDTH_MIN && n <= 10000)
        return (int)n;
    return WIDTH;
}

int main(int argc, char **argv)
{
    const char *socket = getenv("PERCHE_SOCKET");
    struct client c = {
        .in = stdin,
        .out = stdout,
        .err = stderr,
        .tty = isatty(STDOUT_FILENO),
        .socket = socket && *socket ? socket : PERCHE_CONTROL_SOCKET,
    };
    int status;

    /* Characters alone: months and numbers stay English, like the words around them. Without
     * a UTF-8 locale widths would be wrong, and the records are UTF-8 all the same. */
    if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    c.width = terminal_width();
    status = client_main(&c, argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("perche: the output could not be written.\n", stderr);
        return status == CLIENT_DONE ? CLIENT_NO : status;
    }
    return status;
}
