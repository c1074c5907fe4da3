-- _score() gives numbers as bytes now, and a function's result cannot be changed in place. Nothing that is stored calls
-- it. In a new database there is no function yet.
DROP FUNCTION IF EXISTS modeldb._score(text, text, text[], integer, text, text, boolean);
