-- École régionale du numérique, Occitanie: a programme of the Region, which pays for all of the teaching. Carbonne, run by
-- ADRAR for the Communauté de communes du Volvestre, is its 16th school, open since May 2018.

UPDATE network SET name = 'École régionale du numérique, Occitanie', kind = 'REGIONAL_PROGRAMME',
       lead_org_id = '01550000-0001-7000-8000-000000000001';

INSERT INTO organisation (id, name, commune_insee) VALUES
  ('01550000-0001-7000-8000-000000000001', 'Région Occitanie', '31555'),
  ('01550000-0001-7000-8000-000000000002', 'ADRAR', NULL),
  ('01550000-0001-7000-8000-000000000003', 'Communauté de communes du Volvestre', '31107'),
  ('01550000-0001-7000-8000-000000000004', 'Simplon.co', '93048');
INSERT INTO organisation_role (organisation_id, role, valid_from) VALUES
  ('01550000-0001-7000-8000-000000000001', 'FUNDER', '2016-01-01'),
  ('01550000-0001-7000-8000-000000000002', 'TRAINING_OPERATOR', '2016-01-01'),
  ('01550000-0001-7000-8000-000000000003', 'HOST_AUTHORITY', '2015-01-01'),
  ('01550000-0001-7000-8000-000000000004', 'TRAINING_OPERATOR', '2016-01-01');

INSERT INTO certification (rncp_code, title, eqf_level, rome_code) VALUES ('RNCP31114', 'Développeur web et web mobile', 5, 'M1805');
INSERT INTO training (id, network_id, title, rncp_code)
SELECT '01550000-0008-7000-8000-000000000001', id, 'Développeur web', 'RNCP31114' FROM network;
INSERT INTO label_award (training_id, label, awarded_on, expires_on) VALUES
  ('01550000-0008-7000-8000-000000000001', 'GEN', '2016-02-03', '2019-02-02'); -- the programme that the State created in 2015; the day is (assumed)

-- Published as 64 + 4 + 10 = 80: exact with a fourth class, or with a set of 65 and figures cut off.
INSERT INTO indicator_definition (id, base_date, milestone, denominator, min_denominator, rounding, decimals)
VALUES ('REGION_POS_CUT', 'EXIT', 'M6', 'ALL_LEAVERS', 0, 'TRUNCATE', 0);
INSERT INTO outcome_mapping (definition_id, situation, class)
SELECT 'REGION_POS_CUT', situation, class FROM outcome_mapping WHERE definition_id = 'REGION_POS';

INSERT INTO funding_agreement (id, funder_org_id, programme, level, level_id, state, granted_cents, eligible_total_cents, starts_on, ends_on)
SELECT '01550000-0009-7000-8000-000000000001', '01550000-0001-7000-8000-000000000001', 'REGION', 'NETWORK', id, 'GRANTED',
       220000000, 220000000, '2017-01-01', '2017-12-31' FROM network; -- the 15 sessions of 2017, all of them paid by the Region
