/* Commands that write records for people (replica_command): validated as school/entry.h says, in one transaction, or not at all. */
#ifndef SCHOOL_BY_HAND_H
#define SCHOOL_BY_HAND_H

#include "replica/ask.h"

/* add {table, values: {column: text}, anyway}, set {table, id, values}: the row as `show` has it. A learner of the same name and day of birth
 * as one who is here is not added, unless anyway.
 * void {table, id, reason}: the row that takes that one back, as `show` has it.
 * delete {table, id}: {was: the row as `show` had it, deleted: true}. */
enum perche_rc command_add(struct replica *r, const struct work *w, struct args *a, struct json *j);
enum perche_rc command_set(struct replica *r, const struct work *w, struct args *a, struct json *j);
enum perche_rc command_void(struct replica *r, const struct work *w, struct args *a, struct json *j);
enum perche_rc command_delete(struct replica *r, const struct work *w, struct args *a, struct json *j);

/* half_days.c: plan {cohort, from, to, half, mode, minutes, weekdays: "mon,tue", cancel, restore}: the half-days that are missing are made, of a slot never a
 * second one; or those that are there are cancelled, or planned again: {cohort, from, to, rows: [{id, day, half, mode, minutes, was, state, marks}], planned,
 * restored, cancelled, same, unlike, marks}.
 * mark {cohort, day, half, all, marks: {learner: MARK or MARK:MINUTES}, proof}: marks that count and say something else are voided. */
enum perche_rc command_plan(struct replica *r, const struct work *w, struct args *a, struct json *j);
enum perche_rc command_mark(struct replica *r, const struct work *w, struct args *a, struct json *j);

/* import.c: import {table, source, columns: [name], by: [name], rows: [[line, cell, ...]], dry, before: [{table, columns, by, rows}]}:
 * {new, changed, same, asked, refused: [{line, column, why, value}]}. docs/control.md says what a cell is.
 * imported {sha256, format, new, changed, same, asked, refused}: notes that a whole file was taken in. */
enum perche_rc command_import(struct replica *r, const struct work *w, struct args *a, struct json *j);
enum perche_rc command_imported(struct replica *r, const struct work *w, struct args *a, struct json *j);
/* import_before {sha256}: {at}, when this site has taken in that very file; null = never */
enum perche_rc query_import_before(struct replica *r, struct args *a, struct json *j);
/* columns {table}: {table, columns: [{name, kind, code_list, refers, key}]}; kind: text, integer, real, day, instant, yes_no */
enum perche_rc query_columns(struct replica *r, struct args *a, struct json *j);

#endif
