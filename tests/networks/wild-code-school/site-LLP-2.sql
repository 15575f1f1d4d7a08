-- WCS-LLP-P1, what the school writes while the cohort runs and when it ends: marks, leases, outcomes, exits. Run at
-- the site, after site-LLP-1.sql. It holds the figures that a report must give:
--   attendance    28 half-days of 210 minutes. L01 100 %; L02 92.86 % (8 October alone: 390 of 420 minutes after a
--                 correction); L03 64.29 %; L04 marked twice alike on the 10th AM, which counts once; L06 marked twice
--                 unlike on the 10th PM, which is contested
--   housing       8 rooms for 5 months, 125,000 cents each
--   outcomes      9 of 28 on 17 March 2015 (32 %), 20 of 28 at the end of April: 7 founders, 7 interns, 6 hired
-- Plain SQL, no dot command, no transaction: the caller sets busy_timeout and may put BEGIN and COMMIT around it.

-- Everybody is present, but those who are listed.
INSERT INTO attendance (half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site)
WITH other(n, day, half, mark, minutes) AS (VALUES
    (2, '2014-10-08', 'AM', 'ABSENT',         0),
    (2, '2014-10-15', 'AM', 'ABSENT_EXCUSED', 0),
    (2, '2014-10-15', 'PM', 'LATE',           30),
    (3, '2014-10-09', 'AM', 'ABSENT',         0),
    (3, '2014-10-09', 'PM', 'ABSENT',         0),
    (3, '2014-10-13', 'AM', 'ABSENT',         0),
    (3, '2014-10-13', 'PM', 'ABSENT',         0),
    (3, '2014-10-14', 'AM', 'ABSENT',         0),
    (3, '2014-10-14', 'PM', 'ABSENT',         0),
    (3, '2014-10-20', 'AM', 'ABSENT_EXCUSED', 0),
    (3, '2014-10-20', 'PM', 'ABSENT_EXCUSED', 0),
    (3, '2014-10-21', 'AM', 'ABSENT_EXCUSED', 0),
    (3, '2014-10-21', 'PM', 'ABSENT_EXCUSED', 0))
SELECT h.id, e.id, coalesce(o.mark, 'PRESENT'), coalesce(o.minutes, h.minutes), 'PAPER_SCAN',
       h.day || CASE h.half WHEN 'AM' THEN 'T10:30:00Z' ELSE 'T15:30:00Z' END, s.site_id
FROM perche_self s, half_day h JOIN enrolment e ON e.cohort_id = h.cohort_id
LEFT JOIN other o ON e.id = printf('01487832-4000-7000-8002-%012d', o.n) AND o.day = h.day AND o.half = h.half
WHERE h.cohort_id = '01487832-4000-7000-8003-000000000001' AND h.cancelled = 0
ORDER BY h.day, h.half, e.id;

-- L02 came, half an hour late: the new mark voids the absence.
INSERT INTO attendance (half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site, voids)
SELECT a.half_day_id, a.enrolment_id, 'LATE', 180, a.proof, '2014-10-09T08:00:00Z', a.recorded_site, a.id
FROM attendance a JOIN half_day h ON h.id = a.half_day_id
WHERE h.cohort_id = '01487832-4000-7000-8003-000000000001' AND h.day = '2014-10-08' AND h.half = 'AM'
  AND a.enrolment_id = '01487832-4000-7000-8002-000000000002';

-- A second sheet of the 10th: L04 present again in the morning, L06 absent in the afternoon.
INSERT INTO attendance (half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site)
SELECT a.half_day_id, a.enrolment_id,
       CASE h.half WHEN 'AM' THEN 'PRESENT' ELSE 'ABSENT' END, CASE h.half WHEN 'AM' THEN h.minutes ELSE 0 END,
       'TRAINER_ONLY', '2014-10-10T16:00:00Z', a.recorded_site
FROM attendance a JOIN half_day h ON h.id = a.half_day_id
WHERE h.cohort_id = '01487832-4000-7000-8003-000000000001' AND h.day = '2014-10-10'
  AND (h.half, a.enrolment_id) IN (VALUES ('AM', '01487832-4000-7000-8002-000000000004'),
                                          ('PM', '01487832-4000-7000-8002-000000000006'));

INSERT INTO housing_lease (unit_id, enrolment_id, starts_on, ends_on, rent_cents, deposit_cents, state)
WITH l(unit, n) AS (VALUES (1, 2), (2, 11), (3, 13), (4, 14), (5, 17), (6, 19), (8, 23), (9, 24))
SELECT u.id, printf('01487832-4000-7000-8002-%012d', l.n), '2014-12-01', '2015-04-30', u.rent_cents, 25000, 'OUT'
FROM l JOIN housing_unit u ON u.id = printf('01487832-4000-7000-8005-%012d', l.unit);

-- recorded_by is the id of a member of staff.
INSERT INTO outcome_observation (enrolment_id, milestone, as_of, situation, source, proof, recorded_at, recorded_site, recorded_by)
WITH o(n, situation) AS (VALUES
    (1,  'COMPANY_FOUNDED'),
    (6,  'EMP_PERMANENT'),
    (8,  'INTERNSHIP'),
    (11, 'COMPANY_FOUNDED'),
    (13, 'EMP_PERMANENT'),
    (16, 'INTERNSHIP'),
    (17, 'COMPANY_FOUNDED'),
    (20, 'INTERNSHIP'),
    (25, 'EMP_FIXED_GE6'))
SELECT printf('01487832-4000-7000-8002-%012d', n), 'DURING', '2015-03-17', situation, 'SITE_STAFF', 'DECLARED',
       '2015-03-17T16:00:00Z', site_id, '01487832-4000-7000-8007-000000000001'
FROM o, perche_self;

INSERT INTO outcome_observation (enrolment_id, milestone, as_of, situation, source, proof, recorded_at, recorded_site, recorded_by)
WITH o(n, situation) AS (VALUES
    (2,  'COMPANY_FOUNDED'),
    (4,  'INTERNSHIP'),
    (7,  'EMP_FIXED_GE6'),
    (9,  'INTERNSHIP'),
    (10, 'EMP_PERMANENT'),
    (12, 'COMPANY_FOUNDED'),
    (18, 'COMPANY_FOUNDED'),
    (21, 'EMP_FIXED_GE6'),
    (23, 'COMPANY_FOUNDED'),
    (24, 'INTERNSHIP'),
    (28, 'INTERNSHIP'))
SELECT printf('01487832-4000-7000-8002-%012d', n), 'DURING', '2015-04-28', situation, 'SITE_STAFF', 'DECLARED',
       '2015-04-28T16:00:00Z', site_id, '01487832-4000-7000-8007-000000000001'
FROM o, perche_self;

UPDATE enrolment SET actual_end = '2015-04-30', exit_reason = 'COMPLETION'
WHERE cohort_id = '01487832-4000-7000-8003-000000000001';

INSERT INTO enrolment_status_event (enrolment_id, status, effective_on, recorded_at, recorded_site)
SELECT e.id, 'COMPLETED', '2015-04-30', '2015-04-30T15:30:00Z', s.site_id
FROM enrolment e, perche_self s WHERE e.cohort_id = '01487832-4000-7000-8003-000000000001';

UPDATE cohort SET status = 'ENDED' WHERE id = '01487832-4000-7000-8003-000000000001';
