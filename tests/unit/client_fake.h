/* A daemon that answers what the test says, and the client run against it. */
#ifndef TESTS_CLIENT_FAKE_H
#define TESTS_CLIENT_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <pthread.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "../../client/client.h"

#define FAKE_NOW UINT64_C(1756735524000) /* 2025-09-01T14:05:24Z */

struct fake {
    char folder[64], path[96];
    int listener;
    pthread_t thread;
    const char *answer;  /* sent to each connection after its first line, then it is closed */
    size_t answer_n;
    bool before_request; /* answer without reading anything */
    char asked[70000];   /* the last request */
};

static inline void *fake_run(void *arg)
{
    struct fake *f = arg;

    for (;;) {
        size_t n = 0, left = f->answer_n;
        const char *p = f->answer;
        int fd = accept(f->listener, NULL, NULL);

        if (fd < 0)
            return NULL; /* fake_stop() has shut it down */
        while (!f->before_request && n < sizeof(f->asked) - 1) {
            ssize_t got = recv(fd, f->asked + n, sizeof(f->asked) - 1 - n, 0);

            if (got <= 0)
                break;
            n += (size_t)got;
            if (memchr(f->asked, '\n', n))
                break;
        }
        f->asked[n] = '\0';
        while (left > 0) {
            ssize_t sent = send(fd, p, left, MSG_NOSIGNAL);

            if (sent <= 0)
                break;
            p += sent;
            left -= (size_t)sent;
        }
        close(fd);
    }
}

/* Its answer is set before: the thread reads it. */
static inline void fake_run_with(struct fake *f)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    strcpy(f->folder, "/tmp/perche-client.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/s", f->folder);
    strcpy(at.sun_path, f->path);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(f->listener, 8), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, fake_run, f), 0);
}

static inline void fake_start(struct fake *f, const char *answer)
{
    memset(f, 0, sizeof(*f));
    f->answer = answer;
    f->answer_n = strlen(answer);
    fake_run_with(f);
}

/* Ends the thread; what was asked can be read from now on. */
static inline void fake_stop(struct fake *f)
{
    if (f->listener < 0)
        return;
    shutdown(f->listener, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->listener);
    f->listener = -1;
    unlink(f->path);
    rmdir(f->folder);
}

/* One run of the client. */
struct ran {
    int status;
    char *out, *err;
    char asked[70000];
};

#define RUN_WORDS_MAX 24

static bool run_tty; /* the client's output is a terminal */

/* @line is split at blanks; '...' holds blanks together. */
static inline int run_split(char *line, char **argv)
{
    int argc = 0;
    char *p = line;

    argv[argc++] = (char *)"perche";
    while (*p) {
        while (*p == ' ')
            p++;
        if (!*p)
            break;
        assert_true(argc < RUN_WORDS_MAX - 1);
        if (*p == '\'') {
            argv[argc++] = ++p;
            p += strcspn(p, "'");
        } else {
            argv[argc++] = p;
            p += strcspn(p, " ");
        }
        if (*p)
            *p++ = '\0';
    }
    argv[argc] = NULL;
    return argc;
}

static inline struct ran *run_at(const char *socket, const char *command_line, int width,
                                 const char *input)
{
    struct ran *r = calloc(1, sizeof(*r));
    char *line = strdup(command_line);
    char *argv[RUN_WORDS_MAX];
    size_t out_n, err_n;
    struct client c = {.width = width, .tty = run_tty, .socket = socket, .now_ms = FAKE_NOW};

    assert_non_null(r);
    c.in = fmemopen((char *)(input ? input : "\n"), input ? strlen(input) : 1, "r");
    c.out = open_memstream(&r->out, &out_n);
    c.err = open_memstream(&r->err, &err_n);
    r->status = client_main(&c, run_split(line, argv), argv);
    fclose(c.in);
    fclose(c.out);
    fclose(c.err);
    free(line);
    return r;
}

/* Runs against a daemon that gives @answer, lines included. */
static inline struct ran *run_answered(const char *command_line, int width, const char *input,
                                       const char *answer)
{
    struct fake f;
    struct ran *r;

    fake_start(&f, answer);
    r = run_at(f.path, command_line, width, input);
    fake_stop(&f);
    strcpy(r->asked, f.asked);
    return r;
}

static inline void ran_free(struct ran *r)
{
    free(r->out);
    free(r->err);
    free(r);
}

#endif
