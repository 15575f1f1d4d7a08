-- WCS-LLP-P1: the first cohort of La Loupe as the school enters it when the training begins, 6 October 2014. Run at
-- the site, after network.sql has reached it: the training and the organisations are found by name.
--
-- The people are made up; telephone numbers and domains are those kept free for fiction and examples. Their ids are
-- fixed, so that a test can name them: LNN is 01487832-4000-7000-8001-0000000000NN, its enrolment the same with 8002.
-- Plain SQL, no dot command, no transaction: the caller sets busy_timeout and may put BEGIN and COMMIT around it.
-- What happens later in the cohort is in site-LLP-2.sql.

INSERT INTO cohort (id, site_id, training_id, code, seq, starts_on, ends_on, capacity, mode, operator_org_id, status)
SELECT '01487832-4000-7000-8003-000000000001', site_id,
       (SELECT id FROM training WHERE title = 'Développeur web et mobile'),
       'P1', 1, '2014-10-06', '2015-04-30', 30, 'ON_SITE',
       (SELECT id FROM organisation WHERE name = 'Wild Code School'), 'RUNNING'
FROM perche_self;

INSERT INTO learner (id, home_site_id, given_names, call_name, birth_family_name, use_family_name, birth_date, sex,
                     birth_commune_insee, birth_country, ft_identifier)
WITH l(id, given_names, call_name, birth_family_name, use_family_name, birth_date, sex, commune, country, ft) AS (VALUES
    ('01487832-4000-7000-8001-000000000001', 'Thomas Lucien',   NULL,   'Lefèvre',   NULL,      '1992-03-14', 'M', '28085', 'FR', '4127803K'),
    ('01487832-4000-7000-8001-000000000002', 'Inès',            NULL,   'Benali',    NULL,      '1995-07-02', 'F', '72181', 'FR', NULL),
    ('01487832-4000-7000-8001-000000000003', 'Julien Marc',     NULL,   'Moreau',    NULL,      '1989-11-23', 'M', '28280', 'FR', '5230917B'),
    ('01487832-4000-7000-8001-000000000004', 'Mathilde Anne',   NULL,   'Girard',    NULL,      '1990-05-09', 'F', '61001', 'FR', NULL),
    ('01487832-4000-7000-8001-000000000005', 'Camille Jeanne',  NULL,   'Rousseau',  NULL,      '1993-01-28', 'F', '28214', 'FR', '3381264T'),
    ('01487832-4000-7000-8001-000000000006', 'Karim',           NULL,   'Haddad',    NULL,      '1988-09-17', 'M', '93066', 'FR', '6094418C'),
    ('01487832-4000-7000-8001-000000000007', 'Sophie Hélène',   NULL,   'Picard',    'Lambert', '1978-04-03', 'F', '45234', 'FR', '2715530M'),
    ('01487832-4000-7000-8001-000000000008', 'Antoine Louis',   NULL,   'Dubois',    NULL,      '1996-08-30', 'M', '28214', 'FR', NULL),
    ('01487832-4000-7000-8001-000000000009', 'Fatou',           NULL,   'Diallo',    NULL,      '1991-12-12', 'F', NULL,    'SN', '7740096A'),
    ('01487832-4000-7000-8001-000000000010', 'Nicolas Paul',    'Nico', 'Fontaine',  NULL,      '1983-06-21', 'M', '14118', 'FR', '1958342F'),
    ('01487832-4000-7000-8001-000000000011', 'Élodie',          NULL,   'Chevalier', NULL,      '1987-02-15', 'F', '37261', 'FR', NULL),
    ('01487832-4000-7000-8001-000000000012', 'Maxime Jean',     NULL,   'Gauthier',  NULL,      '1994-10-05', 'M', '28134', 'FR', NULL),
    ('01487832-4000-7000-8001-000000000013', 'Nadia',           NULL,   'Cherif',    NULL,      '1985-11-30', 'F', NULL,    'DZ', '8012275P'),
    ('01487832-4000-7000-8001-000000000014', 'Pierre-Yves',     NULL,   'Le Bihan',  NULL,      '1962-05-19', 'M', '29019', 'FR', '1120648H'),
    ('01487832-4000-7000-8001-000000000015', 'Andréa',          NULL,   'Marchand',  NULL,      '1992-08-08', 'X', '44109', 'FR', NULL),
    ('01487832-4000-7000-8001-000000000016', 'Kévin',           NULL,   'Renaud',    NULL,      '1995-02-27', 'M', '28214', 'FR', '9003471D'),
    ('01487832-4000-7000-8001-000000000017', 'Hugo Mathieu',    NULL,   'Perrin',    NULL,      '1990-09-01', 'M', '35238', 'FR', NULL),
    ('01487832-4000-7000-8001-000000000018', 'Céline',          NULL,   'Barbier',   'Morel',   '1981-03-30', 'F', '61293', 'FR', '3367120R'),
    ('01487832-4000-7000-8001-000000000019', 'Alexandre',       NULL,   'Noël',      NULL,      '1986-12-24', 'M', '31555', 'FR', NULL),
    ('01487832-4000-7000-8001-000000000020', 'Manon Claire',    NULL,   'Leroux',    NULL,      '1996-01-11', 'F', '28085', 'FR', NULL),
    ('01487832-4000-7000-8001-000000000021', 'Youssef',         NULL,   'Amrani',    NULL,      '1993-06-06', 'M', NULL,    'MA', '5618830W'),
    ('01487832-4000-7000-8001-000000000022', 'Amandine',        NULL,   'Colin',     NULL,      '1989-04-18', 'F', '76540', 'FR', NULL),
    ('01487832-4000-7000-8001-000000000023', 'Guillaume',       NULL,   'Schmitt',   NULL,      '1984-01-05', 'M', '67482', 'FR', NULL),
    ('01487832-4000-7000-8001-000000000024', 'Sarah Léa',       NULL,   'Vidal',     NULL,      '1994-03-22', 'F', '13055', 'FR', NULL),
    ('01487832-4000-7000-8001-000000000025', 'Florian',         NULL,   'Mercier',   NULL,      '1991-05-13', 'M', '87085', 'FR', '4470913G'),
    ('01487832-4000-7000-8001-000000000026', 'Patricia Yvonne', NULL,   'Bertrand',  'Guérin',  '1964-07-07', 'F', '28280', 'FR', '1384759J'),
    ('01487832-4000-7000-8001-000000000027', 'Damien',          NULL,   'Roche',     NULL,      '1987-10-29', 'M', '2A004', 'FR', NULL),
    ('01487832-4000-7000-8001-000000000028', 'Linh',            NULL,   'Nguyen',    NULL,      '1992-11-16', 'F', NULL,    'VN', '6287054S'))
SELECT id, site_id, given_names, call_name, birth_family_name, use_family_name, birth_date, sex, commune, country, ft
FROM l, perche_self;

-- One row for each channel: e-mail, telephone, postal address.
INSERT INTO learner_contact (learner_id, kind, value, valid_from)
SELECT id, 'PHONE', printf('06399800%02d', CAST(substr(id, -2) AS INTEGER)), '2014-10-06'
FROM learner WHERE id LIKE '01487832-4000-7000-8001-%';

INSERT INTO learner_contact (learner_id, kind, value, valid_from)
WITH c(n, value) AS (VALUES
    (1,  'thomas.lefevre@example.org'),
    (2,  'ines.benali@example.org'),
    (3,  'julien.moreau@example.org'),
    (4,  'mathilde.girard@example.org'),
    (5,  'camille.rousseau@example.org'),
    (6,  'karim.haddad@example.org'),
    (7,  'sophie.lambert@example.org'),
    (8,  'antoine.dubois@example.org'),
    (9,  'fatou.diallo@example.org'),
    (10, 'nico.fontaine@example.org'),
    (11, 'elodie.chevalier@example.org'),
    (12, 'maxime.gauthier@example.org'),
    (13, 'nadia.cherif@example.org'),
    (14, 'pierre-yves.le-bihan@example.org'),
    (15, 'andrea.marchand@example.org'),
    (16, 'kevin.renaud@example.org'),
    (17, 'hugo.perrin@example.org'),
    (18, 'celine.morel@example.org'),
    (19, 'alexandre.noel@example.org'),
    (20, 'manon.leroux@example.org'),
    (21, 'youssef.amrani@example.org'),
    (22, 'amandine.colin@example.org'),
    (23, 'guillaume.schmitt@example.org'),
    (24, 'sarah.vidal@example.org'),
    (25, 'florian.mercier@example.org'),
    (26, 'patricia.guerin@example.org'),
    (27, 'damien.roche@example.org'),
    (28, 'linh.nguyen@example.org'))
SELECT printf('01487832-4000-7000-8001-%012d', n), 'EMAIL', value, '2014-10-06' FROM c;

INSERT INTO learner_contact (learner_id, kind, value, postcode, commune_insee, valid_from)
WITH c(n, value, postcode, commune) AS (VALUES
    (1,  '12 rue du Pont Saint-Martin, Chartres',  '28000', '28085'),
    (2,  '8 avenue Jean-Jaurès, Le Mans',          '72000', '72181'),
    (3,  '3 rue Villette-Gaté, Nogent-le-Rotrou',  '28400', '28280'),
    (4,  '27 rue du Château, Alençon',             '61000', '61001'),
    (5,  '5 rue de la Gare, La Loupe',             '28240', '28214'),
    (6,  '41 rue de Strasbourg, Dreux',            '28100', '28134'),
    (7,  '16 rue Bannier, Orléans',                '45000', '45234'),
    (8,  '9 place de l''Hôtel-de-Ville, La Loupe', '28240', '28214'),
    (9,  '22 rue de la Barre, Évreux',             '27000', '27229'),
    (10, '70 rue Saint-Pierre, Caen',              '14000', '14118'),
    (11, '14 rue Colbert, Tours',                  '37000', '37261'),
    (12, '2 rue Rotrou, Dreux',                    '28100', '28134'),
    (13, '33 rue d''Arcole, Lille',                '59000', '59350'),
    (14, '58 rue de Siam, Brest',                  '29200', '29019'),
    (15, '11 rue Crébillon, Nantes',               '44000', '44109'),
    (16, '31 rue du Docteur-Filleul, La Loupe',    '28240', '28214'),
    (17, '6 rue de Brest, Rennes',                 '35000', '35238'),
    (18, '4 rue Sainte-Croix, Mortagne-au-Perche', '61400', '61293'),
    (19, '19 rue des Filatiers, Toulouse',         '31000', '31555'),
    (20, '45 rue du Grand-Faubourg, Chartres',     '28000', '28085'),
    (21, '77 rue Jean-Jaurès, Dreux',              '28100', '28134'),
    (22, '10 rue Eau-de-Robec, Rouen',             '76000', '76540'),
    (23, '3 rue des Juifs, Strasbourg',            '67000', '67482'),
    (24, '52 rue Paradis, Marseille',              '13006', '13055'),
    (25, '8 rue Haute-Vienne, Limoges',            '87000', '87085'),
    (26, '21 rue Saint-Hilaire, Nogent-le-Rotrou', '28400', '28280'),
    (27, '13 cours Napoléon, Ajaccio',             '20000', '2A004'),
    (28, '36 rue Muret, Chartres',                 '28000', '28085'))
SELECT printf('01487832-4000-7000-8001-%012d', n), 'ADDRESS', value, postcode, commune, '2014-10-06' FROM c;

INSERT INTO enrolment (id, learner_id, cohort_id, site_id, name_at_entry, planned_start, planned_end, actual_start)
SELECT replace(l.id, '-8001-', '-8002-'), l.id, '01487832-4000-7000-8003-000000000001', s.site_id,
       l.given_names || ' ' || coalesce(l.use_family_name, l.birth_family_name),
       '2014-10-06', '2015-04-30', '2014-10-06'
FROM learner l, perche_self s WHERE l.id LIKE '01487832-4000-7000-8001-%';

INSERT INTO enrolment_status_event (enrolment_id, status, effective_on, recorded_at, recorded_site)
SELECT e.id, 'ACTIVE', '2014-10-06', '2014-10-06T15:30:00Z', s.site_id
FROM enrolment e, perche_self s WHERE e.cohort_id = '01487832-4000-7000-8003-000000000001';

-- Three weeks of half-days; Friday the 24th is cancelled, which leaves 28 of 210 minutes.
INSERT INTO half_day (cohort_id, day, half, mode, module, cancelled)
WITH RECURSIVE d(day) AS (
  SELECT '2014-10-06' UNION ALL SELECT date(day, '+1 day') FROM d WHERE day < '2014-10-24')
SELECT '01487832-4000-7000-8003-000000000001', day, half, 'ON_SITE',
       CASE WHEN day < '2014-10-13' THEN 'HTML et CSS' WHEN day < '2014-10-20' THEN 'JavaScript' ELSE 'PHP et SQL' END,
       day = '2014-10-24'
FROM d, (SELECT 'AM' AS half UNION ALL SELECT 'PM')
WHERE strftime('%w', day) BETWEEN '1' AND '5' ORDER BY day, half;

-- Real clients, at a reduced price. The hub knows no organisation for the hospital yet: the site writes its name.
INSERT INTO project (id, site_id, title, client_org_id, client_name, kind, starts_on, ends_on)
SELECT '01487832-4000-7000-8004-000000000001', site_id, 'Site de l''école de musique',
       (SELECT id FROM organisation WHERE name = 'École de musique de La Loupe'), NULL,
       'REAL_CLIENT', '2014-12-01', '2015-01-30' FROM perche_self
UNION ALL
SELECT '01487832-4000-7000-8004-000000000002', site_id, 'Démarches en ligne de la mairie',
       (SELECT id FROM organisation WHERE name = 'Commune de La Loupe'), NULL,
       'REAL_CLIENT', '2015-02-02', '2015-03-27' FROM perche_self
UNION ALL
SELECT '01487832-4000-7000-8004-000000000003', site_id, 'Livret d''accueil numérique de l''hôpital',
       NULL, 'Centre hospitalier de La Loupe',
       'REAL_CLIENT', '2015-02-02', '2015-04-17' FROM perche_self;

-- Rooms that the authority reserves from the departmental landlord: LLP-01 to LLP-10, 250 EUR a month.
INSERT INTO housing_unit (id, site_id, landlord_org_id, lessee_org_id, label, beds, rent_cents)
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10)
SELECT printf('01487832-4000-7000-8005-%012d', n), site_id,
       (SELECT id FROM organisation WHERE name = 'Bailleur départemental d''Eure-et-Loir'),
       (SELECT id FROM organisation WHERE name = 'Communauté de communes des Portes du Perche'),
       printf('LLP-%02d', n), 1, 25000
FROM n, perche_self;
