/* perche-bench: the figures of this house beside plain SQLite in the same run. */
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "bench.h"

struct options opt = {.rows = 1000000};
static json_t *figures;
static int missed;

void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)fprintf(stderr, "perche-bench: ");
    (void)vfprintf(stderr, fmt, ap);
    (void)fprintf(stderr, "\n");
    va_end(ap);
    exit(1); /* nodes end with us: they have a parent-death signal */
}

double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double quantile(double *v, int n, double q)
{
    int at = (int)ceil(q * n) - 1;

    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[at < 0 ? 0 : at];
}

double median(double *v, int n)
{
    return quantile(v, n, 0.5);
}

void figure(const char *name, double value, const char *unit, double bound, bool at_most)
{
    bool met = bound < 0 || (at_most ? value <= bound : value >= bound);
    char shown[64] = "";

    if (bound >= 0)
        (void)snprintf(shown, sizeof shown, "%s %.4g  %s", at_most ? "at most" : "at least", bound, met ? "met" : "NOT MET");
    (void)printf("%-88s %12.4g %-8s %s\n", name, value, unit, shown);
    (void)fflush(stdout);
    missed += !met;
    json_array_append_new(figures, json_pack("{s:s, s:f, s:s, s:o, s:o}", "name", name, "value", value, "unit", unit, "bound",
                                             bound < 0 ? json_null() : json_real(bound), "met", bound < 0 ? json_null() : json_boolean(met)));
}

void remark(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)printf("  ");
    (void)vprintf(fmt, ap);
    (void)printf("\n");
    (void)fflush(stdout);
    va_end(ap);
}

static void machine(char *out, size_t n)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256], *colon;

    (void)snprintf(out, n, "%ld cores", sysconf(_SC_NPROCESSORS_ONLN));
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || colon == NULL)
            continue;
        line[strcspn(line, "\n")] = '\0';
        (void)snprintf(out, n, "%ld cores,%s", sysconf(_SC_NPROCESSORS_ONLN), colon + 1);
        break;
    }
    if (f != NULL)
        (void)fclose(f);
}

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {{"local", bench_local}, {"load", bench_load}, {"live", bench_live}, {"group", bench_group}, {"school", bench_school}};

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"json", required_argument, NULL, 'j'}, {"rows", required_argument, NULL, 'r'},
                                          {"only", required_argument, NULL, 'o'}, {"build", required_argument, NULL, 'b'}, {0}};
    const char *json_path = NULL, *tmp = getenv("TMPDIR");
    char about[256], command[400], self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    int c;

    if (n > 0) {
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        opt.build = self;
    }
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'j')
            json_path = optarg;
        else if (c == 'r')
            opt.rows = strtoull(optarg, NULL, 10);
        else if (c == 'o')
            opt.only = optarg;
        else if (c == 'b')
            opt.build = optarg;
        else
            return 2;
    }
    (void)snprintf(opt.dir, sizeof opt.dir, "%s/perche-bench.XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(opt.dir) == NULL)
        die("no temporary folder: %s", opt.dir);
    figures = json_array();
    machine(about, sizeof about);
    (void)printf("%s, SQLite %s\n", about, sqlite3_libversion());
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (opt.only == NULL || strcmp(opt.only, parts[i].name) == 0)
            parts[i].run();
    if (json_path != NULL) {
        json_t *all = json_pack("{s:s, s:o}", "machine", about, "figures", figures);

        if (json_dump_file(all, json_path, JSON_INDENT(2)) != 0)
            die("cannot write %s", json_path);
        json_decref(all);
    }
    (void)snprintf(command, sizeof command, "rm -rf '%s'", opt.dir);
    if (system(command) != 0)
        die("cannot remove %s", opt.dir);
    (void)printf("%zu figures, %d not met\n", json_path != NULL ? (size_t)0 + json_array_size(figures) : json_array_size(figures), missed);
    return missed == 0 ? 0 : 1;
}
