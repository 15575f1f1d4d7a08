-- What a person has agreed to: the rows of `consent` are never changed, the latest business date holds.

DROP VIEW IF EXISTS consent_now;

-- Of two rows of one instant, a withdrawal holds.
CREATE VIEW consent_now AS
  SELECT learner_id, purpose, min(given) AS given, at
  FROM consent c
  WHERE at = (SELECT max(at) FROM consent d WHERE d.learner_id = c.learner_id AND d.purpose = c.purpose)
  GROUP BY learner_id, purpose, at;
