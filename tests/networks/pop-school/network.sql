-- Pop School, Lens: two cohorts of 24 a year, free for the learners, paid by the State, the Region and Europe.

UPDATE network SET name = 'Pop School', kind = 'ASSOCIATION', lead_org_id = '01550000-0001-7000-8001-000000000001'; -- the kind is (assumed)

INSERT INTO organisation (id, name, commune_insee) VALUES
  ('01550000-0001-7000-8001-000000000001', 'Pop School', '62498'),
  ('01550000-0001-7000-8001-000000000002', 'Communauté d''agglomération de Lens-Liévin', '62498'),
  ('01550000-0001-7000-8001-000000000003', 'Union européenne, FEDER', NULL),
  ('01550000-0001-7000-8001-000000000004', 'Région Hauts-de-France', '59350'),
  ('01550000-0001-7000-8001-000000000005', 'État', NULL),
  ('01550000-0001-7000-8001-000000000006', 'Louvre-Lens Vallée', '62498');
INSERT INTO organisation_role (organisation_id, role, valid_from) VALUES
  ('01550000-0001-7000-8001-000000000001', 'SCHOOL_NETWORK', '2017-01-01'),
  ('01550000-0001-7000-8001-000000000002', 'HOST_AUTHORITY', '2017-01-01'),
  ('01550000-0001-7000-8001-000000000003', 'FUNDER', '2017-01-01'),
  ('01550000-0001-7000-8001-000000000004', 'FUNDER', '2017-01-01'),
  ('01550000-0001-7000-8001-000000000005', 'FUNDER', '2017-01-01'),
  ('01550000-0001-7000-8001-000000000006', 'INCUBATOR', '2017-01-01');

INSERT INTO training (id, network_id, title)
SELECT '01550000-0008-7000-8001-000000000001', id, 'Développeur web et mobile' FROM network;
INSERT INTO label_award (training_id, label, awarded_on, expires_on) VALUES
  ('01550000-0008-7000-8001-000000000001', 'GEN', '2017-01-01', '2019-12-31'); -- the days are (assumed)
INSERT INTO admission_criterion (training_id, criterion, detail, eliminatory) VALUES
  ('01550000-0008-7000-8001-000000000001', 'RESIDENCE_AREA', 'habitants de la CALL', 1),
  ('01550000-0008-7000-8001-000000000001', 'SOCIAL_MIX', 'toutes les catégories socioprofessionnelles', 0),
  ('01550000-0008-7000-8001-000000000001', 'NEET', 'décrocheurs, sans emploi, sans diplôme', 0);

-- FEDER 1,280,955 euros, "of the order of 60 %" of "2.1 millions": exactly 60 % of 2,134,925 euros.
INSERT INTO funding_agreement (id, funder_org_id, programme, operation_ref, level, level_id, state, granted_cents, eligible_total_cents, starts_on)
SELECT '01550000-0009-7000-8001-000000000001', '01550000-0001-7000-8001-000000000003', 'FEDER', 'FEDER-POP-LENS', 'NETWORK', id, 'GRANTED',
       128095500, 213492500, '2017-01-01' FROM network;
INSERT INTO funding_agreement (id, funder_org_id, programme, level, level_id, state, starts_on)
SELECT '01550000-0009-7000-8001-000000000002', '01550000-0001-7000-8001-000000000004', 'REGION', 'NETWORK', id, 'GRANTED', '2017-01-01' FROM network
UNION ALL
SELECT '01550000-0009-7000-8001-000000000003', '01550000-0001-7000-8001-000000000005', 'ETAT', 'NETWORK', id, 'GRANTED', '2017-01-01' FROM network;
