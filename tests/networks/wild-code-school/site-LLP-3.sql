-- WCS-LLP-P1, after the cohort: the hackathon of June 2015, and the company of two former learners in the pépinière. Run at the site,
-- after site-LLP-2.sql.

INSERT INTO event (id, site_id, kind, title, theme, starts_on, days)
SELECT '01487832-4000-7000-800a-000000000001', site_id, 'HACKATHON', 'Hackathon du comice agricole', 'agriculture', '2015-06-12', 3 FROM perche_self; -- "2 to 3 days" in June; the day is (assumed)
INSERT INTO event_participant (event_id, learner_id)
SELECT '01487832-4000-7000-800a-000000000001', printf('01487832-4000-7000-8001-%012d', n)
FROM (SELECT 1 AS n UNION ALL SELECT 6 UNION ALL SELECT 11 UNION ALL SELECT 17);

-- One IT company of two former learners, six months free of rent. Its name and days are (assumed).
INSERT INTO venture (id, site_id, name, created_on, sector)
SELECT '01487832-4000-7000-800b-000000000001', site_id, 'Atelier numérique du Perche', '2015-05-04', 'informatique' FROM perche_self;
INSERT INTO venture_founder (venture_id, learner_id) VALUES
  ('01487832-4000-7000-800b-000000000001', '01487832-4000-7000-8001-000000000001'),
  ('01487832-4000-7000-800b-000000000001', '01487832-4000-7000-8001-000000000011');
INSERT INTO incubation (venture_id, incubator_org_id, starts_on, ends_on, free_months) VALUES
  ('01487832-4000-7000-800b-000000000001', '01487832-4000-7000-8006-000000000009', '2015-05-04', '2015-11-03', 6);
