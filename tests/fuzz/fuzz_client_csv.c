/* Any bytes as a CSV file, and as one text that goes out and comes back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../client/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads all of it; a cell lies in the file's own text. */
static void read_all(const char *bytes, size_t n)
{
    struct csv_file file;
    const struct csv_row *row;
    size_t sum = 0;
    int line;

    if (csv_open(&file, bytes, n, &line))
        while ((row = csv_next(&file)) != NULL)
            for (int i = 0; i < row->count && i < CSV_CELLS_MAX; i++)
                sum += strlen(row->cells[i].text);
    if (line < 1 || sum > 3 * n) /* a byte of Windows-1252 takes three at most */
        abort();
    csv_close(&file);
}

static void there_and_back(const char *text)
{
    char *out = NULL, *back;
    size_t n = 0;
    struct csv csv = {open_memstream(&out, &n), 0, 0};
    struct csv_file file;
    const struct csv_row *row;
    int line;

    csv_exact(&csv, text);
    csv_exact(&csv, text);
    csv_end_row(&csv);
    fclose(csv.out);
    if (!csv_open(&file, out, n, &line) || (row = csv_next(&file)) == NULL || row->count != 2)
        abort();
    for (int i = 0; i < 2 && !file.windows; i++) {
        back = row->cells[i].exact ? strdup(row->cells[i].text) : csv_trimmed(row->cells[i].text);
        if (strcmp(back, text) != 0)
            abort();
        free(back);
    }
    if (csv_next(&file) != NULL)
        abort();
    csv_close(&file);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    memcpy(text, data, size);
    text[size] = '\0';
    read_all(text, size);
    if (strncmp(text, "\xEF\xBB\xBF", 3) != 0) /* at the beginning of a file that is its mark */
        there_and_back(text);
    free(text);
    return 0;
}
