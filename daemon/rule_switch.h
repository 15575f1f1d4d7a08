/* Which rule can be taken away, to see what its absence breaks.
 *
 * WITHOUT(NAME) stands at the one place where a rule lives. In every ordinary build
 * it is the constant false, and nothing of this file is left in any object. Only
 * perche-sim-rules and the unit tests beside it (-DPERCHE_SWITCHES) have a variable
 * for each rule; `./run rules` takes them away one at a time and says what has found
 * it. docs/rules.md has the result.
 *
 * A row: name; where MODEL.md has the rule (D: a deliberate defect, no rule); the
 * simulator's options that give it a chance; what the program does without it. */
#ifndef PERCHE_RULE_SWITCH_H
#define PERCHE_RULE_SWITCH_H

#include <stdbool.h>

#define RULE_MAP(X) \
    X(A0_CLEAN_ROW, "A, open", "", "a site's row with nothing unpushed is merged cell by cell instead of taking the hub's row") \
    X(A1_PULL_PAIR, "A1 B1", "--narrow", "full moves with every answer of a pull, not with the last one alone") \
    X(A2_OLDEST_FIRST, "A2 B1", "--narrow", "a row is pushed in the order of its newest unpushed cell, not of its oldest") \
    X(A2_UP_TO, "A2", "--strict --narrow", "a batch also carries cells beyond the position that it names") \
    X(A3_SITE_CLEAN, "A3", "--strict", "at a site, a value that the hub has is tested against the hub's like an unpushed one") \
    X(A4_OWN_LINK, "A4", "--strict", "what came over the pusher's own link does not count as seen by it") \
    X(A5_PULL_SAYS_HAVE, "A5", "--strict --narrow", "a pull answer does not say what the hub has of the site") \
    X(A6_FROM, "A6 B18", "--strict --narrow", "a batch that the hub has already is applied once more") \
    X(A6_SESSION, "A6", "--strict", "requests of a session that a later one has ended are served") \
    X(A7_UNSEEN_BY_DELETE, "A7 B13", "", "a delete asks nothing about values that its author had not seen") \
    X(A7_EDIT_OF_DELETED, "A7", "", "an edit of a row that is deleted already goes without a question") \
    X(A8_SEEN_FULL, "A8", "--strict --narrow", "the full half of the pull position does not count as seen") \
    X(A8_SEEN_SCAN, "A8", "--strict --narrow", "the scan half of the pull position does not count as seen") \
    X(A8_OWN_BASE, "A8", "--strict --narrow", "a site asks about the hub's value that its own one replaced, when a pull repeats it") \
    X(A9_CONFLICT_FIRST, "A9", "--backups --narrow", "a row is numbered before the conflicts about it") \
    X(A9_RENUMBER, "A9", "--backups --narrow", "the unpushed cells of a row keep their numbers when a conflict is made") \
    X(A10_LOSER_MOVES, "A10", "--backups --narrow", "a row at which a value was beaten gets no new position") \
    X(A11_SITE_MARKS, "A11", "--backups --narrow", "the hub compares a site's positions by their numbers alone") \
    X(A11_HUB_MARKS, "A11", "--backups --narrow", "the hub's own positions are compared by their numbers alone") \
    X(A12_AS_OF, "A12", "--backups --narrow", "with a cursor goes the mark at the cut, not the sender's newest") \
    X(A13_PRESENT_EPOCH, "A13", "--backups --narrow", "what came over a site's link in an earlier epoch counts as known to it") \
    X(A14_OTHERS_VALUES, "A14", "--backups --narrow", "a site shows a hub that was put back its own values alone") \
    X(A15_OLDER_COPY, "A15", "--backups", "any superseded epoch is two machines, also an older copy put back again") \
    X(A15_TWO_MACHINES, "A15", "--backups", "a superseded epoch that has lived on counts as put back") \
    X(A16_UNSHIFTED, "A16", "", "stamps that were acknowledged once are shifted as well") \
    X(A16_ORDER, "A16", "", "a shifted stamp may fall below what the site has read and what the hub has of it") \
    X(A17_NEVER_LATER, "A17", "", "a shifted stamp may lie in the hub's future") \
    X(A18_LAST_STAMP, "A18", "", "the hub tests stamps against its clock alone, not against its last stamp as well") \
    X(A19_WHOLE_BATCH, "A19", "", "a batch with a stamp too far ahead is acknowledged without its rows") \
    X(A20_CONFLICT_CLOCK, "A20", "", "stamps of conflict rows are tested and move the clock") \
    X(A21_OWN_RULE, "A21", "", "a site drops tombstones as soon as the hub has them, whatever floor it was told") \
    X(A21_ACKED, "A21", "", "the floor counts what a site was sent, not what it has acknowledged") \
    X(A21_RETURNS, "A21", "", "the hub takes a site from below the floor for one like any other") \
    X(A21_FORGOTTEN, "A21", "--backups", "the hub keeps nothing of the keys that it has forgotten") \
    X(A22_HISTORY, "A22 B14", "--backups --strict", "the history is not asked whether a value has been here before") \
    X(A22_PUSH_FIRST, "A22", "--backups --strict", "a site pulls before it pushes when a session begins") \
    X(A23_VALUE_TIE, "A23", "--backups", "of two values of one identity the first one stays, wherever") \
    X(A23_EQUAL_VALUES, "A23", "--strict", "equal values of two authors make a question") \
    X(A24_LWW_KEPT, "A24", "", "the value that lost in an lww column is kept in no conflict row") \
    X(A25_CLOSES_ALL, "A25", "", "resolving closes one of a cell's questions") \
    X(A26_CAPTURE_TIME, "A26", "", "the stamp has the time of the harvest, not of the program") \
    X(A27_TWO_ON, "A27", "", "delete and insert between two harvests are an update") \
    X(A28_ONE_LSN, "A28", "--narrow", "the cells that one harvest changes in a row have positions of their own") \
    X(A28_OWN_LSN, "A28 D", "--narrow", "the rows of one harvest share a position") \
    X(B2_ANY_ORIGIN, "B2", "--backups", "a hub that was put back judges rights before it has merged what sites show") \
    X(B3_LATE_MARK, "B3", "--moves", "an accepted write that ends outside the pusher's scopes gives it no new mark") \
    X(B3_TOMBSTONES, "B3", "--moves", "the tombstones of what was below a row stay in the scope that it had when they died") \
    X(B4_DEFER, "B4", "--moves", "a mark is carried out though changes wait to be pushed") \
    X(B5_DONE, "B5 C11", "--moves", "done follows full though marks and refusals wait to be carried out") \
    X(B6_ONE_ORDER, "B6", "--narrow", "rows, marks and refusals of an answer are not in one order") \
    X(B6_BACK_HERE, "B6", "--moves", "a row that comes back leaves its mark standing at the site") \
    X(B6_BACK_AT_HUB, "B6", "--moves", "a row that comes back leaves its mark standing at the hub") \
    X(B7_PARENT_FIRST, "B7", "--narrow", "a row's unsent parent does not go before it") \
    X(B8_REFUSAL_ENTRY, "B8 A19", "", "a refusal has no position and is not told by pull") \
    X(B9_IMAGE, "B9", "", "the image of a refused row is merged with it like any other, without A0_CLEAN_ROW") \
    X(B10_CHILDREN, "B10", "", "children of a refused row are not refused with it") \
    X(B11_HEADER_SCOPE, "B11", "--moves", "a site keeps a row's first scope, whatever the header says") \
    X(B12_SITE_QUIET, "B12", "", "a site compares though something waits with it") \
    X(B12_HUB_QUIET, "B12", "", "the hub compares though it has something for the site") \
    X(B12_TOMBSTONES, "B12", "", "tombstones are in the digests") \
    X(B14_KEEP_BASE, "B14", "--strict --narrow", "a write over an unpushed own value forgets what that one had replaced") \
    X(B15_SITE_ASKS, "B15", "", "a site that takes the hub's value over its unpushed one makes no conflict") \
    X(B18_PULL_FROM, "B18", "--narrow", "a site takes an answer to an older pull") \
    X(B20_SCOPE_CELL, "B20", "", "a tombstone keeps no cell for its scope") \
    X(B20_FOREIGN_TOMBSTONE, "B20", "", "a site throws away the tombstone of a row that it never had") \
    X(B21_ENTERED_WHOLE, "B21", "--moves --narrow", "a row that entered a scope after full does not go whole") \
    X(B22_BOTH_PLACES, "B22", "", "a row may be given to a parent that its site does not hold") \
    X(B23_MARKS_AGAIN, "B23", "--moves --backups", "marks that have ended are not made anew for a site that was put back to before") \
    X(B23_SHOWN_OUTSIDE, "B23", "--moves --backups", "a row that a site shows and that is not its own gets no mark") \
    X(B24_LATER_STAMP, "B24", "", "a conflict row has a stamp of its own, not the later side's") \
    X(B24_ONE_STAMP, "B24", "", "a resolution and its value have different stamps") \
    X(C1_ROW_PAIR, "C1", "--narrow", "a row has no pull position of its own in its header") \
    X(C2_PAIR_BACK, "C2", "--backups --narrow", "that pair does not go back with a hub that was put back") \
    X(C3_WIRE_BASE, "C3 A3", "--strict --narrow", "the value that a write replaced in an unfinished pull is not told") \
    X(C4_WHOLE_INSERT, "C4", "--strict --narrow", "a row whose insert is not acknowledged is cut like any other") \
    X(C5_EARLY_ACK, "C5", "--strict --narrow", "cells sent before their turn are not known as acknowledged") \
    X(C6_KEEP_VIA, "C6", "--backups --narrow", "a value that comes back equal is the hub's at its old position") \
    X(C7_NO_ROLLBACK, "C7", "--backups", "images are given out while the hub is made whole") \
    X(C7_ENDS_PUSHED, "C7", "--backups", "a site that has pushed to the end does not end its part of a recovery") \
    X(C8_EPOCH_ACKED, "C8", "--backups --narrow", "a new epoch begins where the site says, also what this hub never had") \
    X(C9_PUSH_FIRST, "C9", "--backups --narrow", "only the push cursor went back: no push before the pull") \
    X(C10_DONE_ZERO, "C10", "--backups --narrow", "done stands after a restore") \
    X(C14_JUDGE_KNOWN, "C14", "--backups", "a value that the hub has had before is judged again") \
    X(CT_NEW_ROW_CELL, "C, text", "", "a hub's column in a new row refuses the row, not the cell") \
    X(CT_REFUSED_HISTORY, "C, text", "", "refused values are history") \
    X(CT_MARKS_FORGOTTEN, "C, text", "--moves --backups", "marks of a hub's lost life are not forgotten") \
    X(D1_STAMP_ALONE, "D1", "", "stamps are compared without the site's id") \
    X(D2_DURABLE, "D2", "", "what is acknowledged is not on the disk yet: synchronous=NORMAL") \
    X(D3_BUCKET, "D3", "", "one bucket of 256 is left out of the digests") \
    X(D4_COLUMN, "D4", "", "the last column is left out of a row's digest") \
    X(D5_CLOCK_STANDS, "D5", "", "a merge does not advance the clock") \
    X(D6_NO_MARK, "D6", "", "the mark with a position is not stored") \
    X(D7_CAPTURE_GONE, "D7", "", "captured changes are dropped in a transaction before the harvest's") \
    X(D8_SAME_TIME, "D8", "", "no conflict row when both sides were written in one millisecond") \
    X(D9_HARVEST_FIRST, "D9", "", "remote changes are applied before what programs wrote is harvested") \
    X(D10_LSN_OF_MAX, "D10", "", "the position goes on from the highest in the table when the file is opened") \
    X(D11_STAMP_REPEATS, "D11", "", "two changes may have one stamp") \
    X(D12_APPLIED_CAPTURED, "D12", "", "what is applied is captured like a program's own") \
    X(D13_ROLLBACK_SUMS, "D13", "", "the sums in memory stay after a rollback") \
    X(D14_LAST_COMES_WINS, "D14", "", "of two values the one that arrives last stays")

#ifdef PERCHE_SWITCHES

enum rule {
#define X(name, reference, options, text) RULE_##name,
    RULE_MAP(X)
#undef X
        RULES
};

/* tests/lib/rule_switch.c */
extern bool rule_off[RULES];
bool rule_take_away(const char *name); /* false: there is no such rule */
void rule_list(void);                  /* prints the table: name, reference, options, text, with tabs between */

#define WITHOUT(name) (rule_off[RULE_##name])
#else
#define WITHOUT(name) false
#endif

#endif
