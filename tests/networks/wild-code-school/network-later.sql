-- What the hub writes of the network after its first cohort: the schools that were announced, and the application to the PIA call.

INSERT INTO site (network_id, code, name, kind, commune_insee, rural, status)
SELECT id, 'DRX', 'Dreux', 'SCHOOL', '28134', 0, 'PLANNED' FROM network;

-- The call of the Caisse des dépôts: answered on 27 February, under review, nothing granted yet. The year is (assumed).
INSERT INTO funding_agreement (id, funder_org_id, programme, level, level_id, state, granted_cents, starts_on)
SELECT '01487832-4000-7000-8009-000000000001', '01487832-4000-7000-8006-000000000005', 'PIA', 'NETWORK', id, 'UNDER_REVIEW', NULL, '2015-02-27' FROM network;
