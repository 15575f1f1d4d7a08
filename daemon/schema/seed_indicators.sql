-- The definitions of the published rates, and the class of each situation under them. Rows, not schema: a hub loads
-- them at its first start; what it has already is left as it is.

-- Of GEN_POS and REGION_POS the milestone and the denominator are assumed: the published 80 % names neither.
INSERT INTO indicator_definition (id, base_date, milestone, denominator, min_denominator, rounding, decimals) VALUES
  ('REGION_POS',   'EXIT',          'M6', 'ALL_LEAVERS',           0, 'HALF_UP', 0), -- positive exits, regional schools
  ('GEN_POS',      'EXIT',          'M6', 'ALL_LEAVERS',           0, 'HALF_UP', 0), -- positive exits, Grande École du Numérique
  ('FC_GLOBAL_6M', 'CERTIFICATION', 'M6', 'CERTIFIED_RESPONDENTS', 0, 'HALF_UP', 2), -- France compétences, global insertion
  ('ESF_EMP_4W',   'EXIT',          'W4', 'ALL_LEAVERS',           0, 'HALF_UP', 0), -- ESF, in employment within 4 weeks
  ('ESF_EMP_6M',   'EXIT',          'M6', 'ALL_LEAVERS',           0, 'HALF_UP', 0), -- ESF, in employment at 6 months
  ('FT_ACCESS_6M', 'EXIT',          'M6', 'ALL_LEAVERS',           0, 'HALF_UP', 0), -- France Travail, access to work
  ('INSERJEUNES',  'EXIT',          'M6', 'ALL_LEAVERS',          20, 'HALF_UP', 2)  -- InserJeunes: in work, of those who do not go on studying
ON CONFLICT DO NOTHING;

-- Positive exits. That an internship or civic service is one is assumed.
INSERT INTO outcome_mapping (definition_id, situation, class) VALUES
  ('REGION_POS', 'EMP_PERMANENT',       'EMPLOYEE'),
  ('REGION_POS', 'EMP_FIXED_GE6',       'EMPLOYEE'),
  ('REGION_POS', 'EMP_FIXED_1TO6',      'EMPLOYEE'),
  ('REGION_POS', 'EMP_FIXED_LT1',       'EMPLOYEE'),
  ('REGION_POS', 'TEMP_AGENCY',         'EMPLOYEE'),
  ('REGION_POS', 'APPRENTICESHIP',      'EMPLOYEE'),
  ('REGION_POS', 'PROF_CONTRACT',       'EMPLOYEE'),
  ('REGION_POS', 'SELF_EMPLOYED',       'ENTREPRENEUR'),
  ('REGION_POS', 'COMPANY_FOUNDED',     'ENTREPRENEUR'),
  ('REGION_POS', 'STUDIES',             'STUDIES'),
  ('REGION_POS', 'QUALIFYING_TRAINING', 'STUDIES'),
  ('REGION_POS', 'INTERNSHIP',          'OTHER_POSITIVE'),
  ('REGION_POS', 'CIVIC_SERVICE',       'OTHER_POSITIVE'),
  ('REGION_POS', 'JOBSEEKING',          'NOT_POSITIVE'),
  ('REGION_POS', 'INACTIVE',            'NOT_POSITIVE'),
  ('REGION_POS', 'UNAVAILABLE',         'NOT_POSITIVE'),
  ('REGION_POS', 'WORK_ABROAD',         'EMPLOYEE'),
  ('REGION_POS', 'NOT_REACHED',         'NO_ANSWER'),
  ('REGION_POS', 'REFUSED_TO_ANSWER',   'NO_ANSWER'),
  ('GEN_POS', 'EMP_PERMANENT',       'EMPLOYEE'),
  ('GEN_POS', 'EMP_FIXED_GE6',       'EMPLOYEE'),
  ('GEN_POS', 'EMP_FIXED_1TO6',      'EMPLOYEE'),
  ('GEN_POS', 'EMP_FIXED_LT1',       'EMPLOYEE'),
  ('GEN_POS', 'TEMP_AGENCY',         'EMPLOYEE'),
  ('GEN_POS', 'APPRENTICESHIP',      'EMPLOYEE'),
  ('GEN_POS', 'PROF_CONTRACT',       'EMPLOYEE'),
  ('GEN_POS', 'SELF_EMPLOYED',       'ENTREPRENEUR'),
  ('GEN_POS', 'COMPANY_FOUNDED',     'ENTREPRENEUR'),
  ('GEN_POS', 'STUDIES',             'STUDIES'),
  ('GEN_POS', 'QUALIFYING_TRAINING', 'STUDIES'),
  ('GEN_POS', 'INTERNSHIP',          'OTHER_POSITIVE'),
  ('GEN_POS', 'CIVIC_SERVICE',       'OTHER_POSITIVE'),
  ('GEN_POS', 'JOBSEEKING',          'NOT_POSITIVE'),
  ('GEN_POS', 'INACTIVE',            'NOT_POSITIVE'),
  ('GEN_POS', 'UNAVAILABLE',         'NOT_POSITIVE'),
  ('GEN_POS', 'WORK_ABROAD',         'EMPLOYEE'),
  ('GEN_POS', 'NOT_REACHED',         'NO_ANSWER'),
  ('GEN_POS', 'REFUSED_TO_ANSWER',   'NO_ANSWER')
ON CONFLICT DO NOTHING;

-- France compétences leaves out who cannot be asked to be in work: further study, work-study contracts, people unable to
-- work, work abroad. That an internship or civic service counts as no work is assumed.
INSERT INTO outcome_mapping (definition_id, situation, class) VALUES
  ('FC_GLOBAL_6M', 'EMP_PERMANENT',       'EMPLOYEE'),
  ('FC_GLOBAL_6M', 'EMP_FIXED_GE6',       'EMPLOYEE'),
  ('FC_GLOBAL_6M', 'EMP_FIXED_1TO6',      'EMPLOYEE'),
  ('FC_GLOBAL_6M', 'EMP_FIXED_LT1',       'EMPLOYEE'),
  ('FC_GLOBAL_6M', 'TEMP_AGENCY',         'EMPLOYEE'),
  ('FC_GLOBAL_6M', 'APPRENTICESHIP',      'NEUTRALISED'),
  ('FC_GLOBAL_6M', 'PROF_CONTRACT',       'NEUTRALISED'),
  ('FC_GLOBAL_6M', 'SELF_EMPLOYED',       'ENTREPRENEUR'),
  ('FC_GLOBAL_6M', 'COMPANY_FOUNDED',     'ENTREPRENEUR'),
  ('FC_GLOBAL_6M', 'STUDIES',             'NEUTRALISED'),
  ('FC_GLOBAL_6M', 'QUALIFYING_TRAINING', 'NEUTRALISED'),
  ('FC_GLOBAL_6M', 'INTERNSHIP',          'NOT_POSITIVE'),
  ('FC_GLOBAL_6M', 'CIVIC_SERVICE',       'NOT_POSITIVE'),
  ('FC_GLOBAL_6M', 'JOBSEEKING',          'NOT_POSITIVE'),
  ('FC_GLOBAL_6M', 'INACTIVE',            'NOT_POSITIVE'),
  ('FC_GLOBAL_6M', 'UNAVAILABLE',         'NEUTRALISED'),
  ('FC_GLOBAL_6M', 'WORK_ABROAD',         'NEUTRALISED'),
  ('FC_GLOBAL_6M', 'NOT_REACHED',         'NO_ANSWER'),
  ('FC_GLOBAL_6M', 'REFUSED_TO_ANSWER',   'NO_ANSWER')
ON CONFLICT DO NOTHING;

-- ESF: in employment or not, by fact; who works abroad is, who is unavailable is not.
INSERT INTO outcome_mapping (definition_id, situation, class) VALUES
  ('ESF_EMP_4W', 'EMP_PERMANENT',       'EMPLOYEE'),
  ('ESF_EMP_4W', 'EMP_FIXED_GE6',       'EMPLOYEE'),
  ('ESF_EMP_4W', 'EMP_FIXED_1TO6',      'EMPLOYEE'),
  ('ESF_EMP_4W', 'EMP_FIXED_LT1',       'EMPLOYEE'),
  ('ESF_EMP_4W', 'TEMP_AGENCY',         'EMPLOYEE'),
  ('ESF_EMP_4W', 'APPRENTICESHIP',      'EMPLOYEE'),
  ('ESF_EMP_4W', 'PROF_CONTRACT',       'EMPLOYEE'),
  ('ESF_EMP_4W', 'SELF_EMPLOYED',       'ENTREPRENEUR'),
  ('ESF_EMP_4W', 'COMPANY_FOUNDED',     'ENTREPRENEUR'),
  ('ESF_EMP_4W', 'STUDIES',             'NOT_POSITIVE'),
  ('ESF_EMP_4W', 'QUALIFYING_TRAINING', 'NOT_POSITIVE'),
  ('ESF_EMP_4W', 'INTERNSHIP',          'NOT_POSITIVE'),
  ('ESF_EMP_4W', 'CIVIC_SERVICE',       'NOT_POSITIVE'),
  ('ESF_EMP_4W', 'JOBSEEKING',          'NOT_POSITIVE'),
  ('ESF_EMP_4W', 'INACTIVE',            'NOT_POSITIVE'),
  ('ESF_EMP_4W', 'UNAVAILABLE',         'NOT_POSITIVE'),
  ('ESF_EMP_4W', 'WORK_ABROAD',         'EMPLOYEE'),
  ('ESF_EMP_4W', 'NOT_REACHED',         'NO_ANSWER'),
  ('ESF_EMP_4W', 'REFUSED_TO_ANSWER',   'NO_ANSWER'),
  ('ESF_EMP_6M', 'EMP_PERMANENT',       'EMPLOYEE'),
  ('ESF_EMP_6M', 'EMP_FIXED_GE6',       'EMPLOYEE'),
  ('ESF_EMP_6M', 'EMP_FIXED_1TO6',      'EMPLOYEE'),
  ('ESF_EMP_6M', 'EMP_FIXED_LT1',       'EMPLOYEE'),
  ('ESF_EMP_6M', 'TEMP_AGENCY',         'EMPLOYEE'),
  ('ESF_EMP_6M', 'APPRENTICESHIP',      'EMPLOYEE'),
  ('ESF_EMP_6M', 'PROF_CONTRACT',       'EMPLOYEE'),
  ('ESF_EMP_6M', 'SELF_EMPLOYED',       'ENTREPRENEUR'),
  ('ESF_EMP_6M', 'COMPANY_FOUNDED',     'ENTREPRENEUR'),
  ('ESF_EMP_6M', 'STUDIES',             'NOT_POSITIVE'),
  ('ESF_EMP_6M', 'QUALIFYING_TRAINING', 'NOT_POSITIVE'),
  ('ESF_EMP_6M', 'INTERNSHIP',          'NOT_POSITIVE'),
  ('ESF_EMP_6M', 'CIVIC_SERVICE',       'NOT_POSITIVE'),
  ('ESF_EMP_6M', 'JOBSEEKING',          'NOT_POSITIVE'),
  ('ESF_EMP_6M', 'INACTIVE',            'NOT_POSITIVE'),
  ('ESF_EMP_6M', 'UNAVAILABLE',         'NOT_POSITIVE'),
  ('ESF_EMP_6M', 'WORK_ABROAD',         'EMPLOYEE'),
  ('ESF_EMP_6M', 'NOT_REACHED',         'NO_ANSWER'),
  ('ESF_EMP_6M', 'REFUSED_TO_ANSWER',   'NO_ANSWER')
ON CONFLICT DO NOTHING;

-- France Travail: work of at least one month. A shorter contract or temporary work counts from 78 hours on, which no
-- situation says: such a decision needs a person. That founders count is not verified.
INSERT INTO outcome_mapping (definition_id, situation, class) VALUES
  ('FT_ACCESS_6M', 'EMP_PERMANENT',       'EMPLOYEE'),
  ('FT_ACCESS_6M', 'EMP_FIXED_GE6',       'EMPLOYEE'),
  ('FT_ACCESS_6M', 'EMP_FIXED_1TO6',      'EMPLOYEE'),
  ('FT_ACCESS_6M', 'EMP_FIXED_LT1',       'NOT_POSITIVE'),
  ('FT_ACCESS_6M', 'TEMP_AGENCY',         'NOT_POSITIVE'),
  ('FT_ACCESS_6M', 'APPRENTICESHIP',      'EMPLOYEE'),
  ('FT_ACCESS_6M', 'PROF_CONTRACT',       'EMPLOYEE'),
  ('FT_ACCESS_6M', 'SELF_EMPLOYED',       'ENTREPRENEUR'),
  ('FT_ACCESS_6M', 'COMPANY_FOUNDED',     'ENTREPRENEUR'),
  ('FT_ACCESS_6M', 'STUDIES',             'NOT_POSITIVE'),
  ('FT_ACCESS_6M', 'QUALIFYING_TRAINING', 'NOT_POSITIVE'),
  ('FT_ACCESS_6M', 'INTERNSHIP',          'NOT_POSITIVE'),
  ('FT_ACCESS_6M', 'CIVIC_SERVICE',       'NOT_POSITIVE'),
  ('FT_ACCESS_6M', 'JOBSEEKING',          'NOT_POSITIVE'),
  ('FT_ACCESS_6M', 'INACTIVE',            'NOT_POSITIVE'),
  ('FT_ACCESS_6M', 'UNAVAILABLE',         'NOT_POSITIVE'),
  ('FT_ACCESS_6M', 'WORK_ABROAD',         'EMPLOYEE'),
  ('FT_ACCESS_6M', 'NOT_REACHED',         'NO_ANSWER'),
  ('FT_ACCESS_6M', 'REFUSED_TO_ANSWER',   'NO_ANSWER')
ON CONFLICT DO NOTHING;

-- InserJeunes counts who is in work among those who do not go on studying; an apprentice does. What it makes of the other
-- situations is assumed. No rate is published of fewer than 20.
INSERT INTO outcome_mapping (definition_id, situation, class) VALUES
  ('INSERJEUNES', 'EMP_PERMANENT',       'EMPLOYEE'),
  ('INSERJEUNES', 'EMP_FIXED_GE6',       'EMPLOYEE'),
  ('INSERJEUNES', 'EMP_FIXED_1TO6',      'EMPLOYEE'),
  ('INSERJEUNES', 'EMP_FIXED_LT1',       'EMPLOYEE'),
  ('INSERJEUNES', 'TEMP_AGENCY',         'EMPLOYEE'),
  ('INSERJEUNES', 'APPRENTICESHIP',      'NEUTRALISED'),
  ('INSERJEUNES', 'PROF_CONTRACT',       'EMPLOYEE'),
  ('INSERJEUNES', 'SELF_EMPLOYED',       'ENTREPRENEUR'),
  ('INSERJEUNES', 'COMPANY_FOUNDED',     'ENTREPRENEUR'),
  ('INSERJEUNES', 'STUDIES',             'NEUTRALISED'),
  ('INSERJEUNES', 'QUALIFYING_TRAINING', 'NEUTRALISED'),
  ('INSERJEUNES', 'INTERNSHIP',          'NOT_POSITIVE'),
  ('INSERJEUNES', 'CIVIC_SERVICE',       'NOT_POSITIVE'),
  ('INSERJEUNES', 'JOBSEEKING',          'NOT_POSITIVE'),
  ('INSERJEUNES', 'INACTIVE',            'NOT_POSITIVE'),
  ('INSERJEUNES', 'UNAVAILABLE',         'NOT_POSITIVE'),
  ('INSERJEUNES', 'WORK_ABROAD',         'NOT_POSITIVE'),
  ('INSERJEUNES', 'NOT_REACHED',         'NO_ANSWER'),
  ('INSERJEUNES', 'REFUSED_TO_ANSWER',   'NO_ANSWER')
ON CONFLICT DO NOTHING;
