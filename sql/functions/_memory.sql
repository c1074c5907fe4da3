-- Arrays between PostgreSQL and numpy, as they lie in memory. byteasend() returns a copy of what it is given, whatever
-- that holds; array_send() and the text of an array would convert each element by itself, 60 to 250 ns for each.

CREATE OR REPLACE FUNCTION modeldb._memory(numbers float8[]) RETURNS bytea
LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
AS 'byteasend';
COMMENT ON FUNCTION modeldb._memory(float8[]) IS
    'The bytes of an array in PostgreSQL''s memory layout (ArrayType in array.h), less the length word.';

-- Never to be granted: PostgreSQL trusts these bytes.
CREATE OR REPLACE FUNCTION modeldb._trusted_numbers(memory bytea) RETURNS float8[]
LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
AS 'byteasend';
COMMENT ON FUNCTION modeldb._trusted_numbers(bytea) IS 'The array that _memory() gave the bytes of, for _numbers() alone.';

CREATE OR REPLACE FUNCTION modeldb._numbers(memory bytea, rows integer) RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    header CONSTANT bytea := substr(memory, 1, 20);
    nulls CONSTANT bytea := modeldb._memory(array_fill(NULL::float8, ARRAY[rows]));
    zeros CONSTANT bytea := modeldb._memory(array_fill(0::float8, ARRAY[rows]));
    present CONSTANT bytea := substr(memory, 21, (rows + 7) / 8);
BEGIN
    -- Every double is a valid one, so that an array is valid when it begins like one of its size and has its length.
    IF rows > 0 AND (
        header = substr(zeros, 1, 20) AND octet_length(memory) = octet_length(zeros)
        OR header = substr(nulls, 1, 20) AND octet_length(memory) = octet_length(nulls) + 8 * bit_count(present)
    ) THEN
        RETURN modeldb._trusted_numbers(memory);
    END IF;
    RAISE EXCEPTION 'these are not the bytes of an array of % numbers', rows USING ERRCODE = 'invalid_binary_representation';
END
$$;
COMMENT ON FUNCTION modeldb._numbers(bytea, integer) IS
    'The array of so many numbers whose bytes in PostgreSQL''s memory layout, less the length word, are given. Raises '
    '22P03 for anything else.';
