/* Real daemons for the bench: configured, started, asked through perche. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "bench.h"
#include "perche/control.h"

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int s = socket(AF_INET, SOCK_STREAM, 0);

    if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof a) != 0 || getsockname(s, (struct sockaddr *)&a, &n) != 0)
        die("no port: %s", strerror(errno));
    (void)close(s);
    return ntohs(a.sin_port);
}

void node_make(struct bench_node *n, const char *name, bool hub)
{
    char data[320];
    FILE *f;

    *n = (struct bench_node){.port = hub ? free_port() : 0};
    (void)snprintf(n->name, sizeof n->name, "%s", name);
    (void)snprintf(n->dir, sizeof n->dir, "%s/%s", opt.dir, name);
    (void)snprintf(data, sizeof data, "%s/data", n->dir);
    (void)snprintf(n->db, sizeof n->db, "%s/data/replica.db", n->dir);
    (void)snprintf(n->socket, sizeof n->socket, "%s/sock", n->dir);
    (void)snprintf(n->config, sizeof n->config, "%s/conf", n->dir);
    if (mkdir(n->dir, 0700) != 0 || mkdir(data, 0700) != 0)
        die("%s: %s", n->dir, strerror(errno));
    f = fopen(n->config, "w");
    if (f == NULL)
        die("%s: %s", n->config, strerror(errno));
    (void)fprintf(f, "[node]\nrole = %s\nname = %s\ndata = %s\n", hub ? "hub" : "site", name, data);
    if (hub)
        (void)fprintf(f, "[hub]\nlisten = tls+tcp://127.0.0.1:%d\nadvertise = tls+tcp://127.0.0.1:%d\n", n->port, n->port);
    (void)fprintf(f, "[control]\nsocket = %s\n", n->socket);
    (void)fclose(f);
}

void node_start(struct bench_node *n, const char *preload)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char text[4096], program[600], log[340];
    double end = now_s() + 60;
    int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (strlen(n->dir) + sizeof "/ready" > sizeof a.sun_path)
        die("%s is too long for a socket: set TMPDIR to a shorter folder", n->dir);
    memcpy(a.sun_path, n->dir, strlen(n->dir));
    memcpy(a.sun_path + strlen(n->dir), "/ready", sizeof "/ready");
    (void)unlink(a.sun_path);
    if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof a) != 0)
        die("%s: %s", a.sun_path, strerror(errno));
    (void)snprintf(program, sizeof program, "%s/perched", opt.build);
    (void)snprintf(log, sizeof log, "%s/log", n->dir);
    n->pid = fork();
    if (n->pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void)dup2(fd, 1);
        (void)dup2(fd, 2);
        (void)setenv("NOTIFY_SOCKET", a.sun_path, 1);
        if (preload != NULL)
            (void)setenv("LD_PRELOAD", preload, 1);
        (void)execl(program, program, "--config", n->config, (char *)NULL);
        _exit(127);
    }
    for (;;) {
        struct pollfd p = {.fd = s, .events = POLLIN};
        ssize_t got = poll(&p, 1, (int)((end - now_s()) * 1000)) == 1 ? recv(s, text, sizeof text - 1, 0) : -1;

        if (got < 0)
            die("%s did not start: see %s", n->name, log);
        text[got] = '\0';
        if (strstr(text, "READY=1") != NULL)
            break;
    }
    (void)close(s);
}

void node_stop(struct bench_node *n)
{
    int status;

    (void)kill(n->pid, SIGTERM);
    if (waitpid(n->pid, &status, 0) != n->pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die("%s did not end well: see %s/log", n->name, n->dir);
    n->pid = 0;
}

const char *node_perche(struct bench_node *n, const char *args)
{
    static char out[65536];
    char command[2048];
    FILE *f;
    size_t got;

    (void)snprintf(command, sizeof command, "'%s/perche' --socket '%s' %s", opt.build, n->socket, args);
    f = popen(command, "r");
    got = f == NULL ? 0 : fread(out, 1, sizeof out - 1, f);
    out[got] = '\0';
    if (f == NULL || pclose(f) != 0)
        die("%s: %s", command, out);
    return out;
}

void node_join(struct bench_node *hub, struct bench_node *site)
{
    char args[4096], path[340];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/line", site->dir);
    (void)snprintf(args, sizeof args, "invite '%s'", site->name);
    f = fopen(path, "w");
    if (f == NULL || fputs(node_perche(hub, args), f) < 0 || fclose(f) != 0)
        die("%s", path);
    (void)snprintf(args, sizeof args, "join - < '%s'", path);
    (void)node_perche(site, args);
    (void)node_perche(site, "sync --wait");
}

/* Asked on the socket, not through a program: its start would cost the daemons more than the answer. */
double node_number(struct bench_node *n, const char *json_name)
{
    struct perche_control *c = NULL;
    struct perche_control_answer a;
    struct perche_err err = {0};
    double out;

    if (perche_control_connect(n->socket, &c, &err) != PERCHE_OK || perche_control_ask(c, "status", NULL, &err) != PERCHE_OK ||
        perche_control_next(c, 30000, &a, &err) != PERCHE_OK || a.kind != PERCHE_CONTROL_DONE)
        die("status of %s: %s", n->name, err.text);
    if (!json_is_number(json_object_get(a.value, json_name)))
        die("status of %s has no number %s", n->name, json_name);
    out = json_number_value(json_object_get(a.value, json_name));
    perche_control_answer_clear(&a);
    perche_control_free(c);
    return out;
}

void node_wait(struct bench_node *n, const char *json_name, double value)
{
    const struct timespec look = {.tv_nsec = 10000000}; /* how finely we look: loads take seconds */
    double end = now_s() + 600;

    while (node_number(n, json_name) != value) {
        if (now_s() > end)
            die("%s of %s did not become %g", json_name, n->name, value);
        (void)nanosleep(&look, NULL);
    }
}

double node_peak_mb(const struct bench_node *n)
{
    char path[64], line[256];
    double kb = 0;
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/%d/status", n->pid);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmHWM: %lf", &kb) == 1)
            break;
    if (f != NULL)
        (void)fclose(f);
    return kb / 1024;
}
