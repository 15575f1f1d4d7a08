#include "school/school.h"

#include "school/by_hand.h"
#include "school/duplicates.h"
#include "school/report.h"

const struct replica_question school_questions[] = {
    {"report", query_report},
    {"changes", query_changes},
    {"import_before", query_import_before},
    {"columns", query_columns},
    {"duplicates", query_duplicates},
};
const size_t school_questions_count = sizeof school_questions / sizeof *school_questions;

const struct replica_command school_commands[] = {
    {"publish", true, command_publish},
    {"link", true, command_link},
    {"add", false, command_add},
    {"set", false, command_set},
    {"void", false, command_void},
    {"delete", false, command_delete},
    {"plan", false, command_plan},
    {"mark", false, command_mark},
    {"import", false, command_import},
    {"imported", false, command_imported},
};
const size_t school_commands_count = sizeof school_commands / sizeof *school_commands;
