/* perched: arguments, configuration, signals, readiness; the one file that ends the
 * process. Exit status: 0 stopped as asked, 1 could not go on, 2 wrong arguments or
 * configuration. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "config.h"
#include "control/control.h"
#include "log.h"
#include "net/node.h"
#include "school/school.h"

#define STOP_MS_MAX 4500u /* the promise is 5 s */

struct daemon {
    uv_loop_t loop;
    const char *path; /* of the configuration */
    bool path_given;
    struct config config;
    struct node *node;
    struct control *control;
    uv_signal_t term, interrupt, hangup;
    uv_timer_t pat, late;
    bool stopping;
    int status;
};

/* What the configuration says, and what the other rooms put in. */
static struct node_config config_of(const struct config *c)
{
    struct node_config n = config_node(c);

    n.questions = school_questions;
    n.questions_count = school_questions_count;
    n.commands = school_commands;
    n.commands_count = school_commands_count;
    n.chores = school_chores;
    n.chores_count = school_chores_count;
    n.reader = school_reader;
    n.naming = school_naming;
    return n;
}

/* ---- stopping ----------------------------------------------------------------- */

static struct daemon *daemon_of(void *handle)
{
    return uv_handle_get_loop(handle)->data;
}

static void on_late(uv_timer_t *timer)
{
    (void)timer;
    log_error("stop.late", "what is not committed is rolled back at the next start");
    _exit(1);
}

static void on_node_closed(void *ctx)
{
    struct daemon *d = ctx;

    d->node = NULL;
    uv_close((uv_handle_t *)&d->term, NULL);
    uv_close((uv_handle_t *)&d->interrupt, NULL);
    uv_close((uv_handle_t *)&d->hangup, NULL);
    uv_close((uv_handle_t *)&d->pat, NULL);
    uv_close((uv_handle_t *)&d->late, NULL);
}

static void on_control_closed(void *ctx)
{
    struct daemon *d = ctx;

    d->control = NULL;
    node_close(d->node, d, on_node_closed);
}

static void stop(struct daemon *d, int status)
{
    if (d->stopping)
        return;
    d->stopping = true;
    d->status = status;
    (void)sd_notify(0, "STOPPING=1");
    (void)uv_timer_start(&d->late, on_late, STOP_MS_MAX, 0); /* not closing: 0 */
    if (d->control)
        control_close(d->control, d, on_control_closed);
    else
        on_control_closed(d);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
    log_notice("stop", "signal=%s", strsignal(number));
    stop(daemon_of(handle), 0);
}

/* ---- running -------------------------------------------------------------------- */

static void on_pat(uv_timer_t *timer)
{
    (void)timer;
    (void)sd_notify(0, "WATCHDOG=1");
}

static void on_hangup(uv_signal_t *handle, int number)
{
    struct daemon *d = daemon_of(handle);
    struct config fresh = {0};
    struct node_config node_config;
    struct perche_err err = {0};
    char note[300];
    enum perche_rc rc;

    (void)number;
    if (d->stopping)
        return;
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
                     (unsigned long long)(uv_hrtime() / 1000u));
    rc = config_load(d->path, !d->path_given, &fresh, &err);
    if (rc == PERCHE_OK) {
        node_config = config_of(&fresh);
        rc = node_reload(d->node, &node_config, note, sizeof(note), &err);
    }
    if (rc != PERCHE_OK)
        log_error("reload.refused", "err=\"%s\": the old configuration stays", err.text);
    else if (*note)
        log_warn("reload.part", "%s", note);
    else
        log_notice("reload.done", "file=%s", d->path);
    if (rc == PERCHE_OK && strcmp(fresh.socket, d->config.socket) != 0)
        log_warn("reload.part", "[control] socket changed: that needs a restart");
    if (rc == PERCHE_OK) {
        config_free(&d->config);
        d->config = fresh;
    } else {
        config_free(&fresh);
    }
    (void)sd_notify(0, "READY=1");
}

static void on_node_event(void *ctx, enum node_event event, const char *text)
{
    struct daemon *d = ctx;

    switch (event) {
    case NODE_ENDED:
        (void)sd_notifyf(0, "STATUS=%s", text);
        if (d->node)
            stop(d, 1);
        else
            d->status = 1; /* while it was being made: seen when that is done */
        break;
    case NODE_STATUS:
        (void)sd_notifyf(0, "STATUS=%s", text);
        control_wake(d->control);
        break;
    }
}

/* ---- starting --------------------------------------------------------------------- */

/* One line on stderr, for the journal with its priority. */
static int complain(int status, const char *text)
{
    fprintf(stderr, "%sperched: %s\n", log_to_journal() ? "<3>" : "", text);
    return status;
}

/* A hub has a descriptor for each line: as many as the system lets us have. */
static void raise_limits(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* else with fewer lines */
    }
}

static void start_handles(struct daemon *d)
{
    uint64_t watchdog_us = 0;

    d->loop.data = d;
    (void)uv_signal_init(&d->loop, &d->term);      /* these fail only for want of descriptors, */
    (void)uv_signal_init(&d->loop, &d->interrupt); /* which the loop has just had */
    (void)uv_signal_init(&d->loop, &d->hangup);
    (void)uv_timer_init(&d->loop, &d->pat);
    (void)uv_timer_init(&d->loop, &d->late);
    (void)uv_signal_start(&d->term, on_stop_signal, SIGTERM);
    (void)uv_signal_start(&d->interrupt, on_stop_signal, SIGINT);
    (void)uv_signal_start(&d->hangup, on_hangup, SIGHUP);
    if (sd_watchdog_enabled(0, &watchdog_us) > 0)
        (void)uv_timer_start(&d->pat, on_pat, watchdog_us / 2000u, watchdog_us / 2000u);
}

static int start(struct daemon *d)
{
    struct node_config node_config = config_of(&d->config);
    struct control_config control_config = {.socket = d->config.socket};
    struct perche_err err = {0};
    char note[300];
    enum perche_rc rc = node_try(&node_config, &err);

    if (rc == PERCHE_OK)
        rc = control_try(control_config.socket, &err);
    if (rc == PERCHE_OK)
        rc = node_prepare(&node_config, note, sizeof(note), &err);
    if (rc == PERCHE_OK && *note)
        log_warn("data.folder", "%s", note);
    if (rc == PERCHE_OK)
        rc = node_new(&d->loop, &node_config, d, on_node_event, &d->node, &err);
    if (rc != PERCHE_OK)
        return complain(rc == PERCHE_CONFIG ? 2 : 1, err.text);
    start_handles(d);
    rc = control_new(&d->loop, d->node, &control_config, &d->control, &err);
    if (rc != PERCHE_OK) {
        stop(d, complain(rc == PERCHE_CONFIG ? 2 : 1, err.text));
        return d->status; /* the loop ends it */
    }
    if (d->status != 0)
        stop(d, d->status);
    else
        (void)sd_notify(0, "READY=1");
    return d->status;
}

static int run(struct daemon *d)
{
    int failed;

    raise_limits();
    failed = uv_loop_init(&d->loop);
    if (failed != 0)
        return complain(1, uv_strerror(failed));
    failed = start(d);
    if (!d->stopping)
        d->status = failed;
    (void)uv_run(&d->loop, UV_RUN_DEFAULT); /* until everything is closed */
    failed = uv_loop_close(&d->loop);
    if (failed != 0)
        log_error("stop.unclean", "err=\"%s\"", uv_strerror(failed));
    return d->status;
}

/* --check */
static int say(const struct daemon *d)
{
    struct node_config node_config = config_of(&d->config);
    struct replica_seen seen = {0};
    struct perche_err err = {0};
    enum perche_rc rc = config_check_data(&d->config, &err);

    if (rc == PERCHE_OK)
        rc = node_look(&node_config, &seen, &err);
    config_describe(&d->config, d->path, rc == PERCHE_OK ? &seen : NULL, stdout);
    fflush(stdout);
    return rc == PERCHE_OK ? 0 : complain(rc == PERCHE_CONFIG ? 2 : 1, err.text);
}

static int usage(FILE *to, int status)
{
    fprintf(to, "usage: perched [--config FILE] [--check]\n"
                "       perched --help | --version\n");
    if (status == 0)
        fprintf(to, "\nKeeps the records of a site and of its hub in step, in the foreground.\n\n"
                    "  --config FILE  read FILE instead of " CONFIG_PATH "\n"
                    "  --check        read the configuration, say what would be done, and exit\n"
                    "  --version      print the version, and exit\n"
                    "  --help         print this, and exit\n\n"
                    "perched(8), perched.conf(5), perche(1)\n");
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check", no_argument, NULL, 'k'},
                                            {"version", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct daemon d = {.path = CONFIG_PATH};
    struct perche_err err = {0};
    bool check = false;
    int option, status;
    enum perche_rc rc;

    /* P10: batches come and go on a dozen threads; with an arena for each, and a threshold that
     * grows, glibc keeps several times what is in use. */
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 512 * 1024);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            d.path = optarg;
            d.path_given = true;
            break;
        case 'k': check = true; break;
        case 'v': printf("perched " PERCHE_VERSION "\n"); return 0;
        case 'h': return usage(stdout, 0);
        default: return usage(stderr, 2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "perched: what is \"%s\"?\n", argv[optind]);
        return usage(stderr, 2);
    }
    (void)umask(0007);
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that hangs up is an error of the write */
    log_init();
    rc = config_load(d.path, !d.path_given, &d.config, &err);
    if (rc != PERCHE_OK) {
        fprintf(stderr, "%s%s\n", log_to_journal() ? "<3>" : "", err.text);
        return rc == PERCHE_CONFIG ? 2 : 1;
    }
    status = check ? say(&d) : run(&d);
    config_free(&d.config);
    return status;
}
