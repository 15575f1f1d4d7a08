-- Reference rows of the network around La Loupe, as the hub writes them: organisations and the training. Run at the
-- hub, after its first start has made the network. The sites are made by `perche invite`.
-- Plain SQL, no dot command, no transaction: the caller sets busy_timeout and may put BEGIN and COMMIT around it.

INSERT INTO organisation (id, name, commune_insee, valid_from, valid_to, successor_id) VALUES
  ('01487832-4000-7000-8006-000000000001', 'Wild Code School', '28214', NULL, NULL, NULL),
  ('01487832-4000-7000-8006-000000000002', 'Communauté de communes des Portes du Perche', '28214', NULL, '2016-12-31',
   '01487832-4000-7000-8006-000000000003'),
  ('01487832-4000-7000-8006-000000000003', 'Communauté de communes Terres de Perche', '28214', '2017-01-01', NULL, NULL),
  ('01487832-4000-7000-8006-000000000004', 'Pôle emploi', NULL, NULL, NULL, NULL),
  ('01487832-4000-7000-8006-000000000005', 'Caisse des dépôts', '75107', NULL, NULL, NULL),
  ('01487832-4000-7000-8006-000000000006', 'Bailleur départemental d''Eure-et-Loir', '28085', NULL, NULL, NULL),
  ('01487832-4000-7000-8006-000000000007', 'École de musique de La Loupe', '28214', NULL, NULL, NULL),
  ('01487832-4000-7000-8006-000000000008', 'Commune de La Loupe', '28214', NULL, NULL, NULL),
  ('01487832-4000-7000-8006-000000000009', 'Pépinière d''entreprises de La Loupe', '28214', NULL, NULL, NULL);

INSERT INTO training (id, network_id, title, pedagogy_org_id)
SELECT '01487832-4000-7000-8008-000000000001', id, 'Développeur web et mobile', '01487832-4000-7000-8006-000000000001'
FROM network LIMIT 1;
