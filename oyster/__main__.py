from oyster.cli import main

main(prog_name="python -m oyster")
