-- WebOgreen, Pays de Verdun: rural coders, taught on site and at a distance in turn; Simplon.co gives the pedagogy, Numéripôle is
-- a partner. Prescribers are Pôle emploi, the Mission locale and the École de la 2e chance.

UPDATE network SET name = 'WebOgreen', kind = 'ASSOCIATION', lead_org_id = '01550000-0001-7000-8002-000000000001'; -- the kind is (assumed)

INSERT INTO organisation (id, name, commune_insee, valid_from, valid_to, successor_id) VALUES
  ('01550000-0001-7000-8002-000000000001', 'WebOgreen', '55545', NULL, NULL, NULL),
  ('01550000-0001-7000-8002-000000000002', 'Simplon.co', '93048', NULL, NULL, NULL),
  ('01550000-0001-7000-8002-000000000003', 'Numéripôle', '55073', NULL, NULL, NULL),
  ('01550000-0001-7000-8002-000000000004', 'Pôle emploi', NULL, NULL, '2023-12-31', '01550000-0001-7000-8002-000000000007'),
  ('01550000-0001-7000-8002-000000000005', 'Mission locale du Nord meusien', '55545', NULL, NULL, NULL),
  ('01550000-0001-7000-8002-000000000006', 'École de la 2e chance', '55545', NULL, NULL, NULL),
  ('01550000-0001-7000-8002-000000000007', 'France Travail', NULL, '2024-01-01', NULL, NULL);
INSERT INTO organisation_role (organisation_id, role, valid_from) VALUES
  ('01550000-0001-7000-8002-000000000001', 'SCHOOL_NETWORK', '2015-01-01'),
  ('01550000-0001-7000-8002-000000000002', 'PEDAGOGY_PARTNER', '2015-01-01'),
  ('01550000-0001-7000-8002-000000000004', 'FUNDER', '2015-01-01'),
  ('01550000-0001-7000-8002-000000000004', 'PRESCRIBER', '2015-01-01'),
  ('01550000-0001-7000-8002-000000000005', 'PRESCRIBER', '2015-01-01'),
  ('01550000-0001-7000-8002-000000000006', 'PRESCRIBER', '2015-01-01');

INSERT INTO training (id, network_id, title, pedagogy_org_id)
SELECT '01550000-0008-7000-8002-000000000001', id, 'Codeur rural, développeur web', '01550000-0001-7000-8002-000000000002' FROM network;
INSERT INTO admission_criterion (training_id, criterion, detail, eliminatory) VALUES
  ('01550000-0008-7000-8002-000000000001', 'PASSION', NULL, 1),
  ('01550000-0008-7000-8002-000000000001', 'MOTIVATION', NULL, 1);

-- "in part" by Pôle emploi, says one text, "100 %" another: granted is the 60 % of the first edit (assumed).
INSERT INTO funding_agreement (id, funder_org_id, programme, level, level_id, state, granted_cents, eligible_total_cents, starts_on)
SELECT '01550000-0009-7000-8002-000000000001', '01550000-0001-7000-8002-000000000004', 'FRANCE_TRAVAIL', 'NETWORK', id, 'GRANTED',
       9000000, 15000000, '2015-11-01' FROM network;
