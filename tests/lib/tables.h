/* The school's tables, fewer of them. A replica with all takes half as long again to open and to stamp, and many tests open it by
 * the dozen: they have those that they write, and those that the rules of these and the daemon's own rows name. The text is the school's,
 * statement by statement: a table whose columns or rule change there is changed here. */
#ifndef TESTS_LIB_TABLES_H
#define TESTS_LIB_TABLES_H

#include <stddef.h>

struct schema_file;

/* For replica_config.schema; made at the first call and kept. Not for several threads at once. */
const struct schema_file *tables_of_tests(size_t *count);

#endif
