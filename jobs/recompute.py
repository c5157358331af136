"""`interlingua recompute` as `python -m jobs.recompute`, also for `ray job submit`."""

from interlingua.commands.auditing.recompute import main, recompute_parser
from interlingua.commands.command_line import run_command

if __name__ == "__main__":
    run_command(main, recompute_parser().parse_args())
