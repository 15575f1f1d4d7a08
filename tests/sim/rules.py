#!/usr/bin/env python3
"""Takes the rules of daemon/rule_switch.h away one at a time, and says what finds it.

usage: rules.py BUILD [--seeds N] [--seconds M] [--short] [--stories | --units] [--write] [NAME...]

For each rule the simulator plays stories from seed 1 on, without the rule, until
one fails that does not fail with it, or N seeds are through, or M seconds. What no
story shows is given to the unit tests of daemon/replica and daemon/sync. A rule
whose absence neither shows has to stand in DISCUSSED. --units asks the unit tests
about every rule, --stories about none; --write puts the table into docs/rules.md; --short plays a handful
of rules that are found soon. BUILD holds perche-sim-rules and tests/rules, which
`cmake --build BUILD --target rules` makes.

The last line is "N passed, N failed", a case for each rule.
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DOCUMENT = os.path.join(ROOT, "docs", "rules.md")
STORY_S_MAX = 60   # a story that has not ended by then never will
UNIT_S_MAX = 300
AGAIN_MAX = 5      # seeds that fail with the rule as well

# Found within a few seeds, each by another check: what ./run test plays.
SHORT = ["A2_OLDEST_FIRST", "A15_OLDER_COPY", "A16_ORDER", "A23_EQUAL_VALUES", "A24_LWW_KEPT", "A28_OWN_LSN", "B15_SITE_ASKS"]

# The unit test that is asked first: all of them take minutes.
FIRST = {
    "A0_CLEAN_ROW": "replica_merge a_clean_site_takes_the_hubs_whole_row_whatever_its_generation",
    "A1_PULL_PAIR": "replica_pull a_row_that_moves_up_between_two_answers_loses_none_of_its_older_cells",
    "A2_OLDEST_FIRST": "replica_push a_row_goes_at_its_oldest_change_and_its_newer_cells_later",
    "A2_UP_TO": "replica_push a_row_goes_at_its_oldest_change_and_its_newer_cells_later",
    "A3_SITE_CLEAN": "replica_merge at_a_site_what_the_hub_has_gives_way_untested",
    "A4_OWN_LINK": "replica_apply a_delete_and_an_edit_that_do_not_know_each_other_leave_no_husk",
    "A5_PULL_SAYS_HAVE": "replica_push a_pull_says_what_the_hub_has_before_anything_is_merged",
    "A6_FROM": "replica_push a_repeated_batch_is_not_refused_once_more",
    "A6_SESSION": "sync_hub test_a_session_proven_again_on_its_own_pipe_goes_on",
    "A7_UNSEEN_BY_DELETE": "replica_merge a_delete_beats_a_later_edit_and_keeps_what_its_author_had_not_seen",
    "A7_EDIT_OF_DELETED": "replica_merge an_edit_of_a_row_deleted_unseen_is_kept",
    "A8_SEEN_FULL": "replica_merge a_value_the_pusher_had_pulled_is_no_conflict",
    "A8_SEEN_SCAN": "replica_merge a_value_the_pusher_had_pulled_is_no_conflict",
    "A8_OWN_BASE": "replica_merge an_unfinished_pull_may_repeat_what_a_local_write_replaced",
    "A9_CONFLICT_FIRST": "replica_conflict a_conflict_is_numbered_before_its_row",
    "A9_RENUMBER": "replica_merge a_conflict_renumbers_what_waits_to_be_pushed_and_nothing_else",
    "A10_LOSER_MOVES": "replica_conflict a_row_at_which_a_value_was_beaten_goes_behind_its_question",
    "A11_SITE_MARKS": "replica_position a_mark_that_was_not_shown_is_asked_for_before_anything_is_believed",
    "A11_HUB_MARKS": "replica_position one_site_of_many_is_not_believed_alone",
    "A12_AS_OF": "replica_position a_site_put_back_gets_its_lost_changes_back_and_uses_no_position_twice",
    "A13_PRESENT_EPOCH": "replica_position a_site_put_back_gets_its_lost_changes_back_and_uses_no_position_twice",
    "A14_OTHERS_VALUES": "replica_position a_hub_put_back_is_made_whole_by_its_sites",
    "A15_OLDER_COPY": "replica_position the_same_backup_put_back_twice_is_no_second_machine",
    "A15_TWO_MACHINES": "replica_position two_machines_are_both_held_and_both_named",
    "A16_UNSHIFTED": "replica_position what_was_acknowledged_once_keeps_its_stamp_when_it_goes_again",
    "A16_ORDER": "replica_prove a_shift_goes_below_nothing_that_the_*",
    "A17_NEVER_LATER": "replica_prove a_clock_put_right_between_the_edit_and_the_handshake_is_cut_to_the_present",
    "A18_LAST_STAMP": "replica_push a_hub_whose_clock_ran_ahead_takes_what_was_written_over_its_values",
    "A19_WHOLE_BATCH": "replica_push a_stamp_too_far_ahead_refuses_the_whole_batch_and_nothing_of_it_is_kept",
    "A20_CONFLICT_CLOCK": "replica_push conflict_rows_are_not_tested_for_the_clock_and_do_not_advance_it",
    "A22_HISTORY": "replica_position a_value_that_a_site_put_back_pushes_once_more_is_no_news",
    "A22_PUSH_FIRST": "sync_site test_a_site_greets_proves_pushes_pulls_compares_and_is_live",
    "A23_VALUE_TIE": "replica_merge equal_stamps_are_told_apart_by_the_site_and_then_by_the_value",
    "A23_EQUAL_VALUES": "replica_merge equal_values_are_never_a_conflict",
    "A24_LWW_KEPT": "replica_conflict two_edits_of_an_lww_column_leave_the_losing_value_in_a_settled_conflict",
    "A25_CLOSES_ALL": "replica_conflict all_open_conflicts_of_the_cell_close_at_once_and_others_stay",
    "A26_CAPTURE_TIME": "replica_harvest a_change_has_the_time_of_its_program_not_of_the_harvest",
    "A21_OWN_RULE": "replica_floor tombstones_go_when_every_site_has_acknowledged_them_for_long_enough",
    "A21_ACKED": "replica_floor tombstones_go_when_every_site_has_acknowledged_them_for_long_enough",
    "A21_RETURNS": "replica_floor a_site_that_returns_from_below_the_floor_brings_nothing_back",
    "A21_FORGOTTEN": "replica_floor a_site_put_back_below_the_floor_brings_nothing_back",
    "A27_TWO_ON": "replica_harvest delete_and_insert_are_two_generations_whenever_the_harvest_comes",
    "A28_ONE_LSN": "replica_harvest what_one_harvest_changes_in_a_row_has_one_position_and_no_two_rows_share_one",
    "A28_OWN_LSN": "replica_harvest what_one_harvest_changes_in_a_row_has_one_position_and_no_two_rows_share_one",
    "B2_ANY_ORIGIN": "replica_position a_hub_put_back_is_made_whole_by_its_sites",
    "B3_LATE_MARK": "replica_scope late_edits_and_children_of_a_transferred_learner_arrive",
    "B3_TOMBSTONES": "replica_scope tombstones_go_where_their_parent_goes",
    "B4_DEFER": "replica_pull a_mark_waits_until_nothing_is_unpushed",
    "B5_DONE": "replica_pull a_refusal_comes_by_pull_however_many_answers_are_lost",
    "B6_ONE_ORDER": "replica_pull rows_of_several_scopes_come_in_one_order",
    "B6_BACK_HERE": "replica_pull a_row_that_comes_back_after_its_mark_was_read_goes_whole",
    "B6_BACK_AT_HUB": "replica_pull a_row_that_comes_back_*",
    "B7_PARENT_FIRST": "replica_push a_parent_goes_before_its_child_whatever_its_own_position",
    "B8_REFUSAL_ENTRY": "replica_pull a_refusal_comes_by_pull_however_many_answers_are_lost",
    "B9_IMAGE": "replica_pull a_refusal_comes_by_pull_however_many_answers_are_lost",
    "B10_CHILDREN": "replica_pull a_refused_insert_and_its_children_go_again",
    "B11_HEADER_SCOPE": "replica_pull the_scope_is_the_one_that_the_header_says",
    "B12_SITE_QUIET": "replica_digest a_site_with_something_to_say_does_not_compare",
    "B12_HUB_QUIET": "replica_digest a_hub_with_something_for_the_site_says_later",
    "B12_TOMBSTONES": "replica_digest a_work_that_fails_leaves_the_sums_as_they_were",
    "B14_KEEP_BASE": "replica_harvest only_a_write_over_an_unfinished_pull_names_what_it_replaced",
    "B15_SITE_ASKS": "replica_apply three_replicas_end_the_same_whatever_the_order",
    "B18_PULL_FROM": "replica_pull a_late_answer_is_known_as_one",
    "B20_SCOPE_CELL": "replica_apply *",
    "B20_FOREIGN_TOMBSTONE": "replica_pull tombstones_of_rows_it_never_had_are_kept",
    "B21_ENTERED_WHOLE": "replica_pull a_row_that_comes_back_after_its_mark_was_read_goes_whole",
    "B22_BOTH_PLACES": "replica_rights a_child_is_given_to_another_parent_only_where_both_are_held",
    "B23_MARKS_AGAIN": "replica_position what_a_site_put_back_writes_of_a_row_that_had_left_it_arrives",
    "B23_SHOWN_OUTSIDE": "replica_digest a_row_that_is_not_the_sites_any_more_leaves_it",
    "B24_LATER_STAMP": "replica_conflict the_same_sides_make_the_same_row_on_any_node",
    "B24_ONE_STAMP": "replica_conflict resolving_for_the_value_that_stands_is_a_write_as_well",
    "C1_ROW_PAIR": "replica_pull a_late_edit_has_not_seen_what_the_hub_wrote_with_the_move",
    "C2_PAIR_BACK": "replica_position what_a_row_says_of_the_hub_goes_back_with_it",
    "C3_WIRE_BASE": "replica_merge the_base_that_a_write_names_was_seen",
    "C4_WHOLE_INSERT": "replica_push a_parent_goes_before_its_child_whatever_its_own_position",
    "C5_EARLY_ACK": "replica_push a_row_whose_insert_is_not_acknowledged_goes_whole",
    "C6_KEEP_VIA": "replica_merge a_value_that_comes_back_equal_keeps_its_way_and_position",
    "C7_NO_ROLLBACK": "replica_position nothing_is_rolled_back_while_a_hub_is_made_whole",
    "C7_ENDS_PUSHED": "replica_position a_hub_put_back_is_made_whole_by_its_sites",
    "C8_EPOCH_ACKED": "replica_position a_new_epoch_begins_where_it_did_at_a_hub_that_was_put_back",
    "C9_PUSH_FIRST": "replica_position a_hub_that_only_lost_what_it_had_acknowledged_gets_it_again",
    "C10_DONE_ZERO": "replica_position *",
    "C14_JUDGE_KNOWN": "replica_rights a_value_that_the_hub_has_had_is_not_judged_again_and_a_refused_one_is",
    "CT_NEW_ROW_CELL": "replica_rights a_column_of_the_hub_in_a_new_row_is_refused_as_a_cell",
    "CT_REFUSED_HISTORY": "replica_rights a_value_that_the_hub_has_had_is_not_judged_again_and_a_refused_one_is",
    "CT_MARKS_FORGOTTEN": "replica_position what_a_row_says_of_the_hub_goes_back_with_it",
    "D1_STAMP_ALONE": "replica_merge equal_stamps_are_told_apart_by_the_site_and_then_by_the_value",
    "D2_DURABLE": "replica_open every_commit_waits_for_the_disk",
    "D3_BUCKET": "replica_digest the_rows_of_every_bucket_are_in_the_sums",
    "D4_COLUMN": "replica_digest a_row_digest_counts_everything_that_it_is_said_to_count",
    "D5_CLOCK_STANDS": "replica_push up_to_a_minute_ahead_is_taken",
    "D6_NO_MARK": "replica_open each_transaction_that_allots_a_position_stores_a_mark",
    "D7_CAPTURE_GONE": "replica_harvest a_harvest_that_fails_leaves_every_captured_change",
    "D8_SAME_TIME": "replica_conflict the_same_sides_make_the_same_row_on_any_node",
    "D9_HARVEST_FIRST": "replica_pull what_a_program_wrote_before_the_answer_is_harvested_first",
    "D10_LSN_OF_MAX": "replica_harvest positions_go_on_when_the_log_begins_again_and_the_newest_rows_are_gone",
    "D11_STAMP_REPEATS": "replica_harvest a_stamp_lies_above_the_last_one_and_not_after_now",
    "D12_APPLIED_CAPTURED": "replica_apply a_programs_own_trigger_fires_on_applied_rows_and_nothing_is_captured_again",
    "D13_ROLLBACK_SUMS": "replica_digest a_work_that_fails_leaves_the_sums_as_they_were",
    "D14_LAST_COMES_WINS": "replica_merge the_higher_stamp_stays_whatever_comes_first",
}

# Nothing shows that these are gone. Why, and what would be needed, is in docs/rules.md.
DISCUSSED = set()


class Rule:
    def __init__(self, line):
        self.name, self.reference, self.options, self.text = line.split("\t")
        self.seed = None         # first story that fails for its absence
        self.played = 0
        self.by = ""             # what found it
        self.took = 0.0
        self.units = []          # (program, test)

    def options_list(self):
        return self.options.split()


class Runner:
    def __init__(self, build, seeds, seconds, units):
        self.sim = os.path.join(build, "perche-sim-rules")
        folder = os.path.join(build, "tests", "rules")
        self.programs = []
        if units != "none":
            self.programs = [os.path.join(folder, n) for n in sorted(os.listdir(folder)) if n.startswith("test_")]
        self.seeds, self.seconds, self.units = seeds, seconds, units

    def rules(self):
        out = subprocess.run([self.sim, "--rules"], check=True, capture_output=True, text=True)
        return [Rule(line) for line in out.stdout.splitlines()]

    def play(self, rule, without, first, count, seconds):
        """Plays stories until one fails. (seed, kind: text) or None, and how many were played."""
        command = [self.sim, "--first", "--jobs", "1", "--from", str(first), "--seeds", str(count)] + rule.options_list()
        if without:
            command += ["--without", rule.name]
        try:
            out = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds).stdout
        except subprocess.TimeoutExpired:
            return None, 0
        failed = re.search(r"^not ok seed (\d+): (.*)$", out, re.M)
        if failed:
            return (int(failed.group(1)), failed.group(2)), int(failed.group(1)) - first + 1
        if not re.search(r"^%d passed, 0 failed$" % count, out, re.M):
            return (first, "the simulator itself: " + (out.strip().splitlines() or ["no word"])[-1]), 1
        return None, count

    def search(self, rule):
        """A few seeds at a time, so that a story that never ends is told from a slow machine."""
        end, seed, step, again = time.monotonic() + self.seconds, 1, 4, 0
        while seed <= self.seeds and time.monotonic() < end:
            count = min(step, self.seeds - seed + 1)
            found, played = self.play(rule, True, seed, count, STORY_S_MAX * 2 if count > 1 else STORY_S_MAX)
            if found is None and played == 0:
                if count == 1:
                    found, played = (seed, "no end: the story was still going on after %d s" % STORY_S_MAX), 1
                else:
                    step = 1
                    continue
            rule.played += played
            if found is None:
                seed, step = seed + played, min(2 * step, 12)
                continue
            same, _ = self.play(rule, False, found[0], 1, STORY_S_MAX)
            if same is None:
                rule.seed, rule.by = found
                return
            again += 1
            if again >= AGAIN_MAX:
                rule.by = "(seeds fail with the rule as well)"
                return
            seed = found[0] + 1

    def unit_test(self, rule, program, pattern):
        environment = dict(os.environ, PERCHE_WITHOUT=rule.name, PERCHE_TEST=pattern)
        try:
            run = subprocess.run([program], env=environment, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=UNIT_S_MAX)
            out, status = run.stdout + run.stderr, run.returncode
        except subprocess.TimeoutExpired: # of all tests of a program: a slow machine
            out, status = "", 0 if pattern == "*" else -1
        if status != 0:
            names = dict.fromkeys(re.findall(r"^\[  FAILED  \] (\w+)$", out, re.M))
            rule.units += [(os.path.basename(program), name) for name in names or ["ends the program"]]

    def unit_tests(self, rule):
        program, pattern = FIRST.get(rule.name, " ").split(" ")
        first = [p for p in self.programs if os.path.basename(p) == "test_" + program]
        if self.units == "rest" and first:
            self.unit_test(rule, first[0], pattern)
        for program in self.programs:
            if rule.units and self.units == "rest":
                return
            self.unit_test(rule, program, "*")

    def examine(self, rule):
        began = time.monotonic()
        self.search(rule)
        if self.units == "all" or (rule.seed is None and self.units == "rest"):
            self.unit_tests(rule)
        rule.took = time.monotonic() - began
        return rule


def plain(text, most=90):
    """What kind of failure it was, with the beginning of what was said about it."""
    text = re.sub(r'\[?"[0-9a-f]{8}-[0-9a-f-]{27}"\]?', "…", text).replace("|", "/")
    return text if len(text) <= most else text[:most].rstrip() + " …"


def finders(rule):
    words = []
    if rule.seed is not None:
        words.append("simulator: " + plain(rule.by))
    if rule.units:
        program, name = rule.units[0]
        more = len(rule.units) - 1
        words.append("`%s`: `%s`%s" % (program, name, " and %d more" % more if more else ""))
    if not words:
        words.append("nothing, see below" if rule.name in DISCUSSED else "nothing")
    return "; ".join(words)


def table_row(r):
    seeds = str(r.seed) if r.seed is not None else "none of %d" % r.played if r.played else "not played"
    return "| `%s` | %s | %s | %s | %s | %s |" % (r.name, r.reference, r.text, "`%s`" % r.options if r.options else "", seeds, finders(r))


def write(rules, examined):
    """Replaces the rows of what was examined; the others stay as they were found."""
    with open(DOCUMENT, encoding="utf-8") as f:
        text = f.read()
    begin, end = "<!-- table -->\n", "<!-- end of table -->"
    head, rest = text.split(begin)
    old, tail = rest.split(end)
    rows = {m.group(1): m.group(0) for m in re.finditer(r"^\| `(\w+)` .*$", old, re.M)}
    rows.update({r.name: table_row(r) for r in examined})
    rows = [rows[r.name] for r in rules if r.name in rows]
    stories = [row for row in rows if "| simulator: " in row]
    units = [row for row in rows if "| simulator: " not in row and "| `test_" in row]
    lines = ["", "%d rules and defects: the simulator finds %d, a unit test each of %d others, nothing %d." %
             (len(rows), len(stories), len(units), len(rows) - len(stories) - len(units)), "",
             "| rule | MODEL.md | without it | options | seeds until found | what found it |", "| --- | --- | --- | --- | --- | --- |"]
    with open(DOCUMENT, "w", encoding="utf-8") as f:
        f.write(head + begin + "\n".join(lines + rows) + "\n\n" + end + tail)


def main():
    args, seeds, seconds, names, flags = sys.argv[1:], 200, 120, [], set()
    if not args:
        print(__doc__)
        return 2
    build = os.path.abspath(args.pop(0))
    while args:
        word = args.pop(0)
        if word in ("--seeds", "--seconds") and args and args[0].isdigit():
            value = int(args.pop(0))
            seeds, seconds = (value, seconds) if word == "--seeds" else (seeds, value)
        elif word in ("--short", "--stories", "--units", "--write"):
            flags.add(word)
        elif word.startswith("-"):
            print("rules: '%s' is not known" % word, file=sys.stderr)
            return 2
        else:
            names.append(word)
    units = "all" if "--units" in flags else "none" if flags & {"--short", "--stories"} else "rest"
    runner = Runner(build, seeds, seconds, units)
    rules = every = runner.rules()
    known = {r.name for r in rules}
    wanted = SHORT if "--short" in flags else names
    for name in list(wanted) + sorted(DISCUSSED):
        if name not in known:
            print("rules: there is no rule '%s'" % name, file=sys.stderr)
            return 2
    if wanted:
        rules = [r for r in rules if r.name in wanted]
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for r in pool.map(runner.examine, rules):
            good = r.seed is not None or bool(r.units) or (r.name in DISCUSSED and "--short" not in flags)
            passed, failed = passed + good, failed + (not good)
            print("%s %s: %s, %s (%d s)" % ("ok" if good else "not ok", r.name, "seed %d" % r.seed if r.seed is not None else
                                            "none of %d seeds" % r.played, finders(r) + (" " + r.by if r.seed is None and r.by else ""), r.took), flush=True)
            if r.name in DISCUSSED and (r.seed is not None or r.units):
                print("# %s is found: it need not be discussed any more" % r.name)
    if "--write" in flags:
        write(every, rules)
    print("%d passed, %d failed" % (passed, failed))
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
