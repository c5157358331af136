"""`interlingua ui` as `python -m jobs.ui`, also for `ray job submit`."""

from interlingua.commands.command_line import run_command
from interlingua.commands.watching.ui import main, ui_parser

if __name__ == "__main__":
    run_command(main, ui_parser().parse_args())
