"""python -m modeldb.cli"""

from modeldb.cli import main

main(prog_name="modeldb")
