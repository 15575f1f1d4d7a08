/* Any bytes as a OneRoster archive, up to where the daemon would be asked. Behind a '!' they are its files, one after the other with a
 * zero byte between: few changes of an archive get past its checksums. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "../../client/import.h"
#include "../../client/roster.h"
#include "../../client/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *archived(const uint8_t *data, size_t size, size_t *n)
{
    const uint8_t *end = data + size;
    char *bytes = NULL, name[64];
    FILE *out = open_memstream(&bytes, n), *f;
    struct zip_writer *w = zip_new(out, 0);

    for (int i = -1; i < ROSTER_FILES && data <= end; i++) {
        const uint8_t *stop = memchr(data, 0, (size_t)(end - data));

        snprintf(name, sizeof name, "%s.csv", i < 0 ? "manifest" : roster_specs[i].name);
        f = zip_begin(w, name);
        fwrite(data, 1, (size_t)((stop ? stop : end) - data), f);
        data = stop ? stop + 1 : end + 1;
    }
    if (!zip_end(w))
        abort();
    fclose(out);
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *nowhere = fopen("/dev/null", "w");
    struct client c = {.in = stdin, .out = nowhere, .err = nowhere, .width = 80, .socket = "/nonexistent/socket", .now_ms = 1756735524000};
    json_t *left = json_array();
    struct import m;
    char *bytes;
    size_t n = size;

    if (size > 0 && data[0] == '!') {
        bytes = archived(data + 1, size - 1, &n);
    } else {
        bytes = malloc(size + 1);
        memcpy(bytes, data, size);
    }
    import_begin(&m, &c, true);
    if (roster_import(&m, bytes, n, left) == CLIENT_DONE)
        abort(); /* nobody answers */
    import_end(&m);
    json_decref(left);
    fclose(nowhere);
    free(bytes);
    return 0;
}
