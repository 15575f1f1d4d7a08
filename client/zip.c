#include "zip.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <archive.h>
#include <archive_entry.h>

#include "text.h"

/* ---- in ----------------------------------------------------------------------- */

struct reading {
    struct archive *a;
    struct zip_member *members;
    size_t count, total;
    void (*on_other)(void *ctx, const char *name);
    void *ctx;
    char **why;
};

static bool no(struct reading *r, const char *name, const char *why)
{
    *r->why = text_print("%s%s%s", name ? name : "", name ? ": " : "", why);
    return false;
}

static bool grow(struct reading *r, struct zip_member *m, size_t *cap)
{
    if (*cap - m->n > 65536)
        return true;
    if (m->n > ZIP_MEMBER_BYTES_MAX || r->total + m->n > ZIP_BYTES_MAX)
        return false;
    *cap = *cap * 2 + 131072;
    m->bytes = must_have(realloc(m->bytes, *cap));
    return true;
}

/* What an archive says of its sizes is not believed: what comes out is counted. */
static bool unpack(struct reading *r, struct zip_member *m)
{
    size_t cap = 0;
    la_ssize_t n;

    do {
        if (!grow(r, m, &cap))
            return no(r, m->name, "it unpacks to more than a file of these may have: is this the right archive?");
        n = archive_read_data(r->a, m->bytes + m->n, cap - m->n - 1);
        m->n += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    r->total += m->n;
    if (n < 0) /* also a wrong checksum, behind the last byte */
        return no(r, m->name, "it is damaged in the archive, or cut short: make or fetch it again");
    return true;
}

static bool take_entry(struct reading *r, struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry);
    struct zip_member *m = NULL;

    for (size_t i = 0; i < r->count && name; i++)
        if (strcmp(name, r->members[i].name) == 0)
            m = &r->members[i];
    if (!m) {
        if (archive_entry_filetype(entry) != AE_IFDIR)
            r->on_other(r->ctx, name);
        return true;
    }
    if (m->bytes)
        return no(r, m->name, "it stands in the archive twice");
    if (archive_entry_filetype(entry) != AE_IFREG)
        return no(r, m->name, "it is no file in the archive");
    if (archive_entry_is_encrypted(entry))
        return no(r, m->name, "it is encrypted: make the archive without a password");
    return unpack(r, m);
}

static bool read_all(struct reading *r, const char *bytes, size_t n)
{
    struct archive_entry *entry;
    int rc, seen = 0;

    if (archive_read_support_format_zip_seekable(r->a) != ARCHIVE_OK || archive_read_open_memory(r->a, bytes, n) != ARCHIVE_OK)
        return no(r, NULL, "it is no zip archive, or it is cut short");
    while ((rc = archive_read_next_header(r->a, &entry)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
        if (seen++ == ZIP_MEMBERS_MAX)
            return no(r, NULL, "it has more files than any such archive");
        if (!take_entry(r, entry))
            return false;
    }
    if (rc != ARCHIVE_EOF)
        return no(r, NULL, seen == 0 ? "it is no zip archive, or it is cut short" : "it is damaged, or cut short: make or fetch it again");
    return true;
}

bool zip_read(const char *bytes, size_t n, struct zip_member *members, size_t count, void (*on_other)(void *ctx, const char *name), void *ctx,
              char **why)
{
    struct reading r = {must_have(archive_read_new()), members, count, 0, on_other, ctx, why};
    bool good = read_all(&r, bytes, n);

    (void)archive_read_free(r.a); /* nothing is left to fail */
    return good;
}

void zip_clear(struct zip_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(members[i].bytes);
        members[i].bytes = NULL;
        members[i].n = 0;
    }
}

/* ---- looked at ------------------------------------------------------------------ */

#define HEAD 65536
#define TAIL 4096

/* Reads the file at hand; its beginning into @head, its end into @tail, both ended with a zero. */
static bool measure(struct archive *a, char head[HEAD + 1], char tail[TAIL + 1], uint64_t *total)
{
    char block[HEAD];
    size_t head_n = 0, tail_n = 0;
    la_ssize_t n;

    *total = 0;
    while ((n = archive_read_data(a, block, sizeof block)) > 0) {
        size_t got = (size_t)n, room = HEAD - head_n < got ? HEAD - head_n : got, keep = got >= TAIL ? 0 : tail_n + got > TAIL ? TAIL - got : tail_n;

        memcpy(head + head_n, block, room);
        head_n += room;
        memmove(tail, tail + tail_n - keep, keep);
        tail_n = keep + (got >= TAIL ? TAIL : got);
        memcpy(tail + keep, block + got - (tail_n - keep), tail_n - keep);
        *total += got;
    }
    head[head_n] = tail[tail_n] = '\0';
    return n == 0;
}

static const char *last_of(const char *text, const char *what)
{
    const char *found = NULL;

    for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
        found = p;
    return found;
}

bool zip_between(const char *path, const char *member, const char *begin, const char *end, uint64_t *bytes)
{
    char *head = must_have(malloc(HEAD + 1)), tail[TAIL + 1];
    struct archive *a = must_have(archive_read_new());
    struct archive_entry *entry;
    const char *from, *to;
    uint64_t total;
    bool good = false;

    if (archive_read_support_format_zip_seekable(a) == ARCHIVE_OK && archive_read_open_filename(a, path, HEAD) == ARCHIVE_OK)
        while (!good && archive_read_next_header(a, &entry) == ARCHIVE_OK)
            good = archive_entry_pathname(entry) && strcmp(archive_entry_pathname(entry), member) == 0;
    good = good && measure(a, head, tail, &total) && (from = strstr(head, begin)) != NULL && (to = last_of(tail, end)) != NULL;
    if (good)
        *bytes = total - (uint64_t)(from + strlen(begin) - head) - strlen(to);
    (void)archive_read_free(a); /* nothing is left to fail */
    free(head);
    return good;
}

/* ---- out ---------------------------------------------------------------------- */

struct zip_writer {
    struct archive *a;
    FILE *out, *member;
    long long at;
    bool failed;
};

static la_ssize_t on_archive(struct archive *a, void *ctx, const void *bytes, size_t n)
{
    struct zip_writer *w = ctx;

    (void)a;
    if (fwrite(bytes, 1, n, w->out) == n)
        return (la_ssize_t)n;
    w->failed = true;
    return -1;
}

/* Of the stream that a member's bytes are printed to. */
static ssize_t on_member(void *ctx, const char *bytes, size_t n)
{
    struct zip_writer *w = ctx;

    if (!w->failed && archive_write_data(w->a, bytes, n) == (la_ssize_t)n)
        return (ssize_t)n;
    w->failed = true;
    return 0;
}

struct zip_writer *zip_new(FILE *out, long long at)
{
    struct zip_writer *w = must_have(calloc(1, sizeof *w));

    w->a = must_have(archive_write_new());
    w->out = out;
    w->at = at;
    /* zip64 is for more than 4 GB, and not every reader of these files knows it */
    w->failed = archive_write_set_format_zip(w->a) != ARCHIVE_OK || archive_write_set_options(w->a, "zip:!zip64") != ARCHIVE_OK ||
                archive_write_set_bytes_in_last_block(w->a, 1) != ARCHIVE_OK || archive_write_open(w->a, w, NULL, on_archive, NULL) != ARCHIVE_OK;
    return w;
}

static void end_member(struct zip_writer *w)
{
    if (w->member && fclose(w->member) != 0)
        w->failed = true;
    if (w->member && archive_write_finish_entry(w->a) != ARCHIVE_OK)
        w->failed = true;
    w->member = NULL;
}

FILE *zip_begin(struct zip_writer *w, const char *name)
{
    struct archive_entry *entry = must_have(archive_entry_new());

    end_member(w);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_mtime(entry, (time_t)w->at, 0);
    if (archive_write_header(w->a, entry) != ARCHIVE_OK)
        w->failed = true;
    archive_entry_free(entry);
    w->member = must_have(fopencookie(w, "w", (cookie_io_functions_t){.write = on_member}));
    return w->member;
}

bool zip_end(struct zip_writer *w)
{
    bool good;

    end_member(w);
    if (archive_write_close(w->a) != ARCHIVE_OK)
        w->failed = true;
    (void)archive_write_free(w->a); /* closed already */
    good = !w->failed;
    free(w);
    return good;
}
