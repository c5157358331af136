"""`python -m jobs.verify`, also for `ray job submit`: interlingua/commands/verify.py."""

from interlingua.commands.command_line import run_command
from interlingua.commands.verify import main, verify_parser

if __name__ == "__main__":
    run_command(main, verify_parser().parse_args())
